package pptp

import (
	"cmp"
	"time"
	"vpnd/internal/pktbuf"
)

const (
	// ReorderWindow is how many packets may wait for a missing one.
	ReorderWindow = 32
	// ReorderTimeout is how long they wait, if the Receiver does not set it. A lost packet must not
	// stall the link.
	ReorderTimeout = 100 * time.Millisecond
	// AckAfter is how many packets are acknowledged at once, even if none of our packets can carry
	// the acknowledgement. A peer that obeys our window begins with half of it (RFC 2637 section
	// 4.2), and would otherwise wait for AckDelay.
	AckAfter = Window / 4
	// AckDelay is how long an acknowledgement waits for a packet of ours that can carry it.
	AckDelay = 400 * time.Millisecond

	// maxLate is how far behind a packet counts as late. A packet further away, in either
	// direction, starts the stream again at its number. So one forged number does not make all
	// packets of the peer late.
	maxLate = 1 << 16
)

// Receiver puts the numbered packets of one call back into order (RFC 2637 section 4.3). It drops
// late packets. It is not safe for concurrent use. The zero value is ready.
type Receiver struct {
	Timeout time.Duration // how long packets wait for a missing one; ReorderTimeout

	next  uint32 // the next number to deliver
	held  int
	slots *[ReorderWindow]slot // by number, modulo the window; nil until a packet waits
}

// slot is a waiting packet and the time of its arrival. The zero value is empty.
type slot struct {
	b  *pktbuf.Buf
	at time.Time
}

// Late reports whether the number seq is late if next is expected.
func Late(seq, next uint32) bool {
	behind := next - seq
	return 0 < behind && behind <= maxLate
}

// Put takes the packet with the number seq, and delivers the packets that are now in order. It
// leaves a late or doubled packet to its caller.
func (r *Receiver) Put(now time.Time, seq uint32, b *pktbuf.Buf, deliver func(*pktbuf.Buf)) (taken bool) {
	ahead := seq - r.next
	switch {
	case Late(seq, r.next):
		return false
	case ahead == 0 && r.held == 0:
		r.next++
		deliver(b)
		return true
	}
	for ahead >= ReorderWindow {
		if r.held == 0 {
			r.next = seq
		} else {
			r.skip(deliver)
		}
		ahead = seq - r.next
	}
	if r.slots == nil {
		r.slots = new([ReorderWindow]slot)
	}
	place := &r.slots[seq%ReorderWindow]
	if place.b != nil {
		return false
	}
	*place = slot{b, now}
	r.held++
	r.run(deliver)
	return true
}

// run delivers the next packets, as far as they are there.
func (r *Receiver) run(deliver func(*pktbuf.Buf)) {
	for r.held > 0 {
		place := &r.slots[r.next%ReorderWindow]
		b := place.b
		if b == nil {
			return
		}
		*place = slot{}
		r.held--
		r.next++
		deliver(b)
	}
}

// skip gives up the missing packets before the first waiting one.
func (r *Receiver) skip(deliver func(*pktbuf.Buf)) {
	for r.held > 0 && r.slots[r.next%ReorderWindow].b == nil {
		r.next++
	}
	r.run(deliver)
}

// Waiting reports whether packets wait for a missing one. The caller must then call Expire.
func (r *Receiver) Waiting() bool { return r.held > 0 }

// Expire gives up missing packets until no packet has waited for the timeout.
func (r *Receiver) Expire(now time.Time, deliver func(*pktbuf.Buf)) {
	for r.held > 0 && now.Sub(r.oldest()) >= cmp.Or(r.Timeout, ReorderTimeout) {
		r.skip(deliver)
	}
}

// oldest is the arrival time of the packet that has waited longest. At least one must wait.
func (r *Receiver) oldest() time.Time {
	var at time.Time
	for _, s := range r.slots {
		if s.b != nil && (at.IsZero() || s.at.Before(at)) {
			at = s.at
		}
	}
	return at
}

// Drop releases the waiting packets.
func (r *Receiver) Drop() {
	for r.held > 0 {
		r.skip((*pktbuf.Buf).Release)
	}
}
