package realclient

import (
	"strings"
	"testing"
)

// A one-time password that one service has accepted is used up for both.
func TestL2TPThenPPTP(t *testing.T) {
	s := newSite(t, "motp: {max_failures: 50}\n")
	s.l2tp = true
	s.must("code " + secret + " " + pin + " > /run/otp")
	s.dial("otto", "$(cat /run/otp)", "nomppe")
	s.hangup()
	s.l2tp = false
	s.refused("otto", "$(cat /run/otp)", "nomppe")
	s.server.WaitLog("refused", "type=PPTP", "cause=used_code")
}

// The tunnel's secret is right, wrong or missing.
func TestL2TPSecret(t *testing.T) {
	s := newSite(t, "l2tp: {secret: tunnel-Secret7}\n")
	s.l2tp, s.lac = true, "challenge = yes"
	right := func(*testing.T) {
		s.must("secret=tunnel-Secret7")
		s.dial("alice", "geheim", "nomppe")
		s.must("ping -c 1 -W 20 10.99.0.1")
		s.hangup()
	}
	s.run("right", right)
	s.lac = "" // an xl2tpd that challenges us finds out first, and hangs
	s.run("wrong", func(t *testing.T) {
		s.must("secret=wrong")
		if said := s.refused("alice", "geheim", "nomppe"); strings.Contains(said, "Call established") {
			t.Errorf("it gets a call: %s", said)
		}
		s.server.WaitLog("refused", "type=L2TP", "peer="+s.guest.Address, "cause=wrong_tunnel_secret")
	})
	s.run("missing", func(t *testing.T) {
		s.must("secret=none")
		if said := s.refused("alice", "geheim", "nomppe"); strings.Contains(said, "Call established") {
			t.Errorf("it gets a call: %s", said)
		}
		s.server.WaitLog("refused", "type=L2TP", "peer="+s.guest.Address, "cause=wrong_tunnel_secret")
	})
	s.lac = "challenge = yes"
	s.run("right again", right)
}
