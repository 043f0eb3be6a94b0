package statetest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func testHistory(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	must(t, store.Add(ctx, Simple("Alice")))
	must(t, store.Update(ctx, "alice", func(p *usermgmt.Profile) error {
		p.Password, p.Comment, p.IdleTimeout = "another", "remark", time.Minute
		return nil
	}))
	connected := state.Entry{
		At: time.UnixMilli(1464048000123), Event: state.EventDisconnected, User: "Alice", Connection: "abc", Type: "PPTP",
		Peer: netip.MustParseAddr("203.0.113.9"), Address: netip.MustParseAddr("10.99.0.10"), Auth: "MS-CHAPv2", Encryption: "none",
		Reason: "peer hung up", Duration: time.Hour, Rx: 1 << 40, Tx: 2,
	}
	must(t, store.Record(ctx, connected, state.Entry{At: time.UnixMilli(1464048000124), Event: state.EventRefused, User: "eve"}))
	all, err := store.History(ctx, state.HistoryQuery{User: "ALICE"})
	must(t, err)
	if len(all) != 3 {
		t.Fatalf("%d entries: %+v", len(all), all)
	}
	connected.ID = all[0].ID
	if diff := cmp.Diff(connected, all[0], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if c := all[1]; c.Event != state.EventChanged || c.Reason != "password, idle-timeout: 0s -> 1m0s, comment: none -> remark" || c.By != "root" || time.Since(c.At) > time.Hour {
		t.Errorf("the entry of the change is %+v, want what was changed, by root, now", c)
	}
	if strings.Contains(fmt.Sprint(all), "another") {
		t.Error("the history tells a password")
	}
	for want, q := range map[int]state.HistoryQuery{4: {}, 1: {Limit: 1}, 2: {Since: time.UnixMilli(1464048000200)}, 3: {Before: all[0].ID + 1}, 0: {User: "nobody"}} {
		if got, err := store.History(ctx, q); len(got) != want || err != nil {
			t.Errorf("%+v: %d, %v", q, len(got), err)
		}
	}
	for want, q := range map[string]state.HistoryQuery{
		"refused":              {Events: []string{state.EventRefused}},
		"disconnected added":   {User: "alice", Events: []string{state.EventAdded, state.EventDisconnected}},
		"disconnected changed": {Offset: 1, Limit: 2},
		"":                     {Offset: 4},
	} {
		got, err := store.History(ctx, q)
		must(t, err)
		var events []string
		for _, e := range got {
			events = append(events, e.Event)
		}
		if text := strings.Join(events, " "); text != want {
			t.Errorf("%+v: %s, want %s", q, text, want)
		}
	}
	sum, err := store.HistorySum(ctx, state.HistoryQuery{User: "alice", Limit: 1})
	if want := (state.HistorySum{Entries: 3, Time: time.Hour, Rx: 1 << 40, Tx: 2}); err != nil || sum != want {
		t.Errorf("the sum is %+v, %v, want %+v", sum, err, want)
	}
}

// testPruning deletes entries because of their age, and then because of their number.
func testPruning(t *testing.T, store state.Store) {
	for i := range 5 {
		must(t, store.Record(t.Context(), state.Entry{At: time.UnixMilli(int64(i)), Event: state.EventStarted}))
	}
	for _, c := range []struct {
		before time.Time
		most   int
		want   string // the milliseconds of the entries
	}{
		{time.Time{}, 1000, "4 3 2 1 0"},
		{time.UnixMilli(1), 1000, "4 3 2 1"},
		{time.Time{}, 2, "4 3"},
	} {
		must(t, store.Prune(t.Context(), c.before, c.most))
		left, err := store.History(t.Context(), state.HistoryQuery{})
		must(t, err)
		var got []string
		for _, e := range left {
			got = append(got, fmt.Sprint(e.At.UnixMilli()))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("after Prune before %v to %d: %v are left, want %s", c.before, c.most, got, c.want)
		}
	}
}

func testAttempts(t *testing.T, store state.Store) {
	home, other := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10")
	must(t, store.Add(t.Context(), Simple("Alice"))) // a change is no attempt
	for i, e := range []state.Entry{
		{Event: state.EventConnected, User: "Alice", Peer: home},
		{Event: state.EventRefused, User: "bob", Peer: home},
		{Event: state.EventRefused, Peer: home, Reason: "nobody named"},
		{Event: state.EventRefused, Peer: other},
		{Event: state.EventStarted},
		{Event: state.EventCaptured, User: "Alice"},
		{Event: state.EventDisconnected, User: "Alice", Peer: home},
	} {
		e.At = time.UnixMilli(int64(i))
		must(t, store.Record(t.Context(), e))
	}
	for _, c := range []struct {
		q    state.HistoryQuery
		want string // the milliseconds of the entries
	}{
		{state.HistoryQuery{User: "ALICE"}, "6 0"},
		{state.HistoryQuery{User: "alice", Peers: []netip.Addr{home}}, "6 2 0"},
		{state.HistoryQuery{User: "alice", Peers: []netip.Addr{home, other}, Limit: 3}, "6 3 2"},
		{state.HistoryQuery{}, "6 3 2 1 0"},
		{state.HistoryQuery{Since: time.UnixMilli(3)}, "6 3"},
	} {
		c.q.Events = state.Attempts
		entries, err := store.History(t.Context(), c.q)
		must(t, err)
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprint(e.At.UnixMilli()))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.q, got, c.want)
		}
	}
}

// testSearches finds entries by the words of the reason's text, and by its arguments.
func testSearches(t *testing.T, store state.Store) {
	t.Helper()
	inUse, locked := reason.New(reason.AddressInUse, "10.99.0.7", "Bob"), reason.New(reason.UserLocked, time.Unix(0, 0))
	must(t, store.Record(t.Context(),
		state.Entry{Event: state.EventRefused, User: "first", Why: inUse},
		state.Entry{Event: state.EventRefused, User: "second", Why: locked},
		state.Entry{Event: state.EventChanged, User: "third", Reason: "comment: none -> in use"},
		state.Entry{Event: state.EventDisconnected, User: "fourth"},
	))
	for search, want := range map[string]string{
		"IN USE": "third first", "too many failures": "second", "bob": "first", "10.99.0.7": "first", "1970-01-01": "second", "no such words": "",
	} {
		found, err := store.History(t.Context(), state.HistoryQuery{Search: search})
		must(t, err)
		var users []string
		for _, e := range found {
			users = append(users, e.User)
		}
		if got := strings.Join(users, " "); got != want {
			t.Errorf("%q finds %q, want %q", search, got, want)
		}
		for _, e := range found {
			if e.User == "first" && (e.Why.Code != inUse.Code || e.Why.Args != inUse.Args || e.Text() != inUse.String()) {
				t.Errorf("the reason is %+v, want %+v", e.Why, inUse)
			}
		}
	}
}

// testValues checks that the history shows how a user was changed, except for the values of
// secrets.
func testValues(t *testing.T, s state.Store) {
	must(t, s.Add(t.Context(), Simple("alice")))
	for _, c := range []struct {
		change func(*usermgmt.Profile)
		want   string
	}{
		{func(p *usermgmt.Profile) { p.Enabled = false }, "enabled: yes -> no"},
		{func(p *usermgmt.Profile) { p.Enabled = true }, "enabled: no -> yes"},
		{func(p *usermgmt.Profile) {
			p.Password, p.MOTPSecret, p.MOTPPIN = "topsecret", "0123456789abcdef", "4711"
		}, "password, motp-secret, motp-pin"},
		{func(p *usermgmt.Profile) { p.MOTPSecret, p.MOTPPIN = "", "" }, "motp-secret removed, motp-pin removed"},
		{func(p *usermgmt.Profile) { p.Comment = strings.Repeat("ü", 70) }, "comment: none -> " + strings.Repeat("ü", 64) + "…"},
	} {
		must(t, s.Update(t.Context(), "alice", func(p *usermgmt.Profile) error {
			c.change(p)
			return nil
		}))
		got, err := s.History(t.Context(), state.HistoryQuery{Limit: 1})
		must(t, err)
		if len(got) != 1 || got[0].Reason != c.want {
			t.Errorf("the last entry is %+v, want the reason %q", got, c.want)
		}
	}
}

func testConnected(t *testing.T, store state.Store) {
	ctx := t.Context()
	if by, err := store.Connected(ctx); len(by) != 0 || err != nil {
		t.Errorf("at first %+v, %v are connected, want nobody", by, err)
	}
	at := time.UnixMilli(1464048000123)
	for _, e := range []state.Entry{
		// The daemon is killed after this.
		{Event: state.EventConnected, User: "anna", Connection: "lost"},
		{Event: state.EventStarted},
		{Event: state.EventConnected, User: "anna", Connection: "a"},
		{Event: state.EventConnected, User: "anna", Connection: "b", Address: netip.MustParseAddr("10.99.0.10")},
		{Event: state.EventConnected, User: "ben", Connection: "c"},
		{Event: state.EventRefused, User: "carl", Connection: "d"},
		{Event: state.EventDisconnected, User: "anna", Connection: "a"},
		{Event: state.EventConnected, User: "anna", Connection: "e"},
	} {
		e.At = at
		must(t, store.Record(ctx, e))
	}
	by, err := store.Connected(ctx)
	must(t, err)
	var told []string
	for _, name := range []string{"anna", "ben", "carl"} {
		for _, e := range by[name] {
			told = append(told, name+" "+e.Connection)
		}
	}
	if strings.Join(told, ", ") != "anna b, anna e, ben c" || by["anna"][0].Address.String() != "10.99.0.10" {
		t.Errorf("%v", by)
	}
	must(t, store.Record(ctx, state.Entry{At: at, Event: state.EventStarted}))
	if by, err := store.Connected(ctx); len(by) != 0 || err != nil {
		t.Errorf("after a start %+v, %v are connected, want nobody", by, err)
	}
}

// testOldestEntry finds the oldest entry by date: a clock that was put back dates later entries
// earlier.
func testOldestEntry(t *testing.T, s state.Store) {
	if at, err := s.OldestEntry(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("without entries the oldest is of %v, %v, want none", at, err)
	}
	first := time.UnixMilli(1_700_000_000_000)
	for _, at := range []time.Time{first.Add(time.Hour), first, first.Add(time.Minute)} {
		must(t, s.Record(t.Context(), state.Entry{At: at, Event: state.EventStarted}))
	}
	if at, err := s.OldestEntry(t.Context()); err != nil || !at.Equal(first) {
		t.Errorf("%v, %v, want %v", at, err, first)
	}
}

// testThinningOut has a flood of each kind, which leaves the entries of the other kinds.
func testThinningOut(t *testing.T, store state.Store) {
	t.Helper()
	must(t, store.Add(t.Context(), Simple("alice")))
	must(t, store.Add(t.Context(), Simple("bob")))
	record := func(n int, e state.Entry) {
		for range n {
			e.At = time.UnixMilli(1)
			must(t, store.Record(t.Context(), e))
		}
	}
	count := func(q state.HistoryQuery) int {
		sum, err := store.HistorySum(t.Context(), q)
		must(t, err)
		return sum.Entries
	}
	refused := []string{state.EventRefused}
	record(3, state.Entry{Event: state.EventChanged, User: "alice"})
	record(4, state.Entry{Event: state.EventConnected, User: "bob"})
	record(5, state.Entry{Event: state.EventRefused, User: "bob"})
	record(100, state.Entry{Event: state.EventConnected, User: "alice"})
	record(100, state.Entry{Event: state.EventRefused, User: "Alice"})
	record(100, state.Entry{Event: state.EventRefused})
	for i := range 100 {
		record(1, state.Entry{Event: state.EventRefused, User: fmt.Sprint("x", i)})
	}
	must(t, store.Prune(t.Context(), time.Time{}, 65))
	for what, c := range map[string]struct {
		q    state.HistoryQuery
		want int
	}{
		"changes":                   {state.HistoryQuery{Events: []string{state.EventAdded, state.EventChanged}}, 5},
		"connections of bob":        {state.HistoryQuery{User: "bob", Events: []string{state.EventConnected}}, 4},
		"connections of alice":      {state.HistoryQuery{User: "alice", Events: []string{state.EventConnected}}, 16},
		"refusals of bob":           {state.HistoryQuery{User: "bob", Events: refused}, 5},
		"refusals of alice":         {state.HistoryQuery{User: "alice", Events: refused}, 15},
		"the newest other refusals": {state.HistoryQuery{User: "x99", Events: refused}, 1},
		"the oldest other refusals": {state.HistoryQuery{User: "x79", Events: refused}, 0},
		"all":                       {state.HistoryQuery{}, 65},
	} {
		if got := count(c.q); got != c.want {
			t.Errorf("%s: %d entries, want %d", what, got, c.want)
		}
	}
	must(t, store.Prune(t.Context(), time.Time{}, 65))
	if got := count(state.HistoryQuery{}); got != 65 {
		t.Errorf("%d entries are left of 65", got)
	}
}
