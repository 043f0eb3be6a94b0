package mppe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

// ipv4 is a protocol number with the beginning of an IPv4 packet whose header has the right length.
func ipv4(n int) []byte {
	p := make([]byte, 2+40)
	p[1], p[2], p[5] = 0x21, 0x45, 40
	binary.BigEndian.PutUint32(p[22:], uint32(n))
	return p
}

// If packets come in order, all counts are ahead: so many packets may be lost in a row, and the
// next one decrypts.
func TestLongLoss(t *testing.T) {
	for _, c := range []struct {
		late bool
		most int // most packets that may be lost
	}{{false, 4095}, {true, 4095 - maxLate}} {
		for _, lost := range []int{1, 255, 256, 2047, 2048, 3000, 3839, 4000, 4094, 4095} {
			for _, stateless := range []bool{true, false} {
				e, d := NewEncrypter(MasterKey{1}, Bits128, stateless), NewDecrypter(MasterKey{1}, Bits128, stateless)
				if c.late {
					d.AllowLate()
				}
				for range lost + 1 { // the first one arrives
					p := ipv4(0)
					if h := e.Seal(p); d.count == countMask {
						if err := d.Open(h, p); err != nil {
							t.Fatal(err)
						}
					}
				}
				p := ipv4(1)
				err := d.Open(e.Seal(p), p)
				if errors.Is(err, ErrLost) {
					e.Reset()
					p = ipv4(1)
					err = d.Open(e.Seal(p), p)
				}
				most := c.most
				if !stateless { // the flushed packet after a reset is up to 256 further ahead
					most -= 256
				}
				if good := err == nil && bytes.Equal(p, ipv4(1)); good != (lost <= c.most) && (stateless || lost <= most) {
					t.Errorf("late packets %v, stateless %v, %d lost: %v, % x", c.late, stateless, lost, err, p[:6])
				}
			}
		}
	}
}

// KeyChanges tells before Open how often the key will change for a packet.
func TestKeyChanges(t *testing.T) {
	for _, stateless := range []bool{true, false} {
		for _, ahead := range []int{1, 2, 255, 256, 257, 2047, 2048, 4095, 4096} {
			for _, first := range []uint16{0, 1, 254, 255, 256, 4094, 4095} {
				d := NewDecrypter(MasterKey{1}, Bits40, stateless)
				d.count = first
				header := (first+uint16(ahead))&countMask | flushed | encrypted
				want := ahead
				if !stateless {
					want = 0
					for n := 1; n <= ahead; n++ {
						if (int(first)+n)&0xFF == 0xFF {
							want++
						}
					}
				}
				if got := d.KeyChanges(header); got != want {
					t.Errorf("stateless %v, from %d %d ahead: %d changes, want %d", stateless, first, ahead, got, want)
				}
				key := newSessionKey(MasterKey{1}, Bits40)
				for range want {
					key.change()
				}
				if err := d.Open(header, ipv4(0)); err != nil || stateless && d.key.current != key.current {
					t.Errorf("stateless %v, from %d %d ahead: not that many", stateless, first, ahead)
				}
			}
		}
	}
	d := NewDecrypter(MasterKey{1}, Bits40, true)
	if n := d.KeyChanges(5 | encrypted); n != 0 {
		t.Errorf("%d changes for a packet that is not taken", n)
	}
	d.AllowLate()
	if n := d.KeyChanges(d.count | flushed | encrypted); n != 0 {
		t.Errorf("%d changes for a late packet", n)
	}
}

// After a loss, a peer's next packet is flushed and is no flag packet. Linux changes the key for
// it, RFC 3078 does not. The packet's IPv4 header shows which, for each of many keys.
func TestResyncTakesTheRightKey(t *testing.T) {
	for _, linux := range []bool{true, false} {
		wrong := 0
		for n := range 20000 {
			start := MasterKey{byte(n), byte(n >> 8), 7}
			key := newSessionKey(start, Bits40)
			if linux {
				key.change()
			}
			d := NewDecrypter(start, Bits40, false)
			d.discard = true
			for i := range 2 {
				p := ipv4(n)
				key.rc4.xor(p)
				header := uint16(10+i) | encrypted
				if i == 0 {
					header |= flushed
				}
				if err := d.Open(header, p); err != nil || !bytes.Equal(p, ipv4(n)) {
					wrong++
				}
			}
		}
		if wrong > 0 {
			t.Errorf("as Linux does %v: %d packets of 40000 are wrong", linux, wrong)
		}
	}
}

// A short packet, or one with wrong lengths, does not count as IPv4.
func TestStartsIPv4(t *testing.T) {
	compressed := ipv4(0)[1:]
	for _, c := range []struct {
		p    []byte
		want bool
	}{
		{ipv4(0), true},
		{compressed, true},
		{append(ipv4(0), "padding"...), true},
		{ipv4(0)[:41], false},
		{ipv4(0)[:5], false},
		{compressed[:2], false},
		{append([]byte{0x00, 0x57}, ipv4(0)[2:]...), false},
		{append([]byte{0x21, 0x60}, ipv4(0)[3:]...), false},
		{append([]byte{0x21, 0x44}, ipv4(0)[3:]...), false},
	} {
		d, key := NewDecrypter(MasterKey{1}, Bits128, false), newSessionKey(MasterKey{1}, Bits128)
		p := bytes.Clone(c.p)
		key.rc4.xor(p)
		before := fmt.Sprint(*d)
		if got := d.startsIPv4(p); got != c.want || fmt.Sprint(*d) != before {
			t.Errorf("% x: %v, want %v", c.p[:min(len(c.p), 8)], got, c.want)
		}
	}
}

// BenchmarkOpen opens the packets of BenchmarkSeal: a benchmark of both ends.
func BenchmarkOpen(b *testing.B) {
	for _, stateless := range []bool{false, true} {
		b.Run(fmt.Sprintf("stateless=%v", stateless), func(b *testing.B) {
			e, d := NewEncrypter(MasterKey{1}, Bits128, stateless), NewDecrypter(MasterKey{1}, Bits128, stateless)
			p := make([]byte, 1400)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if err := d.Open(e.Seal(p), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
