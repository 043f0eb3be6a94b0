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

// path carries user data through a TUN device. It does nothing before attach.
type path struct {
	port atomic.Pointer[dataplane.Port]

	mu      sync.Mutex
	network *ppp.NetworkUp // nil: no packet passes
	conn    *Conn
	device  ppp.NetworkUp // the agreement that configured the device
}

// attach opens the path: all packets from the plane's device go to the link. configured is the
// agreement that configured the device.
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

// open lets packets pass. If the server negotiates again and gives other addresses, the device
// keeps the old ones, so the connection ends. The caller holds mu.
func (p *path) open(port *dataplane.Port, v ppp.NetworkUp) {
	if v.Local == p.device.Local && v.Peer == p.device.Peer {
		port.Up(session.Params(v))
		return
	}
	why := reason.New(reason.ServerMoves, p.device.Local, p.device.Peer, v.Local, v.Peer)
	go p.conn.Hangup(why) // not now: this may be within an event of conn
}

// detach closes the path.
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

// ResetCipher implements Data. An unused stream needs no reset.
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
