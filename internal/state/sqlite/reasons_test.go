package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
)

// oldTexts are reasons in the form of the history before version 7, with their current codes.
var oldTexts = []struct {
	text string
	why  reason.Reason
}{
	{"unknown user", reason.New(reason.UnknownUser)},
	{"wrong password", reason.New(reason.WrongPassword, "", "")},
	{"wrong password, user locked for 1m0s", reason.New(reason.WrongPassword, "1m0s", "")},
	{"wrong one-time password, user locked until 2026-05-06T12:01:00Z after too many failures", reason.New(reason.WrongCode, "", "2026-05-06T12:01:00Z")},
	{"wrong one-time password: the token's clock is 7 minutes ahead", reason.New(reason.TokenClockOff, "", "7 minutes ahead")},
	{"one-time password older than the one used last", reason.New(reason.OldCode)},
	{"outside of the user's schedule (Mon-Fri 08:00-18:00 UTC)", reason.New(reason.OutsideSchedule, "Mon-Fri 08:00-18:00 UTC")},
	{"dial-in from 203.0.113.9, and the user's remote node is 192.0.2.0/24", reason.New(reason.OtherRemoteNode, "203.0.113.9", "192.0.2.0/24")},
	{"the user is connected already, and 1 at once is the limit", reason.New(reason.ConnectedAlready, "1")},
	{"10.99.0.7: fixed address is in use by bob", reason.New(reason.AddressInUse, "10.99.0.7", "bob")},
	{"peer accepts none of the allowed authentications: it asks for PAP", reason.New(reason.OnlyPAP)},
	{"peer accepts none of the allowed authentications: it asks for PAP, EAP", reason.New(reason.NoCommonAuth, "PAP, EAP")},
	{"client closed the control connection; no PPP frame had come from the peer", reason.New(reason.NothingCame, "client closed the control connection")},
	{"client insists on 10.0.0.1; alice's address is 10.99.0.10: it says \"no\"", reason.New(reason.ClientInsists, "10.0.0.1", "alice", "10.99.0.10", `"no"`)},
	{"as many calls as the server bears", reason.New(reason.CallLimit)},
	{`peer hung up: it says "User request"`, reason.New(reason.PeerHungUp, `"User request"`)},
	{"client disconnected the call (result 3)", reason.New(reason.CallDisconnected, "result 3")},
	{"client does not answer any more", reason.New(reason.TunnelSilent)},
	{"client has opened its tunnel anew", reason.New(reason.TunnelReopened)},
	{"idle time-out", reason.New(reason.IdleTimeout)},
	{"dropped for the fun of it", reason.Reason{}},
	{"", reason.Reason{}},
}

// TestMigratesReasons opens a table of version 6, whose history has only texts. They stay, and get
// their codes. An unknown text, and the text of a change, get none.
func TestMigratesReasons(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	must(t, os.CopyFS(dir, os.DirFS("testdata/version1")))
	old := strings.Builder{}
	old.WriteString(sqlite.Migrations(1, 6) + "PRAGMA user_version = 6;")
	entry := func(event, text string) {
		fmt.Fprintf(&old, `INSERT INTO history (at, event, fold, user, connection, type, peer, address, auth, encryption, reason, seconds, rx, tx, by)
			VALUES (0, '%s', 'anna', 'anna', '', 'PPTP', '', '', '', '', '%s', 0, 0, 0, '');`, event, strings.ReplaceAll(text, "'", "''"))
	}
	for _, c := range oldTexts {
		entry(state.EventRefused, c.text)
		entry(state.EventDisconnected, c.text)
	}
	entry(state.EventChanged, "unknown user")
	raw(t, dir, old.String())

	s := openStore(t, dir)
	all, err := s.History(t.Context(), state.HistoryQuery{})
	must(t, err)
	slices.Reverse(all)
	if len(all) != 2*len(oldTexts)+1 {
		t.Fatalf("%d entries", len(all))
	}
	for i, e := range all[:2*len(oldTexts)] {
		want := oldTexts[i/2]
		if e.Reason != want.text || e.Text() != want.text || e.Why.Code != want.why.Code || e.Why.Args != want.why.Args {
			t.Errorf("%s %q: %q with %q, want %q with %q", e.Event, e.Text(), e.Why.Code, e.Why.Args, want.why.Code, want.why.Args)
		}
		if _, ok := e.Why.Advice(e.Type); ok == want.why.IsZero() {
			t.Errorf("%q: advice: %v", e.Text(), ok)
		}
	}
	if e := all[len(all)-1]; e.Reason != "unknown user" || !e.Why.IsZero() {
		t.Errorf("a change: %+v", e)
	}
}
