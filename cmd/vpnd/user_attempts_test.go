package main

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt"
)

func TestUserAttempts(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--password", "geheim")
	h.withStore(func(s state.Store) error {
		return s.Record(t.Context(), state.Entry{
			At: time.Now(), Event: state.EventRefused, User: "anna", Type: "PPTP", Auth: "MS-CHAPv2", Peer: netip.MustParseAddr("203.0.113.9"),
			Why: reason.New(reason.TokenClockOff, "", "7 minutes ahead"),
		})
	})
	out := h.ok("", "user", "attempts", "anna")
	for _, want := range []string{
		"anna refused, PPTP, MS-CHAPv2, from 203.0.113.9: wrong one-time password: the token's clock is 7 minutes ahead\n    The code was right for another time",
		"\n    Compare the token's clock", "vpnd user resync",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	var list []mgmt.Attempt
	if err := json.Unmarshal([]byte(h.ok("", "user", "attempts", "--json")), &list); err != nil || len(list) != 1 || list[0].Cause != string(reason.TokenClockOff) || list[0].Fix == "" {
		t.Errorf("%+v, %v", list, err)
	}
	h.fails("", "no such user", "user", "attempts", "otto")
}

func TestUserHelpClient(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--password", "geheim", "--dial-in", "pptp")
	out := h.ok("", "user", "show", "anna", "--help-client", "linux", "--server", "vpn.example.net")
	if !strings.Contains(out, "sudo vpnd dial vpn.example.net --type pptp --user anna") || strings.Contains(out, "geheim") {
		t.Error(out)
	}
	if out := h.ok("", "user", "show", "anna", "--help-client", "windows"); !strings.Contains(out, "Add-VpnConnection") || !strings.Contains(out, "809") {
		t.Error(out)
	}
	h.withStore(func(s state.Store) error {
		_, err := s.SetSettings(t.Context(), map[string]string{"services.pptp": "false"}, state.Entry{})
		return err
	})
	if out := h.ok("", "user", "show", "anna", "--help-client", "linux"); strings.Contains(out, "--type pptp") {
		t.Errorf("a service that was switched off is offered:\n%s", out)
	}
	if r := h.run("", "user", "show", "anna", "--help-client", "beos"); r.status != 2 || !strings.Contains(r.stderr, "one of windows") {
		t.Errorf("%+v", r)
	}
}
