package realclient

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/testenv"
)

// only has the options of pppd that allow only one authentication.
var only = map[string]string{
	"PAP":       "refuse-eap refuse-chap refuse-mschap refuse-mschap-v2",
	"CHAP":      "refuse-eap refuse-pap refuse-mschap refuse-mschap-v2",
	"MS-CHAP":   "refuse-eap refuse-pap refuse-chap refuse-mschap-v2",
	"MS-CHAPv2": "refuse-eap refuse-pap refuse-chap refuse-mschap",
}

// Each authentication and encryption works with each type of dial-in.
func TestProtocols(t *testing.T) {
	byEither(t, "", func(_ *testing.T, s *site) {
		s.agrees([]agreement{
			{"PAP", "nomppe", "none", 1},
			{"CHAP", "nomppe", "none", 1},
			{"MS-CHAP", "nomppe", "none", 1},
			{"MS-CHAPv2", "nomppe", "none", 8},
			{"MS-CHAP", "require-mppe-128", "MPPE-128 stateless", 1},
			{"MS-CHAPv2", "require-mppe-128", "MPPE-128 stateless", 8},
			{"MS-CHAPv2", "require-mppe-40", "MPPE-40 stateless", 1},
			// pppd still asks for stateless first.
			{"MS-CHAPv2", "require-mppe-128 mppe-stateful", "MPPE-128 stateless", 1},
		})
	})
}

// A password that is not ASCII works, although pppd makes other hashes of it than Windows does.
func TestPasswordNotASCII(t *testing.T) {
	s := newSite(t, "")
	const password = "Käse-2026"
	s.server.VPND("user", "add", "bea", "--password", password, "--dial-in", "pptp,l2tp", "--max-connections", "0")
	for method, options := range only {
		t.Run(method, func(*testing.T) {
			if strings.HasPrefix(method, "MS-") {
				options += " require-mppe-128"
			}
			s.dial("bea", password, options)
			s.must("ping -c 3 -i 0.2 -W 20 10.99.0.1")
			s.hangup()
		})
	}
}

// The server prefers stateful MPPE. A pppd that allows it agrees, and each end tells the other
// about lost packets. A pppd that does not allow it says so and hangs up.
func TestStateful(t *testing.T) {
	byEither(t, "ppp: {mppe_stateful: true}\nlog: {trace: alice}\n", func(_ *testing.T, s *site) {
		s.agrees([]agreement{
			{"MS-CHAPv2", "require-mppe-128 mppe-stateful", "MPPE-128 stateful", 1},
			{"MS-CHAPv2", "require-mppe-40 mppe-stateful", "MPPE-40 stateful", 1},
		})
		s.run("loss", func(t *testing.T) {
			s.dial("alice", "geheim", "require-mppe-128 mppe-stateful")
			nft(t, s.lab.Namespace, `table ip lose {
				chain in { type filter hook input priority 0; meta l4proto {gre, udp} numgen inc mod 200 == 50 drop
				}
				chain out { type filter hook output priority 0; meta l4proto {gre, udp} numgen inc mod 200 == 50 drop
				}
			}`)
			s.transfer(t, 1)
			nft(t, s.lab.Namespace, "delete table ip lose\n")
			s.must("ping -c 3 -i 0.2 -w 20 10.99.0.1") // an end asks for a reset at most once a second
			s.hangup()
			for _, what := range []string{"sent CCP ResetReq", "received CCP ResetReq", "received CCP ResetAck"} {
				s.server.WaitLog(what)
			}
		})
		s.run("refused", func(t *testing.T) {
			if said := s.refused("alice", "geheim", "require-mppe-128"); !strings.Contains(said, "Refusing MPPE stateful mode offered by peer") {
				t.Errorf("%s", said)
			}
		})
	})
}

// agreement is an authentication, options of pppd, the encryption that they lead to, and how many
// MiB to carry in each direction. A guest has no time for eight in each case.
type agreement struct {
	auth, options, want string
	size                int
}

// agrees dials in with each entry of list. The link comes up and carries pings and transfers. The
// packets on the wire are encrypted exactly if that was agreed.
func (s *site) agrees(list []agreement) {
	s.t.Helper()
	for _, c := range list {
		s.run(c.auth+" "+c.options, func(t *testing.T) {
			capture := s.lab.Capture(t, s.guest.Interface())
			addr := s.dial("alice", "geheim", only[c.auth]+" "+c.options)
			if !strings.HasPrefix(addr, "10.99.0.1") {
				t.Errorf("address %q", addr)
			}
			s.server.WaitLog("connected", "user=alice", "auth="+c.auth, c.want)
			s.must("ping -c 3 -i 0.2 -W 20 -p 70696e672d70696e672d 10.99.0.1")
			s.transfer(t, c.size)
			s.hangup()
			inClear, sealed := capture.Count()
			if c.want == "none" && (inClear == 0 || sealed > 0) || c.want != "none" && (sealed == 0 || inClear > 0) {
				t.Errorf("%d packets in clear, %d encrypted, want %s\n%s", inClear, sealed, c.want, s.pppd())
			}
		})
	}
}

// transfer sends some MiB in each direction over TCP through the tunnel and compares checksums.
func (s *site) transfer(t *testing.T, mebibytes int) {
	t.Helper()
	size := mebibytes << 20
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	listener := s.lab.Command("socat", "-u", "TCP-LISTEN:9001,bind=10.99.0.1,reuseaddr", "OPEN:"+up+",creat")
	sender := s.lab.Command("sh", "-c", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x | socat -u STDIN TCP-LISTEN:9002,bind=10.99.0.1,reuseaddr", size))
	for _, c := range []interface{ Start() error }{listener, sender} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	sum, code := s.guest.RunFor(5*time.Minute, fmt.Sprintf(`head -c %d /dev/zero | tr '\0' y > /run/y
		socat -u OPEN:/run/y TCP:10.99.0.1:9001,retry=20,interval=0.1 &&
		socat -u TCP:10.99.0.1:9002,retry=20,interval=0.1 STDOUT | md5sum | cut -c1-32`, size))
	if code != 0 {
		t.Fatalf("status %d: %s", code, sum)
	}
	if err := listener.Wait(); err != nil {
		t.Error(err)
	}
	_ = sender.Wait()
	if want := md5Of('x', size); strings.TrimSpace(sum) != want {
		t.Errorf("from the server: md5 %q, want %s", sum, want)
	}
	got, err := os.ReadFile(up)
	if err != nil || md5Sum(got) != md5Of('y', size) {
		t.Errorf("to the server: %d bytes, %v", len(got), err)
	}
}

// A one-time password works once, with a clock that is a little off, and with every kind of proof.
func TestOneTimePassword(t *testing.T) {
	byEither(t, "motp: {window: 3m, max_failures: 50}\n", func(_ *testing.T, s *site) {
		for i, c := range []struct{ auth, options string }{
			{"PAP", "nomppe"}, {"CHAP", "nomppe"}, {"MS-CHAPv2", "require-mppe-128"},
		} {
			s.run(c.auth, func(*testing.T) {
				// The clock is further ahead each time, so that no step has to wait for a new
				// password.
				s.must(fmt.Sprintf("code %s %s %d > /run/otp", secret, pin, 20*i))
				s.dial("otto", "$(cat /run/otp)", only[c.auth]+" "+c.options)
				s.must("ping -c 1 -W 20 10.99.0.1")
				s.hangup()
				s.refused("otto", "$(cat /run/otp)", only[c.auth]+" "+c.options)
				s.server.WaitLog("refused", "user=otto", "cause=used_code")
			})
		}
		s.run("clock 2 minutes ahead", func(*testing.T) {
			s.dial("otto", "$(code "+secret+" "+pin+" 120)", only["PAP"]+" nomppe")
			s.hangup()
		})
		s.run("clock 5 minutes ahead", func(*testing.T) {
			s.refused("otto", "$(code "+secret+" "+pin+" 300)", only["PAP"]+" nomppe")
			s.server.WaitLog("refused", "user=otto", "the token's clock is 5 minutes ahead")
		})
		s.run("killed right after a log-in", func(*testing.T) {
			s.must("code " + secret + " " + pin + " 150 > /run/otp")
			s.dial("otto", "$(cat /run/otp)", only["MS-CHAPv2"]+" nomppe")
			s.server.Kill()
			s.over()
			s.server.Forget()
			s.server.Start()
			s.refused("otto", "$(cat /run/otp)", only["MS-CHAPv2"]+" nomppe")
			s.server.WaitLog("refused", "user=otto", "cause=used_code")
		})
	})
}

// The server refuses a client by the means of PPP, and the log says why. Clients with the right to
// dial in still get in.
func TestRefusals(t *testing.T) {
	const yaml = "motp: {max_failures: 50}\n"
	byEither(t, "ppp: {authentication: [mschapv2, mschap, pap]}\n"+yaml, func(_ *testing.T, s *site) {
		other := map[string]string{"PPTP": "l2tp", "L2TP": "pptp"}[s.kind()]
		s.server.VPND("user", "add", "eve", "--password", "geheim", "--dial-in", "pptp,l2tp", "--disabled")
		s.server.VPND("user", "add", "lutz", "--password", "geheim", "--dial-in", other)
		refused := func(name, user, password, options, pppd, log string) {
			s.run(name, func(t *testing.T) {
				if said := s.refused(user, password, options); !strings.Contains(said, pppd) {
					t.Errorf("pppd does not say %q:\n%s", pppd, said)
				}
				s.server.WaitLog("refused", "type="+s.kind(), log)
			})
		}
		welcome := func(options string) {
			s.run("welcome", func(*testing.T) {
				s.dial("alice", "geheim", options)
				s.must("ping -c 1 -W 20 10.99.0.1")
				s.hangup()
			})
		}
		restart := func(yaml string) {
			s.server.Stop()
			s.server.Configure(yaml)
			s.server.Start()
		}
		refused("wrong password, PAP", "alice", "x", only["PAP"], "PAP authentication failed", "cause=wrong_password")
		refused("wrong password, MS-CHAP", "alice", "x", only["MS-CHAP"], "E=691", "cause=wrong_password")
		refused("wrong password, MS-CHAPv2", "alice", "x", only["MS-CHAPv2"], "E=691", "cause=wrong_password")
		refused("unknown user", "mallory", "x", only["MS-CHAPv2"], "E=691", "cause=unknown_user")
		refused("disabled", "eve", "geheim", only["MS-CHAPv2"], "E=647", "cause=account_disabled")
		refused("dial-in type", "lutz", "geheim", only["MS-CHAPv2"], "E=649", "cause=type_not_allowed")
		refused("authentication not in the list", "alice", "geheim", only["CHAP"], "rcvd [LCP TermReq", "cause=no_common_authentication")
		welcome("nomppe")

		s.server.Stop()
		s.must("patience=50")
		s.run("nobody listens", func(*testing.T) { s.refused("alice", "geheim", "nomppe") })
		s.must("patience=")

		restart(network + yaml + "ppp: {mppe: required}\n")
		refused("no MPPE", "alice", "geheim", only["MS-CHAPv2"]+" nomppe", "rcvd [LCP TermReq", "cause=mppe_")
		refused("no keys for MPPE", "alice", "geheim", only["PAP"], "rcvd [LCP TermReq", "cause=only_pap")
		welcome("require-mppe-128")

		restart("network: {interface: vpn0, address: 10.99.0.1, pool: 10.99.0.10-10.99.0.10}\n" + yaml)
		host := s.lab.Host(s.t)
		first := host.Dial(s.t, testenv.ServerAddress, "--type", "pptp", "--user", "alice", "--password", "geheim")
		first.Connected()
		refused("pool empty", "alice", "geheim", "nomppe", "rcvd [LCP TermReq", "cause=pool_empty")
		second := host.Dial(s.t, testenv.ServerAddress, "--type", strings.ToLower(s.kind()), "--user", "alice", "--password", "geheim", "--interface", "second")
		if code := second.Wait(); code != 6 {
			s.t.Errorf("status %d of vpnd dial without an address: %s", code, second.Said())
		}
		first.Interrupt()
		welcome("nomppe")
	})
}

// Two clients dial in from behind one outer address. One of them has the last address of the pool
// as its own.
func TestFixedAddress(t *testing.T) {
	s := newSite(t, "")
	s.server.Stop()
	s.server.Configure("network: {interface: vpn0, address: 10.99.0.1, pool: 10.99.0.10-10.99.0.11}\n")
	s.server.VPND("user", "add", "fritz", "--password", "geheim", "--dial-in", "pptp", "--address", "10.99.0.11")
	s.server.Start()
	s.dial("alice", "geheim", "nomppe")
	s.server.WaitLog("connected", "user=alice", "address=10.99.0.10")
	if out, code := s.guest.Run("unit=1; pptp fritz geheim require-mppe-128 && address"); code != 0 || strings.TrimSpace(out) != "10.99.0.11" {
		t.Errorf("a second client behind the same address: %s\n%s", out, s.server.Log())
	}
	s.must("unit=0; ping -c 1 -W 20 -I ppp0 10.99.0.1; ping -c 1 -W 20 -I ppp1 10.99.0.1")
	s.must("unit=1; hangup")
	s.must("unit=0; hangup")
}

// After every kind of end, nothing is left of a connection and the next dial-in works.
func TestEnds(t *testing.T) {
	byEither(t, "ppp: {echo_interval: 2s, echo_failures: 4}\n", func(t *testing.T, s *site) {
		s.server.AddUser(testenv.User{Name: "bob", Password: "geheim"})
		fresh := s.server.Goroutines()
		s.server.Start()
		s.dial("alice", "geheim", "nomppe") // opens the files that stay open
		s.hangup()
		before := s.descriptors()
		kill, hungUp := "kill -9 $(cat /run/pppd0.pid); gone", "cause=peer_hung_up"
		if s.l2tp {
			hungUp = "client"
			kill = "killall -9 xl2tpd pppd; l2tp_end"
		}
		end := func(name, reason string, end func()) {
			s.run(name, func(*testing.T) {
				s.dial("alice", "geheim", "nomppe")
				s.must("ping -c 1 -W 5 10.99.0.1")
				end()
				s.server.WaitLog("disconnected", "user=alice", reason)
			})
		}
		end("client hangs up", hungUp, s.hangup)
		end("client is killed", "", func() { s.must(kill) })
		end("network is cut", "echo time-out", func() {
			s.guest.Cut()
			s.server.WaitLog("disconnected")
			s.guest.Connect()
			s.must(kill)
		})
		end("user is disabled", "account disabled", func() {
			s.server.VPND("user", "set", "alice", "--disabled")
			s.server.WaitLog("disconnected")
			s.over()
			s.server.VPND("user", "set", "alice", "--enabled")
		})
		s.run("many dials in a row", func(t *testing.T) {
			first := ""
			for i := range 20 {
				s.server.Forget()
				got := s.dial("bob", "geheim", "nomppe")
				if i == 0 {
					first = got
				}
				if got != first {
					t.Errorf("dial %d: address %s, %s before", i, got, first)
				}
				s.hangup()
			}
		})
		// The user table opens up to four more connections of two files each. A file left by each
		// dial-in would be more.
		const pooled = 8
		for deadline := time.Now().Add(30 * time.Second); s.descriptors() > before+pooled; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d files are open, %d were", s.descriptors(), before)
			}
		}
		const underWay = 3 // writes to the history, at most
		if now := s.server.Goroutines(); now > fresh+underWay || fresh == 0 {
			t.Errorf("%d goroutines are left of %d:\n%s", now, fresh, s.server.Log())
		}
		s.server.Start()
		end("server shuts down", "", func() {
			s.server.Stop()
			s.over()
			if log := s.pppd(); !strings.Contains(log, "LCP terminated by peer") {
				s.t.Errorf("the client is not hung up properly:\n%s", log)
			}
		})
		if _, err := s.lab.Command("ip", "link", "show", "vpn0").CombinedOutput(); err == nil {
			t.Error("the interface is left over")
		}
	})
}

// descriptors counts the open files of the daemon.
func (s *site) descriptors() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.server.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(names)
}

// Two clients dial in at once, one by each type of dial-in. They reach each other only if that is
// allowed, and never with the address of another.
func TestTwoClients(t *testing.T) {
	s := newSite(t, "")
	s.server.VPND("user", "add", "bob", "--password", "geheim", "--dial-in", "l2tp", "--address", "10.99.0.15")
	other := &site{t: t, lab: s.lab, server: s.server, guest: s.lab.Guest(t), l2tp: true}
	const route = "; ip route replace 10.99.0.0/24 dev ppp0"
	for _, allowed := range []bool{false, true} {
		first := s.dial("alice", "geheim", "nomppe"+route)
		if got := other.dial("bob", "geheim", "nomppe"+route); got != "10.99.0.15" {
			t.Errorf("fixed address: %q", got)
		}
		for _, c := range []*site{s, other} {
			c.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
		}
		for c, to := range map[*site]string{s: "10.99.0.15", other: first} {
			if out, code := c.guest.Run("ping -c 2 -i 0.2 -W 2 " + to); (code == 0) != allowed {
				t.Errorf("users reach each other: %v, at %s: %s", allowed, to, out)
			}
		}
		s.must("ip addr add 10.99.0.16/32 dev ppp0")
		if _, code := s.guest.Run("ping -c 2 -i 0.2 -W 1 -I 10.99.0.16 10.99.0.1"); code == 0 {
			t.Error("a client is answered under an address that is not its own")
		}
		s.hangup()
		other.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
		other.hangup()
		s.server.Stop()
		s.server.Configure("network: {interface: vpn0, address: 10.99.0.1, pool: 10.99.0.10-10.99.0.20, user_to_user: true}\n")
		s.server.Start()
		s.server.Forget()
	}
}

// Packets of many sizes arrive, or get the right ICMP answer.
func TestSizes(t *testing.T) {
	byEither(t, "ppp: {mru: 1400}\n", func(_ *testing.T, s *site) {
		for _, mppe := range []string{"nomppe", "require-mppe-128"} {
			for _, mru := range []struct {
				option string
				size   int
			}{{"", 1400}, {"mru 1000", 1000}} {
				s.run(mppe+" "+mru.option, func(t *testing.T) {
					s.lab.IP("route", "flush", "cache") // entries from the ICMP of an earlier dial-in
					if mppe != "nomppe" {
						mru.size -= 4 // the inner protocol number, and MPPE's header
					}
					addr := s.dial("alice", "geheim", mppe+" "+mru.option)
					s.must("good=0; for size in 1 900 1300 1400 3000; do ping -c 2 -i 0.2 -W 2 -M dont -s $size 10.99.0.1 && good=$((good + 1)); done; ping -c 1 -W 2 -M do -s 900 10.99.0.1 && [ $good = 5 ]")
					// A packet that must not be fragmented reaches the client up to its MRU. A
					// longer one gets an ICMP answer.
					for _, c := range []struct {
						fragment string
						size     int
						arrives  bool
					}{{"do", mru.size, true}, {"do", mru.size + 1, false}, {"dont", mru.size + 1, true}, {"dont", 3000, true}} {
						out, err := s.lab.Command("ping", "-c", "1", "-w", "10", "-M", c.fragment, "-s", fmt.Sprint(c.size-28), "-I", "10.99.0.1", addr).CombinedOutput()
						if (err == nil) != c.arrives {
							t.Errorf("%d bytes, -M %s: arrives %v: %s", c.size, c.fragment, err == nil, out)
						}
						if mtu := regexp.MustCompile(fmt.Sprintf(`mtu ?= ?%d\b`, mru.size)); !c.arrives && !mtu.Match(out) {
							t.Errorf("%d bytes: nothing says %v: %s", c.size, mtu, out)
						}
					}
					s.hangup()
				})
			}
		}
	})
}
