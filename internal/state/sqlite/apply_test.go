package sqlite_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noProfiles leaves the stored profiles out of a comparison of outcomes.
var noProfiles = cmpopts.IgnoreFields(usermgmt.Outcome{}, "Profile")

func edit(name string, line int, change func(*usermgmt.Profile)) usermgmt.Edit {
	return usermgmt.Edit{Name: name, Line: line, Change: func(p *usermgmt.Profile) error { change(p); return nil }}
}

func tableApplies(t *testing.T, table state.Store) {
	t.Helper()
	ctx := state.By(t.Context(), "root")
	for i, name := range []string{"anna", "ben"} {
		p := simple(name)
		p.Index, p.Address = 2*i+1, netip.AddrFrom4([4]byte{10, 99, 0, byte(20 + i)})
		must(t, table.Add(ctx, p))
	}
	at := func(index int, last byte) func(*usermgmt.Profile) {
		return func(p *usermgmt.Profile) { p.Index, p.Address = index, netip.AddrFrom4([4]byte{10, 99, 0, last}) }
	}
	edits := []usermgmt.Edit{
		edit("dora", 1, func(p *usermgmt.Profile) { p.Password = "open sesame" }), // takes the lowest index that is left
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
	before, err := table.Generation(ctx)
	must(t, err)
	how := usermgmt.How{Add: true, Change: true, DryRun: true}
	got, err := table.Apply(ctx, edits, how)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if all, err := table.List(ctx); len(all) != 2 || err != nil || all[0].Index != 1 {
		t.Errorf("the dry run has stored %+v, %v", all, err)
	}
	if after, err := table.Generation(ctx); after != before || err != nil {
		t.Errorf("the dry run made a generation: %v", err)
	}
	how.DryRun = false
	got, err = table.Apply(ctx, edits, how)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, o := range got {
		stored, err := table.Get(ctx, o.Name)
		if diff := cmp.Diff(stored, o.Profile, addresses); diff != "" || err != nil {
			t.Errorf("%s: %v, profile of the outcome (-stored +got):\n%s", o.Name, err, diff)
		}
	}
	all, err := table.List(ctx)
	must(t, err)
	var told []string
	for _, p := range all {
		told = append(told, fmt.Sprint(p.Index, p.Name, p.Address, p.IdleTimeout))
	}
	if diff := cmp.Diff([]string{"3anna10.99.0.21 0s", "1ben10.99.0.20 0s", "2carlinvalid IP 5m0s", "4dorainvalid IP 5m0s", "5emilinvalid IP 5m0s"}, told); diff != "" {
		t.Error(diff)
	}
	entries, err := table.History(ctx, state.HistoryQuery{User: "anna", Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Event != state.EventChanged || entries[0].Reason != "index: 1 -> 3, address: 10.99.0.20 -> 10.99.0.21" || entries[0].By != "root" {
		t.Errorf("%+v, %v", entries, err)
	}
	// Again: there is nothing to change.
	got, err = table.Apply(ctx, edits[1:3], how)
	if diff := cmp.Diff([]usermgmt.Outcome{{Name: "anna"}, {Name: "ben"}}, got, noProfiles); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func tableAppliesAllOrNone(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("owner")))
	must(t, table.Add(ctx, simple("anna")))
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
	got, err := table.Apply(ctx, edits, usermgmt.How{Add: true, Change: true})
	if got != nil || err == nil || !errors.Is(err, failed) {
		t.Fatalf("%+v, %v", got, err)
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
		t.Error(diff)
	}
	if all, err := table.List(ctx); err != nil || len(all) != 2 || all[0].Comment != "" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, c := range []struct {
		name string
		how  usermgmt.How
		want error
	}{{"anna", usermgmt.How{Add: true}, usermgmt.ErrExists}, {"ben", usermgmt.How{Change: true}, usermgmt.ErrNoUser}} {
		if _, err := table.Apply(ctx, []usermgmt.Edit{edit(c.name, 0, password)}, c.how); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for what, err := range map[string]error{"Remove": table.Remove(ctx, "anna", "ben", "carl"), "Unlock": table.Unlock(ctx, "anna", "ben", "carl")} {
		if !errors.Is(err, usermgmt.ErrNoUser) || !strings.Contains(err.Error(), "ben") || !strings.Contains(err.Error(), "carl") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := table.Get(ctx, "anna"); err != nil {
		t.Error(err)
	}
	must(t, table.Remove(ctx, "anna", "OWNER"))
	if all, err := table.List(ctx); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func tableKnowsWhoIsConnected(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	if by, err := table.Connected(ctx); len(by) != 0 || err != nil {
		t.Errorf("%+v, %v", by, err)
	}
	at := time.UnixMilli(1464048000123)
	for _, e := range []state.Entry{
		{Event: state.EventConnected, User: "anna", Connection: "lost"}, // and then the daemon is killed
		{Event: state.EventStarted},
		{Event: state.EventConnected, User: "anna", Connection: "a"},
		{Event: state.EventConnected, User: "anna", Connection: "b", Address: netip.MustParseAddr("10.99.0.10")},
		{Event: state.EventConnected, User: "ben", Connection: "c"},
		{Event: state.EventRefused, User: "carl", Connection: "d"},
		{Event: state.EventDisconnected, User: "anna", Connection: "a"},
		{Event: state.EventConnected, User: "anna", Connection: "e"},
	} {
		e.At = at
		must(t, table.Record(ctx, e))
	}
	by, err := table.Connected(ctx)
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
	must(t, table.Record(ctx, state.Entry{At: at, Event: state.EventStarted}))
	if by, err := table.Connected(ctx); len(by) != 0 || err != nil {
		t.Errorf("after a start: %+v, %v", by, err)
	}
}

// BenchmarkApply adds 10,000 users at once.
func BenchmarkApply(b *testing.B) {
	edits := make([]usermgmt.Edit, 10_000)
	for i := range edits {
		edits[i] = edit(fmt.Sprintf("user%05d", i), i+2, func(p *usermgmt.Profile) {
			p.MOTPSecret, p.MOTPPIN, p.Services = secret, "1234", []auth.Service{auth.L2TP}
		})
	}
	for b.Loop() {
		s, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if out, err := s.Apply(b.Context(), edits, usermgmt.How{Add: true}); err != nil || len(out) != len(edits) {
			b.Fatal(len(out), err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func tablePrunes(t *testing.T, table state.Store) {
	t.Helper()
	ctx := state.By(t.Context(), "root")
	for i, name := range []string{"anna", "ben", "carl"} {
		p := simple(name)
		p.Address = netip.AddrFrom4([4]byte{10, 99, 0, byte(20 + i)})
		must(t, table.Add(ctx, p))
	}
	how := usermgmt.How{Add: true, Change: true, Prune: true}
	edits := []usermgmt.Edit{
		edit("ANNA", 1, func(*usermgmt.Profile) {}),
		edit("dora", 2, func(p *usermgmt.Profile) { p.Password, p.Address = "open sesame", netip.MustParseAddr("10.99.0.21") }), // ben's
	}
	want := []usermgmt.Outcome{
		{Name: "anna"}, {Name: "dora", Event: usermgmt.Added}, {Name: "ben", Event: usermgmt.Removed}, {Name: "carl", Event: usermgmt.Removed},
	}
	names := func() (names []string) {
		all, err := table.List(ctx)
		must(t, err)
		for _, p := range all {
			names = append(names, p.Name)
		}
		return names
	}
	dry := how
	dry.DryRun = true
	got, err := table.Apply(ctx, edits, dry)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Errorf("dry run: %v, want none; difference from the outcomes wanted: %s", err, diff)
	}
	if got, want := names(), []string{"anna", "ben", "carl"}; !slices.Equal(got, want) {
		t.Errorf("after a dry run there are %v, want %v", got, want)
	}
	got, err = table.Apply(ctx, edits, how)
	if diff := cmp.Diff(want, got, noProfiles); diff != "" || err != nil {
		t.Errorf("%v, want none; difference from the outcomes wanted: %s", err, diff)
	}
	if got, want := names(), []string{"anna", "dora"}; !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	rule := (*usermgmt.RuleError)(nil)
	if _, err := table.Apply(ctx, nil, how); !errors.As(err, &rule) {
		t.Errorf("an empty list: %v, want a RuleError", err)
	}
	if got, want := names(), []string{"anna", "dora"}; !slices.Equal(got, want) {
		t.Errorf("after an empty list there are %v, want %v", got, want)
	}
}
