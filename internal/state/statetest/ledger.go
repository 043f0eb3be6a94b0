package statetest

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// testTokenSteps accepts each step of a token once.
func testTokenSteps(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("alice")))
	must(t, store.Add(ctx, Simple("bob")))
	token := func(user string, want auth.TokenState) {
		t.Helper()
		if got, err := store.Token(ctx, user); got != want || err != nil {
			t.Errorf("the token of %s is at %+v, %v, want %+v", user, got, err, want)
		}
	}
	for _, c := range []struct {
		state auth.TokenState
		want  bool
	}{
		{auth.TokenState{}, false},
		{auth.TokenState{LastStep: 100, Offset: -3}, true},
		{auth.TokenState{LastStep: 100, Offset: 1}, false},
		{auth.TokenState{LastStep: 99, Offset: 1}, false},
		{auth.TokenState{LastStep: 101, Offset: 2}, true},
	} {
		if got, err := store.Advance(ctx, "alice", c.state); got != c.want || err != nil {
			t.Errorf("Advance %+v: %v, %v, want %v", c.state, got, err, c.want)
		}
	}
	token("alice", auth.TokenState{LastStep: 101, Offset: 2})
	must(t, store.Unlock(ctx, "alice"))
	token("alice", auth.TokenState{LastStep: 101, Offset: 2})
	token("bob", auth.TokenState{})
	if ok, err := store.Recentre(ctx, "alice", auth.TokenState{LastStep: 131, Offset: 30, Centre: 30}); !ok || err != nil {
		t.Errorf("Recentre to a later step: %v, %v, want true", ok, err)
	}
	_, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 132, Offset: 31})
	must(t, err)
	token("alice", auth.TokenState{LastStep: 132, Offset: 31, Centre: 30})
	// Another token has another clock.
	must(t, store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.MOTPSecret = strings.Repeat("9b1f", 8); return nil }))
	token("alice", auth.TokenState{LastStep: 132})
}

func testStandings(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("alice")))
	until := time.UnixMilli(1464048000123)
	want := auth.Standing{
		Strangers: auth.Failures{Count: 5, Locks: 2, LockedUntil: until}, Usual: auth.Failures{Count: 1, Locks: 3, LockedUntil: until.Add(time.Hour)},
		Addresses: [auth.UsualAddresses]netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")},
	}
	forgiven := auth.Standing{Addresses: want.Addresses}
	change := func(from auth.Standing) {
		t.Helper()
		_, err := store.ChangeStanding(ctx, "alice", func(v auth.Standing) auth.Standing {
			if v != from {
				t.Errorf("the standing to change is %+v, want %+v", v, from)
			}
			return want
		})
		must(t, err)
	}
	standing := func(want auth.Standing) {
		t.Helper()
		if got, err := store.Standing(ctx, "ALICE"); got != want || err != nil {
			t.Errorf("the standing is %+v, %v, want %+v", got, err, want)
		}
	}
	change(auth.Standing{})
	standing(want)
	must(t, store.Unlock(ctx, "alice"))
	standing(forgiven)
	change(forgiven)
	_, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 101})
	must(t, err)
	for _, c := range []struct {
		step int64
		ok   bool
		want auth.Standing
	}{{101, false, want}, {131, true, forgiven}} {
		if ok, err := store.Recentre(ctx, "alice", auth.TokenState{LastStep: c.step, Offset: 30, Centre: 30}); ok != c.ok || err != nil {
			t.Errorf("Recentre to step %d: %v, %v, want %v", c.step, ok, err, c.ok)
		}
		standing(c.want)
	}
}

func testLastAddresses(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Simple("alice")))
	for _, want := range []netip.Addr{netip.MustParseAddr("10.99.0.30"), netip.MustParseAddr("10.99.0.31"), {}} {
		must(t, store.SetLastAddress(ctx, "alice", want))
		if got, err := store.LastAddress(ctx, "ALICE"); got != want || err != nil {
			t.Errorf("the last address is %v, %v, want %v", got, err, want)
		}
	}
}

func testRaces(t *testing.T, store state.Store) {
	must(t, store.Add(t.Context(), Simple("alice")))
	for step := int64(1); step <= 5; step++ {
		if won := race(t, step, store); won != 1 {
			t.Errorf("step %d was accepted %d times", step, won)
		}
	}
}

// race advances alice to one step from 50 goroutines over all stores, and counts the successes.
func race(t *testing.T, step int64, stores ...state.Store) int64 {
	t.Helper()
	var (
		won   atomic.Int64
		all   sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range 50 {
		all.Go(func() {
			<-start
			ok, err := stores[i%len(stores)].Advance(t.Context(), "alice", auth.TokenState{LastStep: step, Offset: int64(i)})
			if err != nil {
				t.Errorf("Advance: %v, want no error", err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	return won.Load()
}

func testRemovedUsers(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("alice")))
	_, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 9, Offset: 4})
	must(t, err)
	must(t, fail(ctx, store, "alice"))
	must(t, store.SetLastAddress(ctx, "alice", netip.MustParseAddr("10.99.0.30")))
	must(t, store.Remove(ctx, "alice"))
	must(t, store.Add(ctx, Full("alice")))
	if ok, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 9}); ok || err != nil {
		t.Errorf("a used step was accepted of the user that came back: %v, %v", ok, err)
	}
	if v, err := store.Standing(ctx, "alice"); v != (auth.Standing{}) || err != nil {
		t.Errorf("the user came back with the standing %+v, %v, want none", v, err)
	}
	if a, err := store.LastAddress(ctx, "alice"); a.IsValid() || err != nil {
		t.Errorf("the user came back with the last address %v, %v, want none", a, err)
	}
}

func testTraffic(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.AddTraffic(ctx, "2026-10", map[string]usermgmt.Traffic{"alice": {Rx: 9}}))
	must(t, store.AddTraffic(ctx, "2026-11", map[string]usermgmt.Traffic{"alice": {Rx: 1, Tx: 2}, "bob": {Tx: 5}}))
	must(t, store.AddTraffic(ctx, "2026-11", map[string]usermgmt.Traffic{"ALICE": {Rx: 10, Tx: 20}}))
	got, err := store.Traffic(ctx, "Alice", usermgmt.Month(time.Date(2026, 12, 1, 1, 0, 0, 0, time.FixedZone("", 7200))))
	if got != (usermgmt.Traffic{Rx: 11, Tx: 22}) || got.Total() != 33 || err != nil {
		t.Errorf("the traffic of alice is %+v, %v, want 11 and 22", got, err)
	}
	must(t, store.Prune(ctx, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), 10))
	if old, err := store.Traffic(ctx, "alice", "2026-10"); old != (usermgmt.Traffic{}) || err != nil {
		t.Errorf("the traffic of a month that was pruned is %+v, %v, want none", old, err)
	}
	if now, err := store.Traffic(ctx, "bob", "2026-11"); now.Tx != 5 || err != nil {
		t.Errorf("the traffic of bob is %+v, %v, want 5 to bob", now, err)
	}
}

func testRewind(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Simple("alice")))
	_, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 7, Offset: 2})
	must(t, err)
	must(t, store.Rewind(ctx, "alice", 6))
	if token, err := store.Token(ctx, "alice"); token.LastStep != 7 || err != nil {
		t.Errorf("after Rewind of another step: %+v, %v, want step 7", token, err)
	}
	must(t, store.Rewind(ctx, "ALICE", 7))
	if token, err := store.Token(ctx, "alice"); token != (auth.TokenState{Offset: 2}) || err != nil {
		t.Errorf("after Rewind: %+v, %v, want the offset alone", token, err)
	}
}

// testRecords compares the records of all users with those of each.
func testRecords(t *testing.T, store state.Store) {
	ctx := t.Context()
	for _, name := range []string{"Alice", "bob"} {
		must(t, store.Add(ctx, Simple(name)))
	}
	standing := auth.Standing{Strangers: auth.Failures{Count: 1, Locks: 2, LockedUntil: time.UnixMilli(1464048000123)}, Usual: auth.Failures{Count: 3}}
	standing.Addresses[0] = netip.MustParsePrefix("203.0.113.9/32")
	_, err := store.ChangeStanding(ctx, "alice", func(auth.Standing) auth.Standing { return standing })
	must(t, err)
	last := netip.MustParseAddr("10.99.0.9")
	must(t, store.SetLastAddress(ctx, "alice", last))
	for _, month := range []string{"2026-10", "2026-11"} {
		must(t, store.AddTraffic(ctx, month, map[string]usermgmt.Traffic{"alice": {Rx: 5, Tx: 7}, "nobody": {Rx: 1}}))
	}
	all, err := store.Records(ctx, "2026-11")
	must(t, err)
	for name, want := range map[string]usermgmt.Record{
		"ALICE":  {Standing: standing, LastAddress: last, Traffic: usermgmt.Traffic{Rx: 5, Tx: 7}},
		"bob":    {},
		"nobody": {},
	} {
		if got := all.Of(name); got != want || len(all) != 2 {
			t.Errorf("of %d records, that of %s is %+v, want %+v, and 2 in all", len(all), name, got, want)
		}
		if got, err := store.RecordOf(ctx, name, "2026-11"); got != want || err != nil {
			t.Errorf("the record of %s is %+v, %v, want %+v", name, got, err, want)
		}
	}
}
