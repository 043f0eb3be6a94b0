package realclient

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
	"vpnd/testenv"
)

// rate is the speed of TCP through the tunnel, in bits per second of IP packets, by the receiver's
// clock. It does not count the first part of a transfer, because a limit lets a burst pass.
func (s *site) rate(up bool) float64 {
	s.t.Helper()
	const n, first = 1 << 20, 256 << 10
	source := fmt.Sprintf("head -c %d /dev/zero | socat -u STDIN ", n+first)
	meter := fmt.Sprintf(" STDOUT | { head -c %d > /dev/null; date +%%s%%N; head -c %d | wc -c; date +%%s%%N; }", first, n)
	const listen, connect = "TCP-LISTEN:9003,bind=10.99.0.1,reuseaddr", "TCP:10.99.0.1:9003,retry=50,interval=0.1"
	here, there := source+listen, "socat -u "+connect+meter
	if up {
		here, there = "socat -u "+listen+meter, source+connect
	}
	cmd := s.lab.Command("sh", "-c", here)
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	said, code := s.guest.RunFor(2*time.Minute, there)
	if err := cmd.Wait(); err != nil || code != 0 {
		s.t.Fatalf("%v, status %d: %s", err, code, said)
	}
	if up {
		said = out.String()
	}
	var from, octets, to int64
	if _, err := fmt.Sscan(said, &from, &octets, &to); err != nil || octets != n || to <= from {
		s.t.Fatalf("%q: %v", said, err)
	}
	const packet, header = 1400, 20 + 32 // of IP, and of TCP with its timestamps
	return n * 8 / time.Duration(to-from).Seconds() * packet / (packet - header)
}

func within(got, want float64) bool { return got >= 0.9*want && got <= 1.1*want }

// A limit for each direction is kept within a tenth, and can change while the connection is up. A
// busy machine pauses and then has a burst to spend, so it has five attempts.
func TestProfileRates(t *testing.T) {
	s := newSite(t, "")
	s.dial("alice", "geheim", "nomppe")
	for _, c := range []struct{ up, down float64 }{{2e6, 2e6}, {4e6, 1e6}} {
		s.set("alice", "up-limit", strconv.FormatFloat(c.up, 'f', 0, 64), "down-limit", strconv.FormatFloat(c.down, 'f', 0, 64))
		s.reload(network) // so that the daemon has seen the change
		for _, direction := range []struct {
			up   bool
			want float64
		}{{true, c.up}, {false, c.down}} {
			var got float64
			for range 5 {
				got = s.rate(direction.up)
				t.Logf("up %v, limit %.1f Mbit/s: %.2f Mbit/s", direction.up, direction.want/1e6, got/1e6)
				if within(got, direction.want) {
					break
				}
			}
			if !within(got, direction.want) {
				t.Errorf("up %v: %.0f bit/s, want %.0f", direction.up, got, direction.want)
			}
		}
	}
	s.hangup()
}

// ear receives datagrams at the server's end of the tunnel.
type ear struct{ *net.UDPConn }

// heard reports whether a datagram comes within limit.
func (e ear) heard(limit time.Duration) bool {
	_ = e.SetReadDeadline(time.Now().Add(limit))
	_, _, err := e.ReadFrom(make([]byte, 100))
	return err == nil
}

// NetBIOS naming and multicast packets pass or do not, in both directions. The setting can change
// while the connection is up.
func TestProfileKeepsBack(t *testing.T) {
	s := newSite(t, "")
	client := net.ParseIP(s.dial("alice", "geheim", "nomppe"))
	const marker, group = 9137, 9138 // ports
	ears := map[int]ear{}
	err := testenv.InNamespace(s.lab.Namespace, func() error {
		vpn, err := net.InterfaceByName("vpn0")
		if err != nil {
			return err
		}
		c, err := net.ListenMulticastUDP("udp4", vpn, &net.UDPAddr{IP: net.IPv4(239, 1, 2, 3), Port: group})
		ears[group] = ear{c}
		for _, port := range []int{137, 138, marker} {
			if err == nil {
				c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: port})
				ears[port] = ear{c}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ears {
		defer func() { _ = e.Close() }()
	}
	s.must(`ip route add 239.1.2.3 dev ppp0
for port in 137 138 9137; do socat -u UDP-RECV:$port CREATE:/run/heard$port & done
socat -u UDP-RECV:9138,ip-add-membership=239.1.2.3:ppp0 CREATE:/run/heard9138 &
for port in 137 138 9137 9138; do listening udp $port || return 1; done`)
	for _, c := range []struct{ netbios, multicast string }{{"pass", "pass"}, {"block", "pass"}, {"pass", "block"}, {"block", "block"}} {
		s.set("alice", "netbios", c.netbios, "multicast", c.multicast)
		s.reload(network) // so that the daemon has seen the change
		want := map[int]bool{137: c.netbios == "pass", 138: c.netbios == "pass", group: c.multicast == "pass"}

		// The test waits for the packets that pass. The others would come before the marker.
		s.must(`for to in 10.99.0.1:137 10.99.0.1:138 239.1.2.3:9138 10.99.0.1:9137; do echo x | socat -u STDIN UDP-SENDTO:$to; done`)
		if !ears[marker].heard(10 * time.Second) {
			t.Fatal("nothing comes from the client")
		}
		for port, pass := range want {
			if got := ears[port].heard(100 * time.Millisecond); got != pass {
				t.Errorf("%+v: from the client to port %d: %v", c, port, got)
			}
		}

		s.must("for port in 137 138 9137 9138; do : > /run/heard$port; done")
		for _, port := range []int{137, 138, group, marker} {
			to := &net.UDPAddr{IP: client, Port: port}
			if port == group {
				to.IP = net.IPv4(239, 1, 2, 3)
			}
			if _, err := ears[port].WriteTo([]byte("x"), to); err != nil {
				t.Fatal(err)
			}
		}
		awaited := strconv.Itoa(marker)
		for port, pass := range want {
			if pass {
				awaited += " " + strconv.Itoa(port)
			}
		}
		out := s.must("for port in " + awaited + "; do i=0; while [ ! -s /run/heard$port ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.1; done; done; [ -s /run/heard9137 ] && for port in 137 138 9138; do [ ! -s /run/heard$port ] || echo heard $port; done")
		for port, pass := range want {
			if got := strings.Contains(out, fmt.Sprintf("heard %d\n", port)); got != pass {
				t.Errorf("%+v: to the client's port %d: %v", c, port, got)
			}
		}
	}
	s.hangup()
}
