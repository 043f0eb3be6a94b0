package session_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/testenv"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

// hooks is session.ConnectionHooks made of functions. A nil function does nothing.
type hooks struct {
	before  func(session.Connection) error
	up      func(session.Connection)
	regroup func(c session.Connection, before string)
	down    func(c session.Connection, why reason.Reason, release func())
}

func (h hooks) Before(_ context.Context, c session.Connection) error {
	if h.before == nil {
		return nil
	}
	return h.before(c)
}

func (h hooks) Up(c session.Connection) {
	if h.up != nil {
		h.up(c)
	}
}

func (h hooks) Regroup(c session.Connection, before string) {
	if h.regroup != nil {
		h.regroup(c, before)
	}
}

func (h hooks) Down(c session.Connection, why reason.Reason, release func()) {
	if h.down == nil {
		release()
		return
	}
	h.down(c, why, release)
}

// discarder is hooks that also hear of connections that do not come up.
type discarder struct {
	hooks
	discard func(c session.Connection, release func())
}

func (d discarder) Discard(c session.Connection, release func()) { d.discard(c, release) }

// If the hooks have let in a connection that then does not come up, they hear of it once. Nobody
// gets the address before they have released it. This holds when the user is refused after the
// hooks, and when the call ends while they work.
func TestDiscard(t *testing.T) {
	for name, ends := range map[string]bool{"refused": false, "ended": true} {
		t.Run(name, func(t *testing.T) { discards(t, ends) })
	}
}

func discards(t *testing.T, ends bool) {
	asked, answer := make(chan struct{}), make(chan struct{})
	discarded := make(chan func(), 2)
	s := newStack(t, func(c *session.Config) {
		c.Hooks = discarder{
			hooks{
				before: func(session.Connection) error { asked <- struct{}{}; <-answer; return nil },
				up:     func(session.Connection) { t.Error("it is up") },
				down:   func(session.Connection, reason.Reason, func()) { t.Error("it is down") },
			},
			func(c session.Connection, release func()) {
				if c.User != "alice" || !c.Virtual.IsValid() {
					t.Errorf("got %+v, want alice with an address", c)
				}
				discarded <- release
			},
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- new(testenv.Client).Dial(ctx, s.dialer, s.at, config()) }()
	<-asked
	if ends {
		cancel()
		if err := <-ended; err == nil {
			t.Error("it is up")
		}
		s.empty()
		if n := s.pool.InUse(); n != 1 {
			t.Errorf("%d addresses are in use while the hooks are at work", n)
		}
	} else {
		s.change(func(p *usermgmt.Profile) { p.Enabled = false })
	}
	close(answer)
	release := <-discarded
	if n := s.pool.InUse(); n != 1 {
		t.Errorf("%d addresses are in use before the release", n)
	}
	release()
	if n := s.pool.InUse(); n != 0 {
		t.Errorf("%d addresses are in use after it", n)
	}
	cancel()
	s.empty()
	if len(discarded) > 0 {
		t.Error("it is told twice")
	}
}

// If the hooks say no, the server refuses, and nothing is left of the dial-in.
func TestHooksRefuse(t *testing.T) {
	s := newStack(t, func(c *session.Config) {
		c.Hooks = hooks{
			before: func(c session.Connection) error {
				if c.User != "alice" || !c.Virtual.IsValid() || c.Remote != clientIP || c.Auth != "MS-CHAPv2" {
					t.Errorf("got %+v, want alice with an address, from %v by MS-CHAPv2", c, clientIP)
				}
				return errors.New("not today")
			},
			up: func(session.Connection) { t.Error("it is up") },
		}
	})
	if _, err := s.dial(config()); err == nil || !strings.Contains(err.Error(), "may not dial in") {
		t.Errorf("got %v, want a refusal: the user may not dial in", err)
	}
	s.wait("the log says why", func() bool {
		return strings.Contains(s.log.String(), `cause=hook_refused reason="before hook: not today"`)
	})
	s.empty()
	if n := s.pool.InUse(); n != 0 {
		t.Errorf("%d addresses are in use", n)
	}
}

// While the hooks keep the address of a connection that is gone, nobody else gets it, even from a
// new set of pools. A user with this fixed address waits.
func TestAddressWaitsForRelease(t *testing.T) {
	only := netip.MustParseAddr("10.99.0.7")
	pools := func() map[string]session.Pool {
		addresses, err := ippool.New([]ippool.Range{{First: only, Last: only}})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]session.Pool{"": {Addresses: addresses}}
	}
	releases := make(chan func(), 2)
	s := newStack(t, func(c *session.Config) {
		c.Pools = pools()
		c.Hooks = hooks{down: func(_ session.Connection, why reason.Reason, release func()) {
			if why.IsZero() {
				t.Error("there is no reason")
			}
			releases <- release
		}}
	})
	first, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	first.Hangup()
	s.empty()
	for _, change := range []func(){func() {}, func() { s.m.SetPools(pools(), true) }} {
		change()
		if _, err := s.dial(config()); err == nil {
			t.Fatal("the address is given to another connection")
		}
	}
	err = s.store.Update(t.Context(), "alice", func(p *usermgmt.Profile) error { p.Address = only; return nil })
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := s.dial(config())
		answer <- err
	}()
	s.wait("the third dial-in waits", func() bool { return s.m.Count() == 1 })
	select {
	case err := <-answer:
		t.Fatalf("it is answered: %v", err)
	default:
	}
	(<-releases)()
	if err := <-answer; err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	t.Cleanup(func() { (<-releases)() }) // of the open connection
	s.m.Drop("alice", reason.New(reason.Dropped, "the test is over"))
	s.empty()
}

// The hooks hear of each change of a group, and the end has the last group.
func TestRegroup(t *testing.T) {
	var told []string
	s := newStack(t, func(c *session.Config) {
		c.Hooks = hooks{
			up:      func(c session.Connection) { told = append(told, "up "+c.Group) },
			regroup: func(c session.Connection, before string) { told = append(told, before+" to "+c.Group) },
			down: func(c session.Connection, _ reason.Reason, release func()) {
				told = append(told, "down "+c.Group)
				release()
			},
		}
	})
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"staff", "staff", "guests"} {
		s.m.Revise(func(session.Connection) (auth.Terms, reason.Reason) { return auth.Terms{Group: group}, reason.Reason{} })
	}
	c.Hangup()
	s.empty()
	if diff := cmp.Diff([]string{"up ", " to staff", "staff to guests", "down guests"}, told); diff != "" {
		t.Error(diff)
	}
}
