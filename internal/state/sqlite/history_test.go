package sqlite_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func tableNumbersProfiles(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	index := func(name string) int {
		p, err := table.Get(ctx, name)
		must(t, err)
		return p.Index
	}
	for _, name := range []string{"c", "a", "b"} {
		must(t, table.Add(ctx, simple(name)))
	}
	must(t, table.Remove(ctx, "a"))
	must(t, table.Update(ctx, "b", func(p *usermgmt.Profile) error { p.Index = 5; return nil }))
	for _, name := range []string{"d", "e", "f", "g"} {
		must(t, table.Add(ctx, simple(name)))
	}
	for name, want := range map[string]int{"c": 1, "d": 2, "e": 3, "f": 4, "b": 5, "g": 6} {
		if got := index(name); got != want {
			t.Errorf("%s has index %d, want %d", name, got, want)
		}
	}
}

func tableKeepsHistory(t *testing.T, table state.Store) {
	t.Helper()
	ctx := state.By(t.Context(), "root")
	must(t, table.Add(ctx, simple("Alice")))
	must(t, table.Update(ctx, "alice", func(p *usermgmt.Profile) error {
		p.Password, p.Comment, p.IdleTimeout = "another", "remark", time.Minute
		return nil
	}))
	connected := state.Entry{
		At: time.UnixMilli(1464048000123), Event: state.EventDisconnected, User: "Alice", Connection: "abc", Type: "PPTP",
		Peer: netip.MustParseAddr("203.0.113.9"), Address: netip.MustParseAddr("10.99.0.10"), Auth: "MS-CHAPv2", Encryption: "none",
		Reason: "peer hung up", Duration: time.Hour, Rx: 1 << 40, Tx: 2,
	}
	must(t, table.Record(ctx, connected, state.Entry{At: time.UnixMilli(1464048000124), Event: state.EventRefused, User: "eve"}))
	all, err := table.History(ctx, state.HistoryQuery{User: "ALICE"})
	must(t, err)
	if len(all) != 3 {
		t.Fatalf("%d entries: %+v", len(all), all)
	}
	connected.ID = all[0].ID
	if diff := cmp.Diff(connected, all[0], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if c := all[1]; c.Event != state.EventChanged || c.Reason != "password, idle-timeout: 0s -> 1m0s, comment: none -> remark" || c.By != "root" || time.Since(c.At) > time.Hour {
		t.Errorf("%+v", c)
	}
	if strings.Contains(fmt.Sprint(all), "another") {
		t.Error("the history tells a password")
	}
	for want, q := range map[int]state.HistoryQuery{4: {}, 1: {Limit: 1}, 2: {Since: time.UnixMilli(1464048000200)}, 3: {Before: all[0].ID + 1}, 0: {User: "nobody"}} {
		if got, err := table.History(ctx, q); len(got) != want || err != nil {
			t.Errorf("%+v: %d, %v", q, len(got), err)
		}
	}
	for want, q := range map[string]state.HistoryQuery{
		"refused":              {Events: []string{state.EventRefused}},
		"disconnected added":   {User: "alice", Events: []string{state.EventAdded, state.EventDisconnected}},
		"disconnected changed": {Offset: 1, Limit: 2},
		"":                     {Offset: 4},
	} {
		got, err := table.History(ctx, q)
		must(t, err)
		var events []string
		for _, e := range got {
			events = append(events, e.Event)
		}
		if text := strings.Join(events, " "); text != want {
			t.Errorf("%+v: %s, want %s", q, text, want)
		}
	}
	sum, err := table.HistorySum(ctx, state.HistoryQuery{User: "alice", Limit: 1})
	if want := (state.HistorySum{Entries: 3, Time: time.Hour, Rx: 1 << 40, Tx: 2}); err != nil || sum != want {
		t.Errorf("%+v, %v", sum, err)
	}
	must(t, table.Prune(ctx, time.UnixMilli(1464048000124), 1000))
	if left, err := table.History(ctx, state.HistoryQuery{}); len(left) != 3 || left[0].User != "eve" || err != nil {
		t.Errorf("%+v, %v", left, err)
	}
	must(t, table.Prune(ctx, time.Time{}, 2))
	if left, err := table.History(ctx, state.HistoryQuery{}); len(left) != 2 || left[1].Event != state.EventChanged || err != nil {
		t.Errorf("%+v, %v", left, err)
	}
}

func tableFindsAttempts(t *testing.T, table state.Store) {
	t.Helper()
	home, other := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10")
	must(t, table.Add(t.Context(), simple("Alice"))) // a change is no attempt
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
		must(t, table.Record(t.Context(), e))
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
		entries, err := table.History(t.Context(), c.q)
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

func tableAddsTraffic(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.AddTraffic(ctx, "2026-10", map[string]usermgmt.Traffic{"alice": {Rx: 9}}))
	must(t, table.AddTraffic(ctx, "2026-11", map[string]usermgmt.Traffic{"alice": {Rx: 1, Tx: 2}, "bob": {Tx: 5}}))
	must(t, table.AddTraffic(ctx, "2026-11", map[string]usermgmt.Traffic{"ALICE": {Rx: 10, Tx: 20}}))
	got, err := table.Traffic(ctx, "Alice", usermgmt.Month(time.Date(2026, 12, 1, 1, 0, 0, 0, time.FixedZone("", 7200))))
	if got != (usermgmt.Traffic{Rx: 11, Tx: 22}) || got.Total() != 33 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, table.Prune(ctx, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), 10))
	if old, err := table.Traffic(ctx, "alice", "2026-10"); old != (usermgmt.Traffic{}) || err != nil {
		t.Errorf("%+v, %v", old, err)
	}
	if now, err := table.Traffic(ctx, "bob", "2026-11"); now.Tx != 5 || err != nil {
		t.Errorf("%+v, %v", now, err)
	}
}

// Each field's text says the same when it is set again.
func TestFields(t *testing.T) {
	from, to := full("alice"), usermgmt.Profile{Name: "alice"}
	from.TOTPSecret = "GEZDGNBVGY3TQOJQ"
	for _, f := range usermgmt.Fields {
		if f.Get(&from) == f.Get(&to) {
			t.Errorf("full leaves %s as it is in an empty profile: give it another value there, so that the tests see whether it is kept", f.Name)
		}
		must(t, f.Set(&to, f.Get(&from)))
	}
	if diff := cmp.Diff(from, to, addresses); diff != "" {
		t.Error(diff)
	}
	for field, texts := range map[string][]string{
		"index": {"x"}, "enabled": {"", "maybe"}, "remote-node": {"203.0.113", "203.0.113.0/33"}, "address": {"x", "2001:db8::1"},
		"idle-timeout": {"5 minutes"}, "max-connections": {"many"}, "expires": {"tomorrow", "2027-02-30"}, "netbios": {"yes"}, "multicast": {""},
		"up-limit": {"M", "1.5M", "-1", "99999999999T"}, "quota": {"1X"},
	} {
		f, ok := usermgmt.FieldNamed(field)
		for _, text := range texts {
			if err := f.Set(&to, text); !ok || err == nil || !strings.HasPrefix(err.Error(), field+": ") {
				t.Errorf("%s %q: %v", field, text, err)
			}
		}
	}
	for text, want := range map[string]string{"1500k": "1500k", "1000k": "1M", "8000": "8k", "0": "0", "": "0", "1234": "1234", "2T": "2T"} {
		f, _ := usermgmt.FieldNamed("down-limit")
		if err := f.Set(&to, text); err != nil || f.Get(&to) != want {
			t.Errorf("%q became %q, %v", text, f.Get(&to), err)
		}
	}
	f, _ := usermgmt.FieldNamed("expires")
	must(t, f.Set(&to, "2027-12-31"))
	if !to.Expires.Equal(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)) || f.Get(&to) != "2027-12-31" {
		t.Errorf("%v, %s", to.Expires, f.Get(&to))
	}
}

// TestOldestEntry is by date: a clock that was put back dates later entries earlier.
func TestOldestEntry(t *testing.T) {
	s := openStore(t, t.TempDir())
	if at, err := s.OldestEntry(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("without entries: %v, %v", at, err)
	}
	first := time.UnixMilli(1_700_000_000_000)
	for _, at := range []time.Time{first.Add(time.Hour), first, first.Add(time.Minute)} {
		must(t, s.Record(t.Context(), state.Entry{At: at, Event: state.EventStarted}))
	}
	if at, err := s.OldestEntry(t.Context()); err != nil || !at.Equal(first) {
		t.Errorf("%v, %v, want %v", at, err, first)
	}
}
