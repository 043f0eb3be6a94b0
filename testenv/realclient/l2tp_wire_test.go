package realclient

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
	"vpnd/l2tp/client"
	"vpnd/l2tp/wire"
	"vpnd/ppp"
	"vpnd/testenv"
)

// nft runs nft(8) with a script in a namespace.
func nft(t *testing.T, namespace, script string) string {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s\n%s", err, out, script)
	}
	return string(out)
}

// A message that gets lost once delays a dial-in only for a moment.
func TestL2TPLostMessage(t *testing.T) {
	s := newSite(t, "")
	s.l2tp = true
	for _, lost := range []wire.MessageType{wire.SCCRQ, wire.SCCRP, wire.SCCCN, wire.ICRQ, wire.ICRP, wire.ICCN} {
		s.run(lost.String(), func(t *testing.T) {
			hook, port := "input", "dport"
			if lost == wire.SCCRP || lost == wire.ICRP {
				hook, port = "output", "sport"
			}
			// The message type is 26 bytes behind the start of the UDP header.
			nft(t, s.lab.Namespace, fmt.Sprintf("table ip lose { chain c { type filter hook %s priority 0; "+
				"udp %s 1701 @th,64,16 & 0xf00f == 0xc002 @th,208,16 %d limit rate 1/hour burst 1 packets counter drop\n}\n}", hook, port, lost))
			s.dial("alice", "geheim", "nomppe")
			s.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
			s.hangup()
			if out := nft(t, s.lab.Namespace, "list table ip lose\n"); !strings.Contains(out, "counter packets 1 ") {
				t.Errorf("nothing was lost: %s", out)
			}
			nft(t, s.lab.Namespace, "delete table ip lose\n")
		})
	}
}

// xl2tpd understands the AVPs that we hide. It hides none itself, although "hidden bit" is on.
func TestL2TPHidden(t *testing.T) {
	s := newSite(t, "l2tp: {secret: tunnel-Secret7, hide_avps: true}\n")
	capture := s.lab.Capture(t, s.guest.Interface())
	s.l2tp, s.lac = true, "challenge = yes\nhidden bit = yes"
	s.must("secret=tunnel-Secret7")
	s.dial("alice", "geheim", "nomppe")
	s.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
	s.hangup()
	if n := hidden(t, capture, testenv.ServerAddress); n == 0 {
		t.Error("we hide nothing")
	}
}

// hidden counts the hidden AVPs from an address. All of them must be readable.
func hidden(t *testing.T, capture *testenv.Capture, from string) int {
	t.Helper()
	n := 0
	for _, p := range capture.UDP(wire.Port) {
		h, body, err := wire.ParseHeader(p.Payload)
		if err != nil || !h.Control {
			continue
		}
		avps, err := wire.ParseAVPs(body, "tunnel-Secret7")
		if err != nil {
			t.Errorf("%x: %v", p.Payload, err)
		}
		for _, a := range avps {
			if a.Hidden && p.From == from {
				n++
			}
		}
	}
	return n
}

// A Hello keeps an idle tunnel. A client that has vanished does not answer it, and nothing of the
// client is left.
func TestL2TPHello(t *testing.T) {
	s := newSite(t, "l2tp: {hello_interval: 1s}\nppp: {echo_interval: 0s}\n")
	s.l2tp = true
	capture := s.lab.Capture(t, s.guest.Interface())
	s.dial("alice", "geheim", "nomppe lcp-echo-interval 0")
	s.must("sleep 5; ping -c 1 -W 20 10.99.0.1")
	hellos := 0
	for _, p := range capture.UDP(wire.Port) {
		if h, body, err := wire.ParseHeader(p.Payload); err == nil && h.Control && len(body) >= 8 && body[7] == byte(wire.Hello) && p.From == testenv.ServerAddress {
			hellos++
		}
	}
	if hellos < 3 {
		t.Errorf("%d Hellos in 5 seconds", hellos)
	}
	s.guest.Cut()
	before := time.Now()
	s.server.WaitLog("disconnected", "cause=tunnel_silent")
	if took := time.Since(before); took > 35*time.Second {
		t.Errorf("it takes %v", took)
	}
	s.guest.Connect()
	s.must("l2tp_end")
	s.server.Forget()
	s.dial("alice", "geheim", "nomppe")
	s.hangup()
}

// Two clients dial in from behind one NAT. Both use port 1701, so the NAT translates the source
// port of the second.
func TestL2TPBehindNAT(t *testing.T) {
	t.Parallel()
	lab, lan := testenv.New(t), testenv.New(t)
	server := lab.NewServer(t, network)
	for _, user := range []string{"alice", "bob"} {
		server.VPND("user", "add", user, "--password", "geheim", "--dial-in", "l2tp")
	}
	lab.IP("link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", lan.Namespace)
	lab.IP("address", "add", "198.51.100.1/24", "dev", "wan")
	lab.IP("link", "set", "wan", "up")
	lan.IP("address", "add", "198.51.100.2/24", "dev", "wan")
	lan.IP("link", "set", "wan", "up")
	if out, err := lan.Command("sysctl", "-w", "net.ipv4.ip_forward=1").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	nft(t, lan.Namespace, `table ip nat {
		chain in { type nat hook prerouting priority -100; ip daddr 192.0.2.1 udp dport 1701 dnat to 198.51.100.1
		}
		chain out { type nat hook postrouting priority 100; oifname "wan" masquerade
		}
	}`)
	server.Start()
	sites := map[string]*site{}
	for _, user := range []string{"alice", "bob"} {
		s := &site{t: t, lab: lab, server: server, guest: lan.Guest(t), l2tp: true}
		sites[user] = s
		s.dial(user, "geheim", "nomppe")
		server.WaitLog("connected", "user="+user, "peer=198.51.100.2")
	}
	for _, s := range sites {
		s.must("ping -c 3 -i 0.2 -W 20 10.99.0.1")
		s.transfer(t, 1)
	}
	for _, s := range sites {
		server.Forget()
		s.hangup()
	}
}

// A user dials in by both services at once, and by two tunnels of one client.
func TestBothServices(t *testing.T) {
	s := newSite(t, "")
	s.l2tp = true
	host := s.lab.Host(t)
	s.dial("alice", "geheim", "nomppe")
	byPPTP := host.Dial(t, testenv.ServerAddress, "--type", "pptp", "--user", "alice", "--password", "geheim", "--interface", "a")
	byL2TP := host.Dial(t, testenv.ServerAddress, "--type", "l2tp", "--user", "alice", "--password", "geheim", "--interface", "b")
	for iface, d := range map[string]*testenv.DialIn{"a": byPPTP, "b": byL2TP} {
		d.Connected()
		if out, err := host.Command("ping", "-c", "2", "-i", "0.2", "-w", "20", "-I", iface, "10.99.0.1").CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	}
	s.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
	byPPTP.Interrupt()
	byL2TP.Interrupt()
	s.server.WaitLog("disconnected", "type=PPTP")
	s.server.WaitLog("disconnected", "type=L2TP")
	s.must("ping -c 2 -i 0.2 -W 20 10.99.0.1")
	s.server.Forget()
	s.hangup()
}

// We understand data messages of xl2tpd with a length and without.
func TestL2TPLengthBit(t *testing.T) {
	s := newSite(t, "")
	s.l2tp = true
	// Without the kernel's L2TP, xl2tpd writes the data messages itself and follows its
	// configuration.
	s.must("modprobe -r -d /run/m l2tp_ppp l2tp_netlink l2tp_core; ! grep -q ^l2tp_ppp /proc/modules")
	for _, on := range []bool{false, true} {
		s.lac = "length bit = " + map[bool]string{false: "no", true: "yes"}[on]
		s.run(s.lac, func(t *testing.T) {
			capture := s.lab.Capture(t, s.guest.Interface())
			s.dial("alice", "geheim", "nomppe")
			s.must("ping -c 5 -i 0.2 -W 20 10.99.0.1")
			s.hangup()
			with, without := dataBits(capture, s.guest.Address, 0x40)
			if on && (with < 5 || without > 0) || !on && (with > 0 || without < 5) {
				t.Errorf("%d data messages with a length, %d without", with, without)
			}
		})
	}
}

// dataBits counts the data messages from an address that have one of bits in the first byte, and
// those that have none.
func dataBits(capture *testenv.Capture, from string, bits byte) (with, without int) {
	for _, p := range capture.UDP(wire.Port) {
		switch h, _, err := wire.ParseHeader(p.Payload); {
		case err != nil || h.Control || p.From != from:
		case p.Payload[0]&bits != 0:
			with++
		default:
			without++
		}
	}
	return with, without
}

// A client that asks for sequence numbers in data messages gets them, and other clients do not. The
// client is our own. xl2tpd never asks, with any configuration: its control.c says "we don't have
// sequencing code, so don't ask for sequencing", where it makes the ICCN. Debian has no other
// client (NetworkManager's starts xl2tpd).
func TestL2TPSequencing(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, network)
	server.AddUser(testenv.User{Name: "alice", Password: "geheim"})
	host := lab.Host(t)
	for _, asked := range []bool{false, true} {
		capture := lab.Capture(t, "br0")
		c := new(testenv.Client)
		err := testenv.InNamespace(host.Namespace, func() error {
			return c.Dial(t.Context(), &client.Dialer{Sequencing: asked}, netip.MustParseAddrPort(testenv.ServerAddress+":1701"),
				ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2}})
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if !c.Ping(5 * time.Second) {
				t.Error("no answer")
			}
		}
		c.Hangup()
		server.WaitLog("disconnected", "cause=peer_hung_up")
		server.Forget()
		with, without := dataBits(capture, testenv.ServerAddress, 0x08)
		if asked && (with < 5 || without > 0) || !asked && (with > 0 || without < 5) {
			t.Errorf("asked for %v: %d data messages with numbers, %d without", asked, with, without)
		}
	}
}
