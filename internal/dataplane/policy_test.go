package dataplane_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var group = netip.MustParseAddr("239.1.2.3")

// port is a UDP or TCP packet from one port to another.
func port(src, dst netip.Addr, tcp bool, from, to uint16) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice())}
	if tcp {
		ip.Protocol = layers.IPProtocolTCP
		t := &layers.TCP{SrcPort: layers.TCPPort(from), DstPort: layers.TCPPort(to)}
		_ = t.SetNetworkLayerForChecksum(ip)
		return serialize(ip, t)
	}
	u := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	_ = u.SetNetworkLayerForChecksum(ip)
	return serialize(ip, u, gopacket.Payload("x"))
}

// A tap sees all packets in both directions, decrypted, even when policies change. Without a tap no
// chain is left.
func TestTap(t *testing.T) {
	b := setUp(t, false, plain)
	var seen []string
	tap := func(received bool, ip []byte) {
		if received {
			seen = append(seen, fmt.Sprint("from ", len(ip)))
		} else {
			seen = append(seen, fmt.Sprint("to ", len(ip)))
		}
	}
	alices := b.ports[alice]
	alices.SetTap(nil)
	b.fromUser("\x21", udp(alice, world, 100))
	alices.SetTap(tap)
	b.fromUser("\x21", udp(alice, world, 101))
	b.fromUser("\x21", udp(bob, world, 102)) // a false source
	alices.SetPolicy(dataplane.Policy{BlockNetBIOS: true})
	b.fromUser("\x21", port(alice, world, true, 139, 1000)) // it has come, and is dropped
	alices.SetPolicy(dataplane.Policy{})
	b.fromUser("\x21", udp(alice, world, 103))
	b.fromSystem(udp(world, alice, 104), udp(world, bob, 105))
	alices.SetTap(nil)
	b.fromUser("\x21", udp(alice, world, 106))
	if got := strings.Join(seen, ", "); got != "from 101, from 40, from 103, to 104" {
		t.Error(got)
	}
	if len(b.dev.written) != 4 || len(b.links[alice].frames) != 1 || alices.HasChain() {
		t.Errorf("%d in, %d out, a chain: %v", len(b.dev.written), len(b.links[alice].frames), alices.HasChain())
	}
}

func TestNetBIOS(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		b := setUp(t, false, plain)
		b.ports[alice].SetPolicy(dataplane.Policy{BlockNetBIOS: blocked})
		var out [][]byte
		for _, c := range []struct {
			tcp      bool
			from, to uint16
		}{{false, 137, 137}, {false, 1000, 138}, {true, 1000, 139}, {true, 139, 1000}} {
			b.fromUser("\x21", port(alice, world, c.tcp, c.from, c.to))
			out = append(out, port(world, alice, c.tcp, c.from, c.to))
		}
		for _, other := range []uint16{136, 140, 445} {
			b.fromUser("\x21", port(alice, world, true, 1000, other))
			out = append(out, port(world, alice, false, other, 1000))
		}
		b.fromSystem(out...)
		want := 7
		if blocked {
			want = 3
			b.wantDrops(map[string]uint64{"NetBIOS": 8})
		}
		if in, out := len(b.dev.written), len(b.links[alice].frames); in != want || out != want {
			t.Errorf("blocked %v: %d in, %d out, want %d", blocked, in, out, want)
		}
	}
}

func TestMulticast(t *testing.T) {
	b := setUp(t, false, plain)
	b.fromUser("\x21", udp(alice, group, 100))
	b.ports[alice].SetPolicy(dataplane.Policy{PassMulticast: true})
	b.fromUser("\x21", udp(alice, group, 100))
	b.fromUser("\x21", udp(alice, netip.MustParseAddr("255.255.255.255"), 100)) // not a group
	b.fromUser("\x21", udp(alice, netip.MustParseAddr("240.0.0.1"), 100))       // nor is this
	b.ports[bob].SetPolicy(dataplane.Policy{PassMulticast: true})
	b.ports[bob].SetPolicy(dataplane.Policy{})
	b.fromSystem(udp(world, group, 100))
	if len(b.dev.written) != 1 || len(b.links[alice].frames) != 1 || len(b.links[bob].frames) != 0 {
		t.Errorf("%d in, %d to alice, %d to bob", len(b.dev.written), len(b.links[alice].frames), len(b.links[bob].frames))
	}
	b.wantDrops(map[string]uint64{"multicast": 3})
	b.ports[alice].Remove()
	b.dev.in = make(chan []byte, 1)
	b.fromSystem(udp(world, group, 100))
	b.wantDrops(map[string]uint64{"multicast": 4})
}

// Over ten simulated seconds, the rate of any packets is the limit, within one hundredth and a
// first burst. Unused rate adds at most a burst later.
func TestBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []uint64{64_000, 1_000_000, 100_000_000} {
		take := dataplane.NewBucket(rate)
		now := time.Unix(1_790_000_000, 0)
		burst := max(float64(rate)/8*0.4, 16<<10)
		for _, share := range []float64{3, 0, 2} { // offered, as a multiple of the rate
			var passed float64
			end := now.Add(10 * time.Second)
			for now.Before(end) {
				size := 40 + random.IntN(1361)
				if share == 0 {
					now = end
					break
				}
				if take(now, size) {
					passed += float64(size)
				}
				now = now.Add(time.Duration(float64(size) * 8 / float64(rate) / share * float64(time.Second)))
			}
			want := float64(rate) / 8 * 10
			if share > 0 && (passed < want*0.99-1400 || passed > want*1.01+burst+1400) {
				t.Errorf("%d bit/s, offered %v times that: %.0f bytes in 10 s, want %.0f", rate, share, passed, want)
			}
		}
	}
}

// A sender that fills the bucket and then pauses, like TCP after a loss, reaches the limit.
func TestBucketAllowsPauses(t *testing.T) {
	const rate, size = 8_000_000, 1400
	take := dataplane.NewBucket(rate)
	now := time.Unix(1_790_000_000, 0)
	for take(now, size) { // the first burst
	}
	passed := 0
	for range 30 {
		now = now.Add(333 * time.Millisecond)
		for take(now, size) {
			passed += size
		}
	}
	if want := rate / 8 * 10; passed < want*99/100 || passed > want {
		t.Errorf("%d bytes in 10 s, want %d", passed, want)
	}
}

func TestLimits(t *testing.T) {
	b := setUp(t, false, plain)
	b.ports[alice].SetPolicy(dataplane.Policy{UpLimit: 8000, DownLimit: 16000})
	var out [][]byte
	for range 30 {
		b.fromUser("\x21", udp(alice, world, 1000))
		out = append(out, udp(world, alice, 1000))
	}
	b.fromSystem(out...)
	// The burst has passed.
	if in, out := len(b.dev.written), len(b.links[alice].frames); in != 16 || out != 16 {
		t.Errorf("%d in, %d out", in, out)
	}
	b.wantDrops(map[string]uint64{"over the user's limit": 28})
	b.ports[alice].SetPolicy(dataplane.Policy{})
	b.fromUser("\x21", udp(alice, world, 1000))
	if len(b.dev.written) != 17 {
		t.Error("a limit that was taken away still counts")
	}
}

func TestPolicyDoesNotAllocate(t *testing.T) {
	b := setUp(t, false, plain)
	b.dev.keep, b.links[alice].keep = false, false
	b.ports[alice].SetPolicy(dataplane.Policy{BlockNetBIOS: true, PassMulticast: true, UpLimit: 1e11, DownLimit: 1e11})
	in, out := udp(alice, world, 1000), udp(world, alice, 1000)
	var batch link.Batch
	if n := testing.AllocsPerRun(1000, func() {
		buf := pktbuf.Get()
		buf.Append([]byte{0x21})
		buf.Append(in)
		b.ports[alice].Inbound(buf)
		buf = pktbuf.Get()
		buf.Append(out)
		dataplane.Outbound(b.plane, buf, &batch)
	}); n >= 1 {
		t.Errorf("%v allocations for two packets", n)
	}
	if st := b.ports[alice].Stats(); st.RxPackets < 1000 || st.TxPackets < 1000 {
		t.Errorf("%+v", st)
	}
}
