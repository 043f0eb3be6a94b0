package dataplane

import (
	"encoding/binary"
	"sync"
	"time"
	"vpnd/internal/pktbuf"
)

// Policy sets which packets of a user are dropped, in both directions. The zero value drops only
// multicast.
type Policy struct {
	BlockNetBIOS  bool   // NetBIOS over TCP/IP (RFC 1002): ports 137 to 139
	PassMulticast bool   // packets to groups; those of the system go to all users with it
	UpLimit       uint64 // from the user, in bits per second; 0: none
	DownLimit     uint64 // to the user, in bits per second; 0: none
}

// A check returns the reason to drop a user's packet, or 0 to let it pass.
type check func(ipv4) Drop

// A Tap sees a user's packets: those that have come from the user, and those that are about to go
// to the user. It must not wait, and must not keep ip.
type Tap func(received bool, ip []byte)

// chain is a policy in the form that the data path uses. A check that is off costs nothing.
type chain struct {
	policy    Policy
	multicast bool
	in, out   []check
	tap       Tap
}

// SetPolicy replaces the policy. It may be called while packets pass.
func (t *Port) SetPolicy(p Policy) {
	t.policyLock.Lock()
	defer t.policyLock.Unlock()
	old := t.chain.Load()
	if old == nil && p == (Policy{}) || old != nil && old.policy == p {
		return
	}
	c := &chain{policy: p, multicast: p.PassMulticast}
	if old != nil {
		c.tap = old.tap
	}
	if p.BlockNetBIOS {
		c.in, c.out = append(c.in, netBIOS), append(c.out, netBIOS)
	}
	for _, limit := range []struct {
		rate uint64
		to   *[]check
	}{{p.UpLimit, &c.in}, {p.DownLimit, &c.out}} {
		if limit.rate > 0 {
			*limit.to = append(*limit.to, newBucket(limit.rate).check)
		}
	}
	t.chain.Store(c)
	t.plane.setMulticast(t, p.PassMulticast)
}

// SetTap shows all later packets to a tap. nil removes the tap. It may be called while packets
// pass.
func (t *Port) SetTap(tap Tap) {
	t.policyLock.Lock()
	defer t.policyLock.Unlock()
	old := t.chain.Load()
	switch {
	case old == nil && tap == nil:
	case tap == nil && old.policy == (Policy{}):
		t.chain.Store(nil)
	default:
		c := new(chain)
		if old != nil {
			*c = *old
		}
		c.tap = tap
		t.chain.Store(c)
	}
}

// tapped shows the packet to the tap, if there is one.
func (c *chain) tapped(received bool, b *pktbuf.Buf) {
	if c != nil && c.tap != nil {
		c.tap(received, b.Bytes())
	}
}

// netBIOS finds packets of NetBIOS over TCP/IP by their ports. It lets later fragments pass, which
// are useless without the first.
func netBIOS(ip ipv4) Drop {
	n := ip.headerLen()
	if p := ip[9]; p != protoTCP && p != protoUDP || ip.fragmentBits()&offsetMask != 0 || ip.totalLen() < n+4 {
		return 0
	}
	for _, port := range [2]uint16{binary.BigEndian.Uint16(ip[n:]), binary.BigEndian.Uint16(ip[n+2:])} {
		if port >= 137 && port <= 139 {
			return DropNetBIOS
		}
	}
	return 0
}

const (
	// burstTime is how much of a limit may pass at once after a pause. It exceeds the 200 ms and
	// more for which TCP pauses after a loss. With a shorter time, part of the limit would be lost
	// during the pause, and TCP over a short path would reach only half of the limit.
	burstTime = 400 * time.Millisecond
	// minBurst is the smallest depth in bytes: some packets of the largest size.
	minBurst = 16 << 10
)

const (
	// DefaultKeyChanges exceeds the losses of a busy line: 1,000 packets a second at a loss of one
	// in four.
	DefaultKeyChanges = 4096
	// minKeyBurst lets a line continue at once after the longest loss that MPPE allows.
	minKeyBurst = 4096
)

// newKeyBucket limits the work that a peer can cause by packets whose counts are far ahead.
func newKeyBucket(perSecond int64) *bucket {
	burst := max(float64(perSecond), minKeyBurst)
	return &bucket{rate: float64(perSecond) / float64(time.Second), burst: burst, tokens: burst}
}

// bucket is a token bucket, in bytes or in key changes. It reads the clock when it is used, and has
// no timer.
type bucket struct {
	rate  float64 // per nanosecond
	burst float64

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func newBucket(bitsPerSecond uint64) *bucket {
	rate := float64(bitsPerSecond) / 8
	burst := max(rate*burstTime.Seconds(), minBurst)
	return &bucket{rate: rate / float64(time.Second), burst: burst, tokens: burst}
}

func (b *bucket) check(ip ipv4) Drop {
	if b.take(time.Now(), len(ip)) {
		return 0
	}
	return DropRate
}

func (b *bucket) take(now time.Time, size int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.tokens = min(b.burst, b.tokens+b.rate*float64(now.Sub(b.at)))
	}
	b.at = now
	if b.tokens < float64(size) {
		return false
	}
	b.tokens -= float64(size)
	return true
}
