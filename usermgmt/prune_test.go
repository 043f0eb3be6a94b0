package usermgmt_test

import (
	"fmt"
	"testing"
	"time"
	"vpnd/usermgmt"
)

// tableThinsOut has floods of each kind leave the entries of the others.
func tableThinsOut(t *testing.T, table usermgmt.Table) {
	t.Helper()
	must(t, table.Add(t.Context(), simple("alice")))
	must(t, table.Add(t.Context(), simple("bob")))
	record := func(n int, e usermgmt.Entry) {
		for range n {
			e.At = time.UnixMilli(1)
			must(t, table.Record(t.Context(), e))
		}
	}
	count := func(q usermgmt.HistoryQuery) int {
		sum, err := table.HistorySum(t.Context(), q)
		must(t, err)
		return sum.Entries
	}
	refused := []string{usermgmt.EventRefused}
	record(3, usermgmt.Entry{Event: usermgmt.EventChanged, User: "alice"})
	record(4, usermgmt.Entry{Event: usermgmt.EventConnected, User: "bob"})
	record(5, usermgmt.Entry{Event: usermgmt.EventRefused, User: "bob"})
	record(100, usermgmt.Entry{Event: usermgmt.EventConnected, User: "alice"})
	record(100, usermgmt.Entry{Event: usermgmt.EventRefused, User: "Alice"})
	record(100, usermgmt.Entry{Event: usermgmt.EventRefused})
	for i := range 100 {
		record(1, usermgmt.Entry{Event: usermgmt.EventRefused, User: fmt.Sprint("x", i)})
	}
	must(t, table.Prune(t.Context(), time.Time{}, 65))
	for what, c := range map[string]struct {
		q    usermgmt.HistoryQuery
		want int
	}{
		"changes":                   {usermgmt.HistoryQuery{Events: []string{usermgmt.EventAdded, usermgmt.EventChanged}}, 5},
		"connections of bob":        {usermgmt.HistoryQuery{User: "bob", Events: []string{usermgmt.EventConnected}}, 4},
		"connections of alice":      {usermgmt.HistoryQuery{User: "alice", Events: []string{usermgmt.EventConnected}}, 16},
		"refusals of bob":           {usermgmt.HistoryQuery{User: "bob", Events: refused}, 5},
		"refusals of alice":         {usermgmt.HistoryQuery{User: "alice", Events: refused}, 15},
		"the newest other refusals": {usermgmt.HistoryQuery{User: "x99", Events: refused}, 1},
		"the oldest other refusals": {usermgmt.HistoryQuery{User: "x79", Events: refused}, 0},
		"all":                       {usermgmt.HistoryQuery{}, 65},
	} {
		if got := count(c.q); got != c.want {
			t.Errorf("%s: %d entries, want %d", what, got, c.want)
		}
	}
	must(t, table.Prune(t.Context(), time.Time{}, 65))
	if got := count(usermgmt.HistoryQuery{}); got != 65 {
		t.Errorf("%d entries are left of 65", got)
	}
}
