package pptp

import (
	"cmp"
	"time"
	"vpnd/internal/pktbuf"
)

const (
	// ReorderWindow is how many packets may wait for one that is missing.
	ReorderWindow = 32
	// ReorderTimeout is how long they wait, unless a Receiver says otherwise: a lost packet must not stall the link.
	ReorderTimeout = 100 * time.Millisecond
	// AckAfter is how many packets are acknowledged at once, whether one of ours can carry that or not. A peer that obeys
	// our window begins with half of it (RFC 2637 section 4.2) and would wait for AckDelay otherwise.
	AckAfter = Window / 4
	// AckDelay is how long an acknowledgement waits for a packet of ours that can carry it.
	AckDelay = 400 * time.Millisecond

	// maxLate is how far behind a packet counts as late. One that is further away, either way, begins the stream again
	// there: one forged number must not have all packets of the peer taken for late ones.
	maxLate = 1 << 16
)

// Receiver puts the numbered packets of one call back into order (RFC 2637 section 4.3). Packets of
// the past are dropped. It is not safe for concurrent use; the zero value is ready.
type Receiver struct {
	Timeout time.Duration // how long packets wait for one that is missing; ReorderTimeout

	next  uint32 // the number to be delivered next
	held  int
	slots *[ReorderWindow]slot // by number, modulo the window; nil while nothing has waited
}

// slot is a packet that waits, since at. The zero value is none.
type slot struct {
	b  *pktbuf.Buf
	at time.Time
}

// Late reports whether the number seq is one of the past, where next is expected.
func Late(seq, next uint32) bool {
	behind := next - seq
	return 0 < behind && behind <= maxLate
}

// Put takes the packet numbered seq, and delivers what is in order now. It leaves a packet that comes
// too late or twice to its caller.
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

// run delivers what is next for as long as it is there.
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

// skip gives up what is missing before the first packet that waits.
func (r *Receiver) skip(deliver func(*pktbuf.Buf)) {
	for r.held > 0 && r.slots[r.next%ReorderWindow].b == nil {
		r.next++
	}
	r.run(deliver)
}

// Waiting reports whether packets wait for a missing one: the caller must call Expire.
func (r *Receiver) Waiting() bool { return r.held > 0 }

// Expire gives up holes until nothing is left that has waited for the timeout.
func (r *Receiver) Expire(now time.Time, deliver func(*pktbuf.Buf)) {
	for r.held > 0 && now.Sub(r.oldest()) >= cmp.Or(r.Timeout, ReorderTimeout) {
		r.skip(deliver)
	}
}

// oldest is since when the packet waits that came first. There is one.
func (r *Receiver) oldest() time.Time {
	var at time.Time
	for _, s := range r.slots {
		if s.b != nil && (at.IsZero() || s.at.Before(at)) {
			at = s.at
		}
	}
	return at
}

// Drop releases what waits.
func (r *Receiver) Drop() {
	for r.held > 0 {
		r.skip((*pktbuf.Buf).Release)
	}
}
