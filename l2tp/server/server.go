// Package server is the L2TP network server: UDP port 1701. It hands each call that a client dials to
// the link.Accept it was given.
package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/l2tp"
	"vpnd/l2tp/data"
	"vpnd/l2tp/wire"

	"golang.org/x/sys/unix"
)

// maxHalfOpen is how many tunnels may wait for their peer's second message: when one more
// comes, the oldest one goes. A flood from invented addresses costs no more than that.
const maxHalfOpen = 1024

// Config says where a Server listens and what it bears. The zero value of a field is the default that
// its comment gives.
type Config struct {
	Listen     []netip.Addr // IPv4 addresses; all
	Port       uint16       // UDP; 1701
	Tunnel     l2tp.Config
	MaxTunnels int          // 8192
	MaxCalls   int          // in all, at most 32768; 8192
	Logger     *slog.Logger // nil: nothing is logged
	Random     io.Reader    // of identifiers; crypto/rand
}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []netip.Addr{netip.IPv4Unspecified()}
	}
	if c.Port == 0 {
		c.Port = wire.Port
	}
	if c.MaxTunnels == 0 {
		c.MaxTunnels = 8192
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = 8192
	}
	c.MaxCalls = min(c.MaxCalls, 32768)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c
}

// peerKey names a peer's tunnel: an SCCRQ that is repeated is not a second one.
type peerKey struct {
	addr   netip.AddrPort
	tunnel uint16
}

// Server accepts L2TP tunnels and their calls.
type Server struct {
	cfg     Config
	accept  link.Accept
	sockets []*mmsg.Conn
	tunnels [1 << 16]atomic.Pointer[tunnel] // by our identifier
	calls   [1 << 16]atomic.Pointer[call]
	drops   drops
	wg      sync.WaitGroup

	mu       sync.Mutex
	peers    map[peerKey]*tunnel
	addrs    map[netip.AddrPort]*tunnel // the newest tunnel of an address
	halfOpen []*tunnel                  // oldest first; those that are no longer are left out in passing
	nTunnels int
	nCalls   int
	stopping bool
	gone     sync.WaitGroup
}

// drops counts what was not taken.
type drops struct {
	malformed, unknown, source, late, limit atomic.Uint64
}

// Stats are the server's counters since it started, and what stands now.
type Stats struct {
	Tunnels, Calls int
	Dropped        map[string]uint64
}

// Listen opens the UDP sockets. Nothing is accepted before Serve. An error says what is in the way and
// how to mend it.
func Listen(cfg Config, accept link.Accept) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults(), accept: accept, peers: map[peerKey]*tunnel{}, addrs: map[netip.AddrPort]*tunnel{}}
	for _, addr := range s.cfg.Listen {
		c, err := listenUDP(netip.AddrPortFrom(addr, s.cfg.Port))
		if err != nil {
			s.closeSockets()
			return nil, err
		}
		s.sockets = append(s.sockets, c)
	}
	return s, nil
}

func listenUDP(at netip.AddrPort) (*mmsg.Conn, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("UDP port %d of %v is in use: stop the other L2TP server there, or set `listen` to other addresses", at.Port(), at.Addr())
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%v is no address of this machine: correct `listen`", at.Addr())
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("no right to listen on UDP port %d: run as root or with CAP_NET_BIND_SERVICE", at.Port())
	case err != nil:
		return nil, fmt.Errorf("listening on %v: %w", at, err)
	}
	c, err := mmsg.New(u)
	if err == nil {
		err = data.Configure(c)
	}
	if err != nil {
		_ = u.Close()
		return nil, fmt.Errorf("setting up the socket of %v: %w", at, err)
	}
	return c, nil
}

func (s *Server) closeSockets() {
	for _, c := range s.sockets {
		_ = c.Close()
	}
}

// Serve takes datagrams until Shutdown.
func (s *Server) Serve() {
	for _, c := range s.sockets {
		s.wg.Go(func() { s.read(c) })
	}
	s.wg.Wait()
}

func (s *Server) read(c *mmsg.Conn) {
	r := c.NewReader()
	for {
		pkts, err := r.Read()
		if err != nil {
			return
		}
		now := time.Now()
		for i := range pkts {
			if s.datagram(c, now, &pkts[i]) {
				pkts[i].Buf = nil
			}
		}
	}
}

// datagram takes one datagram, and ownership of its Buf if it answers true. What is dropped is counted,
// not answered and not logged: anybody can send it.
func (s *Server) datagram(c *mmsg.Conn, now time.Time, p *mmsg.Packet) bool {
	raw := p.Buf.Bytes()
	h, payload, err := wire.ParseHeader(raw)
	if err != nil {
		s.drops.malformed.Add(1)
		return false
	}
	if h.Control {
		s.control(c, now, p, h, payload)
		return false
	}
	k := s.calls[h.Session].Load()
	if k == nil || k.t.id != h.Tunnel {
		s.drops.unknown.Add(1)
		return false
	}
	if k.t.peer != p.From {
		s.drops.source.Add(1)
		return false
	}
	k.t.heard.Store(now.UnixNano())
	if err := k.Receive(h, payload, p.Buf); err != nil {
		s.drops.late.Add(1)
		return false
	}
	return true
}

func (s *Server) control(c *mmsg.Conn, now time.Time, p *mmsg.Packet, h wire.Header, body []byte) {
	var t *tunnel
	switch {
	case h.Tunnel != 0:
		if t = s.tunnels[h.Tunnel].Load(); t == nil {
			s.drops.unknown.Add(1)
			return
		}
	case wire.IsSCCRQ(body):
		if t = s.request(c, p, body); t == nil {
			return
		}
	default: // D-Link's DIR-300 goes on without our identifier
		s.mu.Lock()
		t = s.addrs[p.From]
		s.mu.Unlock()
		if t == nil {
			s.drops.unknown.Add(1)
			return
		}
	}
	if t.peer != p.From {
		s.drops.source.Add(1)
		return
	}
	t.do(func() { t.ctl.Receive(now, h, body) })
}

// request finds the tunnel of an SCCRQ, or makes one.
func (s *Server) request(c *mmsg.Conn, p *mmsg.Packet, body []byte) *tunnel {
	avps, err := wire.ParseAVPs(body, s.cfg.Tunnel.Secret)
	if err != nil {
		s.drops.malformed.Add(1)
		return nil
	}
	key := peerKey{addr: p.From}
	for _, a := range avps {
		if a.Known && a.Type == wire.AttrTunnelID && len(a.Value) == 2 {
			key.tunnel = binary.BigEndian.Uint16(a.Value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.peers[key]; t != nil {
		return t
	}
	if key.tunnel == 0 || s.stopping || s.nTunnels >= s.cfg.MaxTunnels {
		s.drops.limit.Add(1)
		return nil
	}
	id, ok := draw(s.cfg.Random, func(id uint16) bool { return s.tunnels[id].Load() == nil })
	if !ok {
		return nil
	}
	t := &tunnel{s: s, socket: c, id: id, key: key, peer: p.From, local: p.To, calls: map[uint16]*call{}}
	t.ctl = l2tp.New(s.cfg.Tunnel, id, time.Now())
	s.tunnels[id].Store(t)
	s.peers[key], s.addrs[p.From] = t, t
	s.nTunnels++
	s.gone.Add(1)
	s.makeRoom(t)
	return t
}

// makeRoom adds t to the half-open tunnels, and lets the oldest one go when there are too many.
func (s *Server) makeRoom(t *tunnel) {
	s.halfOpen = append(s.halfOpen, t)
	if len(s.halfOpen) <= maxHalfOpen {
		return
	}
	var still []*tunnel
	for _, old := range s.halfOpen {
		if !old.open.Load() && !old.over.Load() {
			still = append(still, old)
		}
	}
	for len(still) > maxHalfOpen*3/4 {
		victim := still[0]
		still = still[1:]
		s.drops.limit.Add(1)
		go victim.do(func() { victim.ctl.Forget() })
	}
	s.halfOpen = still
}

// draw draws an identifier that is free.
func draw(random io.Reader, free func(uint16) bool) (uint16, bool) {
	for {
		var b [2]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, false
		}
		if id := binary.BigEndian.Uint16(b[:]); id != 0 && free(id) {
			return id, true
		}
	}
}

// Shutdown hangs every call up, stops every tunnel, closes the sockets, and waits for all that, or for
// ctx; then it cuts what is left.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	all := make([]*tunnel, 0, len(s.peers))
	for _, t := range s.peers {
		all = append(all, t)
	}
	s.mu.Unlock()
	for _, t := range all {
		t.do(func() { t.ctl.Stop(time.Now(), "server is shutting down") })
	}
	done := make(chan struct{})
	go func() {
		s.gone.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, t := range all {
			t.do(func() { t.ctl.Forget() })
		}
		<-done
	}
	s.closeSockets()
	s.wg.Wait()
}

// Stats returns a copy of the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Tunnels: s.nTunnels, Calls: s.nCalls, Dropped: map[string]uint64{
		"malformed": s.drops.malformed.Load(), "unknown tunnel or call": s.drops.unknown.Load(),
		"wrong source address": s.drops.source.Load(), "late or doubled": s.drops.late.Load(), "over a limit": s.drops.limit.Load(),
	}}
	for _, c := range s.sockets {
		st.Dropped["not sent"] += c.Refused()
	}
	return st
}
