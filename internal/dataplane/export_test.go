package dataplane

import (
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// Outbound does with a packet what Run does.
func Outbound(p *Plane, b *pktbuf.Buf, out *link.Batch) { p.outbound(b, out) }

// NewBucket makes the token bucket of a limit. The caller has its clock.
func NewBucket(bitsPerSecond uint64) func(now time.Time, size int) bool {
	return newBucket(bitsPerSecond).take
}

// HasChain reports whether the data path has to check any packet.
func (t *Port) HasChain() bool { return t.chain.Load() != nil }

// NewKeyBucket makes the token bucket of MPPE key changes. The caller has its clock.
func NewKeyBucket(perSecond int64) func(now time.Time, changes int) bool {
	return newKeyBucket(perSecond).take
}

// Pass lets time pass for the limits on the work that bad packets cause.
func (t *Port) Pass(d time.Duration) { t.resetAt.Add(-int64(d)) }

// MaxLost is how many packets in a row must fail to decrypt before the port reports it.
const MaxLost = maxLost
