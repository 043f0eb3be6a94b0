package realclient

import (
	"fmt"
	"strings"
	"testing"
)

// dialL2TP dials in with xl2tpd; the options are separate arguments.
func (s *site) dialL2TP(setup, user, password, options string) string {
	s.t.Helper()
	out, code := s.guest.Run(fmt.Sprintf("%s\nl2tp %s %s %s && address", setup, user, password, options))
	if code != 0 {
		log, _ := s.guest.Run("cat /run/xl2tpd.log")
		s.t.Fatalf("%s does not get in: %s\n%s\n%s\nserver:\n%s", user, out, log, s.pppd(), s.server.Log())
	}
	return strings.TrimSpace(out)
}

func (s *site) hangupL2TP() {
	s.t.Helper()
	if out, code := s.guest.Run("l2tp_hangup"); code != 0 {
		s.t.Fatalf("xl2tpd does not end: %s", out)
	}
	s.server.WaitLog("disconnected")
}

// Every authentication by L2TP, and MPPE when the client begins it.
func TestL2TPProtocols(t *testing.T) {
	s := newSite(t, "")
	for _, c := range []struct{ auth, setup, options, want string }{
		{"PAP", "lac=", "nomppe", "none"},
		{"CHAP", "lac=", "nomppe", "none"},
		{"MS-CHAP", "lac=", "nomppe", "none"},
		{"MS-CHAPv2", "lac='length bit = no'", "nomppe", "none"},
		{"MS-CHAPv2", "lac='length bit = yes'", "require-mppe-128", "MPPE-128 stateless"},
	} {
		t.Run(c.auth+" "+c.options+" "+c.setup, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			if addr := s.dialL2TP(c.setup, "alice", "geheim", only[c.auth]+" "+c.options); !strings.HasPrefix(addr, "10.99.0.1") {
				t.Errorf("address %q", addr)
			}
			s.server.WaitLog("connected", "type=L2TP", "user=alice", "auth="+c.auth, c.want)
			s.must("ping -c 3 -W 2 10.99.0.1")
			s.transfer(t)
			s.hangupL2TP()
		})
	}
}

func TestL2TPRefusals(t *testing.T) {
	s := newSite(t, "motp: {max_failures: 50}\n")
	s.server.VPND("user", "add", "petra", "--password", "geheim", "--dial-in", "pptp")
	for _, c := range []struct{ user, password, log string }{
		{"alice", "x", "wrong password"},
		{"petra", "geheim", "dial-in type l2tp not allowed"},
	} {
		s.server.Forget()
		if out, code := s.guest.Run("l2tp " + c.user + " " + c.password); code == 0 {
			t.Errorf("%s gets in: %s", c.user, out)
		}
		s.server.WaitLog("refused", "type=L2TP", c.log)
	}
	s.server.Forget()
	s.dialL2TP("code "+secret+" "+pin+" > /run/otp", "otto", "$(cat /run/otp)", "nomppe")
	s.hangupL2TP()
	if _, code := s.guest.Run("pptp otto $(cat /run/otp) nomppe"); code == 0 {
		t.Error("a one-time password is used by L2TP and then by PPTP")
	}
	s.server.WaitLog("refused", "type=PPTP", "one-time password already used")
}

// The tunnel's secret: right, wrong, missing.
func TestL2TPSecret(t *testing.T) {
	s := newSite(t, "l2tp: {secret: tunnel-Secret7}\n")
	s.dialL2TP("secret=tunnel-Secret7; lac='challenge = yes'", "alice", "geheim", "nomppe")
	s.must("ping -c 1 -W 2 10.99.0.1")
	s.hangupL2TP()
	s.server.Forget()
	if out, code := s.guest.Run("secret=wrong; lac='challenge = yes'; l2tp alice geheim nomppe"); code == 0 {
		t.Errorf("with a wrong secret: %s", out)
	}
	if out, code := s.guest.Run("secret=none; lac=; l2tp alice geheim nomppe"); code == 0 {
		t.Errorf("without a secret: %s", out)
	}
	s.server.Forget()
	s.dialL2TP("secret=tunnel-Secret7; lac='challenge = yes'", "alice", "geheim", "nomppe")
	s.hangupL2TP()
}

// However an L2TP connection ends, nothing is left of it.
func TestL2TPEnds(t *testing.T) {
	s := newSite(t, "ppp: {echo_interval: 1s, echo_failures: 3}\n")
	t.Run("client is killed", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dialL2TP("lac=", "alice", "geheim", "nomppe")
		s.must("killall -9 xl2tpd pppd; l2tp_end")
		s.server.WaitLog("disconnected")
	})
	t.Run("network is cut", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dialL2TP("lac=", "alice", "geheim", "nomppe")
		s.guest.Cut()
		s.server.WaitLog("disconnected", "echo time-out")
		s.guest.Connect()
		s.must("l2tp_end")
	})
	t.Run("server shuts down", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dialL2TP("lac=", "alice", "geheim", "nomppe")
		s.server.Stop()
		s.must("l2tp_end")
		if log := s.pppd(); !strings.Contains(log, "LCP terminated by peer") {
			t.Errorf("the client is not hung up properly:\n%s", log)
		}
		s.server.Start()
		s.dialL2TP("lac=", "alice", "geheim", "nomppe")
		s.hangupL2TP()
	})
}
