package pptp_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"vpnd/internal/pktbuf"
	"vpnd/pptp"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// inbox gathers the numbers of the delivered packets.
type inbox struct{ got []uint32 }

func (i *inbox) deliver(b *pktbuf.Buf) {
	i.got = append(i.got, binary.BigEndian.Uint32(b.Bytes()))
	b.Release()
}

func numbered(seq uint32) *pktbuf.Buf {
	b := pktbuf.Get()
	b.Append(binary.BigEndian.AppendUint32(nil, seq))
	return b
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []uint32
		late     int
	}{
		{"in order", []uint32{0, 1, 2, 3}, []uint32{0, 1, 2, 3}, 0},
		{"first swapped", []uint32{1, 0, 2}, []uint32{0, 1, 2}, 0},
		{"swapped as in a Windows trace", []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 9, 11}, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 0},
		{"doubled", []uint32{0, 0, 1, 2, 1}, []uint32{0, 1, 2}, 2},
		{"doubled while waiting", []uint32{0, 2, 2, 1}, []uint32{0, 1, 2}, 1},
		{"a jump over the window", []uint32{0, 1, 1000, 1001}, []uint32{0, 1, 1000, 1001}, 0},
		{"a hole, and the window is full", []uint32{0, 2, 3, 40}, []uint32{0, 2, 3, 40}, 0},
		{"late", []uint32{0, 1000, 1}, []uint32{0, 1000}, 1},
		{"a jump while one waits", []uint32{0, 2, 1000, 1001}, []uint32{0, 2, 1000, 1001}, 0},
		{"late by the most", []uint32{0, 1 << 16, 1, 1 << 16, 1<<16 + 1}, []uint32{0, 1 << 16, 1<<16 + 1}, 2},
		{"a number far ahead", []uint32{0, 1, 1 << 30, 2, 3, 4}, []uint32{0, 1, 1 << 30, 2, 3, 4}, 0},
		{"numbers far away, one for each packet", []uint32{70000, 1 << 31, 70001, 1<<31 + 5, 70002, 0, 70003}, []uint32{70000, 1 << 31, 70001, 1<<31 + 5, 70002, 0, 70003}, 0},
		{"a number far ahead while one waits", []uint32{0, 2, 1 << 30, 3, 5, 4}, []uint32{0, 2, 1 << 30, 3, 4, 5}, 0},
		{"numbers that begin again", []uint32{100_000, 0, 1, 2}, []uint32{100_000, 0, 1, 2}, 0},
		{"a jump of nearly half of the space", []uint32{0, 2, 1<<31 - 1, 1 << 31}, []uint32{0, 2, 1<<31 - 1, 1 << 31}, 0},
	} {
		var r pptp.Receiver
		var i inbox
		late := 0
		for _, seq := range c.in {
			if b := numbered(seq); !r.Put(start, seq, b, i.deliver) {
				late++
				b.Release()
			}
		}
		if !slices.Equal(i.got, c.want) || late != c.late {
			t.Errorf("%s: %v and %d late, want %v and %d", c.name, i.got, late, c.want, c.late)
		}
	}
}

func TestWrapAround(t *testing.T) {
	var r pptp.Receiver
	var i inbox
	for seq := uint32(1 << 31); ; seq = 0xFFFFFFF0 { // the second jump is over half the numbers
		r.Put(start, seq-1, numbered(seq-1), i.deliver)
		if seq == 0xFFFFFFF0 {
			break
		}
	}
	i.got = nil
	for d := range uint32(32) {
		r.Put(start, 0xFFFFFFF0+(d^1), numbered(d), i.deliver)
	}
	if len(i.got) != 32 {
		t.Errorf("%d delivered over the wrap-around", len(i.got))
	}
}

func TestLostPacketDoesNotStall(t *testing.T) {
	var r pptp.Receiver
	var i inbox
	r.Put(start, 0, numbered(0), i.deliver)
	r.Put(start, 2, numbered(2), i.deliver)
	r.Expire(start.Add(pptp.ReorderTimeout-1), i.deliver)
	if len(i.got) != 1 || !r.Waiting() {
		t.Fatalf("too early: %v", i.got)
	}
	r.Expire(start.Add(pptp.ReorderTimeout), i.deliver)
	if !slices.Equal(i.got, []uint32{0, 2}) || r.Waiting() {
		t.Errorf("got %v, want 0 and 2, and nothing that waits", i.got)
	}
	r.Put(start, 5, numbered(5), i.deliver)
	r.Put(start, 7, numbered(7), i.deliver)
	r.Put(start, 9, numbered(9), i.deliver)
	r.Put(start.Add(90*time.Millisecond), 3, numbered(3), i.deliver)
	r.Put(start.Add(90*time.Millisecond), 4, numbered(4), i.deliver)
	r.Put(start.Add(90*time.Millisecond), 11, numbered(11), i.deliver)
	r.Expire(start.Add(pptp.ReorderTimeout), i.deliver) // 7 and 9 have waited enough, 11 has not
	if !slices.Equal(i.got, []uint32{0, 2, 3, 4, 5, 7, 9}) {
		t.Errorf("not what has waited too long: %v", i.got)
	}
	r.Drop()
	if r.Waiting() || len(i.got) != 7 {
		t.Errorf("after Drop: %v", i.got)
	}
}

// A Receiver can have a longer time-out.
func TestReceiverTimeout(t *testing.T) {
	r := pptp.Receiver{Timeout: time.Minute}
	var i inbox
	r.Put(start, 1, numbered(1), i.deliver)
	r.Expire(start.Add(time.Minute-1), i.deliver)
	if len(i.got) != 0 {
		t.Fatalf("too early: %v", i.got)
	}
	r.Expire(start.Add(time.Minute), i.deliver)
	if !slices.Equal(i.got, []uint32{1}) {
		t.Errorf("got %v, want 1", i.got)
	}
}

// Time-outs do not add up. However many packets are missing, no packet waits longer than for one of
// them, and none is delivered out of order. Calls are looked at every 50 ms.
func TestHolesDoNotAddUp(t *testing.T) {
	const look = 50 * time.Millisecond
	for _, loss := range []float64{0.01, 0.05, 0.1, 0.2, 0.5} {
		for seed := range uint64(5) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			var r pptp.Receiver
			var got inbox
			now, came := start, map[uint32]time.Time{}
			deliver := func(b *pktbuf.Buf) {
				got.deliver(b)
				if waited := now.Sub(came[got.got[len(got.got)-1]]); waited > pptp.ReorderTimeout+look {
					t.Fatalf("loss %v, seed %d: a packet waits %v", loss, seed, waited)
				}
			}
			sent := uint32(0)
			const sending, all = 60_000, 60_500 // milliseconds
			for ms := range all {
				now = start.Add(time.Duration(ms) * time.Millisecond)
				if ms%50 == 0 {
					r.Expire(now, deliver)
				}
				if ms%20 != 0 || ms >= sending {
					continue
				}
				if sent++; rnd.Float64() >= loss {
					came[sent] = now
					r.Put(now, sent, numbered(sent), deliver)
				}
			}
			if len(got.got) != len(came) || !slices.IsSorted(got.got) {
				t.Errorf("loss %v, seed %d: %d of %d are delivered", loss, seed, len(got.got), len(came))
			}
		}
	}
}

// In any order of packets, the delivered numbers rise, and no packet within the window is lost.
func TestShuffled(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var r pptp.Receiver
		var i inbox
		numbers := make([]uint32, 1000)
		for n := range numbers {
			numbers[n] = uint32(n)
		}
		for at := 0; at < len(numbers); at += 20 {
			block := numbers[at : at+20]
			rnd.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		}
		for _, seq := range numbers {
			if b := numbered(seq); !r.Put(start, seq, b, i.deliver) {
				b.Release()
			}
		}
		if !slices.IsSorted(i.got) {
			t.Fatalf("seed %d: out of order", seed)
		}
		if len(i.got) != len(numbers) {
			t.Errorf("seed %d: %d of 1000 delivered", seed, len(i.got))
		}
	}
}

// Numbers that begin at 1 are delivered too, if nothing came before.
func TestBeginsAtOne(t *testing.T) {
	var r pptp.Receiver
	var i inbox
	r.Put(start, 1, numbered(1), i.deliver)
	r.Expire(start.Add(pptp.ReorderTimeout), i.deliver)
	r.Put(start.Add(pptp.ReorderTimeout), 2, numbered(2), i.deliver)
	if !slices.Equal(i.got, []uint32{1, 2}) {
		t.Errorf("got %v, want 1 and 2", i.got)
	}
}

// A late or doubled packet costs nothing and changes nothing.
func TestLateFlood(t *testing.T) {
	var r pptp.Receiver
	var i inbox
	r.Put(start, 1<<30, numbered(1<<30), i.deliver) // far ahead: the first
	r.Put(start, 1<<30+2, numbered(1<<30+2), i.deliver)
	late := numbered(0)
	if n := testing.AllocsPerRun(1000, func() {
		for _, seq := range []uint32{1<<30 - 1<<16 + 1, 1<<30 - 1, 1 << 30, 1<<30 + 2} {
			if r.Put(start, seq, late, i.deliver) {
				t.Fatalf("%d is taken", seq)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	r.Put(start, 1<<30+1, numbered(1<<30+1), i.deliver)
	if !slices.Equal(i.got, []uint32{1 << 30, 1<<30 + 1, 1<<30 + 2}) {
		t.Errorf("got %v, want three in order from 1<<30", i.got)
	}
}

func TestReceiverAllocatesNothing(t *testing.T) {
	var r pptp.Receiver
	var seq uint32
	deliver := (*pktbuf.Buf).Release
	r.Put(start, 1, pktbuf.Get(), deliver)
	r.Put(start, 0, pktbuf.Get(), deliver)
	seq = 2
	if n := testing.AllocsPerRun(1000, func() {
		r.Put(start, seq+1, pktbuf.Get(), deliver)
		r.Put(start, seq, pktbuf.Get(), deliver)
		seq += 2
	}); n >= 1 {
		t.Errorf("%v allocations for two packets", n)
	}
}
