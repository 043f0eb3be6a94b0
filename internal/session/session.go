package session

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/auth"
	"vpnd/internal/alarm"
	"vpnd/internal/dataplane"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/ppp"
)

const (
	// startDelay is how long we wait for the peer's first frame before we begin. A frame of ours
	// would be lost if the peer does not know yet that its call is accepted, and would be repeated
	// only 3 s later.
	startDelay = 300 * time.Millisecond
	// confirmDelay is the longest delay if the peer confirms the call. We begin when it confirms:
	// it may be far away, and may have to repeat its confirmation.
	confirmDelay = 10 * time.Second
	// readyDelay is how long we wait for the first frame after the call is confirmed. A client
	// whose PPP is ready sends at once, and our request follows. A client that first starts a
	// process would miss that request.
	readyDelay = 20 * time.Millisecond
)

// session is one call. Its fields are grouped by the lock that guards them.
// docs/adr/0002-session-lock.md has the order of the locks.
type session struct {
	m    *Manager
	id   string
	link link.Link
	info link.Info
	log  *slog.Logger
	port atomic.Pointer[dataplane.Port]
	done chan struct{} // closed when the call has ended, to free a waiting log-in

	// table is the call in the Manager's table. The Manager's lock guards it.
	table struct {
		pending bool // not up yet
		counted Kind // the kind under which it counts as open; zero: it does not
		settled bool // it counts as a connection of the user, no longer as a claim
	}

	// mu guards all that follows. It is held while the engine works, never while anything waits.
	// User data does not take it.
	mu      sync.Mutex
	engine  *ppp.Engine
	alarm   alarm.Alarm
	startAt time.Time // when we begin, if the peer does not; zero: only the peer begins
	begun   bool
	over    bool

	login    logIn
	account  account
	lease    leased
	hooks    hooked
	activity activity

	// The connection, once packets may pass.
	up       bool
	since    time.Time
	crypto   string
	changes  int // of crypto while it was up
	final    dataplane.Stats
	reported Usage // the last answer to Usage

	tracing tracing
	capture captured
}

// logIn is the current log-in, or the last one.
type logIn struct {
	question  *ppp.Authenticate // to answer next
	answering bool              // answer is running
	verifying bool              // a question has no answer yet
	lost      reason.Reason     // why the call ended while verifying
	refusal   reason.Reason
}

// account is the user's account, once it is known.
type account struct {
	user    string
	method  ppp.Method
	oneTime bool // the password was a one-time one
	terms   auth.Terms
	revised bool // terms are newer than at the start of the log-in
	in      bool // the user was let in
}

// leased is the user's inner address.
type leased struct {
	addr    netip.Addr
	pool    Pool       // the pool of addr
	heir    netip.Addr // of an older connection; only answer changes it and reads it unlocked
	release func()     // of addr; set if the call ended before the hooks answered
}

// hooked is the state of the hooks for this connection.
type hooked struct {
	asked   bool // Before is running
	allowed bool // Before has accepted the connection
	told    bool // Up has been called
}

func newSession(m *Manager, l link.Link, id string) *session {
	cfg := *m.ppp.Load()
	info := l.Info()
	if info.Type == link.L2TP {
		cfg.MPPE.Passive = true // phones break if we begin CCP
		cfg.MPPE.Reordered = true
	}
	s := &session{m: m, id: id, link: l, info: info, engine: ppp.New(cfg), done: make(chan struct{})}
	s.alarm = alarm.New(s.fire)
	s.log = m.cfg.Logger.With("session", id, "type", info.Type, "peer", info.Remote.Addr())
	if trace := m.cfg.Trace; trace != "" {
		s.tracing.state = traceMaybe
		if trace == info.Remote.Addr().String() {
			s.tracing.state = traceOn
		}
	}
	return s
}

func (s *session) source() netip.Addr { return s.info.Remote.Addr() }

// begin is called once, before we confirm the call to the peer. The Manager may have ended the
// session already.
func (s *session) begin() {
	s.do(func(now time.Time) {
		delay := startDelay
		if s.info.Confirms {
			delay = confirmDelay
		}
		s.startAt = now.Add(delay)
	})
}

// Confirmed is called by the carrier when the peer has confirmed the call.
func (s *session) Confirmed() {
	defer s.survive()
	s.do(func(now time.Time) {
		if ready := now.Add(readyDelay); ready.Before(s.startAt) {
			s.startAt = ready
		}
	})
}

// Frame takes a frame of the peer. User data goes to the port, the rest to the engine.
func (s *session) Frame(b *pktbuf.Buf) {
	defer s.survive()
	if port := s.port.Load(); port != nil && port.Inbound(b) {
		return
	}
	s.do(func(now time.Time) {
		s.start(now)
		s.trace("received", b.Bytes())
		s.record(now, true, b.Bytes())
		s.engine.Receive(now, b.Bytes())
	})
	b.Release()
}

// Down is called by the carrier when the call is over.
func (s *session) Down(why reason.Reason) {
	defer s.survive()
	s.do(func(time.Time) { s.engine.Down(why) })
}

func (s *session) start(now time.Time) {
	if s.begun {
		return
	}
	s.begun = true
	s.startAt = time.Time{}
	s.engine.Start(now)
}

// close hangs up properly; cut does not wait for the peer.
func (s *session) close(why reason.Reason) {
	defer s.survive()
	s.do(func(now time.Time) { s.engine.Close(now, why) })
}

func (s *session) cut(why reason.Reason) {
	defer s.survive()
	s.do(func(time.Time) { s.engine.Down(why) })
}

// survive keeps a fault of ours in one session from ending the others.
func (s *session) survive() {
	if fault := recover(); fault != nil {
		s.failed(fault, debug.Stack())
	}
}

// faulty is survive for the data path, which must not wait.
func (s *session) faulty(fault any) {
	stack := debug.Stack()
	go s.failed(fault, stack)
}

func (s *session) failed(fault any, stack []byte) {
	s.m.panics.Add(1)
	s.log.Error("session ended by a fault of the server", "fault", fmt.Sprint(fault), "stack", string(stack))
	defer func() {
		if again := recover(); again != nil {
			s.log.Error("panic while ending the session", "fault", fmt.Sprint(again))
			s.m.gone(s, Usage{})
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(reason.New(reason.ServerFault))
}

// do runs f on the engine, and then handles the engine's events.
func (s *session) do(f func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	now := time.Now()
	f(now)
	out := link.TakeBatch()
	for !s.over {
		event, ok := s.engine.Next()
		if !ok {
			break
		}
		s.handle(now, event, out)
	}
	out.Done()
	if !s.over {
		s.arm()
	}
}

func (s *session) handle(now time.Time, event ppp.Event, out *link.Batch) {
	switch v := event.(type) {
	case ppp.Transmit:
		s.trace("sent", v.Frame)
		s.record(now, false, v.Frame)
		b := pktbuf.Get()
		b.Append(v.Frame)
		s.link.Send(b, out)
	case ppp.Authenticate:
		s.ask(v)
	case ppp.NetworkUp:
		s.networkUp(now, v)
	case ppp.NetworkDown:
		if port := s.port.Load(); port != nil {
			port.Hold()
		}
	case ppp.CryptoReset:
		out.Flush()
		if port := s.port.Load(); port != nil {
			port.ResetCipher()
		}
	case ppp.Note:
		s.log.Debug("peer says", "text", v.Text)
	case ppp.Closed:
		out.Flush()
		s.end(v.Reason)
	}
}

func (s *session) networkUp(now time.Time, v ppp.NetworkUp) {
	port := s.port.Load()
	if port == nil {
		var err error
		port, err = s.m.cfg.Plane.Add(dataplane.PortConfig{Addr: v.Peer, Link: s.link, NeedReset: s.needReset, Undecryptable: s.undecryptable, Fault: s.faulty, DHCP: s.lease.pool.DHCP})
		if err != nil {
			s.engine.Close(now, reason.New(reason.NoDataPath, err))
			return
		}
		s.port.Store(port)
		if h := s.m.cfg.Hooks; h != nil {
			s.since, s.crypto, s.hooks.told = now, v.Encryption, true
			h.Up(s.described())
		}
	}
	port.SetPolicy(policy(s.account.terms))
	s.tap()
	port.Up(Params(v))
	if s.up {
		if s.crypto != v.Encryption {
			s.encryptionChanged(v.Encryption)
		}
		return
	}
	s.up, s.since, s.crypto = true, now, v.Encryption
	s.m.established(s)
	s.activity.quietSince = now
	if s.account.terms.IdleTimeout > 0 {
		s.activity.lookAt = now.Add(idleStep(s.account.terms))
	}
	attrs := []any{"user", s.account.user, "address", v.Peer, "auth", s.account.method.String(), "encryption", v.Encryption}
	if s.account.oneTime && v.Encrypter != nil {
		attrs = append(attrs, "note", "the encryption key comes from a one-time password of 24 bits")
	}
	s.log.Info("connected", attrs...)
	if r := s.m.cfg.Recorder; r != nil {
		r.Connected(s.described())
	}
}

// policy is the part of a user's terms that the data path needs.
func policy(t auth.Terms) dataplane.Policy {
	return dataplane.Policy{BlockNetBIOS: t.BlockNetBIOS, PassMulticast: t.PassMulticast, UpLimit: t.UpLimit, DownLimit: t.DownLimit}
}

// setTerms changes the limits of a connection while it is up.
func (s *session) setTerms(t auth.Terms) {
	s.do(func(now time.Time) {
		if t.IdleTimeout != s.account.terms.IdleTimeout {
			s.activity.lookAt = time.Time{}
			if t.IdleTimeout > 0 {
				s.activity.lookAt = now.Add(idleStep(t))
			}
		}
		s.setTermsLocked(t)
		s.account.revised = true
		if port := s.port.Load(); port != nil {
			port.SetPolicy(policy(t))
		}
	})
}

// setTermsLocked stores new terms, and tells the hooks if the group changes. The caller holds the
// lock.
func (s *session) setTermsLocked(t auth.Terms) {
	oldGroup := s.account.terms.Group
	s.account.terms = s.m.toHostClock(t)
	if s.hooks.told && t.Group != oldGroup {
		s.m.cfg.Hooks.Regroup(s.described(), oldGroup)
	}
}

// Params is the part of the engine's agreement that the data path needs.
func Params(v ppp.NetworkUp) dataplane.Params {
	p := dataplane.Params{PeerMRU: int(v.PeerMRU), PFC: v.PFC, ACFC: v.ACFC, Required: v.Required}
	if v.Encrypter != nil {
		p.Cipher = v.Encrypter
	}
	if v.Decrypter != nil {
		p.Decipher = v.Decrypter
	}
	return p
}

// needReset and undecryptable are called by the data path, which holds its own lock.
func (s *session) needReset() { s.soon((*ppp.Engine).ResetRequest) }

func (s *session) undecryptable() { s.soon((*ppp.Engine).Undecryptable) }

// soon runs f on the engine later, and does not wait for it.
func (s *session) soon(f func(e *ppp.Engine, now time.Time)) {
	go func() {
		defer s.survive()
		s.do(func(now time.Time) { f(s.engine, now) })
	}()
}

// end ends everything except the carrier's call. The caller holds the lock.
func (s *session) end(why reason.Reason) {
	if s.over {
		return
	}
	s.over = true
	close(s.done)
	s.release()
	s.alarm.Set(time.Time{})
	if port := s.port.Load(); port != nil {
		port.Remove()
		s.final = port.Stats()
	}
	switch {
	case s.up:
		s.log.Info("disconnected", "user", s.account.user, "address", s.lease.addr, "cause", why.Code, "reason", why, "duration", time.Since(s.since).Round(time.Second),
			"rx_bytes", s.final.RxBytes, "tx_bytes", s.final.TxBytes)
		if r := s.m.cfg.Recorder; r != nil {
			r.Disconnected(s.described(), why)
		}
	case s.login.verifying: // authenticate or unanswered logs the outcome
		s.login.lost = why
	case !s.login.refusal.IsZero(): // the refusal has its own log line
	default:
		s.m.refused(s, Refusal{User: s.account.user, Reason: why}, nil)
	}
	s.leave(why) // after the last use of the address
	s.link.Close(why)
	s.m.gone(s, s.takeUnreported(s.final))
}

func (s *session) connection() (Connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up || s.over {
		return Connection{}, false
	}
	return s.described(), true
}

// described describes the connection of a user. The caller holds the lock.
func (s *session) described() Connection {
	c := Connection{
		ID: s.id, User: s.account.user, Group: s.account.terms.Group, Type: s.info.Type, Encryption: s.crypto, Auth: s.account.method.String(),
		Remote: s.source(), Virtual: s.lease.addr, DNS: s.lease.pool.DNS, Since: s.since, Stats: s.final,
	}
	if port := s.port.Load(); port != nil && !s.over {
		c.Stats = port.Stats()
	}
	return c
}
