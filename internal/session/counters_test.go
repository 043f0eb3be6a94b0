package session_test

import (
	"slices"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

// Counters give the open connections by type and encryption. The totals keep counting the traffic
// of connections that are gone.
func TestCounters(t *testing.T) {
	s := newStack(t, nil)
	encrypted := config()
	encrypted.MPPE.Mode = ppp.MPPERequired
	var clients []*testenv.Client
	for _, c := range []struct {
		kind string
		cfg  ppp.Config
	}{{"PPTP", encrypted}, {"PPTP", config(ppp.PAP)}, {"L2TP", config(ppp.PAP)}} {
		client, err := s.dialBy(c.kind, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.passes(client)
		clients = append(clients, client)
	}
	open := s.m.Counters()
	want := map[session.Kind]int{{Type: "PPTP", Encryption: "MPPE-128 stateless"}: 1, {Type: "PPTP", Encryption: "none"}: 1, {Type: "L2TP", Encryption: "none"}: 1}
	if diff := cmp.Diff(want, open.Open); diff != "" {
		t.Error(diff)
	}
	moved := map[link.Type]dataplane.Stats{
		"PPTP": {RxPackets: 2, RxBytes: 56, TxPackets: 2, TxBytes: 56, Received: 2}, "L2TP": {RxPackets: 1, RxBytes: 28, TxPackets: 1, TxBytes: 28, Received: 1},
	}
	if diff := cmp.Diff(moved, open.Moved); diff != "" {
		t.Error(diff)
	}
	if got := open.Pools[""]; got.Used != 3 || got.Size != s.pool.Size() || open.Pending != 0 {
		t.Errorf("%+v, %d pending", got, open.Pending)
	}
	for _, c := range clients {
		c.Hangup()
	}
	s.empty()
	over := s.m.Counters()
	if diff := cmp.Diff(moved, over.Moved); diff != "" {
		t.Errorf("with the connections gone: %s", diff)
	}
	for kind, n := range over.Open {
		if n != 0 {
			t.Errorf("%d of %v", n, kind)
		}
	}
	if over.Pools[""].Used != 0 || over.Verifying != 0 || over.Waiting != 0 {
		t.Errorf("got %+v, want no address in use, and no log-in under way", over)
	}
}

// refusals keeps the causes of refusals.
type refusals struct {
	session.Recorder
	causes chan reason.Code
}

func (r refusals) Connected(session.Connection)                   {}
func (r refusals) Disconnected(session.Connection, reason.Reason) {}
func (r refusals) Refused(f session.Refusal)                      { r.causes <- f.Reason.Code }

// Each refusal has a cause from the known set.
func TestCauses(t *testing.T) {
	r := refusals{causes: make(chan reason.Code, 1)}
	s := newStack(t, func(c *session.Config) { c.Recorder, c.PPP.Auth = r, []ppp.Method{ppp.PAP} })
	err := s.store.Add(t.Context(), usermgmt.Profile{
		Name: "ghost", Enabled: true, Password: "geheim", Services: []auth.Service{auth.PPTP}, IPsec: usermgmt.IPsecNone, Pool: "nowhere",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user, password string
		allow          ppp.Method
		want           reason.Code
	}{
		{"alice", "x", ppp.PAP, reason.WrongPassword},
		{"mallory", "x", ppp.PAP, reason.UnknownUser},
		{"otto", token.Code(motp.Step(time.Now()) + 600), ppp.PAP, reason.TokenClockOff},
		{"ghost", "geheim", ppp.PAP, reason.NoPool},
		{"alice", "geheim", ppp.MSCHAPv2, reason.NoCommonAuth},
	} {
		cfg := config(c.allow)
		cfg.User, cfg.Password = c.user, c.password
		if _, err := s.dial(cfg); err == nil {
			t.Errorf("%s is let in", c.user)
			continue
		}
		if got := <-r.causes; got != c.want || !slices.Contains(reason.Labels(), reason.New(got).Label()) {
			t.Errorf("%s: %q, want %q", c.user, got, c.want)
		}
	}
}
