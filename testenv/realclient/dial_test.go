package realclient

import (
	"fmt"
	"strings"
	"testing"
	"vpnd/internal/dial"
	"vpnd/testenv"
)

// `vpnd dial` dials the servers of others: pptpd and xl2tpd, with pppd.
func TestDialOthers(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	guest, host := lab.Guest(t), lab.Host(t)
	for _, c := range []struct {
		name, serve, dial string
		encryption        string
	}{
		{"PPTP PAP", "serve_pptp require-pap nomppe", "--type pptp --auth pap", "none"},
		{"PPTP CHAP", "serve_pptp require-chap nomppe", "--type pptp --auth chap", "none"},
		{"PPTP MS-CHAP", "serve_pptp require-mschap nomppe", "--type pptp --auth mschap", "none"},
		{"PPTP MS-CHAPv2", "serve_pptp require-mschap-v2 nomppe", "--type pptp", "none"},
		{"PPTP MPPE", "serve_pptp require-mschap-v2 require-mppe-128", "--type pptp --mppe", "MPPE-128 stateless"},
		{"PPTP MPPE-40", "serve_pptp require-mschap-v2 require-mppe-40", "--type pptp --mppe", "MPPE-40 stateless"},
		{"L2TP PAP", "lns= serve_l2tp require-pap nomppe", "--type l2tp --auth pap", "none"},
		{"L2TP CHAP", "lns= serve_l2tp require-chap nomppe", "--type l2tp --auth chap", "none"},
		{"L2TP MS-CHAP", "lns= serve_l2tp require-mschap nomppe", "--type l2tp --auth mschap", "none"},
		{"L2TP MS-CHAPv2", "lns= serve_l2tp require-mschap-v2 nomppe", "--type l2tp", "none"},
		{"L2TP MPPE", "lns= serve_l2tp require-mschap-v2 require-mppe-128", "--type l2tp --mppe", "MPPE-128 stateless"},
		{"L2TP secret", "secret=tunnel lns='challenge = yes' serve_l2tp require-mschap-v2 nomppe", "--type l2tp --secret tunnel", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if out, code := guest.Run(`users='"alice" * "geheim" *'; ` + c.serve); code != 0 {
				t.Fatalf("the server does not come up: %s", out)
			}
			d := host.Dial(t, append([]string{guest.Address, "--user", "alice", "--password", "geheim", "--route", "10.88.0.0/24"}, strings.Fields(c.dial)...)...)
			defer func() {
				if t.Failed() {
					log, _ := guest.Run("cat /run/pppd-server /run/xl2tpd.log")
					t.Logf("server:\n%s", log)
				}
			}()
			up := d.Connected()
			if up.Encryption != c.encryption || up.Peer.String() != "10.88.0.1" || !strings.HasPrefix(up.Address.String(), "10.88.0.") {
				t.Errorf("%+v, want %s", up, c.encryption)
			}
			if len(up.DNS) == 0 || up.DNS[0].String() != "10.88.0.53" {
				t.Errorf("DNS %v", up.DNS)
			}
			// pppd opens its interface a moment after IPCP. It loses the packets that come before.
			if out, err := host.Command("ping", "-c", "3", "-i", "0.2", "-w", "20", "10.88.0.1").CombinedOutput(); err != nil {
				t.Errorf("%s", out)
			}
			if code := d.Interrupt(); code != 0 {
				t.Errorf("status %d: %s", code, d.Said())
			}
			if out, code := guest.Run("i=0; while pidof pppd && [ $i -lt 100 ]; do i=$((i+1)); sleep 0.1; done; ! pidof pppd && cat /run/pppd-server"); code != 0 || !strings.Contains(out, "LCP TermReq") {
				t.Errorf("it does not hang up properly: %s", out)
			}
		})
	}
}

// `vpnd dial` dials our own server with each authentication, and with encryption.
func TestDialOurs(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, network)
	server.AddUser(testenv.User{Name: "alice", Password: "geheim"})
	host := lab.Host(t)
	for _, kind := range []string{"pptp", "l2tp"} {
		for _, c := range []struct{ auth, name, mppe string }{
			{"pap", "PAP", ""}, {"chap", "CHAP", ""}, {"mschap", "MS-CHAP", "--mppe"}, {"mschapv2", "MS-CHAPv2", "--mppe"},
		} {
			server.Forget()
			d := host.Dial(t, strings.Fields(testenv.ServerAddress+" --user alice --password geheim --type "+kind+" --auth "+c.auth+" "+c.mppe)...)
			up := d.Connected()
			if want := map[string]string{"": "none", "--mppe": "MPPE-128 stateless"}[c.mppe]; up.Encryption != want {
				t.Errorf("%s %s: encryption %s, want %s", kind, c.auth, up.Encryption, want)
			}
			server.WaitLog("connected", "type="+strings.ToUpper(kind), "auth="+c.name, up.Address.String())
			if out, err := host.Command("ping", "-c", "2", "-i", "0.2", "-w", "20", "10.99.0.1").CombinedOutput(); err != nil {
				t.Errorf("%s %s: %s", kind, c.auth, out)
			}
			if code := d.Interrupt(); code != 0 {
				t.Errorf("%s %s: status %d: %s", kind, c.auth, code, d.Said())
			}
			server.WaitLog("disconnected", "cause=peer_hung_up")
		}
	}
}

// Each exit status, with a server that causes it.
func TestDialFails(t *testing.T) {
	s := newSite(t, "motp: {max_failures: 50}\n")
	host := s.lab.Host(t)
	s.server.VPND("user", "add", "petra", "--password", "geheim", "--dial-in", "l2tp")
	if out, code := s.guest.Run(`users='"alice" * "geheim" *'; secret=tunnel lns='challenge = yes' serve_l2tp require-mschap-v2 nomppe && serve_pptp require-mschap-v2 nomppe`); code != 0 {
		t.Fatal(out)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"192.0.2.99 --type pptp --user alice --password geheim", 3, "no answer"},
		{"192.0.2.99 --type l2tp --user alice --password geheim", 3, "no answer"},
		{"192.0.2.1:17 --type pptp --user alice --password geheim", 3, "connection refused"},
		{"192.0.2.1 --type l2tp --user alice --password geheim --secret tunnel", 4, "no tunnel secret here"},
		{"192.0.2.1 --type pptp --user alice --password falsch", 5, "wrong name or password"},
		{"192.0.2.1 --type pptp --user petra --password geheim", 5, "may not dial in"},
		{"192.0.2.1 --type l2tp --user alice --password falsch --auth pap", 5, "Access denied"},
		{s.guest.Address + " --type pptp --user alice --password falsch", 5, "wrong name or password"},
		{s.guest.Address + " --type l2tp --secret tunnel --user alice --password falsch", 5, "wrong name or password"},
		{s.guest.Address + " --type l2tp --secret other --user alice --password geheim", 4, "secret"},
		{s.guest.Address + " --type l2tp --user alice --password geheim", 4, "secret"},
		{s.guest.Address + " --type pptp --user alice --password geheim --mppe", 7, "MPPE"},
		{s.guest.Address + " --type pptp --user alice --password geheim --auth pap", 7, "server insists on an authentication"},
	} {
		d := host.Dial(t, strings.Fields(c.args)...)
		if code := d.Wait(); code != c.code || !strings.Contains(d.Said(), c.want) {
			t.Errorf("%s: status %d, want %d with %q: %s", c.args, code, c.code, c.want, d.Said())
		}
	}
	d := host.Dial(t, "192.0.2.1", "--type", "l2tp", "--user", "alice", "--password", "geheim")
	d.Connected()
	s.server.Stop()
	if code := d.Wait(); code != 8 || !strings.Contains(d.Said(), "connection lost") {
		t.Errorf("status %d: %s", code, d.Said())
	}
}

// `vpnd dial` computes a one-time password for each attempt, and dials again after a lost
// connection.
func TestDialAgain(t *testing.T) {
	s := newSite(t, "")
	host := s.lab.Host(t)
	s.server.VPND("user", "add", "ottilie", "--motp-secret", secret, "--motp-pin", pin, "--dial-in", "l2tp")
	for kind, user := range map[string]string{"pptp": "otto", "l2tp": "ottilie"} {
		d := host.Dial(t, "192.0.2.1", "--type", kind, "--user", user, "--motp-secret", secret, "--motp-pin", pin, "--mppe", "--redial", "100ms")
		up := d.Connected()
		s.server.WaitLog("connected", "type="+strings.ToUpper(kind), "user="+user, fmt.Sprint(up.Address))
		s.server.Stop()
		s.server.Forget()
		s.server.Start()
		s.server.WaitLog("connected", "type="+strings.ToUpper(kind), "user="+user)
		if code := d.Interrupt(); code != 0 {
			t.Errorf("status %d: %s", code, d.Said())
		}
		s.server.WaitLog("disconnected", "cause=peer_hung_up")
		s.server.Forget()
	}
}

// If pppd refuses the RFC's form of a password that is not ASCII, `vpnd dial` sends the form that
// pppd uses.
func TestDialNotASCII(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	guest, host := lab.Guest(t), lab.Host(t)
	for _, method := range []string{"mschap-v2", "mschap", "chap"} {
		t.Run(method, func(t *testing.T) {
			if out, code := guest.Run(`users='"alice" * "Käse-2026" *'; serve_pptp nomppe require-` + method); code != 0 {
				t.Fatalf("the server does not come up: %s", out)
			}
			d := host.Dial(t, guest.Address, "--user", "alice", "--password", "Käse-2026", "--type", "pptp")
			d.Connected()
			if _, again := d.Event(dial.Redial); again != strings.HasPrefix(method, "mschap") {
				t.Errorf("dialled again %v: %s", again, d.Said())
			}
			if code := d.Interrupt(); code != 0 {
				t.Errorf("status %d: %s", code, d.Said())
			}
		})
	}
}
