package statetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

func testAddresses(t *testing.T, open Open) {
	s := opened(t, open, state.Options{CheckAddress: func(a netip.Addr) error { return fmt.Errorf("%s is outside the pool", a) }})
	if err := s.Add(t.Context(), Full("alice")); err == nil || err.Error() != "address: 10.99.0.77 is outside the pool" {
		t.Errorf("got %v, want the error of CheckAddress", err)
	}
}

// testPools gives a user a pool that does not exist, which is refused. A user who already has such
// a pool can still be changed.
func testPools(t *testing.T, open Open) {
	there := true
	s := opened(t, open, state.Options{CheckPool: func(name string) error {
		if there {
			return nil
		}
		return fmt.Errorf("there is no pool %s", name)
	}})
	alice := Simple("alice")
	alice.Pool = "staff"
	must(t, s.Add(t.Context(), alice))
	there = false
	alice.Name = "bob"
	if err := s.Add(t.Context(), alice); err == nil || err.Error() != "pool: there is no pool staff" {
		t.Errorf("a new user in a pool that is gone: %v, want the error of CheckPool", err)
	}
	set := func(change func(*usermgmt.Profile)) error {
		return s.Update(t.Context(), "alice", func(p *usermgmt.Profile) error {
			change(p)
			return nil
		})
	}
	if err := set(func(p *usermgmt.Profile) { p.Pool = "guests" }); err == nil || err.Error() != "pool: there is no pool guests" {
		t.Errorf("another pool that is gone: %v, want the error of CheckPool", err)
	}
	must(t, set(func(p *usermgmt.Profile) { p.Enabled = false }))
	must(t, set(func(p *usermgmt.Profile) { p.Pool = "" }))
}

// testTwoStores uses one state from two stores at once, as the daemon and the commands do.
func testTwoStores(t *testing.T, open Open) {
	a, b := opened(t, open, state.Options{}), opened(t, open, state.Options{})
	ctx := t.Context()
	before, err := b.Generation(ctx)
	must(t, err)
	must(t, a.Add(ctx, Simple("alice")))
	if _, ok, err := b.Account(ctx, "alice"); !ok || err != nil {
		t.Errorf("the other store has the user added: %v, %v, want true", ok, err)
	}
	if after, err := b.Generation(ctx); after == before || err != nil {
		t.Errorf("the other store's generation stays %d, %v, want another", after, err)
	}
	for step := int64(1); step <= 5; step++ {
		if won := race(t, step, a, b); won != 1 {
			t.Errorf("step %d was accepted %d times, want once", step, won)
		}
	}
}

// testReopening closes a store that contains something of each kind.
func testReopening(t *testing.T, open Open) {
	ctx := t.Context()
	first, err := open(state.Options{})
	must(t, err)
	must(t, first.Add(ctx, Full("alice")))
	_, err = first.Advance(ctx, "alice", auth.TokenState{LastStep: 42, Offset: 1})
	must(t, err)
	settings := map[string]string{"services.pptp": "false"}
	_, err = first.SetSettings(ctx, settings, state.Entry{Event: state.EventSettings})
	must(t, err)
	must(t, first.AddAdministrator(ctx, state.Administrator{Name: "root", Role: state.RoleAdministrator, TOTPSecret: "GEZDGNBVGY3TQOJQ"}))
	must(t, first.AddAdminToken(ctx, state.AdminToken{Name: "probe", Role: "viewer", Hash: []byte("probe")}))
	must(t, first.Close())
	s := opened(t, open, state.Options{})
	p, err := s.Get(ctx, "alice")
	if diff := cmp.Diff(Full("alice"), p, Values); diff != "" || err != nil {
		t.Errorf("the user: %v, difference: %s", err, diff)
	}
	if ok, err := s.Advance(ctx, "alice", auth.TokenState{LastStep: 42}); ok || err != nil {
		t.Errorf("a used step is accepted: %v, %v, want false", ok, err)
	}
	got, err := s.Settings(ctx)
	if diff := cmp.Diff(settings, got); diff != "" || err != nil {
		t.Errorf("the settings: %v, difference: %s", err, diff)
	}
	if a, err := s.Administrator(ctx, "root"); a.TOTPSecret != "GEZDGNBVGY3TQOJQ" || err != nil {
		t.Errorf("the administrator is %+v, %v, want the TOTP secret", a, err)
	}
	if token, ok, err := s.AdminToken(ctx, []byte("probe")); token.Name != "probe" || !ok || err != nil {
		t.Errorf("the token is %+v, %v, %v, want probe", token, ok, err)
	}
	if entries, err := s.History(ctx, state.HistoryQuery{}); len(entries) != 4 || err != nil {
		t.Errorf("the history has %d entries, %v, want 4", len(entries), err)
	}
}

// testClock has the changes dated by the clock that the store was given.
func testClock(t *testing.T, open Open) {
	now := time.UnixMilli(1464048000123)
	s := opened(t, open, state.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	must(t, s.Add(ctx, Simple("alice")))
	must(t, s.AddAdministrator(ctx, state.Administrator{Name: "root", Role: state.RoleAdministrator}))
	must(t, s.AddAdminToken(ctx, state.AdminToken{Name: "probe", Hash: []byte("probe")}))
	e, err := s.SetSettings(ctx, nil, state.Entry{Event: state.EventSettings})
	must(t, err)
	a, err := s.Administrator(ctx, "root")
	must(t, err)
	token, _, err := s.AdminToken(ctx, []byte("probe"))
	must(t, err)
	entries, err := s.History(ctx, state.HistoryQuery{})
	must(t, err)
	times := []time.Time{e.At, a.Added, token.Added}
	for _, e := range entries {
		times = append(times, e.At)
	}
	for i, at := range times {
		if !at.Equal(now) || len(times) != 7 {
			t.Errorf("time %d of %d is %v, want %v, and 7 in all", i, len(times), at, now)
		}
	}
}

// testClose uses a store that is closed.
func testClose(t *testing.T, open Open) {
	ctx := t.Context()
	s := opened(t, open, state.Options{})
	must(t, s.Add(ctx, Simple("alice")))
	must(t, s.Close())
	_, advanced := s.Advance(ctx, "alice", auth.TokenState{LastStep: 1})
	_, standing := s.ChangeStanding(ctx, "alice", func(v auth.Standing) auth.Standing { return v })
	for what, err := range map[string]error{
		"Advance": advanced, "ChangeStanding": standing, "Record": s.Record(ctx, state.Entry{Event: state.EventStarted}),
		"AddTraffic": s.AddTraffic(ctx, "2026-11", map[string]usermgmt.Traffic{"alice": {Rx: 1}}),
	} {
		if !errors.Is(err, state.ErrClosed) {
			t.Errorf("%s: %v, want %v", what, err, state.ErrClosed)
		}
	}
	if err := s.Add(ctx, Simple("bob")); err == nil {
		t.Error("a closed store adds a user")
	}
	must(t, s.Close())
}

// testCloseUnderLoad closes under load: every caller gets an answer, and every write that was
// reported as stored is stored.
func testCloseUnderLoad(t *testing.T, open Open) {
	s, err := open(state.Options{})
	must(t, err)
	must(t, s.Add(t.Context(), Simple("alice")))
	var (
		all     sync.WaitGroup
		highest atomic.Int64
		stored  = make(chan struct{})
		once    sync.Once
	)
	for i := range int64(20) {
		all.Go(func() {
			defer once.Do(func() { close(stored) })
			for step := 1 + i; step < 10_000 || highest.Load() > 0; step += 20 {
				ok, err := s.Advance(context.Background(), "alice", auth.TokenState{LastStep: step})
				if err != nil {
					return
				}
				for old := highest.Load(); ok && step > old && !highest.CompareAndSwap(old, step); {
					old = highest.Load()
				}
				if ok {
					once.Do(func() { close(stored) })
				}
			}
		})
	}
	<-stored
	must(t, s.Close())
	all.Wait()
	token, err := opened(t, open, state.Options{}).Token(t.Context(), "alice")
	if err != nil || highest.Load() == 0 || token.LastStep < highest.Load() {
		t.Errorf("step %d is stored, %v, want at least step %d, which was accepted", token.LastStep, err, highest.Load())
	}
}
