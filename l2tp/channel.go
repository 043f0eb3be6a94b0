package l2tp

import (
	"time"
	"vpnd/l2tp/wire"
)

const (
	// ourWindow is how many unacknowledged control messages the peer may have.
	ourWindow     = 8
	defaultWindow = 4
	maxQueue      = 64 // waiting messages; above it, we accept no more from the peer
	maxTries      = 5
)

// retryAfter is how long the nth transmission waits for its acknowledgement.
var retryAfter = [maxTries]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second}

// maxAnswer is the longest answer, in bytes, to a message whose body has n bytes. The peer may have
// forged its address, so the answer has at most three times the length of the message.
func maxAnswer(n int) int { return 3 * (wire.MaxHeader + n) }

// message is a control message that the peer has not acknowledged yet.
type message struct {
	session uint16 // the peer's
	body    []byte
}

// channel is the reliable delivery of control messages, RFC 2661 section 5.8.
type channel struct {
	peer     uint16 // the peer's tunnel identifier; 0: unknown
	ns, nr   uint16 // the next number to send, and to receive
	acked    uint16 // the oldest unacknowledged number
	queue    []message
	sent     int // how many of queue have been sent
	window   int // the peer's
	cwnd     int // slow start: how many may be unacknowledged at once
	ssthresh int
	grown    int
	tries    int
	since    time.Time // the time of the first transmission of the oldest one
	deadline time.Time
	// lazy: we repeat a message only when the peer repeats its own. So a sender that forges the
	// address of its SCCRQ causes one answer for each.
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

// push queues a message. The queue is bounded: while it is long, nothing is accepted from the peer.
// Of our own messages, each session has one at most.
func (c *channel) push(now time.Time, session uint16, body []byte) {
	c.queue = append(c.queue, message{session, body})
	c.flush(now)
}

// flush sends the messages that the windows allow.
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

// resume lets the channel repeat messages by itself from now on.
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

// acknowledge takes the number up to which the peer has received our messages. It returns false if
// we have not sent that number: the message then does not belong to this tunnel.
func (c *channel) acknowledge(now time.Time, nr uint16) bool {
	if int(int16(nr-c.acked)) > c.sent {
		return false
	}
	c.acknowledged(now, nr)
	return true
}

// receive takes the numbers of a message whose body has n bytes. It reports whether the message is
// the next one. It acknowledges a duplicate. It does not keep a message that is ahead: the peer
// repeats it.
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

// grow widens the congestion window: at first by one for each acknowledgement, then by one for each
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

// tick repeats the oldest message when it is time. It returns false if all repetitions were in vain
// and the peer shows no other sign of life.
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
