// Package dial is the client: PPP over a call that a carrier has dialled, and a TUN device for the
// packets.
package dial

import (
	"context"
	"net/netip"
	"sync"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// Carrier dials calls, like the Dialers of pptp/client and l2tp/client.
type Carrier interface {
	Dial(ctx context.Context, server netip.AddrPort, accept link.Accept) (link.Link, error)
}

// Data is the path of user data. Its methods must not wait.
type Data interface {
	// Inbound takes a frame that carries user data.
	Inbound(b *pktbuf.Buf) (taken bool)
	// Up lets packets pass under the agreement v. Hold lets none pass until the next Up.
	Up(v ppp.NetworkUp)
	Hold()
	// ResetCipher restarts the stream towards the server.
	ResetCipher()
	// Received counts the received frames.
	Received() uint64
}

// Conn is the client's side of a dial-in: a link and the engine on it.
type Conn struct {
	cfg  ppp.Config
	data Data
	link link.Link

	up     chan struct{} // closed when packets may pass for the first time
	closed chan struct{}
	over   chan struct{} // closed when the carrier has ended the call

	overOnce sync.Once
	mu       sync.Mutex
	engine   *ppp.Engine
	isUp     bool
	network  ppp.NetworkUp
	end      ppp.Closed
	alarm    alarm.Alarm
	received uint64
	heard    bool // the server has sent a control frame
}

// New makes a Conn. Dial then dials it.
func New(cfg ppp.Config, data Data) *Conn {
	cfg.Role = ppp.Client
	c := &Conn{cfg: cfg, data: data, engine: ppp.New(cfg), up: make(chan struct{}), closed: make(chan struct{}), over: make(chan struct{})}
	c.alarm = alarm.New(c.fire)
	return c
}

// Dial makes the carrier dial a server and starts PPP. It does not wait until the link is up. wrap,
// if not nil, goes between the carrier and PPP.
func (c *Conn) Dial(ctx context.Context, carrier Carrier, server netip.AddrPort, wrap func(link.Link, link.Sink) (link.Link, link.Sink)) error {
	_, err := carrier.Dial(ctx, server, func(l link.Link) (link.Sink, error) {
		var sink link.Sink = c
		c.link = l
		if wrap != nil {
			c.link, sink = wrap(l, c)
		}
		// The server's first frame may come at once.
		c.do(func(now time.Time) { c.engine.Start(now) })
		return sink, nil
	})
	return err
}

// Frame takes a frame of the server.
func (c *Conn) Frame(b *pktbuf.Buf) {
	if c.data.Inbound(b) {
		return
	}
	defer b.Release()
	if protocol, _, err := wire.ParseFrame(b.Bytes()); err != nil || protocol == wire.IPv4 || protocol == wire.Comp {
		return
	}
	c.do(func(now time.Time) {
		c.heard = true
		c.engine.Receive(now, b.Bytes())
	})
}

// Down is called when the call is over, by the carrier or by an owner that gives up the link.
func (c *Conn) Down(why reason.Reason) {
	c.do(func(time.Time) { c.engine.Down(why) })
	c.overOnce.Do(func() { close(c.over) })
}

func (c *Conn) do(f func(now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(time.Now())
	out := link.TakeBatch()
	for {
		event, ok := c.engine.Next()
		if !ok {
			break
		}
		c.handle(event, out)
	}
	out.Done()
	c.alarm.Set(c.engine.Deadline())
}

func (c *Conn) handle(event ppp.Event, out *link.Batch) {
	switch v := event.(type) {
	case ppp.Transmit:
		b := pktbuf.Get()
		b.Append(v.Frame)
		c.link.Send(b, out)
	case ppp.NetworkUp:
		c.network, c.isUp = v, true
		c.data.Up(v)
		select {
		case <-c.up:
		default:
			close(c.up)
		}
	case ppp.NetworkDown:
		c.isUp = false
		c.data.Hold()
	case ppp.CryptoReset:
		out.Flush()
		c.data.ResetCipher()
	case ppp.Closed:
		out.Flush()
		c.end = v
		c.link.Close(v.Reason)
		close(c.closed)
	}
}

// fire runs when the alarm rings. Received packets are signs of life.
func (c *Conn) fire() {
	c.do(func(now time.Time) {
		if n := c.data.Received(); n != c.received {
			c.received = n
			c.engine.Activity(now)
		}
		c.engine.Tick(now)
	})
}

// NeedReset asks the server to restart its encrypted stream. It does not wait.
func (c *Conn) NeedReset() {
	go c.do(func(now time.Time) { c.engine.ResetRequest(now) })
}

// Undecryptable tells the engine that the server's packets do not decrypt, for good. It does not
// wait.
func (c *Conn) Undecryptable() {
	go c.do(func(now time.Time) { c.engine.Undecryptable(now) })
}

// Link is the call. It is nil before Dial.
func (c *Conn) Link() link.Link { return c.link }

// Up is closed when packets may pass for the first time.
func (c *Conn) Up() <-chan struct{} { return c.up }

// Closed is closed when the link is.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Over is closed when the carrier has also ended the call.
func (c *Conn) Over() <-chan struct{} { return c.over }

// End is why the link is closed. Before that it is the zero value.
func (c *Conn) End() ppp.Closed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// Heard reports whether the server has sent any PPP control frame.
func (c *Conn) Heard() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// Network is the agreement of the two ends. ok is false while packets may not pass.
func (c *Conn) Network() (network ppp.NetworkUp, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.network, c.isUp
}

// Renegotiate starts LCP again on the same call, like a client that has lost its state.
func (c *Conn) Renegotiate() {
	c.mu.Lock()
	c.engine = ppp.New(c.cfg)
	c.isUp = false
	c.mu.Unlock()
	c.do(func(now time.Time) { c.engine.Start(now) })
}

// Hangup ends the link properly. Closed is closed when the link has ended.
func (c *Conn) Hangup(why reason.Reason) {
	c.do(func(now time.Time) { c.engine.Close(now, why) })
}
