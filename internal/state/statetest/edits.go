package statetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noProfiles leaves the stored profiles out of a comparison of outcomes.
var noProfiles = cmpopts.IgnoreFields(usermgmt.Outcome{}, "Profile")

func edit(name string, line int, change func(*usermgmt.Profile)) usermgmt.Edit {
	return usermgmt.Edit{Name: name, Line: line, Change: func(p *usermgmt.Profile) error { change(p); return nil }}
}

// summaries gives index, name, address and idle time-out of all users.
func summaries(t *testing.T, store state.Store) (texts []string) {
	t.Helper()
	all, err := store.List(t.Context())
	must(t, err)
	for _, p := range all {
		texts = append(texts, fmt.Sprint(p.Index, p.Name, p.Address, p.IdleTimeout))
	}
	return texts
}

func testEdits(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	for i, name := range []string{"anna", "ben"} {
		p := Simple(name)
		p.Index, p.Address = 2*i+1, netip.AddrFrom4([4]byte{10, 99, 0, byte(20 + i)})
		must(t, store.Add(ctx, p))
	}
	at := func(index int, last byte) func(*usermgmt.Profile) {
		return func(p *usermgmt.Profile) { p.Index, p.Address = index, netip.AddrFrom4([4]byte{10, 99, 0, last}) }
	}
	edits := []usermgmt.Edit{
		// dora takes the lowest free index.
		edit("dora", 1, func(p *usermgmt.Profile) { p.Password = "open sesame" }),
		edit("ANNA", 2, at(3, 21)), // change hands
		edit("ben", 3, at(1, 20)),
		edit("carl", 4, func(p *usermgmt.Profile) { p.Index, p.Password = 2, "open sesame" }),
		edit("emil", 5, func(p *usermgmt.Profile) { p.Password = "open sesame" }),
	}
	want := []usermgmt.Outcome{
		{Name: "dora", Event: usermgmt.Added},
		{Name: "anna", Event: usermgmt.Changed, Fields: "index, address"},
		{Name: "ben", Event: usermgmt.Changed, Fields: "index, address"},
		{Name: "carl", Event: usermgmt.Added},
		{Name: "emil", Event: usermgmt.Added},
	}
	before, err := store.Generation(ctx)
	must(t, err)
	how := usermgmt.How{Add: true, Change: true, DryRun: true}
	apply := func(edits []usermgmt.Edit, want []usermgmt.Outcome) (got []usermgmt.Outcome) {
		t.Helper()
		got, err := store.Apply(ctx, edits, how)
		if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
			t.Errorf("%v, difference from the outcomes wanted: %s", err, diff)
		}
		return got
	}
	apply(edits, want)
	if all, err := store.List(ctx); len(all) != 2 || err != nil || all[0].Index != 1 {
		t.Errorf("the dry run has stored %+v, %v", all, err)
	}
	if after, err := store.Generation(ctx); after != before || err != nil {
		t.Errorf("the dry run made a generation: %v", err)
	}
	how.DryRun = false
	for _, o := range apply(edits, want) {
		stored, err := store.Get(ctx, o.Name)
		if diff := cmp.Diff(stored, o.Profile, Values); diff != "" || err != nil {
			t.Errorf("%s: %v, profile of the outcome (-stored +got):\n%s", o.Name, err, diff)
		}
	}
	users := []string{"3anna10.99.0.21 0s", "1ben10.99.0.20 0s", "2carlinvalid IP 5m0s", "4dorainvalid IP 5m0s", "5emilinvalid IP 5m0s"}
	if diff := cmp.Diff(users, summaries(t, store)); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	entries, err := store.History(ctx, state.HistoryQuery{User: "anna", Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Event != state.EventChanged || entries[0].Reason != "index: 1 -> 3, address: 10.99.0.20 -> 10.99.0.21" || entries[0].By != "root" {
		t.Errorf("the last entry of anna is %+v, %v, want the values of her change, by root", entries, err)
	}
	// Nothing changes.
	apply(edits[1:3], []usermgmt.Outcome{{Name: "anna"}, {Name: "ben"}})
}

func testFaultyEdits(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("owner")))
	must(t, store.Add(ctx, Simple("anna")))
	taken := netip.MustParseAddr("10.99.0.77")
	failed := errors.New("failed")
	password := func(p *usermgmt.Profile) { p.Password = "open sesame" }
	edits := []usermgmt.Edit{
		edit("good", 1, password),
		edit("two words", 2, password),
		edit("ben", 3, func(p *usermgmt.Profile) { p.IPsec, p.Quota = "maybe", 1<<60 }),
		edit("carl", 4, func(p *usermgmt.Profile) { password(p); p.Address, p.Index = taken, 7 }),
		edit("GOOD", 5, password),
		{Name: "dora", Line: 6, Change: func(*usermgmt.Profile) error { return failed }},
		edit("anna", 7, func(p *usermgmt.Profile) { p.Comment = "changed" }),
		edit("emil", 8, func(p *usermgmt.Profile) { password(p); p.Index = 9 }),
		edit("fred", 9, func(p *usermgmt.Profile) { password(p); p.Index = 9 }),
	}
	got, err := store.Apply(ctx, edits, usermgmt.How{Add: true, Change: true})
	if got != nil || err == nil || !errors.Is(err, failed) {
		t.Fatalf("got %+v, %v, want no outcomes, and the error of the edit of dora", got, err)
	}
	var lines []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var at *usermgmt.EditError
		if !errors.As(e, &at) {
			t.Fatalf("%T: %v", e, e)
		}
		lines = append(lines, fmt.Sprint(at.Line, " ", at.Name, " ", strings.Join(brokenFields(at.Err), ",")))
	}
	want := []string{"2 two words name", "3 ben password,ipsec,quota", "5 GOOD name", "6 dora ", "4 carl address,index", "9 fred index"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if all, err := store.List(ctx); err != nil || len(all) != 2 || all[0].Comment != "" {
		t.Errorf("there are %+v, %v, want the two users as before", all, err)
	}
	for _, c := range []struct {
		name string
		how  usermgmt.How
		want error
	}{{"anna", usermgmt.How{Add: true}, usermgmt.ErrExists}, {"ben", usermgmt.How{Change: true}, usermgmt.ErrNoUser}} {
		if _, err := store.Apply(ctx, []usermgmt.Edit{edit(c.name, 0, password)}, c.how); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for what, err := range map[string]error{"Remove": store.Remove(ctx, "anna", "ben", "carl"), "Unlock": store.Unlock(ctx, "anna", "ben", "carl")} {
		if !errors.Is(err, usermgmt.ErrNoUser) || !strings.Contains(err.Error(), "ben") || !strings.Contains(err.Error(), "carl") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := store.Get(ctx, "anna"); err != nil {
		t.Errorf("after a Remove that failed anna is gone: %v", err)
	}
	must(t, store.Remove(ctx, "anna", "OWNER"))
	if all, err := store.List(ctx); err != nil || len(all) != 0 {
		t.Errorf("there are %+v, %v, want no users", all, err)
	}
}

func testPruningEdits(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	for i, name := range []string{"anna", "ben", "carl"} {
		p := Simple(name)
		p.Address = netip.AddrFrom4([4]byte{10, 99, 0, byte(20 + i)})
		must(t, store.Add(ctx, p))
	}
	how := usermgmt.How{Add: true, Change: true, Prune: true}
	edits := []usermgmt.Edit{
		edit("ANNA", 1, func(*usermgmt.Profile) {}),
		// This is ben's address.
		edit("dora", 2, func(p *usermgmt.Profile) { p.Password, p.Address = "open sesame", netip.MustParseAddr("10.99.0.21") }),
	}
	want := []usermgmt.Outcome{
		{Name: "anna"}, {Name: "dora", Event: usermgmt.Added}, {Name: "ben", Event: usermgmt.Removed}, {Name: "carl", Event: usermgmt.Removed},
	}
	names := func() (names []string) {
		all, err := store.List(ctx)
		must(t, err)
		for _, p := range all {
			names = append(names, p.Name)
		}
		return names
	}
	dry := how
	dry.DryRun = true
	got, err := store.Apply(ctx, edits, dry)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Errorf("dry run: %v, want none; difference from the outcomes wanted: %s", err, diff)
	}
	if got, want := names(), []string{"anna", "ben", "carl"}; !slices.Equal(got, want) {
		t.Errorf("after a dry run there are %v, want %v", got, want)
	}
	got, err = store.Apply(ctx, edits, how)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Errorf("%v, want none; difference from the outcomes wanted: %s", err, diff)
	}
	if got, want := names(), []string{"anna", "dora"}; !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	rule := (*usermgmt.RuleError)(nil)
	if _, err := store.Apply(ctx, nil, how); !errors.As(err, &rule) {
		t.Errorf("an empty list: %v, want a RuleError", err)
	}
	if got, want := names(), []string{"anna", "dora"}; !slices.Equal(got, want) {
		t.Errorf("after an empty list there are %v, want %v", got, want)
	}
}

// testChanges checks that the store reports a change of users once, after it has stored it, with
// the profiles as stored.
func testChanges(t *testing.T, open Open) {
	var store state.Store
	var told []usermgmt.Change
	var last uint64 // generation
	ctx := t.Context()
	store = opened(t, open, state.Options{Changed: func(ctx context.Context, c usermgmt.Change) {
		generation, err := store.Generation(ctx)
		if err != nil || generation != c.Generation {
			t.Errorf("told of generation %d, %v, and the table has %d", c.Generation, err, generation)
		}
		if last != 0 && c.Before != last {
			t.Errorf("told of a change of generation %d, want %d", c.Before, last)
		}
		last, c.Before, c.Generation = c.Generation, 0, 0
		told = append(told, c)
	}})
	anna, ben := Simple("anna"), Simple("ben")
	anna.Index, ben.Index = 1, 2
	disabled := anna
	disabled.Enabled = false
	for _, c := range []struct {
		what   string
		change func() error
		want   []usermgmt.Change
	}{
		{"add", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{
				edit("anna", 1, func(p *usermgmt.Profile) { *p = Simple("anna") }), edit("ben", 2, func(p *usermgmt.Profile) { *p = Simple("ben") }),
			}, usermgmt.How{Add: true})
			return err
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{anna, ben}}}},
		{"change", func() error {
			return store.Update(ctx, "ANNA", func(p *usermgmt.Profile) error { p.Enabled = false; return nil })
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{disabled}}}},
		{"unlock", func() error { return store.Unlock(ctx, "anna") }, []usermgmt.Change{{}}},
		{"remove", func() error { return store.Remove(ctx, "BEN") }, []usermgmt.Change{{Removed: []string{"ben"}}}},
		{"dry run", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{edit("anna", 1, func(p *usermgmt.Profile) { p.Comment = "x" })}, usermgmt.How{Change: true, DryRun: true})
			return err
		}, nil},
		{"prune", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{edit("ben", 1, func(p *usermgmt.Profile) { *p = ben })}, usermgmt.How{Add: true, Prune: true})
			return err
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{ben}, Removed: []string{"anna"}}}},
	} {
		told = nil
		if err := c.change(); err != nil {
			t.Errorf("%s: got the error %v, want none", c.what, err)
		}
		if diff := cmp.Diff(c.want, told, Values); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	told = nil
	if err := store.Remove(ctx, "nobody"); err == nil || told != nil {
		t.Errorf("got %v, and %v told, want an error and nothing", err, told)
	}
}
