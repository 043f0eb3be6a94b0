package session_test

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/ippool"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// change changes the profile of alice.
func (s *stack) change(change func(*usermgmt.Profile)) {
	s.tb.Helper()
	err := s.store.Update(context.Background(), "alice", func(p *usermgmt.Profile) error {
		change(p)
		return nil
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// notes is a Recorder that a test reads.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(words ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, strings.Join(words, " "))
}

func (n *notes) Connected(c session.Connection) { n.add("connected", c.User) }
func (n *notes) Disconnected(c session.Connection, why reason.Reason) {
	n.add("disconnected", c.User, why.String())
}
func (n *notes) Refused(r session.Refusal) { n.add("refused", r.User, r.Reason.String()) }

func (n *notes) has(words string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.all, func(s string) bool { return strings.Contains(s, words) })
}

func TestFurtherConnectionReplacesTheOldest(t *testing.T) {
	n := new(notes)
	s := newStack(t, func(c *session.Config) { c.Recorder = n })
	s.change(func(p *usermgmt.Profile) { p.MaxConnections = 2 })
	var ids []string
	for range 3 {
		c, err := s.dial(config())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Hangup()
		list := s.m.Connections()
		ids = append(ids, list[len(list)-1].ID)
	}
	list := s.m.Connections()
	if len(list) != 2 || list[0].ID != ids[1] || list[1].ID != ids[2] {
		t.Errorf("%v of %v", list, ids)
	}
	if !n.has("disconnected alice replaced by a new dial-in of the user") {
		t.Errorf("got %q, want a new dial-in to replace alice's", n.all)
	}
}

func TestFurtherConnectionIsRefused(t *testing.T) {
	n := new(notes)
	s := newStack(t, func(c *session.Config) { c.Recorder = n })
	s.change(func(p *usermgmt.Profile) { p.MaxConnections, p.Further = 1, usermgmt.Refuse })
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(config()); err == nil || !strings.Contains(err.Error(), "may not dial in") {
		t.Errorf("a second connection: %v", err)
	}
	s.wait("it is said why", func() bool {
		return n.has("refused alice the user is connected already, and the limit is 1 at once")
	})
	s.passes(c)
	c.Hangup()
	s.empty()
	again, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	again.Hangup()
}

// Many clients dial at once. In the end the allowed number is connected, and no address is lost.
func TestManyDialAtOnce(t *testing.T) {
	s := newStack(t, nil)
	s.change(func(p *usermgmt.Profile) { p.MaxConnections = 3 })
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if c, err := s.dial(config()); err == nil {
				t.Cleanup(func() { c.Down(reason.Reason{}) })
			}
		})
	}
	wg.Wait()
	if n := len(s.m.Connections()); n != 3 {
		t.Errorf("%d are connected", n)
	}
	s.wait("the others hold no address", func() bool { return s.pool.InUse() == 3 && s.m.Count() == 3 })
}

func TestRefusedByProfile(t *testing.T) {
	s := newStack(t, func(c *session.Config) {
		c.Used = func(context.Context, string) (uint64, error) { return 1_000_000, nil }
	})
	tomorrow := strings.ToLower(time.Now().UTC().Add(36 * time.Hour).Format("Mon"))
	for name, c := range map[string]struct {
		change    func(*usermgmt.Profile)
		told, log string
	}{
		"schedule":    {func(p *usermgmt.Profile) { p.Schedule = tomorrow + " 00:00-00:01" }, "not at this hour", "cause=outside_schedule "},
		"expired":     {func(p *usermgmt.Profile) { p.Expires = time.Now().Add(-time.Hour) }, "account is disabled", "cause=account_expired "},
		"remote node": {func(p *usermgmt.Profile) { p.RemoteNode = netip.MustParsePrefix("203.0.113.0/24") }, "may not dial in", "remote node is 203.0.113.0/24"},
		"quota":       {func(p *usermgmt.Profile) { p.Quota = 1_000_000 }, "may not dial in", "cause=quota_used_up "},
		"no pool":     {func(p *usermgmt.Profile) { p.Pool = "staff" }, "may not dial in", "cause=no_pool "},
	} {
		var before usermgmt.Profile
		s.change(func(p *usermgmt.Profile) { before = *p; c.change(p) })
		if _, err := s.dial(config()); err == nil || !strings.Contains(err.Error(), c.told) {
			t.Errorf("%s: %v, want %q", name, err, c.told)
		}
		s.wait(name+": it is said why", func() bool { return strings.Contains(s.log.String(), c.log) })
		s.change(func(p *usermgmt.Profile) { index := p.Index; *p = before; p.Index = index })
	}
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	c.Hangup()
}

// A user who logs in too often is refused, and other users are not.
func TestLogInsOfAUser(t *testing.T) {
	const limit = 10
	s := newStack(t, func(c *session.Config) { c.LogIns = limit })
	for n := 0; ; n++ {
		c, err := s.dial(config())
		if err != nil {
			if n < limit || !strings.Contains(err.Error(), "may not dial in") {
				t.Errorf("log-in %d: %v", n+1, err)
			}
			break
		}
		c.Hangup()
		if n > 10*limit {
			t.Fatal("no limit")
		}
	}
	s.wait("it is said why", func() bool {
		return strings.Contains(s.log.String(), "cause=too_often ")
	})
	other := config()
	other.User, other.Password = "otto", token.Code(motp.Step(time.Now()))
	c, err := s.dial(other)
	if err != nil {
		t.Fatal(err)
	}
	c.Hangup()
}

// A change counts for a connection that is up: its time ends, or the server hangs up.
func TestRevise(t *testing.T) {
	n := new(notes)
	s := newStack(t, func(c *session.Config) { c.Recorder = n })
	for want, judge := range map[string]func(session.Connection) (auth.Terms, reason.Reason){
		"disconnected alice the user's schedule ends": func(session.Connection) (auth.Terms, reason.Reason) {
			return auth.Terms{Until: time.Now(), UntilReason: reason.New(reason.ScheduleEnds)}, reason.Reason{}
		},
		"disconnected alice session time limit reached": func(session.Connection) (auth.Terms, reason.Reason) {
			return auth.Terms{SessionTime: time.Nanosecond}, reason.Reason{}
		},
		"disconnected alice user was disabled": func(session.Connection) (auth.Terms, reason.Reason) {
			return auth.Terms{}, reason.New(reason.Dropped, "user was disabled")
		},
	} {
		c, err := s.dial(config())
		if err != nil {
			t.Fatal(err)
		}
		s.m.Revise(func(session.Connection) (auth.Terms, reason.Reason) {
			return auth.Terms{IdleTimeout: time.Hour}, reason.Reason{}
		})
		s.passes(c)
		s.m.Revise(judge)
		<-c.Closed()
		s.empty()
		if !n.has(want) {
			t.Errorf("%q is not among %q", want, n.all)
		}
	}
}

// The end of a schedule follows the corrected clock, which is an hour ahead of the host's here.
func TestEndByTheCorrectedClock(t *testing.T) {
	ahead := func() time.Time { return time.Now().Add(time.Hour) }
	s := newStack(t, func(c *session.Config) { c.Now = ahead })
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	s.m.Revise(func(session.Connection) (auth.Terms, reason.Reason) {
		return auth.Terms{Until: ahead().Add(time.Minute), UntilReason: reason.New(reason.ScheduleEnds)}, reason.Reason{}
	})
	s.passes(c)
	s.m.Revise(func(session.Connection) (auth.Terms, reason.Reason) {
		return auth.Terms{Until: ahead(), UntilReason: reason.New(reason.ScheduleEnds)}, reason.Reason{}
	})
	<-c.Closed()
	s.empty()
	if !strings.Contains(s.log.String(), "the user's schedule ends") {
		t.Errorf("got %s, want the user's schedule to end it", s.log)
	}
}

// The server also hangs up on a user who has shown the password but has not agreed on an address
// yet.
func TestReviseBeforeItIsUp(t *testing.T) {
	s := newStack(t, nil)
	c := &testenv.Client{Watch: func(frame []byte) bool {
		protocol, _, err := wire.ParseFrame(frame)
		return err != nil || protocol != wire.IPCP
	}}
	ended := make(chan error, 1)
	go func() { ended <- s.dialWith(c, config()) }()
	s.wait("the user has an address", func() bool { return s.pool.InUse() == 1 })
	s.wait("the user is let in", func() bool {
		seen := false
		s.m.Revise(func(c session.Connection) (auth.Terms, reason.Reason) {
			seen = c.User == "alice"
			return auth.Terms{}, reason.New(reason.AccountDisabled)
		})
		return seen
	})
	err := <-ended
	s.empty()
	if err == nil || !regexp.MustCompile(`user=alice (auth=MS-CHAPv2 )?cause=account_disabled `).MatchString(s.log.String()) {
		t.Errorf("%v\n%s", err, s.log)
	}
}

func TestUsage(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	s.passes(c)
	if got := s.m.Usage(); len(got) != 1 || got["alice"] != (session.Usage{Rx: 28, Tx: 28}) {
		t.Errorf("got %v, want 28 bytes each way, only of alice", got)
	}
	s.passes(c)
	s.passes(c)
	c.Hangup()
	s.empty()
	if got := s.m.Usage(); len(got) != 1 || got["alice"] != (session.Usage{Rx: 56, Tx: 56}) {
		t.Errorf("after the end: %v", got)
	}
	if got := s.m.Usage(); len(got) != 0 {
		t.Errorf("twice: %v", got)
	}
}

// A user gets the address and the name servers from the named pool. A fixed address may be in any
// pool.
func TestPools(t *testing.T) {
	staff := pool(t, "10.98.0.2", "10.98.0.9")
	dns := []netip.Addr{netip.MustParseAddr("10.98.0.53")}
	var pools map[string]session.Pool
	s := newStack(t, func(c *session.Config) {
		c.Pools["staff"] = session.Pool{Addresses: staff, DNS: dns}
		pools = c.Pools
	})
	s.change(func(p *usermgmt.Profile) { p.Pool = "staff" })
	cfg := config()
	c, err := s.dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	if network.Local != netip.MustParseAddr("10.98.0.2") || !slices.Equal(network.DNS, dns) {
		t.Errorf("got %+v, want the address 10.98.0.2 and the servers %v", network, dns)
	}
	s.change(func(p *usermgmt.Profile) { p.Pool, p.Address = "", netip.MustParseAddr("10.98.0.7") })
	fixed, err := s.dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if network, _ := fixed.Network(); network.Local != netip.MustParseAddr("10.98.0.7") {
		t.Errorf("got %+v, want the address 10.98.0.7", network)
	}

	// The pools change: a user with an address in one of them stays, and nobody else gets the
	// address.
	smaller := pool(t, "10.98.0.7", "10.98.0.8")
	s.m.SetPools(map[string]session.Pool{"": pools[""], "staff": {Addresses: smaller}}, false)
	<-c.Closed()
	s.passes(fixed)
	if n := smaller.InUse(); n != 1 {
		t.Errorf("%d addresses are in use", n)
	}
	s.m.SetPools(map[string]session.Pool{"": pools[""]}, true)
	s.passes(fixed)
	fixed.Hangup()
	s.empty()
	if n := staff.InUse(); n != 1 { // the moved one
		t.Errorf("%d addresses of the first pool are in use", n)
	}
}

func pool(t *testing.T, first, last string) *ippool.Pool {
	t.Helper()
	p, err := ippool.New([]ippool.Range{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// While no user may use plain L2TP, the server refuses a call before the client could send a
// password.
func TestPlainL2TP(t *testing.T) {
	s := newStack(t, nil)
	d := &l2tpclient.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}
	s.m.RefusePlainL2TP(true)
	c, err := s.dialL2TP(d, config(ppp.PAP))
	if err == nil || !strings.Contains(err.Error(), "no user may use L2TP without IPsec") || s.m.Count() != 0 {
		t.Errorf("%v: %v, want no session: no user may use L2TP without IPsec", c, err)
	}
	s.m.RefusePlainL2TP(false)
	c, err = s.dialL2TP(d, config(ppp.PAP))
	if err != nil {
		t.Fatal(err)
	}
	c.Hangup()
}
