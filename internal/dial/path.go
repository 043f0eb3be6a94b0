package dial

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"vpnd/internal/dataplane"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/ppp"
)

// path is the way of user data through a TUN device. There is none until attach.
type path struct {
	port atomic.Pointer[dataplane.Port]

	mu      sync.Mutex
	network *ppp.NetworkUp // nil: nothing passes
	conn    *Conn
	device  ppp.NetworkUp // by which the device was configured
}

// attach opens the way: everything that the system sends into the plane's device goes to the link. The device was
// configured by configured.
func (p *path) attach(plane *dataplane.Plane, c *Conn, configured ppp.NetworkUp) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.device = c, configured
	peer := configured.Peer
	if !peer.IsValid() {
		peer = netip.IPv4Unspecified()
	}
	port, err := plane.Add(dataplane.PortConfig{Addr: peer, Link: c.Link(), Uplink: true, NeedReset: c.NeedReset, Undecryptable: c.Undecryptable})
	if err != nil {
		return err
	}
	p.port.Store(port)
	if p.network != nil {
		p.open(port, *p.network)
	}
	return nil
}

// open lets packets pass. A server may negotiate again and give other addresses. The device keeps the old ones, so the
// connection ends. The caller holds mu.
func (p *path) open(port *dataplane.Port, v ppp.NetworkUp) {
	if v.Local == p.device.Local && v.Peer == p.device.Peer {
		port.Up(session.Params(v))
		return
	}
	why := reason.New(reason.ServerMoves, p.device.Local, p.device.Peer, v.Local, v.Peer)
	go p.conn.Hangup(why) // not now: this may be within an event of conn
}

// detach closes the way.
func (p *path) detach() {
	if port := p.port.Load(); port != nil {
		port.Remove()
	}
}

// Inbound implements Data.
func (p *path) Inbound(b *pktbuf.Buf) (taken bool) {
	port := p.port.Load()
	return port != nil && port.Inbound(b)
}

// Up implements Data.
func (p *path) Up(v ppp.NetworkUp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network = &v
	if port := p.port.Load(); port != nil {
		p.open(port, v)
	}
}

// Hold implements Data.
func (p *path) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network = nil
	if port := p.port.Load(); port != nil {
		port.Hold()
	}
}

// ResetCipher implements Data. A stream that has not been used needs nothing.
func (p *path) ResetCipher() {
	if port := p.port.Load(); port != nil {
		port.ResetCipher()
	}
}

// Received implements Data.
func (p *path) Received() uint64 { return p.stats().Received }

func (p *path) stats() dataplane.Stats {
	if port := p.port.Load(); port != nil {
		return port.Stats()
	}
	return dataplane.Stats{}
}
