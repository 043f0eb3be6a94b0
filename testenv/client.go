package testenv

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"vpnd/internal/dial"
	"vpnd/internal/link"
	"vpnd/internal/link/linktest"
	"vpnd/internal/netlab"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// InNamespace runs f on a thread in the named network namespace. The sockets that f opens belong to
// that namespace.
func InNamespace(name string, f func() error) error { return netlab.DoNamed(name, f) }

// Client is our own client: PPP in this process, without an interface. A test can change its link
// as it likes.
type Client struct {
	// Watch, if not nil, sees each received frame before the engine does. If it returns false, the
	// engine does not get the frame. Set it before Dial.
	Watch func(frame []byte) bool
	// Swap swaps the order of each two packets that leave, from the first pair on.
	Swap bool
	// Wrap, if not nil, puts a link between the engine and the call.
	Wrap func(link.Link) link.Link

	*dial.Conn
	data inbox
}

// ClosedError is the error of a dial-in that ended before its link was up. It has the reason.
type ClosedError struct{ ppp.Closed }

func (e *ClosedError) Error() string { return e.Reason.String() }

// Unwrap gives the reason.
func (e *ClosedError) Unwrap() error { return e.Reason }

// Dial dials a server and waits until the link is up.
func (c *Client) Dial(ctx context.Context, carrier dial.Carrier, server netip.AddrPort, cfg ppp.Config) error {
	c.Conn = dial.New(cfg, &c.data)
	err := c.Conn.Dial(ctx, carrier, server, func(l link.Link, s link.Sink) (link.Link, link.Sink) {
		if c.Swap {
			l = linktest.Swapped(l)
		}
		if c.Wrap != nil {
			l = c.Wrap(l)
		}
		return l, watcher{s, c.Watch}
	})
	if err != nil {
		return err
	}
	select {
	case <-c.Up():
		return nil
	case <-c.Closed():
		return &ClosedError{c.End()}
	case <-ctx.Done():
		c.Link().Close(reason.New(reason.GivenUp))
		return errors.New("the link does not come up")
	}
}

// watcher shows each frame to a test.
type watcher struct {
	link.Sink
	watch func(frame []byte) bool
}

func (w watcher) Frame(b *pktbuf.Buf) {
	if w.watch != nil && !w.watch(b.Bytes()) {
		b.Release()
		return
	}
	w.Sink.Frame(b)
}

// inbox counts the received packets.
type inbox struct {
	mu      sync.Mutex
	network *ppp.NetworkUp // nil: nothing passes
	packets uint64
	last    []byte
}

// Up implements dial.Data.
func (i *inbox) Up(v ppp.NetworkUp) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.network = &v
}

// Hold implements dial.Data.
func (i *inbox) Hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.network = nil
}

// ResetCipher implements dial.Data.
func (i *inbox) ResetCipher() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.network != nil && i.network.Encrypter != nil {
		i.network.Encrypter.Reset()
	}
}

// Received implements dial.Data.
func (i *inbox) Received() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.packets
}

// Inbound implements dial.Data.
func (i *inbox) Inbound(b *pktbuf.Buf) (taken bool) {
	protocol, info, err := wire.ParseFrame(b.Bytes())
	if err != nil || protocol != wire.IPv4 && protocol != wire.Comp {
		return false
	}
	defer b.Release()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.network == nil {
		return true
	}
	if d := i.network.Decrypter; d != nil && protocol == wire.Comp && len(info) > 4 {
		if d.Open(uint16(info[0])<<8|uint16(info[1]), info[2:]) != nil {
			return true
		}
		info = info[2:]
		if info[0] == 0 {
			info = info[1:]
		}
		info = info[1:]
	}
	i.packets++
	i.last = append(i.last[:0], info...)
	return true
}

// Packets gives the number of received IP packets, and the last one.
func (c *Client) Packets() (n uint64, last []byte) {
	c.data.mu.Lock()
	defer c.data.mu.Unlock()
	return c.data.packets, append([]byte(nil), c.data.last...)
}

// Send sends a frame as it is, in one packet of the carrier.
func (c *Client) Send(frame []byte) {
	var out link.Batch
	b := pktbuf.Get()
	b.Append(frame)
	c.Link().Send(b, &out)
	out.Flush()
}

// SendIP sends IP packets in one batch. It encrypts them if encryption was agreed.
func (c *Client) SendIP(out *link.Batch, packets ...[]byte) {
	c.data.mu.Lock()
	defer c.data.mu.Unlock()
	for _, p := range packets {
		b := pktbuf.Get()
		b.Append([]byte{0x00, 0x21})
		b.Append(p)
		if n := c.data.network; n != nil && n.Encrypter != nil {
			h := n.Encrypter.Seal(b.Bytes())
			head := b.Prepend(4)
			head[0], head[1], head[2], head[3] = 0x00, 0xFD, byte(h>>8), byte(h)
		}
		c.Link().Send(b, out)
	}
	out.Flush()
}

// Forsake ends the control connection without a message, and forgets the call.
func (c *Client) Forsake() {
	if f, ok := c.Link().(interface{ Forsake() }); ok {
		f.Forsake()
	}
}

// Hangup ends the link properly and waits until it has ended.
func (c *Client) Hangup() {
	c.Conn.Hangup(reason.New(reason.HangsUp))
	<-c.Closed()
}
