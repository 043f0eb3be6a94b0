package realclient

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
	"vpnd/internal/dial"
	"vpnd/testenv"
)

const (
	counts     = 4096       // of MPPE: a longer loss looks like a shorter one
	pppdCounts = counts / 2 // of packets ahead for a real pppd; it treats the others as late
)

// lossyWire is an encrypted connection of vpnd with a real pppd over a wire that loses packets in a
// row.
type lossyWire struct {
	t         *testing.T
	namespace string                              // of vpnd
	hook      string                              // of the packets to lose: "input" or "output" of vpnd
	run       map[string]func(script string) bool // at the end that sends them
	to        map[string]string                   // the inner address that they go to

	dial, hangUp func()
	ended        func() (why string, ended bool) // whether the connection has ended, and why
	pppd         func() string                   // its log
}

// outlasts loses runs of packets, first in one direction and then in the other. After each run
// packets pass again, or the connection ends with the reason and packets pass on the next one.
func (w *lossyWire) outlasts() {
	w.t.Helper()
	up := false
	for _, w.hook = range []string{"input", "output"} {
		for _, n := range []int{100, 2000, 4000, 10_000} {
			if !up {
				w.dial()
			}
			if up = w.passesAfter(n); up {
				continue
			}
			why, _ := w.ended()
			if n < pppdCounts || n < counts && w.hook == "input" || !strings.Contains(why, "packets could not be decrypted") {
				w.t.Errorf("%s: the connection ends after %d lost packets: %s\npppd:\n%s", w.hook, n, why, w.pppd())
			}
			w.hangUp()
		}
	}
	if up {
		w.hangUp()
	}
}

// passesAfter loses the next n packets. It reports whether packets then pass; otherwise the
// connection ends.
func (w *lossyWire) passesAfter(n int) bool {
	w.t.Helper()
	nft(w.t, w.namespace, fmt.Sprintf(`table ip lose {
		chain lose { type filter hook %s priority 0; meta l4proto gre numgen inc mod 1000000 < %d counter drop
		}
	}`, w.hook, n))
	defer nft(w.t, w.namespace, "delete table ip lose\n")
	w.until(fmt.Sprintf("%d packets are lost", n), func() bool {
		left := n - w.lost()
		w.run[w.hook](fmt.Sprintf("head -c %d /dev/zero | socat -u -b 8 STDIN UDP:%s:9", 8*left, w.to[w.hook]))
		return left == 0
	})
	return w.until(fmt.Sprintf("a packet passes after %d lost ones", n), func() bool {
		return w.run[w.hook]("ping -q -c 1 -i 0.05 -w 1 " + w.to[w.hook])
	})
}

// lost is the number of packets that the wire has lost.
func (w *lossyWire) lost() (n int) {
	w.t.Helper()
	rules := nft(w.t, w.namespace, "list table ip lose\n")
	_, counter, _ := strings.Cut(rules, "counter packets ")
	if _, err := fmt.Sscan(counter, &n); err != nil {
		w.t.Fatalf("%v: %s", err, rules)
	}
	return n
}

// until repeats a step until it is done or the connection has ended, and reports whether it is
// done.
func (w *lossyWire) until(what string, step func() bool) bool {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if step() {
			return true
		}
		if _, ended := w.ended(); ended {
			return false
		}
	}
	w.t.Fatalf("%s: waited a minute until %s, and the connection is still up\npppd:\n%s", w.hook, what, w.pppd())
	return false
}

// runs gives functions that run a script in a guest and in a namespace of this machine. Each is one
// end of a lossyWire.
func runs(guest *testenv.Guest, command func(name string, args ...string) *exec.Cmd) map[string]func(string) bool {
	return map[string]func(string) bool{
		"input": func(script string) bool {
			_, code := guest.Run("{ " + script + "; } >/dev/null 2>&1")
			return code == 0
		},
		"output": func(script string) bool { return command("sh", "-c", script).Run() == nil },
	}
}

// queue makes room for packets at pppd's interface in the guest. Without it most of them do not
// reach the wire.
const queue = "ip link set ppp0 txqueuelen 1000"

// A connection with a real pppd, as the client or the server, outlasts the loss of many packets in
// a row.
func TestMPPELoss(t *testing.T) {
	s := newSite(t, "")
	for _, c := range []struct{ yaml, options, encryption string }{
		{"", "require-mppe-128", "MPPE-128 stateless"},
		{"ppp: {mppe_stateful: true}\n", "require-mppe-128 mppe-stateful", "MPPE-128 stateful"},
	} {
		s.run("server "+c.encryption, func(t *testing.T) {
			s.server.Stop()
			s.server.Configure(network + c.yaml)
			s.server.Start()
			w := &lossyWire{t: t, namespace: s.lab.Namespace, run: runs(s.guest, s.lab.Command), pppd: s.pppd}
			w.dial = func() {
				s.server.Forget()
				w.to = map[string]string{"input": "10.99.0.1", "output": s.dial("alice", "geheim", c.options)}
				s.server.WaitLog("connected", c.encryption)
				s.must(queue)
			}
			w.ended = func() (string, bool) {
				log := s.server.Log()
				return log, strings.Contains(log, "msg=disconnected")
			}
			w.hangUp = func() { s.must("hangup") }
			w.outlasts()
		})
	}
	s.run("dial", func(t *testing.T) {
		s.must(`users='"alice" * "geheim" *'; serve_pptp require-mschap-v2 require-mppe-128`)
		host := s.lab.Host(t)
		w := &lossyWire{t: t, namespace: host.Namespace, run: runs(s.guest, host.Command)}
		w.pppd = func() string { return s.must("cat /run/pppd-server") }
		var d *testenv.DialIn
		w.dial = func() {
			d = host.Dial(t, s.guest.Address, "--user", "alice", "--password", "geheim", "--type", "pptp", "--mppe")
			up := d.Connected()
			w.to = map[string]string{"input": up.Address.String(), "output": up.Peer.String()}
			s.must(queue)
		}
		w.ended = func() (string, bool) {
			end, ended := d.Event(dial.Disconnected)
			return end.Reason, ended
		}
		w.hangUp = func() {
			d.Interrupt()
			s.must("waited=0; while pidof pppd && [ $waited -lt 300 ]; do waited=$((waited + 1)); sleep 0.1; done; ! pidof pppd")
		}
		w.outlasts()
	})
}
