// Package server is the PPTP access concentrator: the control connections on TCP port 1723 and the
// raw GRE socket. It hands each call from a client to link.Accept.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/mmsg"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/gre"
	"vpnd/pptp/wire"
)

// Config has the options of a Server. If a field is zero, the default in its comment applies.
type Config struct {
	Listen         []netip.Addr // IPv4 addresses; all
	Port           uint16       // TCP; 1723
	Control        pptp.Config
	MaxConnections int              // control connections in all; 8192
	MaxCalls       int              // in all, at most 32768; 8192
	Strangers      strangers.Limits // of control connections, and of calls, without a user
	WriteTimeout   time.Duration    // for bytes that the peer does not read; 10 s
	ReorderTimeout time.Duration    // of the Receiver of each call; pptp.ReorderTimeout
	Logger         *slog.Logger     // nil: nothing is logged
	Random         io.Reader        // of call identifiers; crypto/rand
	// Refused, if not nil, learns of each refused call, and reports whether to log it at level
	// info. Otherwise the refusal is logged at debug. So a peer cannot fill the log. Refused must
	// not wait.
	Refused func(peer netip.Addr, why reason.Reason) bool
}

func (c Config) withDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []netip.Addr{netip.IPv4Unspecified()}
	}
	if c.Port == 0 {
		c.Port = wire.Port
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&c.MaxConnections, 8192}, {&c.MaxCalls, 8192}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c
}

// Server accepts PPTP control connections and their calls.
type Server struct {
	cfg       Config
	accept    link.Accept
	listeners []*net.TCPListener
	gre       []*mmsg.Conn
	calls     *gre.Exchange
	strangers *strangers.Guard[*conn, *call]
	refused   atomic.Uint64 // connections over a limit
	wg        sync.WaitGroup
	connsWG   sync.WaitGroup

	draining atomic.Bool
	taking   sync.RWMutex // read-locked while a call is taken, locked to set draining

	mu       sync.Mutex
	conns    map[*conn]struct{}
	serving  bool
	stopping bool // after Shutdown, or because it is drained
}

// Stats has the server's counters since its start, and its current figures.
type Stats struct {
	Connections, Calls int
	// UnauthenticatedConnections and UnauthenticatedCalls count those without a user.
	UnauthenticatedConnections, UnauthenticatedCalls int
	Dropped                                          map[string]uint64 // packets and connections
}

// Listen opens the TCP and GRE sockets. The server accepts nothing before Serve. The error says
// what is wrong and how to fix it.
func Listen(cfg Config, accept link.Accept) (*Server, error) {
	s := &Server{
		cfg: cfg.withDefaults(), accept: accept,
		strangers: strangers.New[*conn, *call](cfg.Strangers), conns: map[*conn]struct{}{},
	}
	s.calls = gre.NewExchange(s.cfg.MaxCalls, s.cfg.Random)
	s.calls.ReorderTimeout = s.cfg.ReorderTimeout
	if err := s.listen(); err != nil {
		return nil, err
	}
	for _, addr := range s.cfg.Listen {
		socket, err := gre.Listen(addr)
		if err != nil {
			s.closeSockets()
			return nil, err
		}
		s.gre = append(s.gre, socket)
	}
	return s, nil
}

// listen opens the TCP listeners, all or none.
func (s *Server) listen() error {
	for _, addr := range s.cfg.Listen {
		l, err := listenTCP(netip.AddrPortFrom(addr, s.cfg.Port))
		if err != nil {
			s.closeListeners()
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.listeners = nil
}

func (s *Server) closeSockets() {
	s.closeListeners()
	for _, g := range s.gre {
		_ = g.Close()
	}
}

// Addr is the address of the first TCP listener. The server must not be drained.
func (s *Server) Addr() netip.AddrPort {
	addr, _ := s.listeners[0].Addr().(*net.TCPAddr)
	return addr.AddrPort()
}

// Serve accepts connections until Shutdown, or until the server is drained.
func (s *Server) Serve() {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	s.serving = true
	s.wg.Go(s.calls.Run)
	for _, socket := range s.gre {
		s.wg.Go(func() { s.calls.Read(socket) })
	}
	s.acceptAll()
	s.mu.Unlock()
	s.wg.Wait()
}

// acceptAll accepts connections on all listeners. The caller holds the lock.
func (s *Server) acceptAll() {
	for i, l := range s.listeners {
		s.wg.Go(func() { s.acceptTCP(l, s.gre[i]) })
	}
}

func (s *Server) acceptTCP(l *net.TCPListener, socket *mmsg.Conn) {
	for pause := time.Millisecond; ; {
		tcp, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // probably no free descriptor: there may be one later
			s.cfg.Logger.Warn("cannot accept a connection", "type", link.PPTP, "error", err)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		s.serve(tcp, socket)
	}
}

// serve takes a connection within the limits.
func (s *Server) serve(tcp *net.TCPConn, socket *mmsg.Conn) {
	remote, _ := tcp.RemoteAddr().(*net.TCPAddr)
	local, _ := tcp.LocalAddr().(*net.TCPAddr)
	c := &conn{
		s: s, tcp: tcp, gre: socket, remote: unmap(remote.AddrPort()), local: unmap(local.AddrPort()).Addr(),
		calls: map[uint16]*call{}, ctl: pptp.New(s.cfg.Control, time.Now()),
	}
	c.written.L = &c.mu
	c.alarm = alarm.New(func() { c.do(c.ctl.Tick) })
	s.mu.Lock()
	var victim *conn
	full := s.stopping || s.draining.Load() || len(s.conns) >= s.cfg.MaxConnections
	if !full {
		s.conns[c] = struct{}{}
		s.connsWG.Add(1)
		victim, _ = s.strangers.Host(c, c.remote.Addr())
	}
	s.mu.Unlock()
	if full {
		s.refused.Add(1)
		_ = tcp.Close()
		return
	}
	if victim != nil {
		victim.evict()
	}
	c.do(func(time.Time) {}) // sets the alarm
	go c.run()
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// refuse logs the refusal of a call.
func (s *Server) refuse(peer netip.AddrPort, why reason.Reason) {
	level := slog.LevelInfo
	if s.cfg.Refused != nil && !s.cfg.Refused(peer.Addr(), why) {
		level = slog.LevelDebug
	}
	s.cfg.Logger.Log(context.Background(), level, "refused", "type", link.PPTP, "peer", peer, "cause", why.Code, "reason", why)
}

// gone forgets a closed connection.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.strangers.HostGone(c)
	s.connsWG.Done()
	s.endDrained()
}

// Drain accepts no new calls. It closes the TCP listeners, and the control connections without a
// call. Open calls stay. The server ends with the last control connection, as after Shutdown. Until
// then, Resume cancels the drain. After Drain has returned, the server does not call link.Accept.
func (s *Server) Drain() {
	s.taking.Lock()
	s.draining.Store(true)
	s.taking.Unlock()
	s.mu.Lock()
	s.closeListeners()
	conns := slices.Collect(maps.Keys(s.conns))
	s.endDrained()
	s.mu.Unlock()
	for _, c := range conns {
		c.do(func(time.Time) {})
	}
}

// endDrained ends a draining server that has lost its last connection. The caller holds the lock.
func (s *Server) endDrained() {
	if s.draining.Load() && len(s.conns) == 0 && !s.stopping {
		s.stopping = true
		s.closeSockets()
		s.calls.Stop()
	}
}

// Resume takes calls again after Drain. The error is link.ErrEnded, or says why a port cannot be
// opened and how to fix that.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return link.ErrEnded
	case !s.draining.Load():
		return nil
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.draining.Store(false)
	if s.serving {
		s.acceptAll()
	}
	return nil
}

// Shutdown hangs up every call, stops every control connection and closes the sockets. It waits
// until that is done, or until ctx ends. Then it ends the rest at once.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	conns := slices.Collect(maps.Keys(s.conns))
	s.closeListeners()
	s.mu.Unlock()
	for _, c := range conns {
		c.do(func(now time.Time) { c.ctl.Stop(now, reason.New(reason.ShuttingDown)) })
	}
	done := make(chan struct{})
	go func() {
		s.connsWG.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, c := range conns {
			_ = c.tcp.Close()
		}
		<-done
	}
	s.mu.Lock()
	s.closeSockets()
	s.mu.Unlock()
	s.calls.Stop()
	s.wg.Wait()
}

// Stats returns a copy of the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := s.strangers.Stats()
	st := Stats{
		Connections: len(s.conns), Calls: s.calls.Calls(),
		UnauthenticatedConnections: unknown.Hosts, UnauthenticatedCalls: unknown.Calls, Dropped: s.calls.Dropped(),
	}
	st.Dropped["too many connections"] = s.refused.Load()
	st.Dropped["unauthenticated, over a limit"] = unknown.Evicted
	for _, g := range s.gre {
		st.Dropped["not sent"] += g.Refused()
	}
	return st
}
