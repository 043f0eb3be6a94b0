package sqlite_test

import (
	"fmt"
	"testing"
	"time"
	"vpnd/internal/state"
)

// tableThinsOut has floods of each kind leave the entries of the others.
func tableThinsOut(t *testing.T, table state.Store) {
	t.Helper()
	must(t, table.Add(t.Context(), simple("alice")))
	must(t, table.Add(t.Context(), simple("bob")))
	record := func(n int, e state.Entry) {
		for range n {
			e.At = time.UnixMilli(1)
			must(t, table.Record(t.Context(), e))
		}
	}
	count := func(q state.HistoryQuery) int {
		sum, err := table.HistorySum(t.Context(), q)
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
	must(t, table.Prune(t.Context(), time.Time{}, 65))
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
	must(t, table.Prune(t.Context(), time.Time{}, 65))
	if got := count(state.HistoryQuery{}); got != 65 {
		t.Errorf("%d entries are left of 65", got)
	}
}
