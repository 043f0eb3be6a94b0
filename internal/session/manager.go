// Package session is one call from its first frame to its last: link, PPP engine, authentication,
// address and data path. Its Manager has the table of all connections.
package session

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/auth"
	"vpnd/internal/dataplane"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/ppp"

	"golang.org/x/time/rate"
)

const (
	// idLen is the length of a connection's id: 60 random bits.
	idLen = 12
	// nameLen is the maximum length of a peer's name in logs.
	nameLen = 64
)

// Authenticator answers log-ins. auth.Authenticator implements it.
type Authenticator interface {
	Authenticate(ctx context.Context, at auth.Attempt) auth.Outcome
}

// Leases remembers the last address of each user.
type Leases interface {
	LastAddress(ctx context.Context, user string) (netip.Addr, error)
	SetLastAddress(ctx context.Context, user string, addr netip.Addr) error
}

// Recorder records connections and refusals. Its methods must not wait.
type Recorder interface {
	Connected(c Connection)
	Disconnected(c Connection, why reason.Reason)
	Refused(r Refusal)
}

// ConnectionHooks can refuse connections, and act when connections come and go.
type ConnectionHooks interface {
	// Before is called for a user whose proof was right, before the client gets its answer. It may
	// be slow. An error refuses the connection, and its text is the reason.
	Before(ctx context.Context, c Connection) error
	// Up is called before the first packet passes. It must not wait.
	Up(c Connection)
	// Regroup is called when the group of a connection's user has changed from oldGroup. It must
	// not wait.
	Regroup(c Connection, oldGroup string)
	// Down is called for each connection that Up was called for, when packets no longer pass. It
	// must not wait. Nobody else gets the address until it calls release, once.
	Down(c Connection, why reason.Reason, release func())
}

// A Discarder is implemented by hooks that must undo something when a connection that Before
// accepted does not come up.
type Discarder interface {
	ConnectionHooks
	// Discard is called for such a connection. It must not wait. Nobody else gets the address until
	// it calls release, once.
	Discard(c Connection, release func())
}

// Refusal is a refused log-in, or a sum of refusals that were left out.
type Refusal struct {
	ID, User, Auth string    // User as the peer wrote it, cleaned
	Type           link.Type // "": a sum
	Reason         reason.Reason
	Remote         netip.Addr // of a sum: invalid if it covers several
	LeftOut        bool       // over the limits: count it, but do not store it
	Sum            int        // how many were left out, each counted; 0: not a sum
}

// Pool gives users their address and their name servers.
type Pool struct {
	Addresses *ippool.Pool
	DNS, NBNS []netip.Addr
	// DHCP answers a user's DHCP message, as in dataplane.PortConfig. nil: no answers.
	DHCP func(reply, request []byte) ([]byte, bool)
}

// Usage is a user's traffic in bytes, from the user (Rx) and to the user (Tx).
type Usage struct{ Rx, Tx uint64 }

// Config configures a Manager.
type Config struct {
	PPP        ppp.Config // of every session; the Manager sets Role
	Local      netip.Addr // the server's inner address
	Auth       Authenticator
	AuthAtOnce int             // log-ins in verification at the same time; 16
	Pools      map[string]Pool // by name; SetPools changes them
	Leases     Leases
	Recorder   Recorder // nil: no records
	// Used returns the bytes that a user has moved this month, for users with a quota. nil: none.
	Used        func(ctx context.Context, user string) (uint64, error)
	Plane       *dataplane.Plane
	Now         func() time.Time // the clock of auth.Terms.Until; nil: time.Now
	MaxSessions int              // 16384
	LogIns      int              // admitted log-ins of one user in a minute; 600
	MaxPending  int              // pending sessions of an address; 1024: the sum of both carriers'
	Logger      *slog.Logger
	Trace       string          // a user's name or a peer's address: its negotiation is logged
	Hooks       ConnectionHooks // nil: no hooks
	Refusals    Refusals
}

// Manager makes a session of each call, and knows all sessions.
type Manager struct {
	cfg      Config
	gate     chan struct{} // a place for each log-in in verification
	ctx      context.Context
	stop     context.CancelFunc
	panics   atomic.Uint64
	refusals *refusals
	untaken  *refusals // of calls without a session

	waiting atomic.Int64 // log-ins that have a place or wait for one

	pools     map[string]Pool
	poolsLock sync.RWMutex // held while a session takes an address from pools

	ppp               atomic.Pointer[ppp.Config]
	noPlainL2TP       atomic.Bool
	captures          atomic.Pointer[[]*Capture] // running captures; nil: none
	pendingFrameBytes atomic.Int64               // bytes of frames that sessions keep for captures

	mu         sync.Mutex
	sessions   map[string]*session      // by id
	users      map[string][]*session    // admitted, by user, oldest first
	logIns     map[string]*rate.Limiter // of each user
	pending    map[netip.Addr]int       // by outer address
	unreported map[string]Usage         // of connections that are gone, for the next Usage
	leaving    map[netip.Addr]*lease    // addresses that the hooks have not released yet
	open       map[Kind]int
	moved      map[link.Type]dataplane.Stats // by type, of sessions that are gone
	closed     bool
	empty      chan struct{} // closed when the last session has gone after closed
}

// NewManager makes a Manager without sessions.
func NewManager(cfg Config) *Manager {
	if cfg.AuthAtOnce == 0 {
		cfg.AuthAtOnce = 16
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 16384
	}
	if cfg.MaxPending == 0 {
		cfg.MaxPending = 1024
	}
	if cfg.LogIns == 0 {
		cfg.LogIns = 600
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		cfg: cfg, gate: make(chan struct{}, cfg.AuthAtOnce), pools: cfg.Pools,
		sessions: map[string]*session{}, users: map[string][]*session{}, logIns: map[string]*rate.Limiter{}, pending: map[netip.Addr]int{}, unreported: map[string]Usage{},
		leaving: map[netip.Addr]*lease{}, open: map[Kind]int{}, moved: map[link.Type]dataplane.Stats{}, empty: make(chan struct{}),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	for line, r := range map[string]**refusals{leftOutLine: &m.refusals, untakenLine: &m.untaken} {
		*r = newRefusals(cfg.Refusals, func(source netip.Addr, sources, left int) { m.tellLeftOut(line, source, sources, left) })
	}
	m.SetPPP(cfg.PPP)
	return m
}

// SetPPP sets what later sessions negotiate.
func (m *Manager) SetPPP(cfg ppp.Config) {
	cfg.Role = ppp.Server
	m.ppp.Store(&cfg)
}

// Connection is an open connection as an administrator sees it.
type Connection struct {
	ID, User, Encryption, Auth string
	Type                       link.Type
	Group                      string // of the user; "": none
	Remote                     netip.Addr
	Virtual                    netip.Addr
	DNS                        []netip.Addr // that the client got
	Since                      time.Time
	Stats                      dataplane.Stats
}

// services maps the types of dial-in to their names in user profiles.
var services = map[link.Type]auth.Service{link.PPTP: auth.PPTP, link.L2TP: auth.L2TP}

// Service is the name of the connection's type in user profiles.
func (c Connection) Service() auth.Service { return services[c.Type] }

var (
	errPending = reason.New(reason.PendingLimit)
	errFull    = reason.New(reason.CallLimit)
	errStopped = reason.New(reason.ShuttingDown)
	errPlain   = reason.New(reason.NobodyWithout)
)

// Accept takes a call. It is a link.Accept.
func (m *Manager) Accept(l link.Link) (link.Sink, error) {
	s := newSession(m, l, strings.ToLower(rand.Text()[:idLen]))
	if err := m.add(s); err != nil {
		return nil, err
	}
	s.begin()
	return s, nil
}

// add takes a session into the table, or refuses it.
func (m *Manager) add(s *session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errStopped
	case m.noPlainL2TP.Load() && s.info.Type == link.L2TP:
		return errPlain
	case len(m.sessions) >= m.cfg.MaxSessions:
		return errFull
	case m.pending[s.source()] >= m.cfg.MaxPending:
		return errPending
	}
	m.sessions[s.id] = s
	s.table.pending = true
	m.pending[s.source()]++
	return nil
}

// established counts a session as open, and no longer as pending.
func (m *Manager) established(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle(s)
	m.count(s, Kind{s.info.Type, s.crypto})
}

// settle counts a session as no longer pending. The caller holds the lock.
func (m *Manager) settle(s *session) {
	if !s.table.pending {
		return
	}
	s.table.pending = false
	if m.pending[s.source()]--; m.pending[s.source()] == 0 {
		delete(m.pending, s.source())
	}
}

// gone removes a session from the table, and adds its traffic since the last Usage.
func (m *Manager) gone(s *session, unreported Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle(s)
	m.count(s, Kind{})
	m.addMoved(s)
	delete(m.sessions, s.id)
	if s.account.user != "" {
		m.release(s, s.account.user)
		m.addUnreported(s.account.user, unreported)
	}
	if m.closed && len(m.sessions) == 0 {
		m.stop()
		close(m.empty)
	}
}

func (m *Manager) all() []*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*session, 0, len(m.sessions))
	for _, s := range m.sessions {
		all = append(all, s)
	}
	return all
}

// Connections lists the open connections, oldest first.
func (m *Manager) Connections() []Connection {
	all := m.all()
	open := make([]Connection, 0, len(all))
	for _, s := range all {
		if c, ok := s.connection(); ok {
			open = append(open, c)
		}
	}
	slices.SortFunc(open, func(a, b Connection) int {
		if n := a.Since.Compare(b.Since); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return open
}

// Count is the number of sessions, open or pending.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions)
}

// Panics is the number of sessions that ended by a fault of ours.
func (m *Manager) Panics() uint64 { return m.panics.Load() }

// Drop hangs up the connections whose id or user is which, and returns their number. It tells the
// clients the reason why.
func (m *Manager) Drop(which string, why reason.Reason) int {
	return m.DropIf(func(c Connection) bool { return c.ID == which || strings.EqualFold(c.User, which) }, why)
}

// DropIf hangs up the connections that unwanted selects.
func (m *Manager) DropIf(unwanted func(Connection) bool, why reason.Reason) int {
	n := 0
	for _, s := range m.all() {
		if c, ok := s.connection(); ok && unwanted(c) {
			s.close(why)
			n++
		}
	}
	return n
}

// DropType hangs up all sessions of a type of dial-in, including pending ones.
func (m *Manager) DropType(kind link.Type, why reason.Reason) {
	for _, s := range m.all() {
		if s.info.Type == kind {
			s.close(why)
		}
	}
}

// Shutdown accepts no new calls, hangs up all sessions and waits until they are gone or ctx is
// done. Then it cuts the rest.
func (m *Manager) Shutdown(ctx context.Context, why reason.Reason) {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	if first && len(m.sessions) == 0 {
		m.stop()
		close(m.empty)
	}
	m.mu.Unlock()
	for _, s := range m.all() {
		s.close(why)
	}
	defer m.untaken.flush()
	defer m.refusals.flush()
	select {
	case <-m.empty:
	case <-ctx.Done():
		for _, s := range m.all() {
			s.cut(why)
		}
		<-m.empty
	}
}

// clean prepares a peer's name for a log: printable ASCII of limited length.
func clean(name string) string {
	quoted := strconv.QuoteToASCII(name[:min(len(name), nameLen)])
	return quoted[1 : len(quoted)-1]
}
