package testenv_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/ppp"
	"vpnd/testenv"

	l2tpclient "vpnd/l2tp/client"
)

// Dial-ins of both carriers come up over a wire that is bad in both directions, and packets pass.
func TestBadWire(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, "")
	alice := server.AddUser(testenv.User{Name: "alice", Password: "geheim"})
	host := lab.HostBehind(t, testenv.Link{Loss: 0.1, Double: 0.1, Delay: 2 * time.Millisecond, Jitter: 3 * time.Millisecond, Seed: 1})
	before := time.Now()
	out, err := host.Command("ping", "-c", "200", "-i", "0.01", "-W", "1", testenv.ServerAddress).CombinedOutput()
	if !strings.Contains(string(out), "DUP!") || !strings.Contains(string(out), "% packet loss") || strings.Contains(string(out), " 0% packet loss") {
		t.Errorf("neither loss nor doubles: %v %s", err, out)
	}
	if time.Since(before) < 200*10*time.Millisecond {
		t.Errorf("it takes %v", time.Since(before))
	}
	for _, kind := range []string{"pptp", "l2tp"} {
		d := alice.Dial(host, kind, nil)
		up := d.Connected()
		// A lost or doubled IPCP request restarts IPCP, which takes three seconds or more.
		out, err := host.Command("ping", "-c", "10", "-i", "0.1", "-w", "60", up.Peer.String()).CombinedOutput()
		if err != nil {
			t.Errorf("%s: ten answers do not come: %v %s", kind, err, out)
		}
		if code := d.Interrupt(); code != 0 {
			t.Errorf("%s: status %d: %s", kind, code, d.Said())
		}
	}
}

// A token with a wrong clock gets in within the window, and not outside it.
func TestClock(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, "")
	for name, c := range map[string]struct {
		ahead time.Duration
		code  int
	}{"in-time": {2 * time.Minute, 0}, "too-late": {-10 * time.Minute, 5}} {
		user := server.AddUser(testenv.User{Name: name})
		var clock testenv.Clock
		clock.Move(c.ahead)
		d := user.Dial(lab.Host(t), "pptp", &clock)
		if c.code == 0 {
			d.Connected()
			d.Interrupt()
		} else if code := d.Wait(); code != c.code {
			t.Errorf("%s: status %d: %s", name, code, d.Said())
		}
	}
}

// A flood of SCCRQs comes from 100,000 ports of 500 addresses while 20 users transfer. The users
// lose nothing, and the server's memory stays within its bounds.
func TestFloodWithUsers(t *testing.T) {
	lab := testenv.New(t)
	server := lab.Serve(t, "network: {pool: 10.99.0.10-10.99.0.60}\n")
	server.AddUser(testenv.User{Name: "alice", Password: "geheim", Options: []string{"--max-connections", "0"}})
	host, crowd := lab.Host(t), lab.Host(t)
	var clients []*testenv.Client
	for range 20 {
		c := new(testenv.Client)
		err := testenv.InNamespace(host.Namespace, func() error {
			return c.Dial(t.Context(), &l2tpclient.Dialer{}, netip.MustParseAddrPort(testenv.ServerAddress+":1701"),
				ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2}})
		})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	before := server.RSS()
	stop := make(chan struct{})
	flooded := make(chan int, 1)
	go func() { flooded <- crowd.FloodSCCRQ(100_000, stop) }()
	lost, sent := 0, 0
	for done := false; !done; {
		for _, c := range clients {
			if !c.Ping(5 * time.Second) {
				lost++
			}
			sent++
		}
		select {
		case n := <-flooded:
			done = true
			if n != 100_000 {
				t.Errorf("%d SCCRQs were sent", n)
			}
		default:
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d pings were lost", lost, sent)
	}
	late := new(testenv.Client)
	err := testenv.InNamespace(host.Namespace, func() error {
		return late.Dial(t.Context(), &l2tpclient.Dialer{}, netip.MustParseAddrPort(testenv.ServerAddress+":1701"),
			ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2}})
	})
	if err != nil {
		t.Errorf("nobody gets in after the flood: %v", err)
	}
	if grown := server.RSS() - before; grown > 40<<20 {
		t.Errorf("the server has grown by %d MiB", grown>>20)
	}
	t.Logf("%d pings beside the flood; memory %d MiB before, %d after", sent, before>>20, server.RSS()>>20)
}
