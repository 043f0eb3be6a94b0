package session_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// A user whose entry changes while the log-in waits is not let in: the server asks the table again
// at the end.
func TestChangedDuringLogIn(t *testing.T) {
	disable := func(s *stack) { s.change(func(p *usermgmt.Profile) { p.Enabled = false }) }
	for name, c := range map[string]struct {
		change func(s *stack)
		reason string
	}{
		"disabled": {disable, "account disabled"},
		"removed": {func(s *stack) {
			if err := s.store.Remove(context.Background(), "alice"); err != nil {
				s.tb.Error(err)
			}
		}, "user was removed"},
		"expired": {func(s *stack) {
			s.change(func(p *usermgmt.Profile) { p.Expires = time.Now().Add(-time.Hour) })
		}, "account expired on "},
		"password": {func(s *stack) { s.change(func(p *usermgmt.Profile) { p.Password = "another" }) }, "the password was changed during the log-in"},
		"type": {func(s *stack) {
			s.change(func(p *usermgmt.Profile) { p.Services = []auth.Service{auth.L2TP} })
		}, "dial-in type pptp not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(notes)
			var s *stack
			s = newStack(t, func(cfg *session.Config) {
				cfg.Recorder = n
				cfg.Hooks = hooks{before: func(session.Connection) error { c.change(s); return nil }}
			})
			if _, err := s.dial(config()); err == nil {
				t.Error("the user is let in")
			}
			s.wait("it is said why", func() bool { return n.has("refused alice " + c.reason) })
			s.empty()
			if used := s.pool.InUse(); used != 0 {
				t.Errorf("%d addresses are in use", used)
			}
		})
	}
}

// Revise finds a log-in that waits, and its terms count.
func TestReviseFindsALogInThatWaits(t *testing.T) {
	var s *stack
	s = newStack(t, func(cfg *session.Config) {
		cfg.Hooks = hooks{before: func(session.Connection) error {
			s.m.Revise(func(c session.Connection) (auth.Terms, reason.Reason) {
				if c.User != "alice" {
					t.Errorf("got %+v, want the user alice", c)
				}
				return auth.Terms{Group: "new"}, reason.Reason{}
			})
			return nil
		}}
	})
	if _, err := s.dial(config()); err != nil {
		t.Fatal(err)
	}
	if all := s.m.Connections(); len(all) != 1 || all[0].Group != "new" {
		t.Errorf("got %+v, want one connection, of the group new", all)
	}
}

// A log-in that is refused in the end, for any reason, leaves the user's older connection up.
func TestRefusedLogInReplacesNothing(t *testing.T) {
	full := ippool.Range{First: netip.MustParseAddr("10.98.0.1"), Last: netip.MustParseAddr("10.98.0.1")}
	for name, c := range map[string]struct {
		change func(p *usermgmt.Profile)
		before error
		reason string
	}{
		"the hook says no":             {func(*usermgmt.Profile) {}, errors.New("not from there"), "not from there"},
		"another pool is empty":        {func(p *usermgmt.Profile) { p.Pool = "full" }, nil, "address pool is empty"},
		"a fixed address is another's": {func(p *usermgmt.Profile) { p.Address = full.First }, nil, "fixed address 10.98.0.1 is in use by bob"},
		"there is no such pool":        {func(p *usermgmt.Profile) { p.Pool = "none" }, nil, "there is no pool"},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(notes)
			var deny error
			s := newStack(t, func(cfg *session.Config) {
				addresses, err := ippool.New([]ippool.Range{full})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := addresses.Take("bob", full.First, netip.Addr{}, netip.Addr{}); err != nil {
					t.Fatal(err)
				}
				cfg.Pools["full"] = session.Pool{Addresses: addresses}
				cfg.Recorder, cfg.Hooks = n, hooks{before: func(session.Connection) error { return deny }}
			})
			s.change(func(p *usermgmt.Profile) { p.MaxConnections = 1 })
			first, err := s.dial(config())
			if err != nil {
				t.Fatal(err)
			}
			deny = c.before
			s.change(c.change)
			if _, err := s.dial(config()); err == nil {
				t.Error("the second log-in is let in")
			}
			s.wait("it is said why", func() bool { return n.has(c.reason) })
			s.wait("the first is left alone", func() bool { return s.m.Count() == 1 })
			s.passes(first)
		})
	}
}

// In a full pool, a new connection of a user takes the address of the connection that it replaces.
func TestReplacesInAFullPool(t *testing.T) {
	only := netip.MustParseAddr("10.99.0.7")
	for name, fixed := range map[string]netip.Addr{"from the pool": {}, "fixed": only} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, func(cfg *session.Config) {
				addresses, err := ippool.New([]ippool.Range{{First: only, Last: only}})
				if err != nil {
					t.Fatal(err)
				}
				cfg.Pools = map[string]session.Pool{"": {Addresses: addresses}}
				cfg.Hooks = hooks{before: func(c session.Connection) error {
					if c.Virtual != only {
						t.Errorf("got %+v, want the address %v", c, only)
					}
					return nil
				}}
			})
			s.change(func(p *usermgmt.Profile) { p.MaxConnections, p.Address = 1, fixed })
			for range 3 {
				c, err := s.dial(config())
				if err != nil {
					t.Fatal(err)
				}
				s.passes(c)
			}
			if all := s.m.Connections(); len(all) != 1 {
				t.Errorf("got %+v, want one connection", all)
			}
		})
	}
}

// The pools are replaced while a log-in waits. The new pools hold its address, and nobody else gets
// it.
func TestPoolsAreReplacedDuringLogIn(t *testing.T) {
	first, last := netip.MustParseAddr("10.99.0.7"), netip.MustParseAddr("10.99.0.8")
	pools := func() map[string]session.Pool {
		addresses, err := ippool.New([]ippool.Range{{First: first, Last: last}})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]session.Pool{"": {Addresses: addresses}}
	}
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	s := newStack(t, func(cfg *session.Config) {
		cfg.Pools = pools()
		cfg.Hooks = hooks{before: func(session.Connection) error { asked <- struct{}{}; <-answer; return nil }}
	})
	up := make(chan error, 2)
	dial := func() {
		_, err := s.dial(config())
		up <- err
	}
	go dial()
	<-asked
	s.m.SetPools(pools(), true)
	go dial()
	<-asked
	close(answer)
	for range 2 {
		if err := <-up; err != nil {
			t.Fatal(err)
		}
	}
	if all := s.m.Addresses(); len(all) != 2 || all[0] == all[1] {
		t.Errorf("got %v, want two different addresses", all)
	}
}

// A call that ends during the check of its log-in has one line in the log, with the reason for its
// end.
func TestOneRefusalForACall(t *testing.T) {
	n := new(notes)
	asked, answer := make(chan struct{}), make(chan struct{})
	s := newStack(t, func(cfg *session.Config) {
		cfg.Recorder, cfg.Hooks = n, hooks{before: func(session.Connection) error { close(asked); <-answer; return nil }}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- new(testenv.Client).Dial(ctx, s.dialer, s.at, config(ppp.PAP)) }()
	<-asked
	cancel()
	if err := <-ended; err == nil {
		t.Error("it is up")
	}
	s.empty()
	close(answer)
	s.wait("it is refused", func() bool { return n.has("refused alice") })
	s.wait("the address is free", func() bool { return s.pool.InUse() == 0 })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) != 1 || strings.HasSuffix(n.all[0], "alice ") {
		t.Errorf("got %q, want one note, with a reason", n.all)
	}
}

// If the quota cannot be read or the user table does not answer, the server refuses and says why.
func TestRefusesUnreadable(t *testing.T) {
	locked := errors.New("users.db: another process has held it for over 10 s")
	for text, change := range map[string]func(c *session.Config){
		"cannot read the user's traffic: " + locked.Error(): func(c *session.Config) {
			c.Used = func(context.Context, string) (uint64, error) { return 0, locked }
		},
		"user table: " + locked.Error(): func(c *session.Config) { c.Auth = forgetful{c.Auth, locked} },
	} {
		t.Run(text, func(t *testing.T) {
			n := new(notes)
			s := newStack(t, func(c *session.Config) {
				c.Recorder = n
				change(c)
			})
			s.change(func(p *usermgmt.Profile) { p.Quota = 1 << 30 })
			if _, err := s.dial(config()); err == nil {
				t.Error("the user is let in")
			}
			s.wait("it is said why", func() bool { return n.has("refused alice " + text) })
			s.empty()
			if used := s.pool.InUse(); used != 0 {
				t.Errorf("%d addresses are in use", used)
			}
		})
	}
}

// forgetful is an Authenticator that cannot confirm its result.
type forgetful struct {
	session.Authenticator
	err error
}

func (f forgetful) Authenticate(ctx context.Context, at auth.Attempt) auth.Outcome {
	out := f.Authenticator.Authenticate(ctx, at)
	out.Confirm = func(context.Context) auth.Outcome {
		return auth.Outcome{Reason: reason.New(reason.UserTable, f.err)}
	}
	return out
}

// stuck is an Authenticator that answers when the test tells it to.
type stuck struct {
	session.Authenticator
	free chan struct{}
}

func (k stuck) Authenticate(ctx context.Context, at auth.Attempt) auth.Outcome {
	<-k.free
	return k.Authenticator.Authenticate(ctx, at)
}

// A log-in that waits for its turn ends with its call. Otherwise, while a disk hangs, the log-ins
// of clients that have hung up and dialled again would pile up.
func TestWaitingEndsWithItsCall(t *testing.T) {
	free := make(chan struct{})
	s := newStack(t, func(c *session.Config) { c.Auth, c.AuthAtOnce = stuck{c.Auth, free}, 1 })
	release := sync.OnceFunc(func() { close(free) })
	t.Cleanup(release)
	ctx, cancel := context.WithCancel(t.Context())
	var dialled sync.WaitGroup
	for range 5 {
		dialled.Go(func() { _ = new(testenv.Client).Dial(ctx, s.dialer, s.at, config()) })
	}
	s.wait("four wait for the first", func() bool { c := s.m.Counters(); return c.Verifying == 1 && c.Waiting == 4 })
	cancel()
	dialled.Wait()
	s.wait("none waits", func() bool { c := s.m.Counters(); return s.m.Count() == 0 && c.Verifying == 1 && c.Waiting == 0 })
	release()
	if c, err := s.dial(config()); err != nil {
		t.Error(err)
	} else {
		s.passes(c)
	}
}

// A client negotiates a link again that is up. The user stays the same and keeps the address.
func TestNegotiatedAgain(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	addr := s.m.Connections()[0].Virtual
	c.Renegotiate()
	s.wait("the link is up again", func() bool { _, up := c.Network(); return up })
	s.passes(c)
	if list := s.m.Connections(); len(list) != 1 || list[0].Virtual != addr {
		t.Errorf("%+v, want %v", list, addr)
	}
	if n := s.pool.InUse(); n != 1 {
		t.Errorf("%d addresses are in use", n)
	}
	if n := strings.Count(s.log.String(), "msg=connected"); n != 1 {
		t.Errorf("connected %d times", n)
	}
}
