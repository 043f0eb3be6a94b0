package dataplane

import (
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// Outbound is what Run does with each packet.
func Outbound(p *Plane, b *pktbuf.Buf, out *link.Batch) { p.outbound(b, out) }

// NewBucket makes the token bucket of a limit, whose clock is the caller's.
func NewBucket(bitsPerSecond uint64) func(now time.Time, size int) bool {
	return newBucket(bitsPerSecond).take
}

// HasChain reports whether the data path has anything to look at for each packet.
func (t *Port) HasChain() bool { return t.chain.Load() != nil }

// NewKeyBucket makes the token bucket of MPPE key changes, whose clock is the caller's.
func NewKeyBucket(perSecond int64) func(now time.Time, changes int) bool {
	return newKeyBucket(perSecond).take
}

// Pass lets time pass for the limits on what bad packets make us do.
func (t *Port) Pass(d time.Duration) { t.resetAt.Add(-int64(d)) }

// MaxLost is how many packets in a row do not decrypt until that is told.
const MaxLost = maxLost
