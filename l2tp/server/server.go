// Package server is the L2TP network server on UDP port 1701. It hands each call from a client to
// link.Accept.
package server

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/mmsg"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// Config has the options of a Server. If a field is zero, the default in its comment applies.
type Config struct {
	Listen     []netip.Addr // IPv4 addresses; all
	Port       uint16       // UDP; 1701
	Tunnel     l2tp.Config
	MaxTunnels int              // open, at most 32768; 16384
	MaxCalls   int              // in all, at most 32768; 16384
	Strangers  strangers.Limits // of open tunnels, and of calls, without a user
	Logger     *slog.Logger     // nil: nothing is logged
	Random     io.Reader        // of identifiers; crypto/rand
	// Refused, if not nil, learns of each refused tunnel or call, and reports whether to log it at
	// level info. Otherwise the refusal is logged at debug. So a peer cannot fill the log. Refused
	// must not wait.
	Refused func(peer netip.Addr, why reason.Reason) bool
}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []netip.Addr{netip.IPv4Unspecified()}
	}
	if c.Port == 0 {
		c.Port = wire.Port
	}
	if c.MaxTunnels == 0 {
		c.MaxTunnels = 16384
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = 16384
	}
	c.MaxTunnels, c.MaxCalls = min(c.MaxTunnels, 32768), min(c.MaxCalls, 32768)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Random == nil {
		c.Random = crand.Reader
	}
	return c
}

// peerKey identifies a peer's tunnel, so that a repeated SCCRQ does not make a second one.
type peerKey struct {
	addr   netip.AddrPort
	tunnel uint16
}

// Server accepts L2TP tunnels and their calls.
type Server struct {
	cfg       Config
	accept    link.Accept
	sockets   []*mmsg.Conn
	tunnels   [1 << 16]atomic.Pointer[tunnel] // by our identifier
	calls     [1 << 16]atomic.Pointer[call]
	drops     drops
	wg        sync.WaitGroup
	draining  atomic.Bool
	taking    sync.RWMutex // read-locked while a call is taken, locked to set draining
	strangers *strangers.Guard[*tunnel, *call]

	mu       sync.Mutex
	peers    map[peerKey]*tunnel        // the newest one of each
	addrs    map[netip.AddrPort]*tunnel // the tunnel of an address that opened last
	halfOpen []*tunnel                  // slot is the index
	waiting  map[netip.Addr]int         // how many of halfOpen each address has
	dialling map[netip.AddrPort]dialler // the same by address and port
	nTunnels int                        // half-open ones included
	nCalls   int
	stopping bool // after Shutdown, or because it is drained
	gone     sync.WaitGroup
}

// drops counts the dropped datagrams and tunnels by cause.
type drops struct {
	malformed, unknown, source, late, limit atomic.Uint64
}

// Stats has the server's counters since its start, and its current figures.
type Stats struct {
	Tunnels, Calls int
	HalfOpen       int // of Tunnels: their peers have not shown that they hear us
	// UnauthenticatedTunnels counts the open tunnels on which no user has logged in.
	// UnauthenticatedCalls counts such calls.
	UnauthenticatedTunnels, UnauthenticatedCalls int
	Dropped                                      map[string]uint64
}

// Listen opens the UDP sockets. The server accepts nothing before Serve. The error says what is
// wrong and how to fix it.
func Listen(cfg Config, accept link.Accept) (*Server, error) {
	s := &Server{
		cfg: cfg.withDefaults(), accept: accept,
		strangers: strangers.New[*tunnel, *call](cfg.Strangers), peers: map[peerKey]*tunnel{}, addrs: map[netip.AddrPort]*tunnel{},
		waiting: map[netip.Addr]int{}, dialling: map[netip.AddrPort]dialler{},
	}
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

// Serve takes datagrams until Shutdown, or until the server is drained.
func (s *Server) Serve() {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	for _, c := range s.sockets {
		s.wg.Go(func() { s.read(c) })
	}
	s.mu.Unlock()
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

// datagram takes one datagram. It leaves the Buf to its caller if it drops the datagram, or if the
// datagram is a control message. It counts dropped packets, but does not answer or log them,
// because anybody can send them.
func (s *Server) datagram(c *mmsg.Conn, now time.Time, p *mmsg.Packet) (taken bool) {
	h, err := wire.TrimHeader(p.Buf)
	if err != nil {
		s.drops.malformed.Add(1)
		return false
	}
	if h.Control {
		s.control(c, now, p, h)
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
	if err := k.Receive(h, p.Buf); err != nil {
		s.drops.late.Add(1)
		return false
	}
	return true
}

func (s *Server) control(c *mmsg.Conn, now time.Time, p *mmsg.Packet, h wire.Header) {
	var t *tunnel
	body := p.Buf.Bytes()
	switch {
	case h.Tunnel != 0:
		if t = s.tunnels[h.Tunnel].Load(); t == nil {
			s.drops.unknown.Add(1)
			return
		}
	case wire.IsSCCRQ(body):
		var victim *tunnel
		t, victim = s.request(c, now, p, body)
		if victim != nil {
			victim.do(func() { victim.ctl.Forget(reason.New(reason.NoRoomTunnels)) })
		}
		if t == nil {
			return
		}
	default:
		if t = s.nameless(p.From); t == nil {
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

// request finds the tunnel of an SCCRQ, or makes one. The new tunnel may push out another one,
// victim. A peer that has lost its tunnel, and opens it again under the same identifier, gets a
// second one. The first one goes when the peer has shown that it hears us.
func (s *Server) request(c *mmsg.Conn, now time.Time, p *mmsg.Packet, body []byte) (t, victim *tunnel) {
	avps, err := wire.ParseAVPs(body, s.cfg.Tunnel.Secret)
	key := peerKey{addr: p.From}
	for _, a := range avps {
		if a.Known && a.Type == wire.AttrTunnelID && len(a.Value) == 2 {
			key.tunnel = binary.BigEndian.Uint16(a.Value)
		}
	}
	if err != nil || key.tunnel == 0 {
		if errors.Is(err, wire.ErrHidden) {
			s.refuse(p.From, reason.New(reason.HiddenAVP))
		}
		s.drops.malformed.Add(1)
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.peers[key]
	if before != nil && !before.stale(now) {
		return before, nil
	}
	if s.stopping {
		s.drops.limit.Add(1)
		return nil, nil
	}
	id, ok := draw(s.cfg.Random, func(id uint16) bool { return s.tunnels[id].Load() == nil })
	if !ok {
		return nil, nil
	}
	t = &tunnel{s: s, socket: c, id: id, key: key, peer: p.From, local: p.To, made: now, before: before, slot: noSlot, calls: map[uint16]*call{}}
	if s.draining.Load() || s.nTunnels-len(s.halfOpen) >= s.cfg.MaxTunnels {
		s.drops.limit.Add(1)
		out := link.TakeBatch()
		t.send(l2tp.Busy(key.tunnel, id), out)
		out.Done()
		return nil, nil
	}
	t.ctl = l2tp.New(s.cfg.Tunnel, id, now)
	t.alarm = alarm.New(func() { t.do(func() { t.ctl.Tick(time.Now()) }) })
	s.tunnels[id].Store(t)
	s.peers[key] = t
	s.nTunnels++
	s.gone.Add(1)
	return t, s.makeRoom(t)
}

// refuse logs the refusal of a tunnel, or of a call in it.
func (s *Server) refuse(peer netip.AddrPort, why reason.Reason) {
	level := slog.LevelInfo
	if s.cfg.Refused != nil && !s.cfg.Refused(peer.Addr(), why) {
		level = slog.LevelDebug
	}
	s.cfg.Logger.Log(context.Background(), level, "refused", "type", link.L2TP, "peer", peer, "cause", why.Code, "reason", why)
}

// draw draws a free identifier.
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

// Stats returns a copy of the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := s.strangers.Stats()
	st := Stats{Tunnels: s.nTunnels, Calls: s.nCalls, HalfOpen: len(s.halfOpen), UnauthenticatedTunnels: unknown.Hosts, UnauthenticatedCalls: unknown.Calls, Dropped: map[string]uint64{
		"malformed": s.drops.malformed.Load(), "unknown tunnel or call": s.drops.unknown.Load(),
		"wrong source address": s.drops.source.Load(), "late or doubled": s.drops.late.Load(), "over a limit": s.drops.limit.Load(),
		"unauthenticated, over a limit": unknown.Evicted,
	}}
	for _, c := range s.sockets {
		st.Dropped["not sent"] += c.Refused()
	}
	return st
}
