package session_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

func TestConnection(t *testing.T) {
	s := newStack(t, nil)
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPERequired
	c, err := s.dial(cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	s.passes(c)
	list := s.m.Connections()
	if len(list) != 1 {
		t.Fatalf("got %+v, want one connection", list)
	}
	got := list[0]
	if got.User != "alice" || got.Type != "PPTP" || got.Encryption != "MPPE-128 stateless" || got.Auth != "MS-CHAPv2" || got.Remote != clientIP || len(got.ID) != 12 {
		t.Errorf("got %+v, want alice by PPTP from %v, with MS-CHAPv2 and MPPE-128", got, clientIP)
	}
	if got.Stats.RxPackets != 1 || got.Stats.TxPackets != 1 || got.Stats.RxBytes != 28 {
		t.Errorf("got %+v, want one packet each way, of 28 bytes", got.Stats)
	}
	if n := s.m.Drop("ALICE", reason.New(reason.Dropped, "dropped by an administrator")); n != 1 {
		t.Errorf("%d dropped", n)
	}
	<-c.Closed()
	s.empty()
	for _, want := range []string{
		"msg=connected session=" + got.ID + " type=PPTP peer=127.0.2.9 user=alice address=" + got.Virtual.String() + ` auth=MS-CHAPv2 encryption="MPPE-128 stateless"`,
		"msg=disconnected session=" + got.ID, `reason="dropped by an administrator"`, "rx_bytes=28 tx_bytes=28",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, s.log)
		}
	}
	if strings.Contains(s.log.String(), "geheim") {
		t.Error("the log has the password")
	}
}

func TestRefusals(t *testing.T) {
	s := newStack(t, nil)
	for _, c := range []struct {
		change    func(*ppp.Config)
		peer, log string
	}{
		{func(c *ppp.Config) { c.Password = "x" }, "wrong name or password", `user=alice auth=MS-CHAPv2 cause=wrong_password reason="wrong password"`},
		{func(c *ppp.Config) { c.User = "mallory\n\x1b[2Jx" }, "wrong name or password", `user=mallory\n\x1b[2Jx auth=MS-CHAPv2 cause=unknown_user reason="unknown user"`},
		{func(c *ppp.Config) { c.User, c.Password = "otto", token.Code(motp.Step(time.Now())+60) }, "wrong name or password", `the token's clock is 10 minutes ahead`},
	} {
		cfg := config()
		c.change(&cfg)
		_, err := s.dial(cfg)
		if err == nil || !strings.Contains(err.Error(), c.peer) {
			t.Errorf("the client is told %v, want %s", err, c.peer)
		}
		s.wait(c.log, func() bool { return strings.Contains(s.log.String(), c.log) })
	}
	s.empty()
}

// Of 200 simultaneous dial-ins with one code, exactly one gets in.
func TestOneTimePasswordRace(t *testing.T) {
	s := newStack(t, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := 0, 0
	cfg := config(ppp.PAP)
	cfg.User, cfg.Password = "otto", token.Code(motp.Step(time.Now()))
	gate := make(chan struct{}, 50)
	for range 200 {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			_, err := s.dial(cfg)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 199 {
		t.Errorf("%d won, %d lost", won, lost)
	}
	s.wait("all are refused for that, or for too many such failures", func() bool {
		used, limited := strings.Count(s.log.String(), "one-time password already used"), strings.Count(s.log.String(), "too many failures from this address")
		return used >= 29 && used+limited == 199
	})
}

// CHAP challenges a user with a password again, and never a user with a one-time password.
func TestRechallenge(t *testing.T) {
	s := newStack(t, func(c *session.Config) {
		c.Trace = clientIP.String()
		c.PPP.Rechallenge = 20 * time.Millisecond
	})
	once := config(ppp.CHAPMD5)
	once.User, once.Password = "otto", token.Code(motp.Step(time.Now()))
	for _, cfg := range []ppp.Config{once, config(ppp.CHAPMD5)} {
		if _, err := s.dial(cfg); err != nil {
			t.Fatal(err)
		}
	}
	challenge := regexp.MustCompile(`session=(\S+) .*sent CHAP Challenge`)
	asked := map[string]int{}
	s.wait("alice is asked again and again", func() bool {
		clear(asked)
		most := 0
		for _, m := range challenge.FindAllStringSubmatch(s.log.String(), -1) {
			asked[m[1]]++
			most = max(most, asked[m[1]])
		}
		return most >= 5
	})
	least := 5
	for _, n := range asked {
		least = min(least, n)
	}
	if len(asked) != 2 || least != 1 || s.m.Count() != 2 {
		t.Errorf("challenges by session: %v, of %d sessions\n%s", asked, s.m.Count(), s.log)
	}
}

func TestPoolEmptyAndFixedAddress(t *testing.T) {
	s := newStack(t, func(c *session.Config) {
		only := netip.MustParseAddr("10.99.0.7")
		addresses, err := ippool.New([]ippool.Range{{First: only, Last: only}})
		if err != nil {
			t.Fatal(err)
		}
		c.Pools = map[string]session.Pool{"": {Addresses: addresses}}
	})
	first, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(config()); err == nil || !strings.Contains(err.Error(), "server has no free address") {
		t.Errorf("the pool is empty: %v", err)
	}
	s.wait("the log says so", func() bool { return strings.Contains(s.log.String(), "address pool is empty") })
	first.Hangup()
	s.empty()
	err = s.store.Update(t.Context(), "alice", func(p *usermgmt.Profile) error {
		p.Address = netip.MustParseAddr("10.99.0.7")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.dial(config()) // the phone has lost its network and dials again
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	<-old.Closed()
	s.passes(again)
	if !strings.Contains(s.log.String(), "replaced by a new dial-in of the user") {
		t.Errorf("got %s, want a new dial-in to replace the connection", s.log)
	}
}

func TestLimits(t *testing.T) {
	s := newStack(t, nil)
	err := s.store.Update(t.Context(), "alice", func(p *usermgmt.Profile) error {
		p.SessionTime = time.Second
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	<-c.Closed()
	s.wait("the limit", func() bool { return strings.Contains(s.log.String(), "cause=session_time ") })
	err = s.store.Update(t.Context(), "alice", func(p *usermgmt.Profile) error {
		p.SessionTime, p.IdleTimeout = 0, 2*time.Second
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = s.dial(config()); err != nil {
		t.Fatal(err)
	}
	<-c.Closed()
	s.wait("idle", func() bool { return strings.Contains(s.log.String(), "cause=idle_timeout ") })
	s.empty()
}

// faulty fails inside the authentication, for one user.
type faulty struct{ session.Authenticator }

func (f faulty) Authenticate(ctx context.Context, at auth.Attempt) auth.Outcome {
	if at.User == "mallory" {
		panic("a fault")
	}
	return f.Authenticator.Authenticate(ctx, at)
}

// A fault of ours in one session ends only that session. The next session can still log in.
func TestFaultInOneSession(t *testing.T) {
	s := newStack(t, func(c *session.Config) { c.Auth, c.AuthAtOnce = faulty{c.Auth}, 1 })
	good, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	bad := config()
	bad.User = "mallory"
	if _, err := s.dial(bad); err == nil {
		t.Error("it is let in")
	}
	s.wait("one session is left", func() bool { return s.m.Count() == 1 && s.srv.Stats().Calls == 1 })
	s.passes(good)
	if s.m.Panics() != 1 || !strings.Contains(s.log.String(), "session ended by a fault of the server") || !strings.Contains(s.log.String(), "session_test.go") {
		t.Errorf("%d faults\n%s", s.m.Panics(), s.log)
	}
	if again, err := s.dial(config()); err != nil {
		t.Error(err)
	} else {
		s.passes(again)
	}
}

// An address stays in use until all listeners know the end of its connection.
func TestAddressOutlivesItsConnection(t *testing.T) {
	var s *stack
	inUse := make(chan int, 1)
	s = newStack(t, func(c *session.Config) {
		c.Hooks = hooks{down: func(_ session.Connection, _ reason.Reason, release func()) {
			inUse <- s.pool.InUse()
			release()
		}}
		c.Logger = slog.New(&endWatcher{c.Logger.Handler(), func() { inUse <- s.pool.InUse() }})
	})
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	c.Hangup()
	for _, when := range []string{"while it is logged", "while the end is told"} {
		if n := <-inUse; n != 1 {
			t.Errorf("%s, %d addresses are in use", when, n)
		}
	}
	s.empty()
	if n := s.pool.InUse(); n != 0 {
		t.Errorf("%d addresses are in use at last", n)
	}
}

// endWatcher is a log that calls f for each end of a connection.
type endWatcher struct {
	slog.Handler
	f func()
}

func (w *endWatcher) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &endWatcher{w.Handler.WithAttrs(attrs), w.f}
}

func (w *endWatcher) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "disconnected" {
		w.f()
	}
	return w.Handler.Handle(ctx, r)
}

// Simultaneous dial-ins and hang-ups of all kinds leave nothing behind.
func TestChurn(t *testing.T) {
	s := newStack(t, func(c *session.Config) { c.Logger = nil })
	if c, err := s.dial(config()); err != nil {
		t.Fatal(err)
	} else {
		c.Hangup()
	}
	s.empty()
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				cfg := config([]ppp.Method{ppp.PAP, ppp.MSCHAPv2}[i%2])
				c, err := s.dial(cfg)
				if err != nil {
					t.Errorf("%v", err)
					continue
				}
				switch (w + i) % 3 {
				case 0:
					c.Hangup()
				case 1:
					s.m.Drop("alice", reason.New(reason.Dropped, "dropped"))
				default:
					c.Forsake() // killed
				}
				<-c.Closed()
			}
		})
	}
	wg.Wait()
	s.empty()
	s.wait("no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestShutdown(t *testing.T) {
	s := newStack(t, nil)
	var clients []*testenv.Client
	for range 5 {
		c, err := s.dial(config())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.m.Shutdown(ctx, reason.New(reason.Dropped, "server is shutting down"))
	for _, c := range clients {
		<-c.Closed()
		if got, want := c.End().Reason.String(), `server hung up: it says "server is shutting down"`; got != want {
			t.Errorf("the client is told %q, want %q", got, want)
		}
	}
	if ctx.Err() != nil {
		t.Error("they had to be cut")
	}
	if _, err := s.dial(config()); err == nil {
		t.Error("a call is taken after the end")
	}
}

// The trace of one user shows the negotiation from its first frame, and no secret.
func TestTrace(t *testing.T) {
	for _, trace := range []string{"alice", clientIP.String(), "bob"} {
		s := newStack(t, func(c *session.Config) { c.Trace = trace })
		c, err := s.dial(config(ppp.PAP))
		if err != nil {
			t.Fatal(err)
		}
		c.Hangup()
		s.empty()
		for _, line := range []string{"received LCP ConfReq", "sent LCP ConfAck", "received PAP AuthReq", "sent IPCP ConfNak"} {
			if got := strings.Contains(s.log.String(), line); got != (trace != "bob") {
				t.Errorf("trace of %s: %q: %v", trace, line, got)
			}
		}
		if strings.Contains(s.log.String(), "geheim") {
			t.Error("the trace has the password")
		}
		s.closeNow()
	}
}

// closeNow ends the stack before the test ends, so that another stack can use its port.
func (s *stack) closeNow() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.srv.Shutdown(ctx)
	s.l2tp.Shutdown(ctx)
}

func TestFull(t *testing.T) {
	s := newStack(t, func(c *session.Config) { c.MaxSessions = 1 })
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(config()); err == nil {
		t.Error("a second session is taken")
	}
	c.Hangup()
	s.empty()
	if c, err = s.dial(config()); err != nil {
		t.Fatal(err)
	}
	s.passes(c)
}

// mute is a client that dials and sends nothing.
type mute struct{}

func (mute) Frame(b *pktbuf.Buf) { b.Release() }
func (mute) Down(reason.Reason)  {}

// Calls that never come up do not take the places of others.
func TestPendingSessionsAreBounded(t *testing.T) {
	s := newStack(t, func(c *session.Config) { c.MaxPending = 3 })
	var links []link.Link
	for i := range 5 {
		l, err := s.dialer.Dial(t.Context(), s.at, func(link.Link) (link.Sink, error) { return mute{}, nil })
		if (err == nil) != (i < 3) {
			t.Errorf("call %d: %v", i, err)
		}
		if err == nil {
			links = append(links, l)
		}
	}
	links[0].Close(reason.Reason{})
	s.wait("a place is free", func() bool { return s.m.Count() == 2 })
	for range 3 { // connections that are up do not count
		c, err := s.dial(config())
		if err != nil {
			t.Fatal(err)
		}
		s.passes(c)
	}
}

// Garbage and 1,000 silent connections do not disturb a user.
func TestBadNeighbours(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	conns := s.silent(1000)
	s.passes(c)
	for _, raw := range [][]byte{{}, {0xFF}, {0xFF, 0x03}, {0xC0, 0x21}, {0xC0, 0x21, 1, 1, 255, 255}, {0xC0, 0x21, 1, 1, 0, 3}, bytes.Repeat([]byte{0}, 1400), {0x80, 0x21, 1, 1, 0, 5, 3}} {
		c.Send(raw)
	}
	s.passes(c)
	if n := s.m.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
}
