package realclient

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// plain and noMPPE make pppd agree to one authentication alone.
var only = map[string]string{
	"PAP":       "refuse-eap refuse-chap refuse-mschap refuse-mschap-v2",
	"CHAP":      "refuse-eap refuse-pap refuse-mschap refuse-mschap-v2",
	"MS-CHAP":   "refuse-eap refuse-pap refuse-chap refuse-mschap-v2",
	"MS-CHAPv2": "refuse-eap refuse-pap refuse-chap refuse-mschap",
}

// Every authentication and encryption: the link comes up, carries pings and transfers, and is
// encrypted on the wire exactly when that was agreed.
func TestProtocols(t *testing.T) {
	s := newSite(t, "")
	for _, c := range []struct{ auth, options, want string }{
		{"PAP", "nomppe", "none"},
		{"CHAP", "nomppe", "none"},
		{"MS-CHAP", "nomppe", "none"},
		{"MS-CHAPv2", "nomppe", "none"},
		{"MS-CHAP", "require-mppe-128", "MPPE-128 stateless"},
		{"MS-CHAPv2", "require-mppe-128", "MPPE-128 stateless"},
		{"MS-CHAPv2", "require-mppe-40", "MPPE-40 stateless"},
		{"MS-CHAPv2", "require-mppe-128 mppe-stateful", "MPPE-128 stateful"},
		{"MS-CHAPv2", "require-mppe-40 mppe-stateful", "MPPE-40 stateful"},
	} {
		name := c.auth + " " + c.options
		ok := t.Run(name, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			capture := s.lab.Capture(t, s.guest.Interface())
			addr := s.dial("alice", "geheim", only[c.auth]+" "+c.options)
			if !strings.HasPrefix(addr, "10.99.0.1") {
				t.Errorf("address %q", addr)
			}
			s.server.WaitLog("connected", "user=alice", "auth="+c.auth)
			s.must("ping -c 3 -W 2 -p 70696e672d70696e672d 10.99.0.1")
			s.transfer(t)
			s.hangup()
			inClear, sealed := capture.Count()
			switch {
			case c.want == "none" && (inClear == 0 || sealed > 0), c.want != "none" && (sealed == 0 || inClear > 0):
				t.Errorf("%d packets in clear, %d encrypted, want %s\n%s", inClear, sealed, c.want, s.pppd())
			}
		})
		if !ok {
			break
		}
	}
}

// transfer sends 8 MiB each way over TCP through the tunnel and compares checksums.
func (s *site) transfer(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	listener := s.lab.Command("socat", "-u", "TCP-LISTEN:9001,bind=10.99.0.1,reuseaddr", "OPEN:"+up+",creat")
	sender := s.lab.Command("sh", "-c", "head -c 8388608 /dev/zero | tr '\\0' x | socat -u STDIN TCP-LISTEN:9002,bind=10.99.0.1,reuseaddr")
	for _, c := range []interface{ Start() error }{listener, sender} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	sum := s.must(`head -c 8388608 /dev/zero | tr '\0' y > /run/y
		socat -u OPEN:/run/y TCP:10.99.0.1:9001,retry=20,interval=0.1 &&
		socat -u TCP:10.99.0.1:9002,retry=20,interval=0.1 STDOUT | md5sum | cut -c1-32`)
	if err := listener.Wait(); err != nil {
		t.Error(err)
	}
	_ = sender.Wait()
	if want := md5Of('x'); strings.TrimSpace(sum) != want {
		t.Errorf("from the server: md5 %q, want %s", sum, want)
	}
	got, err := os.ReadFile(up)
	if err != nil || md5Sum(got) != md5Of('y') {
		t.Errorf("to the server: %d octets, %v", len(got), err)
	}
}

// A one-time password works once, on a clock that is a little off, with every kind of proof.
func TestOneTimePassword(t *testing.T) {
	s := newSite(t, "motp: {window: 3m, max_failures: 50}\n")
	for _, c := range []struct{ auth, options string }{
		{"PAP", "nomppe"}, {"CHAP", "nomppe"}, {"MS-CHAPv2", "require-mppe-128"},
	} {
		t.Run(c.auth, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			s.must("otp=$(code " + secret + " " + pin + "); echo $otp > /run/otp")
			s.dial("otto", "$(cat /run/otp)", only[c.auth]+" "+c.options)
			s.must("ping -c 1 -W 2 10.99.0.1")
			s.hangup()
			s.refused("otto", "$(cat /run/otp)", only[c.auth]+" "+c.options)
			s.server.WaitLog("refused", "user=otto", "one-time password already used")
			s.nextStep()
		})
	}
	t.Run("clock 2 minutes ahead", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("otto", "$(code "+secret+" "+pin+" 120)", only["PAP"]+" nomppe")
		s.hangup()
	})
	t.Run("clock 5 minutes ahead", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.refused("otto", "$(code "+secret+" "+pin+" 300)", only["PAP"]+" nomppe")
		s.server.WaitLog("refused", "user=otto", "the token's clock is 5 minutes ahead")
	})
	t.Run("killed right after a log-in", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.must("code " + secret + " " + pin + " 150 > /run/otp")
		s.dial("otto", "$(cat /run/otp)", only["MS-CHAPv2"]+" nomppe")
		s.server.Kill()
		s.must("gone")
		s.server.Forget()
		s.server.Start()
		s.refused("otto", "$(cat /run/otp)", only["MS-CHAPv2"]+" nomppe")
		s.server.WaitLog("refused", "user=otto", "one-time password already used")
	})
}

// nextStep waits in the guest until the next one-time password.
func (s *site) nextStep() {
	s.must(`now=$(($(date +%s) / 10)); while [ $(($(date +%s) / 10)) = $now ]; do sleep 0.2; done`)
}

// Who is not to get in is told so by PPP's own means, and the log says why; who is, still does.
func TestRefusals(t *testing.T) {
	s := newSite(t, "ppp: {authentication: [mschapv2, pap]}\nmotp: {max_failures: 50}\n")
	s.server.VPND("user", "add", "eve", "--password", "geheim", "--dial-in", "pptp", "--disabled")
	s.server.VPND("user", "add", "lutz", "--password", "geheim", "--dial-in", "l2tp")
	for _, c := range []struct{ name, user, password, options, pppd, log string }{
		{"wrong password, PAP", "alice", "x", only["PAP"], "PAP authentication failed", "wrong password"},
		{"wrong password, MS-CHAPv2", "alice", "x", only["MS-CHAPv2"], "E=691", "wrong password"},
		{"unknown user", "mallory", "x", only["MS-CHAPv2"], "E=691", "unknown user"},
		{"disabled", "eve", "geheim", only["MS-CHAPv2"], "E=647", "account disabled"},
		{"dial-in type", "lutz", "geheim", only["MS-CHAPv2"], "E=649", "dial-in type pptp not allowed"},
		{"authentication not in the list", "alice", "geheim", only["CHAP"], "", "none of the allowed authentications"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			log := s.refused(c.user, c.password, c.options+" nomppe")
			if !strings.Contains(log, c.pppd) {
				t.Errorf("pppd does not say %q:\n%s", c.pppd, log)
			}
			s.server.WaitLog("refused", c.log)
			s.dial("alice", "geheim", only["MS-CHAPv2"]+" nomppe")
			s.hangup()
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s.t = t
		s.server.Stop()
		s.refused("alice", "geheim", "nomppe")
		s.server.Start()
		s.dial("alice", "geheim", "nomppe")
		s.hangup()
	})
}

func TestRequiredEncryption(t *testing.T) {
	s := newSite(t, "ppp: {mppe: required}\n")
	s.refused("alice", "geheim", only["MS-CHAPv2"]+" nomppe")
	s.server.WaitLog("refused", "MPPE is required")
	s.refused("alice", "geheim", only["PAP"])
	s.server.WaitLog("refused", "none of the allowed authentications")
	s.dial("alice", "geheim", "require-mppe-128")
	s.must("ping -c 1 -W 2 10.99.0.1")
	s.hangup()
}

// Two clients behind one outer address, and a pool that holds one of them.
func TestPoolEmpty(t *testing.T) {
	s := newSite(t, "")
	s.server.Stop()
	s.server.Configure("network: {interface: vpn0, address: 10.99.0.1, pool: 10.99.0.10-10.99.0.11}\n")
	s.server.VPND("user", "add", "fritz", "--password", "geheim", "--dial-in", "pptp", "--address", "10.99.0.11")
	s.server.Start()
	s.dial("alice", "geheim", "nomppe")
	s.server.WaitLog("connected", "user=alice", "address=10.99.0.10")
	if out, code := s.guest.Run("unit=1; pptp alice geheim nomppe"); code == 0 {
		t.Errorf("a third address is found: %s", out)
	}
	s.server.WaitLog("refused", "address pool is empty")
	if out, code := s.guest.Run("unit=1; pptp fritz geheim require-mppe-128 && address"); code != 0 || strings.TrimSpace(out) != "10.99.0.11" {
		t.Errorf("a second client behind the same address: %s\n%s", out, s.server.Log())
	}
	s.must("unit=0; ping -c 1 -W 2 -I ppp0 10.99.0.1; ping -c 1 -W 2 -I ppp1 10.99.0.1")
	s.must("unit=1; hangup")
	s.must("unit=0; hangup")
}

// However a connection ends, nothing is left of it and the next dial works.
func TestEnds(t *testing.T) {
	s := newSite(t, "ppp: {echo_interval: 1s, echo_failures: 3}\n")
	before := s.descriptors()
	for _, c := range []struct{ name, end, reason string }{
		{"client hangs up", "hangup", "peer hung up"},
		{"client is killed", "kill -9 $(cat /run/pppd0.pid); gone", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.server.Forget()
			s.dial("alice", "geheim", "nomppe")
			s.must(c.end)
			s.server.WaitLog("disconnected", c.reason)
		})
	}
	t.Run("network is cut", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.guest.Cut()
		s.server.WaitLog("disconnected", "echo time-out")
		s.guest.Connect()
		s.must("kill $(cat /run/pppd0.pid); gone")
	})
	t.Run("server shuts down", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.server.Stop()
		s.must("gone")
		if log := s.pppd(); !strings.Contains(log, "LCP terminated by peer") {
			t.Errorf("the client is not hung up properly:\n%s", log)
		}
		s.server.Start()
	})
	t.Run("user is disabled", func(t *testing.T) {
		s.t = t
		s.server.Forget()
		s.dial("alice", "geheim", "nomppe")
		s.server.VPND("user", "set", "alice", "--disabled")
		s.server.WaitLog("disconnected", "user was disabled")
		s.must("gone")
		s.server.VPND("user", "set", "alice", "--enabled")
	})
	t.Run("20 dials in a row", func(t *testing.T) {
		s.t = t
		for range 20 {
			s.server.Forget()
			s.dial("alice", "geheim", "nomppe")
			s.hangup()
		}
	})
	s.t = t
	for deadline := time.Now().Add(10 * time.Second); s.descriptors() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d files are open, %d were", s.descriptors(), before)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// descriptors counts the files that the daemon has open.
func (s *site) descriptors() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.server.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(names)
}

// Two clients at once, each of which sends from the other's address, too: that goes nowhere.
func TestTwoClients(t *testing.T) {
	s := newSite(t, "")
	s.server.VPND("user", "add", "bob", "--password", "geheim", "--dial-in", "pptp", "--address", "10.99.0.15")
	other := &site{t: t, lab: s.lab, server: s.server, guest: s.lab.Guest(t)}
	first := s.dial("alice", "geheim", "nomppe")
	if got := other.dial("bob", "geheim", "nomppe"); got != "10.99.0.15" {
		t.Errorf("fixed address: %q", got)
	}
	s.must("ping -c 2 -W 2 10.99.0.1")
	other.must("ping -c 2 -W 2 10.99.0.1")
	s.must("ip addr add 10.99.0.15/32 dev ppp0")
	if _, code := s.guest.Run("ping -c 2 -W 1 -I 10.99.0.15 10.99.0.1"); code == 0 {
		t.Error("a client is answered under the address of another one")
	}
	if _, code := s.guest.Run("ip route add 10.99.0.15 dev ppp0 table main 2>/dev/null; ping -c 1 -W 1 -I " + first + " 10.99.0.20"); code == 0 {
		t.Error("an address that nobody has answers")
	}
	s.hangup()
	other.must("ping -c 2 -W 2 10.99.0.1")
	other.must("hangup")
}

// Packets of many sizes arrive, or are answered by the right ICMP.
func TestSizes(t *testing.T) {
	s := newSite(t, "ppp: {mru: 1400}\n")
	for _, mppe := range []string{"nomppe", "require-mppe-128"} {
		s.dial("alice", "geheim", mppe+" mru 1000")
		for _, size := range []string{"1", "900", "1300", "3000"} {
			s.must("ping -c 2 -W 2 -M dont -s " + size + " 10.99.0.1")
		}
		// The server's packets to a client that takes 1000 octets: answered by ICMP if they may not
		// be fragmented.
		out, err := s.lab.Command("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1200", "-I", "10.99.0.1", s.addr()).CombinedOutput()
		if err == nil {
			t.Errorf("%s: 1200 octets that may not be fragmented reach a client of MRU 1000: %s", mppe, out)
		}
		if out, err := s.lab.Command("ping", "-c", "1", "-W", "2", "-M", "dont", "-s", "1200", "-I", "10.99.0.1", s.addr()).CombinedOutput(); err != nil {
			t.Errorf("%s: 1200 octets do not arrive: %s", mppe, out)
		}
		s.hangup()
		s.server.Forget()
	}
}

func (s *site) addr() string { return strings.TrimSpace(s.must("address")) }
