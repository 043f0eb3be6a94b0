package gre

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/wire"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	peer  = netip.MustParseAddr("192.0.2.7")
)

// sink counts the frames.
type sink struct {
	frames int
	octets int
	down   []string
}

func (s *sink) Frame(b *pktbuf.Buf) {
	s.frames++
	s.octets += b.Len()
	b.Release()
}

func (s *sink) Down(why reason.Reason) { s.down = append(s.down, why.String()) }

// datagram is a packet from a raw socket, with the IP header.
func datagram(gre []byte) *mmsg.Packet {
	b := pktbuf.Get()
	b.Append(append([]byte{0x45, 19: 0}, gre...))
	return &mmsg.Packet{Buf: b, From: netip.AddrPortFrom(peer, 0)}
}

func packet(h wire.GRE, payload int) []byte {
	b := make([]byte, h.Len()+payload)
	h.Put(b, payload)
	return b
}

func newCall(tb testing.TB) (*Exchange, *Call, *sink) {
	tb.Helper()
	x := NewExchange(10, rand.Reader)
	k, err := x.NewCall(Route{Remote: peer})
	if err != nil {
		tb.Fatal(err)
	}
	s := new(sink)
	k.Begin(s)
	return x, k, s
}

func TestIdentifiers(t *testing.T) {
	x := NewExchange(1<<20, rand.Reader)
	seen := map[uint16]*Call{}
	for range 32768 {
		k, err := x.NewCall(Route{})
		if err != nil {
			t.Fatal(err)
		}
		if k.ID() == 0 || seen[k.ID()] != nil {
			t.Fatalf("identifier %d", k.ID())
		}
		seen[k.ID()] = k
	}
	if _, err := x.NewCall(Route{}); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	for _, k := range seen {
		k.Down(reason.Reason{})
		k.Down(reason.Reason{})
	}
	if n := x.Calls(); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	x = NewExchange(1, rand.Reader)
	last := map[uint16]int{}
	for i := range 20000 {
		k, err := x.NewCall(Route{})
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := last[k.ID()]; ok && i-at <= idsKept {
			t.Fatalf("call %d has the identifier of call %d", i, at)
		}
		last[k.ID()] = i
		k.Down(reason.Reason{})
	}
	x = NewExchange(5, bytes.NewReader([]byte{0, 0, 0, 9, 0, 9, 0, 8}))
	for _, want := range []uint16{9, 8} {
		if k, err := x.NewCall(Route{}); err != nil || k.ID() != want {
			t.Errorf("%v, want %d", err, want)
		}
	}
	if _, err := x.NewCall(Route{}); err == nil {
		t.Error("no random bytes, and no error")
	}
}

// A dropped packet is counted. It allocates nothing, and leaves no due work.
func TestDroppedCostsNothing(t *testing.T) {
	x, k, s := newCall(t)
	x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 9000}, 4)))
	if s.frames != 1 {
		t.Fatalf("%d frames", s.frames)
	}
	k.noticed.Store(false)
	x.attention.calls = nil
	other := datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 9001}, 4))
	other.From = netip.MustParseAddrPort("192.0.2.8:0")
	for _, c := range []struct {
		reason string
		p      *mmsg.Packet
	}{
		{"late or doubled", datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 8999}, 4))},
		{"late or doubled", datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true}, 4))},
		{"wrong source address", other},
		{"unknown call", datagram(packet(wire.GRE{CallID: k.ID() ^ 1, HasSeq: true, Seq: 9001}, 4))},
		{"malformed", datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 9001}, 4)[:15])},
		{"malformed", datagram(nil)},
		{"", datagram(packet(wire.GRE{CallID: k.ID(), HasAck: true, Ack: 1}, 0))}, // is taken
	} {
		whole := append([]byte(nil), c.p.Buf.Bytes()...)
		before := x.Dropped()
		const runs = 1000
		if n := testing.AllocsPerRun(runs, func() {
			c.p.Buf.Reset()
			c.p.Buf.Append(whole)
			if x.packet(start, c.p) {
				t.Fatalf("%s: taken", c.reason)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", c.reason, n)
		}
		for reason, n := range x.Dropped() {
			want := before[reason]
			if reason == c.reason {
				want += runs + 1
			}
			if n != want {
				t.Errorf("%s: %d counted as %s, want %d", c.reason, n, reason, want)
			}
		}
	}
	if s.frames != 1 || len(x.attention.calls) != 0 {
		t.Errorf("%d frames, %d calls wait", s.frames, len(x.attention.calls))
	}
}

// After its end, a call takes and sends nothing. It has told its session once.
func TestDown(t *testing.T) {
	x, k, s := newCall(t)
	x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 1}, 4))) // waits for 0
	k.Down(reason.New(reason.Dropped, "over"))
	k.Down(reason.New(reason.Dropped, "again"))
	if len(s.down) != 1 || s.down[0] != "over" || !k.Over() || s.frames != 0 {
		t.Errorf(`got %+v, want no frame, and one end by "over"`, s)
	}
	if x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true}, 4))) || x.Dropped()["unknown call"] != 1 {
		t.Errorf("got %v, want one packet of an unknown call", x.Dropped())
	}
	if k.receive(start, 0, pktbuf.Get()) {
		t.Error("a reader that had found the call before delivers")
	}
	var out link.Batch
	k.Send(pktbuf.Get(), &out)
	if k.attend(start.Add(time.Hour), &out) {
		t.Error("it waits for something")
	}
	out.Flush() // panics if there is something to send: there is no socket
}

// FuzzPacket gives any packets to one call. Nothing crashes, and every dropped packet is counted,
// except bare acknowledgements.
func FuzzPacket(f *testing.F) {
	for n := range 17 {
		f.Add(append([]byte{0x45, 19: 0}, packet(wire.GRE{CallID: 1, HasSeq: true, HasAck: true}, 0)[:n]...))
	}
	// The IP header has a wrong length.
	f.Add(append([]byte{0x4F, 19: 0}, packet(wire.GRE{CallID: 1, HasSeq: true}, 9)...))
	f.Add([]byte{0x40})
	f.Add(append([]byte{0x45, 19: 0}, packet(wire.GRE{CallID: 1, HasSeq: true, Seq: 1 << 31}, 1)...))
	x := NewExchange(1, bytes.NewReader([]byte{0, 1}))
	k, err := x.NewCall(Route{Remote: peer})
	if err != nil {
		f.Fatal(err)
	}
	s := new(sink)
	f.Fuzz(func(t *testing.T, ip []byte) {
		ip = ip[:min(len(ip), pktbuf.Size-pktbuf.Headroom)]
		k.receiver.Drop()
		k.receiver = pptp.Receiver{}
		*s = sink{}
		k.Begin(s)
		for seq := range byte(3) {
			p := &mmsg.Packet{Buf: pktbuf.Get(), From: netip.AddrPortFrom(peer, 0)}
			p.Buf.Append(ip)
			if at := 31; len(ip) > at && seq > 0 {
				p.Buf.Bytes()[at] += seq
			}
			before := x.Dropped()
			if x.packet(start, p) {
				continue
			}
			drops := uint64(0)
			for reason, n := range x.Dropped() {
				drops += n - before[reason]
			}
			bare := len(ip) > 20 && int(ip[0]&15)*4 < len(ip) && ip[ip[0]&15*4]&0x10 == 0
			if drops != 1 && !bare {
				t.Fatalf("%x: %d counted", ip, drops)
			}
		}
		k.receiver.Expire(start.Add(time.Hour), k.deliver)
		if s.octets > 3*len(ip) {
			t.Fatalf("%x: %d bytes are delivered", ip, s.octets)
		}
	})
}

// teller is a sink that reports each frame.
type teller chan struct{}

func (c teller) Frame(b *pktbuf.Buf) {
	b.Release()
	c <- struct{}{}
}

func (c teller) Down(reason.Reason) {}

// A packet comes during a look at its call, and has to wait for another one. The call gets another
// look. Otherwise the packet would wait for the next one.
func TestLookMissesNothing(t *testing.T) {
	x, k, _ := newCall(t)
	came := make(teller, 1)
	k.Begin(came)
	past := time.Now().Add(-time.Hour)
	x.packet(past, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 1}, 4))) // waits for 0
	// The look waits for this lock before its acknowledgement.
	k.tx.Lock()
	looked := make(chan struct{})
	go func() {
		var out link.Batch
		x.attention.look([]*Call{k}, &out)
		close(looked)
	}()
	<-came
	x.packet(past, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 3}, 4))) // waits for 2
	// One of our packets has carried the acknowledgement.
	k.owes.Store(0)
	k.tx.Unlock()
	<-looked
	if !k.receiver.Waiting() || !k.noticed.Load() || !slices.Contains(x.attention.calls, k) {
		t.Errorf("waiting %v, noticed %v", k.receiver.Waiting(), k.noticed.Load())
	}
}

// AckAfter packets are acknowledged at once. The packets of one read are acknowledged together.
func TestAcknowledgementsDue(t *testing.T) {
	x, k, _ := newCall(t)
	for round := range 3 {
		for i := range pptp.AckAfter {
			if due := x.overdue.take(nil); len(due) != 0 {
				t.Fatalf("round %d: due after %d packets", round, i)
			}
			x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: 5000 + uint32(round*pptp.AckAfter+i)}, 4)))
		}
		if due := x.overdue.take(nil); len(due) != 1 || due[0] != k {
			t.Fatalf("round %d: %d calls", round, len(due))
		}
		if ack, due := k.owed(); !due || ack != 5000+uint32((round+1)*pptp.AckAfter)-1 {
			t.Errorf("round %d: %d, %v", round, ack, due)
		}
	}
}

// Frames that come before the sink wait for it, up to a limit. Without a sink they are released.
func TestExpect(t *testing.T) {
	x := NewExchange(2, rand.Reader)
	k, err := x.NewCall(Route{Remote: peer})
	if err != nil {
		t.Fatal(err)
	}
	k.Expect()
	for seq := range uint32(maxEarly + 5) {
		x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: seq}, 4)))
	}
	s := new(sink)
	if k.Begin(s); s.frames != maxEarly {
		t.Errorf("%d frames", s.frames)
	}
	x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true, Seq: maxEarly + 5}, 4)))
	if s.frames != maxEarly+1 || k.owes.Load() == 0 {
		t.Errorf("%d frames", s.frames)
	}
	if k, err = x.NewCall(Route{Remote: peer}); err != nil {
		t.Fatal(err)
	}
	k.Expect()
	x.packet(start, datagram(packet(wire.GRE{CallID: k.ID(), HasSeq: true}, 4)))
	k.Down(reason.New(reason.Dropped, "over"))
	late := new(sink)
	if k.Begin(late); late.frames != 0 || len(late.down) != 1 || len(k.early) != 0 {
		t.Errorf("got %+v, want no frame, and one end", late)
	}
}
