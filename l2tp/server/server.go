// Package server is the L2TP network server: UDP port 1701. It hands each call that a client dials to
// the link.Accept it was given.
package server

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/mmsg"
	"vpnd/l2tp"
	"vpnd/l2tp/data"
	"vpnd/l2tp/wire"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

// Tunnels that wait for their peer's second message: when one more comes, another one goes, picked at
// random, so that in a flood from invented addresses, which costs no more than that, a real peer has its
// chance. One address cannot take the places of all others.
const (
	maxHalfOpen        = 4096
	maxHalfOpenPerAddr = 256
)

// Config says where a Server listens and what it bears. The zero value of a field is the default that
// its comment gives.
type Config struct {
	Listen     []netip.Addr // IPv4 addresses; all
	Port       uint16       // UDP; 1701
	Tunnel     l2tp.Config
	MaxTunnels int              // open, at most 32768; 16384
	MaxCalls   int              // in all, at most 32768; 16384
	Strangers  strangers.Limits // of open tunnels, and of calls, without a user
	Logger     *slog.Logger     // nil: nothing is logged
	Random     io.Reader        // of identifiers; crypto/rand
	// Refused, if not nil, is told of a tunnel or a call that is not taken, of as many as are logged at level
	// info. It must not wait.
	Refused func(peer netip.Addr, reason string)
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

// peerKey names a peer's tunnel: an SCCRQ that is repeated is not a second one.
type peerKey struct {
	addr   netip.AddrPort
	tunnel uint16
}

// Refused tunnels and calls that are logged at level info, a second and at once; the others are at debug.
const (
	refusalsEach   = 1
	refusalsAtOnce = 20
)

// Server accepts L2TP tunnels and their calls.
type Server struct {
	refusals  *rate.Limiter // that are logged as such: a peer must not fill the log
	cfg       Config
	accept    link.Accept
	sockets   []*mmsg.Conn
	tunnels   [1 << 16]atomic.Pointer[tunnel] // by our identifier
	calls     [1 << 16]atomic.Pointer[call]
	drops     drops
	wg        sync.WaitGroup
	draining  atomic.Bool
	taking    sync.RWMutex // held for reading while a call is taken, for writing while draining is set
	strangers *strangers.Guard[*tunnel, *call]

	mu       sync.Mutex
	peers    map[peerKey]*tunnel        // the newest one of each
	addrs    map[netip.AddrPort]*tunnel // the tunnel of an address that was opened last
	halfOpen []*tunnel                  // each one's place is its slot
	waiting  map[netip.Addr]int         // how many of halfOpen an address has
	dialling map[netip.AddrPort]dialler // and a port of it
	nTunnels int                        // half-open ones included
	nCalls   int
	stopping bool // by Shutdown, or because it is drained
	gone     sync.WaitGroup
}

// dialler is who has half-open tunnels: how many, and which is the newest one.
type dialler struct {
	n      int
	newest *tunnel
}

// drops counts what was not taken.
type drops struct {
	malformed, unknown, source, late, limit atomic.Uint64
}

// Stats are the server's counters since it started, and what stands now.
type Stats struct {
	Tunnels, Calls int
	HalfOpen       int // of Tunnels: their peers have not shown that they hear us
	// UnauthenticatedTunnels are the other ones of Tunnels on which no user has logged in, UnauthenticatedCalls those of Calls.
	UnauthenticatedTunnels, UnauthenticatedCalls int
	Dropped                                      map[string]uint64
}

// Listen opens the UDP sockets. Nothing is accepted before Serve. An error says what is in the way and
// how to mend it.
func Listen(cfg Config, accept link.Accept) (*Server, error) {
	s := &Server{
		cfg: cfg.withDefaults(), accept: accept, refusals: rate.NewLimiter(refusalsEach, refusalsAtOnce),
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
		var victim *tunnel
		t, victim = s.request(c, now, p, body)
		if victim != nil {
			victim.do(func() { victim.ctl.Forget("no room: too many tunnels wait for their peer") })
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

// nameless finds the tunnel of a message without our identifier, such as all of D-Link's DIR-300 are: the open one of
// its address and port, or the only one that is being opened from there.
func (s *Server) nameless(from netip.AddrPort) *tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.addrs[from]; t != nil {
		return t
	}
	if d := s.dialling[from]; d.n == 1 && d.newest.slot != noSlot {
		return d.newest
	}
	return nil
}

// request finds the tunnel of an SCCRQ, or makes one. Another one, victim, may have to go for it. A peer
// that has lost its tunnel, and opens it anew under the same identifier, gets a second one: the first one
// goes when the peer has shown that it hears us.
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
			s.refuse(p.From, err.Error())
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
	s.tunnels[id].Store(t)
	s.peers[key] = t
	s.nTunnels++
	s.gone.Add(1)
	return t, s.makeRoom(t)
}

// refuse logs that a tunnel, or a call in it, is not taken.
func (s *Server) refuse(peer netip.AddrPort, reason string) {
	level := slog.LevelDebug
	if s.refusals.Allow() {
		level = slog.LevelInfo
		if s.cfg.Refused != nil {
			s.cfg.Refused(peer.Addr(), reason)
		}
	}
	s.cfg.Logger.Log(context.Background(), level, "refused", "type", "L2TP", "peer", peer, "reason", reason)
}

// makeRoom adds t to the half-open tunnels, and gives the one that goes when there are too many.
func (s *Server) makeRoom(t *tunnel) (victim *tunnel) {
	n := len(s.halfOpen)
	if full := s.waiting[t.peer.Addr()] >= maxHalfOpenPerAddr; n > 0 && (full || n >= maxHalfOpen) {
		at := rand.IntN(n) //nolint:gosec // no secret
		for full && s.halfOpen[at].peer.Addr() != t.peer.Addr() {
			at = (at + 1) % n
		}
		victim = s.halfOpen[at]
		s.noLongerHalfOpen(victim)
		s.drops.limit.Add(1)
	}
	t.slot = len(s.halfOpen)
	s.halfOpen = append(s.halfOpen, t)
	s.waiting[t.peer.Addr()]++
	s.dialling[t.peer] = dialler{s.dialling[t.peer].n + 1, t}
	return victim
}

func (s *Server) noLongerHalfOpen(t *tunnel) {
	if t.slot == noSlot {
		return
	}
	last := len(s.halfOpen) - 1
	s.halfOpen[t.slot] = s.halfOpen[last]
	s.halfOpen[t.slot].slot = t.slot
	s.halfOpen[last] = nil
	s.halfOpen = s.halfOpen[:last]
	t.slot = noSlot
	if addr := t.peer.Addr(); s.waiting[addr] == 1 {
		delete(s.waiting, addr)
	} else {
		s.waiting[addr]--
	}
	if d := s.dialling[t.peer]; d.n == 1 {
		delete(s.dialling, t.peer)
	} else {
		s.dialling[t.peer] = dialler{d.n - 1, d.newest}
	}
}

// opened takes note that the peer of t hears us. What it had before under the same identifier is given, and the tunnel
// that has to go for it.
func (s *Server) opened(t *tunnel) (before, victim *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.over.Load() {
		s.addrs[t.peer] = t
		victim, _ = s.strangers.Host(t, t.peer.Addr())
	}
	s.noLongerHalfOpen(t)
	before, t.before = t.before, nil
	return before, victim
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

// Drain takes no more calls: a peer that asks for a tunnel hears that there is no room, and tunnels
// without a call are closed. What calls there are go on; with the last tunnel the server ends, as by Shutdown.
// Until then Resume takes it back. When Drain returns, link.Accept is not called any more.
func (s *Server) Drain() {
	s.taking.Lock()
	s.draining.Store(true)
	s.taking.Unlock()
	s.mu.Lock()
	all := s.all()
	s.endDrained()
	s.mu.Unlock()
	for _, t := range all {
		t.do(func() {})
	}
}

// endDrained ends a server that has been drained of its last tunnel. The caller holds the lock.
func (s *Server) endDrained() {
	if s.draining.Load() && s.nTunnels == 0 && !s.stopping {
		s.stopping = true
		s.closeSockets()
	}
}

// Resume takes calls again after Drain. The error is link.ErrEnded.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return link.ErrEnded
	}
	s.draining.Store(false)
	return nil
}

// all are the tunnels. The caller holds the lock.
func (s *Server) all() []*tunnel {
	var all []*tunnel
	for id := range s.tunnels {
		if t := s.tunnels[id].Load(); t != nil {
			all = append(all, t)
		}
	}
	return all
}

// Shutdown hangs every call up, stops every tunnel, closes the sockets, and waits for all that, or for
// ctx; then it cuts what is left.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	all := s.all()
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
			t.do(func() { t.ctl.Forget("server is shutting down") })
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
