package l2tp

import (
	"time"
	"vpnd/l2tp/wire"
)

const (
	// ourWindow is how many control messages the peer may have unacknowledged.
	ourWindow     = 8
	defaultWindow = 4
	maxQueue      = 64 // messages that wait for their turn, until we accept no more from the peer
	maxTries      = 5
)

// retryAfter is how long the nth transmission waits for its acknowledgement.
var retryAfter = [maxTries]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second}

// maxAnswer is how long a datagram may be, in bytes, that answers a peer who may have dialled under
// another's address, by a message whose body has n: not more than three times as long.
func maxAnswer(n int) int { return 3 * (wire.MaxHeader + n) }

// message is a control message that is not acknowledged yet.
type message struct {
	session uint16 // the peer's
	body    []byte
}

// channel is the reliable delivery of control messages, RFC 2661 section 5.8.
type channel struct {
	peer     uint16 // the peer's tunnel identifier; 0: not known
	ns, nr   uint16 // the next number to be sent, and to be received
	acked    uint16 // the oldest number that is not acknowledged
	queue    []message
	sent     int // how many of queue are on their way
	window   int // the peer's
	cwnd     int // slow start: how many may be on their way at once
	ssthresh int
	grown    int
	tries    int
	since    time.Time // when the oldest one was sent first
	deadline time.Time
	// lazy: nothing is repeated by itself, but only when the peer repeats its own: who has sent an
	// SCCRQ under another's address gets one answer for each.
	lazy bool
	out  func(datagram []byte)
}

func (c *channel) init(out func([]byte)) {
	*c = channel{window: defaultWindow, cwnd: 1, ssthresh: defaultWindow, out: out}
}

func (c *channel) setWindow(n int) {
	c.window = max(n, 1)
	c.ssthresh = c.window
}

// push queues a message. What a peer can cause is bounded, as nothing is taken of it while the queue is long; of ours each
// session has one at most.
func (c *channel) push(now time.Time, session uint16, body []byte) {
	c.queue = append(c.queue, message{session, body})
	c.flush(now)
}

// flush sends what the windows allow.
func (c *channel) flush(now time.Time) {
	for c.sent < len(c.queue) && c.sent < min(c.window, c.cwnd) {
		c.transmit(c.sent)
		if c.sent == 0 {
			c.tries, c.since = 0, now
			c.deadline = now.Add(retryAfter[0])
		}
		c.sent++
		c.ns++
	}
}

func (c *channel) transmit(i int) {
	m := c.queue[i]
	h := wire.Header{Tunnel: c.peer, Session: m.session, Ns: c.acked + uint16(i), Nr: c.nr}
	c.out(wire.AppendControl(nil, h, m.body))
}

// resume has messages repeated by themselves from now on.
func (c *channel) resume(now time.Time) {
	c.lazy = false
	if c.sent > 0 && c.deadline.IsZero() {
		c.deadline = now.Add(retryAfter[0])
	}
}

// ack sends only an acknowledgement (ZLB).
func (c *channel) ack() {
	c.out(wire.AppendControl(nil, wire.Header{Tunnel: c.peer, Ns: c.ns, Nr: c.nr}, nil))
}

// acknowledge takes the number up to which the peer has heard us. One that acknowledges what was never sent is not of this
// tunnel.
func (c *channel) acknowledge(now time.Time, nr uint16) bool {
	if int(int16(nr-c.acked)) > c.sent {
		return false
	}
	c.acknowledged(now, nr)
	return true
}

// receive takes the numbers of a message whose body has n bytes. It answers whether the message is the
// next one; a duplicate is acknowledged, one that is ahead is left for the peer to repeat.
func (c *channel) receive(now time.Time, h wire.Header, n int) (next bool) {
	if !c.acknowledge(now, h.Nr) || n == 0 {
		return false
	}
	if h.Ns != c.nr {
		if c.lazy && c.sent > 0 && wire.MaxHeader+len(c.queue[0].body) <= maxAnswer(n) {
			c.transmit(0)
		} else {
			c.ack()
		}
		return false
	}
	c.nr++
	return true
}

func (c *channel) acknowledged(now time.Time, nr uint16) {
	n := int(int16(nr - c.acked))
	if n <= 0 {
		return
	}
	c.queue = c.queue[n:]
	if len(c.queue) == 0 {
		c.queue = nil
	}
	c.sent -= n
	c.acked = nr
	for range n {
		c.grow()
	}
	c.tries, c.deadline = 0, time.Time{}
	if c.sent > 0 {
		c.since = now
		c.deadline = now.Add(retryAfter[0])
	}
	c.flush(now)
}

// grow widens the congestion window: by one for each acknowledgement at first, then by one for each
// whole window (RFC 2661 appendix A).
func (c *channel) grow() {
	if c.cwnd >= c.window {
		return
	}
	if c.cwnd < c.ssthresh {
		c.cwnd++
		return
	}
	if c.grown++; c.grown >= c.cwnd {
		c.cwnd, c.grown = c.cwnd+1, 0
	}
}

// tick repeats the oldest message when it is time. It answers false when that has been in vain, and the
// peer shows no other sign of life.
func (c *channel) tick(now time.Time, alive func() bool) bool {
	if c.deadline.IsZero() || now.Before(c.deadline) {
		return true
	}
	if c.lazy {
		c.deadline = time.Time{}
		return true
	}
	c.tries++
	if c.tries >= maxTries {
		if !alive() {
			return false
		}
		c.tries, c.since = maxTries-1, now
	}
	c.ssthresh = max(c.cwnd/2, 1)
	c.cwnd, c.grown = 1, 0
	c.transmit(0)
	c.deadline = now.Add(retryAfter[c.tries])
	return true
}
