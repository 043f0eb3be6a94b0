package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"testing"
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/ppp/mppe"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	local = netip.MustParseAddr("10.99.0.1")
	alice = netip.MustParseAddr("10.99.0.10")
	bob   = netip.MustParseAddr("10.99.0.11")
	world = netip.MustParseAddr("198.51.100.7")
)

// device is a TUN device that a test feeds and reads.
type device struct {
	in      chan []byte
	written [][]byte
	keep    bool
}

func newDevice() *device { return &device{in: make(chan []byte, 100), keep: true} }

func (d *device) ReadBatch(bufs []*pktbuf.Buf) (int, error) {
	p, ok := <-d.in
	if !ok {
		return 0, fs.ErrClosed
	}
	bufs[0].Append(p)
	return 1, nil
}

func (d *device) WritePacket(p []byte) error {
	if d.keep {
		d.written = append(d.written, bytes.Clone(p))
	}
	return nil
}

func (d *device) MTU() int { return 1400 }

// wire is a link that keeps the sent frames.
type wire struct {
	frames [][]byte
	keep   bool
}

func (w *wire) Send(b *pktbuf.Buf, _ *link.Batch) {
	if w.keep {
		w.frames = append(w.frames, bytes.Clone(b.Bytes()))
	}
	b.Release()
}

func (w *wire) Close(reason.Reason) {}

func (w *wire) Info() link.Info { return link.Info{} }

type bench struct {
	t     testing.TB
	dev   *device
	plane *dataplane.Plane
	ports map[netip.Addr]*dataplane.Port
	links map[netip.Addr]*wire
}

func setUp(t testing.TB, userToUser bool, params dataplane.Params) *bench {
	t.Helper()
	b := &bench{t: t, dev: newDevice(), ports: map[netip.Addr]*dataplane.Port{}, links: map[netip.Addr]*wire{}}
	b.plane = dataplane.New(b.dev, dataplane.Config{Local: local, UserToUser: userToUser})
	for _, a := range []netip.Addr{alice, bob} {
		w := &wire{keep: true}
		port, err := b.plane.Add(dataplane.PortConfig{Addr: a, Link: w})
		if err != nil {
			t.Fatal(err)
		}
		port.Up(params)
		b.ports[a], b.links[a] = port, w
	}
	return b
}

var plain = dataplane.Params{PeerMRU: 1400}

// fromUser gives alice's port a frame. header comes before the packet.
func (b *bench) fromUser(header string, packet []byte) (taken bool) {
	buf := pktbuf.Get()
	buf.Append([]byte(header))
	buf.Append(packet)
	taken = b.ports[alice].Inbound(buf)
	if !taken {
		if !bytes.Equal(buf.Bytes(), append([]byte(header), packet...)) {
			b.t.Error("a control frame is not left as it was")
		}
		buf.Release()
	}
	return taken
}

// fromSystem runs the plane on packets of the TUN device.
func (b *bench) fromSystem(packets ...[]byte) {
	b.t.Helper()
	for _, p := range packets {
		b.dev.in <- p
	}
	close(b.dev.in)
	if err := b.plane.Run(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) wantDrops(want map[string]uint64) {
	b.t.Helper()
	for why, n := range b.plane.Drops() {
		if n != want[why] {
			b.t.Errorf("%d packets dropped as %q, want %d", n, why, want[why])
		}
	}
}

// udp is a packet of size bytes.
func udp(src, dst netip.Addr, size int, change ...func(*layers.IPv4)) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice()), Id: 77}
	for _, c := range change {
		c(ip)
	}
	u := &layers.UDP{SrcPort: 1000, DstPort: 2000}
	_ = u.SetNetworkLayerForChecksum(ip)
	return serialize(ip, u, gopacket.Payload(bytes.Repeat([]byte("0123456"), 300)[:size-28]))
}

func syn(src, dst netip.Addr, flags string, options ...layers.TCPOption) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice())}
	tcp := &layers.TCP{SrcPort: 1000, DstPort: 80, SYN: flags == "S", ACK: flags == "A", Window: 1000, Options: options}
	_ = tcp.SetNetworkLayerForChecksum(ip)
	return serialize(ip, tcp)
}

func serialize(l ...gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return bytes.Clone(buf.Bytes())
}

func df(ip *layers.IPv4) { ip.Flags = layers.IPv4DontFragment }

func TestIn(t *testing.T) {
	good := udp(alice, local, 100)
	lying := bytes.Clone(good)
	binary.BigEndian.PutUint16(lying[2:], 5000)
	for _, c := range []struct {
		name, header string
		packet       []byte
		drop         string
	}{
		{"whole header", "\xff\x03\x00\x21", good, ""},
		{"short number", "\xff\x03\x21", good, ""},
		{"without FF 03", "\x00\x21", good, ""},
		{"one octet", "\x21", good, ""},
		{"to the world", "\x21", udp(alice, world, 1300), ""},
		{"padding behind", "\x21", append(bytes.Clone(good), "padding"...), ""},
		{"another's address", "\x21", udp(bob, local, 100), "wrong source address"},
		{"to another user", "\x21", udp(alice, bob, 100), "user to user"},
		{"to a group", "\x21", udp(alice, netip.MustParseAddr("224.0.0.5"), 100), "multicast"},
		{"to all", "\x21", udp(alice, netip.MustParseAddr("255.255.255.255"), 100), "multicast"},
		{"IPv6", "\x21", append([]byte{0x60}, good[1:]...), "malformed"},
		{"half a header", "\x21", good[:19], "malformed"},
		{"length lies", "\x21", lying, "malformed"},
		{"header length 4", "\x21", append([]byte{0x41}, good[1:]...), "malformed"},
		{"nothing", "\x21", nil, "malformed"},
		{"encrypted, which was not agreed", "\x00\xfd\x90\x00", good, "cannot be decrypted"},
	} {
		b := setUp(t, false, plain)
		if !b.fromUser(c.header, c.packet) {
			t.Errorf("%s: taken for a control frame", c.name)
		}
		if c.drop != "" {
			b.wantDrops(map[string]uint64{c.drop: 1})
			if len(b.dev.written) != 0 {
				t.Errorf("%s: written all the same", c.name)
			}
			continue
		}
		b.wantDrops(nil)
		want := bytes.TrimSuffix(c.packet, []byte("padding"))
		if len(b.dev.written) != 1 || !bytes.Equal(b.dev.written[0], want) {
			t.Errorf("%s: %x", c.name, b.dev.written)
		}
		if st := b.ports[alice].Stats(); st.RxPackets != 1 || st.RxBytes != uint64(len(want)) || st.Received != 1 {
			t.Errorf("%s: %+v", c.name, st)
		}
	}
	b := setUp(t, false, plain)
	for _, header := range []string{"", "\xff", "\xff\x03", "\xff\x03\xc0\x21", "\xc0\x21", "\x80\x21\x01", "\x00\x57", "\x80\xfd", "\x2d"} {
		if b.fromUser(header, nil) {
			t.Errorf("%x is taken for user data", header)
		}
	}
}

func TestOut(t *testing.T) {
	packet := udp(world, alice, 100)
	for want, params := range map[string]dataplane.Params{
		"\xff\x03\x00\x21": {PeerMRU: 1400}, "\xff\x03\x21": {PeerMRU: 1400, PFC: true},
		"\x00\x21": {PeerMRU: 1400, ACFC: true}, "\x21": {PeerMRU: 1400, PFC: true, ACFC: true},
	} {
		b := setUp(t, false, params)
		b.fromSystem(packet, udp(world, netip.MustParseAddr("10.99.0.77"), 100), udp(world, netip.MustParseAddr("224.0.0.1"), 100), []byte{0x60, 0})
		frames := b.links[alice].frames
		if len(frames) != 1 || string(frames[0]) != want+string(packet) {
			t.Errorf("%x: %x", want, frames)
		}
		b.wantDrops(map[string]uint64{"no such user": 1, "multicast": 1, "malformed": 1})
	}
}

func TestHoldAndRemove(t *testing.T) {
	b := setUp(t, false, plain)
	port := b.ports[alice]
	port.Hold()
	b.fromUser("\x21", udp(alice, local, 100))
	port.Up(plain)
	b.fromUser("\x21", udp(alice, local, 100))
	if len(b.dev.written) != 1 {
		t.Errorf("%d packets", len(b.dev.written))
	}
	if _, err := b.plane.Add(dataplane.PortConfig{Addr: alice, Link: &wire{}}); !errors.Is(err, dataplane.ErrInUse) {
		t.Errorf("an address that is in use: %v", err)
	}
	port.Remove()
	port.Up(plain) // too late
	b.fromUser("\x21", udp(alice, local, 100))
	if _, err := b.plane.Add(dataplane.PortConfig{Addr: alice, Link: &wire{}}); err != nil {
		t.Errorf("an address that was given back: %v", err)
	}
	b.fromSystem(udp(world, alice, 100))
	if len(b.dev.written) != 1 || len(b.links[alice].frames) != 0 {
		t.Error("packets pass a port that was removed")
	}
	b.wantDrops(map[string]uint64{"link not up": 3})
}

func TestEncrypted(t *testing.T) {
	key := mppe.MasterKey{1, 2, 3}
	for _, stateless := range []bool{true, false} {
		resets := 0
		dev := newDevice()
		plane := dataplane.New(dev, dataplane.Config{Local: local})
		w := &wire{keep: true}
		port, err := plane.Add(dataplane.PortConfig{Addr: alice, Link: w, NeedReset: func() { resets++ }})
		if err != nil {
			t.Fatal(err)
		}
		port.Up(dataplane.Params{
			PeerMRU: 1400,
			Cipher:  mppe.NewEncrypter(key, mppe.Bits128, stateless), Decipher: mppe.NewDecrypter(key, mppe.Bits128, stateless),
		})
		b := &bench{t: t, dev: dev, plane: plane, ports: map[netip.Addr]*dataplane.Port{alice: port}}
		peer := mppe.NewEncrypter(key, mppe.Bits128, stateless)
		seal := func(inner string, packet []byte) []byte {
			p := append([]byte(inner), packet...)
			h := peer.Seal(p)
			return append([]byte{byte(h >> 8), byte(h)}, p...)
		}
		packet := udp(alice, local, 100)
		b.fromUser("\x00\xfd", seal("\x00\x21", packet))
		b.fromUser("\xfd", seal("\x21", packet))
		b.fromUser("\x21", packet)                      // in clear, after encryption was agreed
		b.fromUser("\xfd", seal("\xc0\x21", []byte{1})) // LCP must not come inside
		b.fromUser("\xfd", nil)
		if len(dev.written) != 2 || !bytes.Equal(dev.written[0], packet) || !bytes.Equal(dev.written[1], packet) {
			t.Errorf("stateless %v: %x", stateless, dev.written)
		}
		b.wantDrops(map[string]uint64{"not encrypted": 1, "cannot be decrypted": 2})
		seal("", packet) // lost
		for range 10 {
			b.fromUser("\xfd", seal("\x21", packet))
		}
		if stateless && (resets != 0 || len(dev.written) != 12) || !stateless && (resets != 1 || len(dev.written) != 2) {
			t.Errorf("stateless %v after a loss: %d resets, %d packets", stateless, resets, len(dev.written))
		}
		out := udp(world, alice, 1396)
		b.fromSystem(out, udp(world, alice, 1397, df))
		if len(w.frames) != 1 || len(w.frames[0]) != 4+2+2+1396 {
			t.Fatalf("stateless %v: frames of %d", stateless, len(w.frames))
		}
		f := w.frames[0]
		if string(f[:4]) != "\xff\x03\x00\xfd" {
			t.Errorf("%x", f[:4])
		}
		d := mppe.NewDecrypter(key, mppe.Bits128, stateless)
		if err := d.Open(binary.BigEndian.Uint16(f[4:]), f[6:]); err != nil || !bytes.Equal(f[8:], out) {
			t.Errorf("stateless %v: %v", stateless, err)
		}
		port.ResetCipher()
	}
}

// If encryption is required, nothing in clear passes before it is agreed either.
func TestRequired(t *testing.T) {
	b := setUp(t, false, dataplane.Params{PeerMRU: 1400, Required: true})
	b.fromUser("\x21", udp(alice, local, 100))
	b.wantDrops(map[string]uint64{"not encrypted": 1})
	if len(b.dev.written) != 0 {
		t.Error("written all the same")
	}
}

func TestUserToUser(t *testing.T) {
	b := setUp(t, true, plain)
	b.fromUser("\x21", udp(alice, bob, 100))
	b.fromUser("\x21", udp(alice, bob, 100, func(ip *layers.IPv4) { ip.TTL = 1 }))
	frames := b.links[bob].frames
	if len(frames) != 1 || len(b.dev.written) != 0 {
		t.Fatalf("%d frames, %d written", len(frames), len(b.dev.written))
	}
	want := udp(alice, bob, 100, func(ip *layers.IPv4) { ip.TTL = 63 })
	if !bytes.Equal(frames[0][4:], want) {
		t.Errorf("%x, want %x", frames[0][4:], want)
	}
	answers := b.links[alice].frames
	if len(answers) != 1 {
		t.Fatalf("%d answers", len(answers))
	}
	icmp := decode(t, answers[0][4:])
	if icmp.TypeCode.Type() != layers.ICMPv4TypeTimeExceeded {
		t.Errorf("%v", icmp.TypeCode)
	}
}

// faulty is a Cipher with a fault of ours.
type faulty struct{}

func (faulty) Seal([]byte) uint16 { panic("a fault") }

func (faulty) Reset() {}

// A fault on the way to one user ends neither the plane nor the user who sent the packet.
func TestFault(t *testing.T) {
	b := setUp(t, true, plain)
	var faults []any
	b.ports[bob].Remove()
	port, err := b.plane.Add(dataplane.PortConfig{Addr: bob, Link: b.links[bob], Fault: func(f any) { faults = append(faults, f) }})
	if err != nil {
		t.Fatal(err)
	}
	broken := dataplane.Params{PeerMRU: 1400, Cipher: faulty{}}
	port.Up(broken)
	b.fromUser("\x21", udp(alice, bob, 100))
	b.fromUser("\x21", udp(alice, bob, 100)) // held
	port.Up(broken)
	b.fromSystem(udp(world, bob, 100), udp(world, alice, 100))
	if len(faults) != 2 || faults[0] != "a fault" {
		t.Errorf("%v", faults)
	}
	if len(b.links[alice].frames) != 1 || len(b.links[bob].frames) != 0 {
		t.Errorf("%d frames to alice, %d to bob", len(b.links[alice].frames), len(b.links[bob].frames))
	}
	b.wantDrops(map[string]uint64{"link not up": 1})
	port.Remove() // all locks are free
}

func TestNoAllocations(t *testing.T) {
	key := mppe.MasterKey{1, 2, 3}
	for _, encrypted := range []bool{false, true} {
		params := plain
		peer := mppe.NewEncrypter(key, mppe.Bits128, true)
		if encrypted {
			params.Cipher, params.Decipher = mppe.NewEncrypter(key, mppe.Bits128, true), mppe.NewDecrypter(key, mppe.Bits128, true)
		}
		b := setUp(t, false, params)
		b.dev.keep, b.links[alice].keep = false, false
		in, out := udp(alice, local, 1000), udp(world, alice, 1000)
		port := b.ports[alice]
		if n := testing.AllocsPerRun(1000, func() {
			buf := pktbuf.Get()
			buf.Append([]byte{0x00, 0x21})
			buf.Append(in)
			if encrypted {
				h := peer.Seal(buf.Bytes())
				binary.BigEndian.PutUint16(buf.Prepend(2), h)
				buf.Prepend(1)[0] = 0xFD
			}
			port.Inbound(buf)
		}); n >= 1 {
			t.Errorf("encrypted %v, in: %v allocations for a packet", encrypted, n)
		}
		if b.plane.Drops()["cannot be decrypted"] != 0 {
			t.Error("the packets are not those that were to be measured")
		}
		var batch link.Batch
		if n := testing.AllocsPerRun(1000, func() {
			buf := pktbuf.Get()
			buf.Append(out)
			dataplane.Outbound(b.plane, buf, &batch)
		}); n >= 1 {
			t.Errorf("encrypted %v, out: %v allocations for a packet", encrypted, n)
		}
		if st := port.Stats(); st.TxPackets < 1000 || st.RxPackets < 1000 {
			t.Errorf("%+v", st)
		}
	}
}

func TestManyPorts(t *testing.T) {
	plane := dataplane.New(newDevice(), dataplane.Config{Local: local})
	a := netip.MustParseAddr("10.100.0.0")
	var ports []*dataplane.Port
	for range 20000 {
		a = a.Next()
		port, err := plane.Add(dataplane.PortConfig{Addr: a, Link: &wire{}})
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	for _, port := range ports {
		port.Remove()
	}
}

func FuzzPort(f *testing.F) {
	f.Add([]byte("\x21"), udp(alice, local, 60))
	f.Add([]byte("\xff\x03\x00\x21"), syn(alice, bob, "S", layers.TCPOption{OptionType: 2, OptionLength: 4, OptionData: []byte{9, 9}}))
	f.Add([]byte("\xfd\x90\x00"), []byte{1, 2, 3})
	f.Add([]byte{}, udp(world, alice, 1400))
	f.Fuzz(func(t *testing.T, head, packet []byte) {
		key := mppe.MasterKey{1}
		b := setUp(t, true, dataplane.Params{PeerMRU: 68, Cipher: mppe.NewEncrypter(key, mppe.Bits40, false), Decipher: mppe.NewDecrypter(key, mppe.Bits40, false)})
		b.fromUser(string(head[:min(len(head), 10)]), packet[:min(len(packet), 1800)])
		b.fromSystem(packet[:min(len(packet), 1800)])
		for _, w := range b.links {
			for _, f := range w.frames {
				if len(f) > 4+68 {
					t.Errorf("a frame of %d bytes to a peer of MRU 68", len(f))
				}
			}
		}
	})
}
