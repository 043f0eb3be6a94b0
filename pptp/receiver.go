package pptp

import (
	"time"
	"vpnd/internal/pktbuf"
)

const (
	// ReorderWindow is how many packets may wait for one that is missing.
	ReorderWindow = 32
	// ReorderTimeout is how long they wait: a lost packet must not stall the link.
	ReorderTimeout = 100 * time.Millisecond
	// AckDelay is how long an acknowledgement waits for a packet of ours that can carry it.
	AckDelay = 400 * time.Millisecond
)

// Receiver puts the numbered packets of one call back into order (RFC 2637 section 4.3). Packets of
// the past are dropped. It is not safe for concurrent use; the zero value is ready.
type Receiver struct {
	next  uint32 // the number to be delivered next
	held  int
	slots *[ReorderWindow]*pktbuf.Buf // by number, modulo the window; nil while nothing has waited
	since time.Time                   // when the hole at next was noticed
}

// Put takes the packet numbered seq, and ownership of b, and delivers what is in order now. It answers
// false, and leaves b alone, when the packet comes too late or twice.
func (r *Receiver) Put(now time.Time, seq uint32, b *pktbuf.Buf, deliver func(*pktbuf.Buf)) bool {
	ahead := int32(seq - r.next)
	switch {
	case ahead < 0:
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
		ahead = int32(seq - r.next)
	}
	if r.slots == nil {
		r.slots = new([ReorderWindow]*pktbuf.Buf)
	}
	slot := &r.slots[seq%ReorderWindow]
	if *slot != nil {
		return false
	}
	*slot = b
	if r.held == 0 || seq == r.next {
		r.since = now
	}
	r.held++
	r.run(deliver)
	return true
}

// run delivers what is next for as long as it is there.
func (r *Receiver) run(deliver func(*pktbuf.Buf)) {
	for r.held > 0 {
		slot := &r.slots[r.next%ReorderWindow]
		b := *slot
		if b == nil {
			return
		}
		*slot = nil
		r.held--
		r.next++
		deliver(b)
	}
}

// skip gives up what is missing before the first packet that waits.
func (r *Receiver) skip(deliver func(*pktbuf.Buf)) {
	for r.held > 0 && r.slots[r.next%ReorderWindow] == nil {
		r.next++
	}
	r.run(deliver)
}

// Waiting reports whether packets wait for one that is missing: Expire is to be called.
func (r *Receiver) Waiting() bool { return r.held > 0 }

// Expire delivers what has waited for ReorderTimeout.
func (r *Receiver) Expire(now time.Time, deliver func(*pktbuf.Buf)) {
	if r.held == 0 || now.Sub(r.since) < ReorderTimeout {
		return
	}
	r.skip(deliver)
	r.since = now
}

// Drop releases what waits.
func (r *Receiver) Drop() {
	for r.held > 0 {
		r.skip((*pktbuf.Buf).Release)
	}
}
