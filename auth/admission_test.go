package auth_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
)

func TestRefuses(t *testing.T) {
	now := at(t, "2026-11-23 12:00:00 +0000")
	schedule, err := auth.ParseSchedule("Tue 08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*auth.Account)
		code   int
		reason string
	}{
		"nothing":      {func(*auth.Account) {}, 0, ""},
		"disabled":     {func(a *auth.Account) { a.Enabled = false }, 647, "account disabled"},
		"expired":      {func(a *auth.Account) { a.Expires = now }, 647, "expired on 2026-11-23T12:00:00Z"},
		"not yet":      {func(a *auth.Account) { a.Expires = now.Add(time.Second) }, 0, ""},
		"type":         {func(a *auth.Account) { a.Services = []auth.Service{auth.PPTP} }, 649, "dial-in type l2tp not allowed"},
		"IPsec must":   {func(a *auth.Account) { a.IPsecMust = true }, 649, "L2TP without IPsec"},
		"node":         {func(a *auth.Account) { a.RemoteNode = netip.MustParsePrefix("203.0.113.0/24") }, 0, ""},
		"another node": {func(a *auth.Account) { a.RemoteNode = netip.MustParsePrefix("203.0.113.8/32") }, 649, "203.0.113.9, but the user's remote node is 203.0.113.8/32"},
		"schedule":     {func(a *auth.Account) { a.Schedule = schedule }, 646, "(Tue 08:00-18:00)"},
	} {
		a := auth.Account{Name: "alice", Enabled: true, Services: []auth.Service{auth.PPTP, auth.L2TP}}
		c.change(&a)
		got := a.Refuses(auth.L2TP, netip.MustParseAddr("203.0.113.9"), now)
		if got.Row().MSCHAP != c.code || !strings.Contains(got.String(), c.reason) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTermsAt(t *testing.T) {
	now := at(t, "2026-11-23 12:00:00 +0000")
	schedule, err := auth.ParseSchedule("Mon 08:00-18:00")
	if err != nil {
		t.Fatal(err)
	}
	a := auth.Account{Schedule: schedule}
	if got := a.TermsAt(now); !got.Until.Equal(now.Add(6*time.Hour)) || got.UntilReason.Code != reason.ScheduleEnds {
		t.Errorf("schedule: %+v", got)
	}
	a.Expires = now.Add(time.Hour)
	if got := a.TermsAt(now); !got.Until.Equal(a.Expires) || got.UntilReason.Code != reason.AccountExpired {
		t.Errorf("expiry first: %+v", got)
	}
	a.Expires = now.Add(7 * time.Hour)
	if got := a.TermsAt(now); got.UntilReason.Code != reason.ScheduleEnds {
		t.Errorf("schedule first: %+v", got)
	}
}
