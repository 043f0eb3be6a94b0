package mppe_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"vpnd/ppp/mppe"
)

var start = mppe.MasterKey{1, 2, 3, 4, 5, 6, 7, 8, 9}

func packet(n int) []byte { return fmt.Appendf([]byte{0x00, 0x21}, "packet %d", n) }

func modes(t *testing.T, f func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, stateless bool)) {
	t.Helper()
	for _, strength := range []mppe.Strength{mppe.Bits40, mppe.Bits56, mppe.Bits128} {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v stateless=%v", strength, stateless), func(t *testing.T) {
				f(t, mppe.NewEncrypter(start, strength, stateless), mppe.NewDecrypter(start, strength, stateless), stateless)
			})
		}
	}
}

// TestInOrder runs past the wrap-around of the coherency count twice.
func TestInOrder(t *testing.T) {
	modes(t, func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, _ bool) {
		for n := range 9000 {
			p := packet(n)
			header := e.Seal(p)
			if bytes.Equal(p, packet(n)) {
				t.Fatalf("packet %d left in clear", n)
			}
			if err := d.Open(header, p); err != nil || !bytes.Equal(p, packet(n)) {
				t.Fatalf("packet %d: %q, %v", n, p, err)
			}
		}
	})
}

// TestLoss loses runs of packets of every length up to 600. A stateless stream continues by itself,
// a stateful one after the Reset-Request that Open asks for.
func TestLoss(t *testing.T) {
	modes(t, func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, stateless bool) {
		for lost := range 600 {
			for range lost {
				e.Seal(packet(0))
			}
			p := packet(lost)
			err := d.Open(e.Seal(p), p)
			if !stateless && err != nil {
				if !errors.Is(err, mppe.ErrLost) {
					t.Fatalf("after %d lost: %v, want ErrLost", lost, err)
				}
				p = packet(lost)
				if err = d.Open(e.Seal(p), p); err != nil && !errors.Is(err, mppe.ErrDiscarding) {
					t.Fatalf("after %d lost: %v, want ErrDiscarding", lost, err)
				}
				e.Reset()
				p = packet(lost)
				err = d.Open(e.Seal(p), p)
			}
			if err != nil || !bytes.Equal(p, packet(lost)) {
				t.Fatalf("after %d lost: %q, %v", lost, p, err)
			}
		}
	})
}

func TestLate(t *testing.T) {
	modes(t, func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, _ bool) {
		d.AllowLate()
		first := packet(1)
		header := e.Seal(first)
		if err := d.Open(header, bytes.Clone(first)); err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			if err := d.Open(header, bytes.Clone(first)); !errors.Is(err, mppe.ErrLate) {
				t.Errorf("the same packet again: %v", err)
			}
			p := packet(n)
			if err := d.Open(e.Seal(p), p); err != nil || !bytes.Equal(p, packet(n)) {
				t.Errorf("packet %d after a late one: %q, %v", n, p, err)
			}
		}
	})
}

func TestMalformed(t *testing.T) {
	modes(t, func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, stateless bool) {
		for _, p := range [][]byte{nil, {}, {0x21}} {
			if err := d.Open(0x9000, p); !errors.Is(err, mppe.ErrShort) {
				t.Errorf("%d bytes: %v", len(p), err)
			}
		}
		if err := d.Open(0x8000, packet(0)); !errors.Is(err, mppe.ErrClear) {
			t.Errorf("without the encrypted bit: %v", err)
		}
		if err := d.Open(0x1000, packet(0)); stateless && !errors.Is(err, mppe.ErrNotFlushed) {
			t.Errorf("without the flushed bit: %v", err)
		}
		if !stateless {
			return
		}
		p := packet(0)
		if err := d.Open(e.Seal(p), p); err != nil || !bytes.Equal(p, packet(0)) {
			t.Errorf("a good packet after malformed ones: %q, %v", p, err)
		}
	})
}

func TestAllocations(t *testing.T) {
	modes(t, func(t *testing.T, e *mppe.Encrypter, d *mppe.Decrypter, _ bool) {
		p := make([]byte, 1400)
		if n := testing.AllocsPerRun(1000, func() {
			if err := d.Open(e.Seal(p), p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a packet", n)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, stateless := range []bool{false, true} {
		b.Run(fmt.Sprintf("stateless=%v", stateless), func(b *testing.B) {
			e := mppe.NewEncrypter(start, mppe.Bits128, stateless)
			p := make([]byte, 1400)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				e.Seal(p)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(true, uint16(0x9000), []byte("\x00\x21payload"))
	f.Add(false, uint16(0x10FF), []byte{0x21, 0x45})
	f.Add(false, uint16(0x97FF), []byte{0x21})
	f.Fuzz(func(t *testing.T, stateless bool, header uint16, p []byte) {
		d := mppe.NewDecrypter(start, mppe.Bits40, stateless)
		length := len(p)
		for range 3 {
			if err := d.Open(header, p); err == nil && (header&0x1000 == 0 || len(p) < 2) {
				t.Fatalf("header %04x with %d bytes is taken", header, len(p))
			}
			header++
		}
		if len(p) != length {
			t.Fatal("length changed")
		}
	})
}
