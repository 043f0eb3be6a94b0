package testenv

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/pptp/client"

	"github.com/vishvananda/netns"
)

// InNamespace runs f on a thread in the named network namespace: the sockets that f opens belong to it.
func InNamespace(name string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
			_ = ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Client is our own client: PPP in this process, without an interface. A test can do with its link
// what it wants.
type Client struct {
	// Watch, if not nil, sees each frame that has come, before the engine; false keeps it from the
	// engine. It is set before Dial.
	Watch func(frame []byte) bool
	// Swap has each two packets leave in the wrong order, from the first on.
	Swap bool

	link   link.Link
	up     chan struct{}
	closed chan struct{}

	mu      sync.Mutex
	cfg     ppp.Config
	engine  *ppp.Engine
	network ppp.NetworkUp
	isUp    bool
	reason  string
	timer   *time.Timer
	packets uint64
	last    []byte
}

// ClosedError is the error of a dial-in that ended before its link was up; it says why.
type ClosedError struct{ Reason string }

func (e *ClosedError) Error() string { return e.Reason }

// Dial dials a server by PPTP and waits until the link is up.
func (c *Client) Dial(ctx context.Context, d *client.Dialer, server netip.AddrPort, cfg ppp.Config) error {
	cfg.Role = ppp.Client
	c.cfg = cfg
	c.engine = ppp.New(cfg)
	c.up, c.closed = make(chan struct{}), make(chan struct{})
	_, err := d.Dial(ctx, server, func(l link.Link) (link.Sink, error) {
		c.link = l
		if c.Swap {
			c.link = &swapper{Link: l}
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	c.do(func(now time.Time) { c.engine.Start(now) })
	select {
	case <-c.up:
		return nil
	case <-c.closed:
		return &ClosedError{c.Reason()}
	case <-ctx.Done():
		c.link.Close("")
		return errors.New("the link does not come up")
	}
}

// Frame takes a frame of the server.
func (c *Client) Frame(b *pktbuf.Buf) {
	defer b.Release()
	frame := b.Bytes()
	if c.Watch != nil && !c.Watch(frame) {
		return
	}
	protocol, info, err := wire.ParseFrame(frame)
	if err != nil {
		return
	}
	if protocol != wire.IPv4 && protocol != wire.Comp {
		c.do(func(now time.Time) { c.engine.Receive(now, frame) })
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isUp {
		return
	}
	if d := c.network.Decrypter; d != nil && protocol == wire.Comp && len(info) > 4 {
		if d.Open(uint16(info[0])<<8|uint16(info[1]), info[2:]) != nil {
			return
		}
		info = info[2:]
		if info[0] == 0 {
			info = info[1:]
		}
		info = info[1:]
	}
	c.packets++
	c.last = append(c.last[:0], info...)
}

// Down is told that the call is over.
func (c *Client) Down(reason string) {
	c.do(func(time.Time) { c.engine.Down(reason) })
}

func (c *Client) do(f func(now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(time.Now())
	var out link.Batch
	for {
		event, ok := c.engine.Next()
		if !ok {
			break
		}
		switch v := event.(type) {
		case ppp.Transmit:
			b := pktbuf.Get()
			b.Append(v.Frame)
			c.link.Send(b, &out)
		case ppp.NetworkUp:
			c.network, c.isUp = v, true
			select {
			case <-c.up:
			default:
				close(c.up)
			}
		case ppp.NetworkDown:
			c.isUp = false
		case ppp.Closed:
			out.Flush()
			c.reason = v.Reason
			c.link.Close("")
			close(c.closed)
		}
	}
	out.Flush()
	c.arm()
}

func (c *Client) arm() {
	next := c.engine.Deadline()
	if next.IsZero() {
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(next), func() { c.do(func(now time.Time) { c.engine.Tick(now) }) })
		return
	}
	c.timer.Reset(time.Until(next))
}

// Send sends a frame as it is, in one packet of the carrier.
func (c *Client) Send(frame []byte) {
	var out link.Batch
	b := pktbuf.Get()
	b.Append(frame)
	c.link.Send(b, &out)
	out.Flush()
}

// SendIP sends IP packets in one batch, encrypted if that was agreed.
func (c *Client) SendIP(out *link.Batch, packets ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range packets {
		b := pktbuf.Get()
		b.Append([]byte{0x00, 0x21})
		b.Append(p)
		if e := c.network.Encrypter; e != nil {
			h := e.Seal(b.Bytes())
			head := b.Prepend(4)
			head[0], head[1], head[2], head[3] = 0x00, 0xFD, byte(h>>8), byte(h)
		}
		c.link.Send(b, out)
	}
	out.Flush()
}

// Network is what was agreed; ok is false while packets may not pass.
func (c *Client) Network() (network ppp.NetworkUp, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.network, c.isUp
}

// Forsake closes the control connection without a word, and knows nothing of the call any more.
func (c *Client) Forsake() {
	if f, ok := c.link.(interface{ Forsake() }); ok {
		f.Forsake()
	}
}

// swapper sends each two datagrams in the wrong order: the carrier has numbered them by then.
type swapper struct {
	link.Link
	mu   sync.Mutex
	held link.Batch
	n    int
}

// Send holds every other datagram back until the next one has been sent, or for a moment.
func (s *swapper) Send(b *pktbuf.Buf, out *link.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.n%2 == 1 {
		s.Link.Send(b, &s.held)
		time.AfterFunc(20*time.Millisecond, s.flush)
		return
	}
	s.Link.Send(b, out)
	out.Flush()
	s.held.Flush()
}

func (s *swapper) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held.Flush()
}

// Packets counts the IP packets that have come, and gives the last one.
func (c *Client) Packets() (n uint64, last []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.packets, append([]byte(nil), c.last...)
}

// Reason is why the link is closed.
func (c *Client) Reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Closed is closed when the link is.
func (c *Client) Closed() <-chan struct{} { return c.closed }

// Renegotiate begins with LCP anew on the same call, as a client does that has lost its state.
func (c *Client) Renegotiate() {
	c.mu.Lock()
	c.engine = ppp.New(c.cfg)
	c.isUp = false
	c.mu.Unlock()
	c.do(func(now time.Time) { c.engine.Start(now) })
}

// Hangup ends the link properly and waits for that.
func (c *Client) Hangup() {
	c.do(func(now time.Time) { c.engine.Close(now, "client hangs up") })
	<-c.closed
}
