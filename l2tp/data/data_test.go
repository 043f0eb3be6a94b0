package data_test

import (
	"errors"
	"testing"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp/data"
	"vpnd/l2tp/wire"
)

// sink keeps the frames.
type sink struct {
	frames []string
	down   []string
}

func (s *sink) Frame(b *pktbuf.Buf) {
	s.frames = append(s.frames, string(b.Bytes()))
	b.Release()
}

func (s *sink) Down(why reason.Reason) { s.down = append(s.down, why.String()) }

func receive(t *testing.T, k *data.Call, h wire.Header, frame string) error {
	t.Helper()
	header := make([]byte, h.DataLen())
	h.PutData(header)
	b := pktbuf.Get()
	b.Append(append(header, frame...))
	got, err := wire.TrimHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	if err = k.Receive(got, b); err != nil {
		b.Release()
	}
	return err
}

// Numbered messages are delivered in order, over the wrap-around. Late and doubled ones are
// dropped. Lost ones are not waited for. Messages without a number are always delivered.
func TestOrder(t *testing.T) {
	s, k := new(sink), data.New(data.Route{})
	k.Begin(s)
	for ns := 0; ns < 1<<16; ns += 1 << 12 {
		if err := receive(t, k, wire.Header{HasSeq: true, Ns: uint16(ns)}, "x"); err != nil {
			t.Fatalf("%d: %v", ns, err)
		}
	}
	s.frames = nil
	for _, m := range []struct {
		numbered bool
		ns       uint16
		frame    string
		err      error
	}{
		{true, 65533, "a", nil},
		{true, 65533, "doubled", data.ErrLate},
		{true, 65535, "b", nil}, // 65534 is lost
		{true, 65534, "late", data.ErrLate},
		{false, 0, "c", nil},
		{true, 1, "d", nil},
		{true, 0, "late", data.ErrLate},
		{true, 65535, "late", data.ErrLate},
		{true, 2, "e", nil},
		{true, 3, "", data.ErrOver},
		{true, 3, "f", nil},
	} {
		if err := receive(t, k, wire.Header{HasSeq: m.numbered, Ns: m.ns}, m.frame); !errors.Is(err, m.err) {
			t.Errorf("%d %q: %v, want %v", m.ns, m.frame, err, m.err)
		}
	}
	got := ""
	for _, frame := range s.frames {
		got += frame
	}
	if got != "abcdef" {
		t.Errorf(`got %q, want "abcdef"`, s.frames)
	}
	if !k.Down(reason.New(reason.Dropped, "over")) || k.Down(reason.New(reason.Dropped, "again")) || !k.Over() || len(s.down) != 1 || s.down[0] != "over" {
		t.Errorf(`got %v, want one end, by "over"`, s.down)
	}
	if err := receive(t, k, wire.Header{}, "after the end"); !errors.Is(err, data.ErrOver) {
		t.Errorf("after the end: %v", err)
	}
}

// After any number, forged or after a long outage, the peer's next messages are taken. The maxLate
// messages before each are late.
func TestNumbersFarAway(t *testing.T) {
	s, k := new(sink), data.New(data.Route{})
	k.Begin(s)
	for i, jump := range []uint16{1, 100, 32767, 32768, 32769, 40000, 1 << 15, 61439} {
		k, s := data.New(data.Route{}), new(sink)
		k.Begin(s)
		for _, ns := range []uint16{0, jump, jump - 1, jump - 4095, jump + 1, jump + 2} {
			_ = receive(t, k, wire.Header{HasSeq: true, Ns: ns}, "x")
		}
		if want := 4; len(s.frames) != want {
			t.Errorf("%d: a jump by %d: %d messages are taken, want %d", i, jump, len(s.frames), want)
		}
	}
	next := uint16(0)
	for forged := range 1 << 16 {
		_ = receive(t, k, wire.Header{HasSeq: true, Ns: uint16(forged)}, "forged")
		if err := receive(t, k, wire.Header{HasSeq: true, Ns: next}, "x"); err == nil {
			next++
		}
	}
	if lost := 1<<16 - int(next); lost > 2*1<<12 {
		t.Errorf("%d messages are lost among as many forged ones", lost)
	}
}

// Our messages carry the peer's identifiers. They carry numbers once the peer has sent one, or has
// required them.
func TestSend(t *testing.T) {
	for _, required := range []bool{true, false} {
		k := data.New(data.Route{})
		k.Begin(new(sink))
		k.SetPeer(0x1234, 0xABCD)
		if !required {
			if h := sent(t, k); h != (wire.Header{Tunnel: 0x1234, Session: 0xABCD}) {
				t.Errorf("got %+v, want only the identifiers 0x1234 and 0xABCD", h)
			}
			if err := receive(t, k, wire.Header{HasSeq: true}, "x"); err != nil {
				t.Fatal(err)
			}
		} else {
			k.Number()
		}
		for ns := range uint16(3) {
			if h := sent(t, k); h != (wire.Header{Tunnel: 0x1234, Session: 0xABCD, HasSeq: true, Ns: ns}) {
				t.Errorf("required %v: %+v", required, h)
			}
		}
	}
}

func sent(t *testing.T, k *data.Call) wire.Header {
	t.Helper()
	b := pktbuf.Get()
	b.Append([]byte("frame"))
	var out link.Batch
	k.Send(b, &out)
	h, payload, err := wire.ParseHeader(b.Bytes())
	if err != nil || string(payload) != "frame" {
		t.Errorf(`%x: %v, want a header, and behind it "frame"`, b.Bytes(), err)
	}
	return h
}
