package l2tp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/l2tp/wire"
)

var channelStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// line is two channels, and the datagrams on their way to each.
type line struct {
	ends [2]channel
	way  [2][][]byte
	got  [2][]uint16 // the received messages, by their content
	acks [2]int      // bare acknowledgements received by each
}

// newLine makes two channels. Their next numbers are first.
func newLine(first uint16, window int) *line {
	l := new(line)
	for i := range l.ends {
		l.ends[i].init(func(datagram []byte) { l.way[1-i] = append(l.way[1-i], datagram) })
		l.ends[i].ns, l.ends[i].acked, l.ends[i].nr = first, first, first
		l.ends[i].setWindow(window)
	}
	return l
}

func (l *line) deliver(t *testing.T, now time.Time, end int, datagram []byte) {
	t.Helper()
	h, body, err := wire.ParseHeader(datagram)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) == 0 {
		l.acks[end]++
	}
	if l.ends[end].receive(now, h, len(body)) {
		l.got[end] = append(l.got[end], binary.BigEndian.Uint16(body))
		l.ends[end].ack()
	}
}

func always() bool { return true }

// A line loses, doubles and swaps messages, and the numbers wrap around. Every message still comes
// once and in order, in both directions. The unacknowledged messages never exceed the peer's
// window.
func TestChannelBadLine(t *testing.T) {
	const n = 300
	for seed := range uint64(40) {
		for _, first := range []uint16{0, 65535, 65536 - 100, 32768 - 100} {
			window := []int{1, 4, 8}[seed%3]
			rnd := rand.New(rand.NewPCG(seed, uint64(first)))
			l, now, pushed := newLine(first, window), channelStart, [2]int{}
			for step := 0; len(l.got[0]) < n || len(l.got[1]) < n; step++ {
				if step > 200_000 {
					t.Fatalf("seed %d, first %d: %d and %d of %d come", seed, first, len(l.got[0]), len(l.got[1]), n)
				}
				for i := range l.ends {
					if pushed[i] < n && len(l.ends[i].queue) < maxQueue {
						l.ends[i].push(now, 0, u16(uint16(pushed[i])))
						pushed[i]++
					}
					if c := &l.ends[i]; c.sent > c.window || c.cwnd > c.window {
						t.Fatalf("seed %d: %d on their way, window %d, congestion window %d", seed, c.sent, c.window, c.cwnd)
					}
				}
				end := rnd.IntN(2)
				if way := l.way[end]; len(way) > 0 {
					at := rnd.IntN(min(len(way), 4)) // swapped
					datagram := way[at]
					if what := rnd.IntN(10); what > 2 { // 2: doubled; 0, 1: lost
						l.deliver(t, now, end, datagram)
					} else if what == 2 {
						l.deliver(t, now, end, datagram)
						l.deliver(t, now, end, datagram)
					}
					l.way[end] = slices.Delete(way, at, at+1)
					continue
				}
				now = now.Add(500 * time.Millisecond)
				for i := range l.ends {
					l.ends[i].tick(now, always)
				}
			}
			for i := range l.got {
				for k, v := range l.got[i] {
					if int(v) != k {
						t.Fatalf("seed %d, first %d: message %d comes in place %d", seed, first, v, k)
					}
				}
			}
		}
	}
}

// The window opens by one for each acknowledgement, up to the peer's window. After a loss it begins
// again: it grows by ones up to half of its old size, then by one per window.
func TestChannelSlowStart(t *testing.T) {
	now := channelStart
	sent := 0
	var c channel
	c.init(func([]byte) { sent++ })
	c.setWindow(8)
	for range 60 {
		c.push(now, 0, u16(1))
	}
	round := func() int { // all messages on their way are acknowledged at once
		before := sent
		c.receive(now, wire.Header{Ns: c.nr, Nr: c.ns}, 0)
		return sent - before
	}
	var got []int
	for range 4 {
		got = append(got, round())
	}
	if sent != 1+2+4+8+8 || !slices.Equal(got, []int{2, 4, 8, 8}) {
		t.Errorf("%v, and %d in all", got, sent)
	}
	now = now.Add(time.Second)
	c.tick(now, always) // lost
	if c.cwnd != 1 || c.ssthresh != 4 {
		t.Errorf("after a loss: window %d, threshold %d", c.cwnd, c.ssthresh)
	}
	var windows []int
	for range 12 {
		c.receive(now, wire.Header{Ns: c.nr, Nr: c.acked + 1}, 0)
		windows = append(windows, c.cwnd)
	}
	if want := []int{2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6}; !slices.Equal(windows, want) {
		t.Errorf("%v, want %v", windows, want)
	}
}

// A message is sent at 0, 1, 3, 7 and 15 seconds, and given up at 23, unless the peer has sent
// anything meanwhile. An acknowledgement starts this again.
func TestChannelRetransmission(t *testing.T) {
	for _, alive := range []bool{false, true} {
		now := channelStart
		var c channel
		var at []string
		c.init(func(datagram []byte) {
			at = append(at, fmt.Sprintf("%v:%d", now.Sub(channelStart).Seconds(), binary.BigEndian.Uint16(datagram[8:])))
		})
		c.ns, c.acked = 65535, 65535
		c.push(now, 0, u16(1))
		c.push(now, 0, u16(2))
		for range 6 {
			now = c.deadline
			if !c.tick(now.Add(-time.Nanosecond), func() bool { return false }) || !c.deadline.Equal(now) {
				t.Fatal("before it is time")
			}
			if !c.tick(now, func() bool { return alive }) {
				at = append(at, fmt.Sprintf("%v:dead", now.Sub(channelStart).Seconds()))
				break
			}
		}
		want := "0:65535 1:65535 3:65535 7:65535 15:65535 23:dead"
		if alive {
			want = "0:65535 1:65535 3:65535 7:65535 15:65535 23:65535 31:65535"
		}
		if got := strings.Join(at, " "); got != want {
			t.Errorf("alive %v: %s, want %s", alive, got, want)
		}
		at = nil
		c.receive(now, wire.Header{Nr: 0}, 0) // acknowledges 65535
		if got := strings.Join(at, " "); got != fmt.Sprintf("%v:0", now.Sub(channelStart).Seconds()) || c.tries != 0 || !c.deadline.Equal(now.Add(time.Second)) {
			t.Errorf("after an acknowledgement: %s, %d tries, %v", got, c.tries, c.deadline.Sub(now))
		}
		c.receive(now, wire.Header{Nr: 1}, 0)
		if len(c.queue) != 0 || !c.deadline.IsZero() {
			t.Error("all is acknowledged, and a timer runs")
		}
	}
}

// Duplicates are acknowledged and dropped. Bare acknowledgements are never answered. A message that
// is ahead is not taken. A message that acknowledges an unsent number has no effect.
func TestChannelNumbers(t *testing.T) {
	for _, first := range []uint16{0, 65535, 32767} {
		l := newLine(first, 4)
		c := &l.ends[0]
		for _, s := range []struct {
			name     string
			ns, nr   uint16
			n        int
			next     bool
			answered int
		}{
			{"ahead", 1, 0, 2, false, 1},
			{"what was never sent is acknowledged", 0, 1, 2, false, 0},
			{"the next one", 0, 0, 2, true, 0},
			{"again", 0, 0, 2, false, 1},
			{"long past", 0x8000, 0, 2, false, 1},
			{"an acknowledgement", 1, 0, 0, false, 0},
			{"an old acknowledgement", 0, 0, 0, false, 0},
			{"the one after", 1, 0xFFF0, 2, true, 0},
		} {
			l.way[1] = nil
			next := c.receive(channelStart, wire.Header{Ns: first + s.ns, Nr: first + s.nr}, s.n)
			if next != s.next || len(l.way[1]) != s.answered {
				t.Errorf("first %d, %s: next %v, %d answers", first, s.name, next, len(l.way[1]))
			}
			for _, datagram := range l.way[1] {
				if h, body, _ := wire.ParseHeader(datagram); len(datagram) != 12 || len(body) != 0 || h.Ns != first || h.Nr != c.nr {
					t.Errorf("first %d, %s: answer %x", first, s.name, datagram)
				}
			}
		}
	}
}

// The input loses, doubles, swaps and delays the messages between two channels.
func FuzzChannel(f *testing.F) {
	f.Add(uint16(65535), byte(4), []byte{0, 1, 2, 3, 4, 5, 6, 7, 0x80, 0x81, 0x82, 0x83})
	f.Fuzz(func(t *testing.T, first uint16, window byte, script []byte) {
		l, now := newLine(first, int(window%9)), channelStart
		pushed := [2]int{}
		for _, b := range script {
			end := int(b & 1)
			switch way := l.way[end]; b >> 1 & 3 {
			case 0:
				if len(l.ends[end].queue) < maxQueue {
					l.ends[end].push(now, 0, u16(uint16(pushed[end])))
					pushed[end]++
				}
			case 1:
				if at := int(b >> 3); at < len(way) {
					l.deliver(t, now, end, way[at])
				}
			case 2:
				l.way[end] = way[min(len(way), 1):]
			case 3:
				now = now.Add(time.Duration(b>>3) * 100 * time.Millisecond)
				l.ends[end].tick(now, always)
			}
			if c := &l.ends[end]; c.sent > c.window || c.sent > len(c.queue) {
				t.Fatalf("%d on their way of %d, window %d", c.sent, len(c.queue), c.window)
			}
		}
		for i := range l.got { // the line is good from now on
			for range 200 {
				now = now.Add(time.Second)
				for end := range l.way {
					l.ends[end].tick(now, always)
				}
				for end := range l.way {
					way := l.way[end]
					l.way[end] = nil
					for _, datagram := range way {
						l.deliver(t, now, end, datagram)
					}
				}
			}
			if len(l.got[i]) != pushed[1-i] {
				t.Fatalf("%d of %d come", len(l.got[i]), pushed[1-i])
			}
			for k, v := range l.got[i] {
				if int(v) != k {
					t.Fatalf("message %d comes in place %d", v, k)
				}
			}
		}
	})
}
