package dataplane_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/dataplane"
	"vpnd/internal/pktbuf"
	"vpnd/ppp/mppe"
)

// lossy is alice's port with MPPE, and the peer's stream.
type lossy struct {
	*bench
	port           *dataplane.Port
	peer           *mppe.Encrypter
	resets, losses int
}

var lossyKey = mppe.MasterKey{1, 2, 3}

func newLossy(t testing.TB, stateless bool) *lossy {
	t.Helper()
	l := new(lossy)
	dev := newDevice()
	plane := dataplane.New(dev, dataplane.Config{Local: local})
	port, err := plane.Add(dataplane.PortConfig{
		Addr: alice, Link: &wire{}, NeedReset: func() { l.resets++ }, Undecryptable: func() { l.losses++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.port = port
	l.bench = &bench{t: t, dev: dev, plane: plane, ports: map[netip.Addr]*dataplane.Port{alice: port}}
	l.up(stateless)
	return l
}

// up starts the streams.
func (l *lossy) up(stateless bool) {
	l.port.Up(dataplane.Params{
		PeerMRU: 1400, Cipher: mppe.NewEncrypter(lossyKey, mppe.Bits128, stateless), Decipher: mppe.NewDecrypter(lossyKey, mppe.Bits128, stateless),
	})
	l.peer = mppe.NewEncrypter(lossyKey, mppe.Bits128, stateless)
}

func (l *lossy) seal(inner string, packet []byte) []byte {
	p := append([]byte(inner), packet...)
	return append(binary.BigEndian.AppendUint16(nil, l.peer.Seal(p)), p...)
}

// send makes the peer send a packet, which arrives, and reports whether it passes.
func (l *lossy) send(inner string, packet []byte) bool {
	before := len(l.dev.written)
	l.fromUser("\x00\xfd", l.seal(inner, packet))
	return len(l.dev.written) > before
}

// lose makes the peer send packets that do not arrive.
func (l *lossy) lose(n int) {
	for range n {
		l.seal("\x00\x21", nil)
	}
}

// Up to 4,095 packets may be lost in a row. After more, the counts begin again, and the stream is
// lost for good. The port reports that, and new streams pass.
func TestLongLoss(t *testing.T) {
	packet := udp(alice, local, 100)
	for _, lost := range []int{1, 100, 2000, 2048, 4000, 4095} {
		l := newLossy(t, true)
		l.send("\x00\x21", packet)
		if l.lose(lost); !l.send("\x00\x21", packet) {
			t.Errorf("after %d lost nothing passes", lost)
		}
		for range 2 * dataplane.MaxLost {
			l.send("\x00\x21", packet)
		}
		if l.losses != 0 || l.resets != 0 {
			t.Errorf("%d lost: told as lost for good %d times, %d resets", lost, l.losses, l.resets)
		}
	}
	for _, lost := range []int{4097, 5000, 8191, 10000} {
		l := newLossy(t, true)
		l.send("\x00\x21", packet)
		l.lose(lost)
		n := 0
		for ; l.losses == 0 && n < 100; n++ {
			if l.send("\x00\x21", packet) {
				t.Errorf("%d lost: passes", lost)
			}
		}
		// A few look like another protocol by chance.
		if n < dataplane.MaxLost || n > dataplane.MaxLost+4 {
			t.Errorf("%d lost: told after %d packets", lost, n)
		}
		l.up(true)
		if !l.send("\x00\x21", packet) {
			t.Errorf("%d lost: new streams do not pass", lost)
		}
	}
}

// A lost stream is reported once, however many of its packets still come. Otherwise they would make
// the new stream count as lost too.
func TestLostToldOnce(t *testing.T) {
	packet := udp(alice, local, 100)
	l := newLossy(t, true)
	for want := range 3 {
		if l.losses != want {
			t.Fatalf("told %d times, want %d", l.losses, want)
		}
		l.lose(10_000)
		for range 20 * dataplane.MaxLost {
			l.send("\x00\x21", packet)
		}
		l.up(true)
		if !l.send("\x00\x21", packet) {
			t.Fatal("the new stream does not pass")
		}
	}
}

// A stateful stream whose peer answers no Reset-Request is lost for good too. A stream that
// continues is not.
func TestResetWithoutEffect(t *testing.T) {
	packet := udp(alice, local, 100)
	for _, answered := range []bool{true, false} {
		l := newLossy(t, false)
		l.send("\x00\x21", packet)
		for l.resets < 3*dataplane.MaxLost && l.losses == 0 {
			l.lose(1)
			l.send("\x00\x21", packet)
			l.port.Pass(time.Second)
			if answered {
				l.peer.Reset()
				if !l.send("\x00\x21", packet) {
					t.Fatal("a reset does not help")
				}
			} else {
				// It never comes to a flag packet.
				l.peer = mppe.NewEncrypter(lossyKey, mppe.Bits128, false)
				l.lose(10)
			}
		}
		if answered != (l.losses == 0) {
			t.Errorf("answered %v: %d resets, told as lost %d times", answered, l.resets, l.losses)
		}
	}
}

// Packets of other protocols, which nobody reads, are no sign of a loss. Garbage is, but a few in a
// row are not.
func TestLostPackets(t *testing.T) {
	good := udp(alice, local, 100)
	for _, c := range []struct {
		inner  string
		packet []byte
		lost   bool
	}{
		{"\x00\x57", append([]byte{0x60}, good...), false},
		{"\x57", append([]byte{0x60}, good...), false},
		{"\x00\x2d", good, false},
		{"\x57", good, true},
		{"\x12\x34", good, true},
		{"\x00\x34", good, true},
		{"\x00\x21", good[:10], true},
		{"\x00\x21", append([]byte{0x60}, good[1:]...), true},
	} {
		l := newLossy(t, true)
		for range 3 {
			for range dataplane.MaxLost - 1 {
				l.send(c.inner, c.packet)
			}
			if l.losses != 0 {
				t.Errorf("%x %x: told too early", c.inner, c.packet[0])
			}
			l.send("\x00\x21", good)
		}
		for range dataplane.MaxLost {
			l.send(c.inner, c.packet)
		}
		if c.lost != (l.losses == 1) {
			t.Errorf("%x %x: told %d times", c.inner, c.packet[0], l.losses)
		}
	}
}

// The work that a peer can cause by counts that are far ahead is limited. Packets in order use none
// of the limit.
func TestKeyChanges(t *testing.T) {
	packet := udp(alice, local, 100)
	l := newLossy(t, true)
	const jumps = 60
	start := time.Now()
	for range jumps {
		l.lose(2046)
		l.send("\x00\x21", packet)
	}
	// Two at once, and two for each second that the machine needed.
	most := 3 + int(2*time.Since(start).Seconds()*dataplane.DefaultKeyChanges/4094)
	if n := len(l.dev.written); n < 2 || n > most {
		t.Errorf("%d of %d packets that were 2,047 ahead passed, want 2 to %d", n, jumps, most)
	}
	if dropped := l.plane.Drops()["too many MPPE key changes"]; int(dropped) < jumps-most {
		t.Errorf("%d packets dropped, want %d or more", dropped, jumps-most)
	}
	l = newLossy(t, true)
	for n := range 20000 {
		if !l.send("\x00\x21", packet) {
			t.Fatalf("packet %d in order does not pass", n)
		}
	}
}

// The limit is per second, and lets the longest loss that MPPE allows pass at once.
func TestKeyBucket(t *testing.T) {
	for _, perSecond := range []int64{100, dataplane.DefaultKeyChanges, 100_000} {
		now := time.Unix(1000, 0)
		take := dataplane.NewKeyBucket(perSecond)
		if !take(now, 4095) {
			t.Errorf("%d a second: not at once", perSecond)
		}
		for take(now, 1) {
			continue
		}
		passed := 0
		for range 10_000 {
			now = now.Add(time.Millisecond)
			for take(now, 10) {
				passed += 10
			}
		}
		if want := int(perSecond) * 10; passed < want-10 || passed > want {
			t.Errorf("%d changes in 10 s, want %d", passed, want)
		}
	}
}

// BenchmarkInbound passes a packet of 1,400 bytes in MPPE-128 from the user to the system. It
// includes the encryption.
func BenchmarkInbound(b *testing.B) {
	for _, stateless := range []bool{true, false} {
		b.Run(fmt.Sprintf("stateless=%v", stateless), func(b *testing.B) {
			s := setUp(b, false, dataplane.Params{PeerMRU: 1400, Cipher: mppe.NewEncrypter(lossyKey, mppe.Bits128, stateless), Decipher: mppe.NewDecrypter(lossyKey, mppe.Bits128, stateless)})
			s.dev.keep = false
			peer, packet, port := mppe.NewEncrypter(lossyKey, mppe.Bits128, stateless), udp(alice, local, 1396), s.ports[alice]
			b.SetBytes(int64(len(packet)))
			for b.Loop() {
				buf := pktbuf.Get()
				buf.Append([]byte{0x00, 0x21})
				buf.Append(packet)
				h := peer.Seal(buf.Bytes())
				binary.BigEndian.PutUint16(buf.Prepend(2), h)
				buf.Prepend(1)[0] = 0xFD
				port.Inbound(buf)
			}
			if s.plane.Drops()["cannot be decrypted"] != 0 {
				b.Error("the packets are not those that were to be measured")
			}
		})
	}
}
