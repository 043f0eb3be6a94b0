package mgmt_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/guide"
	"vpnd/usermgmt"
)

// A user's attempts have advice. They include attempts without a name from an address of the user.
func TestAttempts(t *testing.T) {
	b := setUp(t)
	home := netip.MustParseAddr("203.0.113.9")
	alice := usermgmt.New("Alice")
	alice.Password = "open sesame"
	if err := b.store.Add(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	_, err := b.store.ChangeStanding(t.Context(), "Alice", func(s auth.Standing) auth.Standing {
		s.Addresses[0] = auth.Network(home)
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []state.Entry{
		{Event: state.EventConnected, User: "Alice", Type: "PPTP", Peer: home},
		{Event: state.EventDisconnected, User: "Alice", Type: "PPTP", Peer: home, Reason: "for no reason at all"},
		{Event: state.EventRefused, User: "bob", Type: "PPTP", Peer: home, Why: reason.New(reason.UnknownUser)},
		{Event: state.EventRefused, Type: "PPTP", Peer: home, Why: reason.New(reason.OnlyPAP)},
		{Event: state.EventRefused, Type: "PPTP", Peer: netip.MustParseAddr("203.0.113.1"), Why: reason.New(reason.WrongTunnelSecret)},
	} {
		e.At = time.Now()
		if err := b.store.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var list []mgmt.Attempt
	if a := b.do("GET", "/api/v1/users/alice/attempts", "", &list); a.StatusCode != 200 || len(list) != 3 {
		t.Fatalf("%s: %+v", a.Status, list)
	}
	if list[0].Cause != string(reason.OnlyPAP) || list[0].Meaning == "" || list[0].Fix == "" || list[0].User != "" {
		t.Errorf("%+v", list[0])
	}
	if list[1].Meaning != "" || list[1].Reason == "" || list[2].Event.Event != "connected" || list[2].Meaning != "" {
		t.Errorf("%+v", list[1:])
	}
	if b.do("GET", "/api/v1/attempts?limit=4", "", &list); len(list) != 4 || list[0].Cause != string(reason.WrongTunnelSecret) || list[0].Meaning == "" {
		t.Errorf("%+v", list)
	}
	if a := b.do("GET", "/api/v1/users/nobody/attempts", "", nil); a.StatusCode != 404 {
		t.Errorf("an unknown user: %s", a.Status)
	}
}

// The set-up of a client depends on the user's profile and the server.
func TestConnectClient(t *testing.T) {
	b := setUp(t)
	anna := usermgmt.New("anna")
	anna.Password, anna.Services = "open sesame", []auth.Service{auth.PPTP}
	if err := b.store.Add(t.Context(), anna); err != nil {
		t.Fatal(err)
	}
	var page guide.Page
	a := b.do("GET", "/api/v1/users/Anna/connect?client=windows&server=vpn.example.net", "", &page)
	if a.StatusCode != 200 || len(page.Ways) != 1 || !strings.Contains(page.Ways[0].Steps[0].Code, "-ServerAddress 'vpn.example.net'") {
		t.Errorf("%s: %+v", a.Status, page)
	}
	for path, want := range map[string]int{"/users/otto/connect?client=linux": 404, "/users/anna/connect?client=beos": 422, "/users/anna/connect": 422} {
		if a := b.do("GET", "/api/v1"+path, "", nil); a.StatusCode != want {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
	var numbers []guide.Number
	if b.do("GET", "/api/v1/client-errors", "", &numbers); len(numbers) != len(guide.Numbers("")) {
		t.Errorf("%d numbers", len(numbers))
	}
}
