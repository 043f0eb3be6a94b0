package realclient

import (
	"strings"
	"testing"
)

// The server proves itself to a pppd that asks for it, after it has let pppd in.
func TestMutualPAP(t *testing.T) {
	s := newSite(t, "ppp: {mutual_pap: {user: vigor, password: schwarz}}\n")
	const right, wrong = `servers='vigor * schwarz *'`, `servers='vigor * weiss *'`
	const shown = `rcvd [PAP AuthReq id=0x`
	for _, c := range []struct{ name, options, granted string }{
		{"PAP", only["PAP"] + " nomppe require-pap remotename vigor", "rcvd [PAP AuthAck"},
		{"CHAP", only["CHAP"] + " nomppe require-pap remotename vigor", "rcvd [CHAP Success"},
		{"MS-CHAPv2 with MPPE", only["MS-CHAPv2"] + " require-mppe-128 require-pap remotename vigor", "rcvd [CHAP Success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			s.must(right)
			s.dial("alice", "geheim", c.options)
			s.server.WaitLog("connected", "user=alice")
			s.must("ping -c 1 -W 20 10.99.0.1")
			log := s.pppd()
			granted, request, accepted := strings.Index(log, c.granted), strings.Index(log, shown), strings.Index(log, "sent [PAP AuthAck")
			if granted < 0 || request < granted || accepted < request || !strings.Contains(log[request:], `user="vigor"`) {
				t.Errorf("granted at %d, shown at %d, accepted at %d:\n%s", granted, request, accepted, log)
			}
			s.hangup()
		})
	}
	t.Run("not asked for", func(t *testing.T) {
		s.t = t
		s.dial("alice", "geheim", only["PAP"]+" nomppe")
		if log := s.pppd(); strings.Contains(log, shown) {
			t.Errorf("the server shows itself:\n%s", log)
		}
		s.hangup()
	})
	for _, c := range []struct{ name, secrets, password, options, pppd, log string }{
		{"other password", wrong, "geheim", only["MS-CHAPv2"] + " nomppe require-pap remotename vigor", "sent [PAP AuthNak", "cause=server_not_accepted"},
		{"CHAP is asked for", right, "geheim", only["PAP"] + " nomppe require-chap remotename vigor", "rcvd [LCP ConfNak id=0x1 <auth pap>]", ""},
		{"wrong password of the client", right, "x", only["PAP"] + " nomppe require-pap remotename vigor", "rcvd [PAP AuthNak", "cause=wrong_password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			s.must(c.secrets)
			log := s.refused("alice", c.password, c.options)
			if !strings.Contains(log, c.pppd) || c.name != "other password" && strings.Contains(log, shown) {
				t.Errorf("want %q:\n%s", c.pppd, log)
			}
			s.server.WaitLog("refused", c.log)
		})
	}
}
