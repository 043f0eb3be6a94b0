package sqlite_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const secret = "f3a1c09d5be2478890aa1b2c3d4e5f60"

var addresses = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
	cmp.Comparer(func(a, b auth.Schedule) bool { return a.String() == b.String() }),
}

func full(name string) usermgmt.Profile {
	return usermgmt.Profile{
		Name: name, Enabled: true, Password: "pass wörd", MOTPSecret: secret, MOTPPIN: "1234",
		Services: []auth.Service{auth.L2TP, auth.PPTP}, IPsec: usermgmt.IPsecMust, Address: netip.MustParseAddr("10.99.0.77"),
		IdleTimeout: 5 * time.Minute, SessionTime: time.Hour, Comment: "from Köln",
		Index: 7, RemoteNode: netip.MustParsePrefix("203.0.113.0/24"), Pool: "staff", Group: "field-work", MaxConnections: 1, Further: usermgmt.Refuse,
		Schedule: "Mon-Fri 08:00-18:00 UTC", Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), BlockNetBIOS: true, PassMulticast: true,
		UpLimit: 1_000_000, DownLimit: 2_000_000, Quota: 5_000_000_000,
	}
}

func simple(name string) usermgmt.Profile {
	return usermgmt.Profile{Name: name, Enabled: true, Password: "open sesame", Services: []auth.Service{auth.PPTP}, IPsec: usermgmt.IPsecNone, Further: usermgmt.Replace}
}

// TestStoreIsATable holds the store against what every Table must do.
func TestStoreIsATable(t *testing.T) {
	testTable(t, func(t *testing.T) state.Store {
		t.Helper()
		return openStore(t, t.TempDir())
	})
}

func testTable(t *testing.T, open func(*testing.T) state.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, state.Store){
		"profiles": tableKeepsProfiles, "names": tableFoldsNames, "rules": tableHoldsRules, "ledger": tableKeepsLedger,
		"unknown users": tableKnowsNothingOfOthers, "generation": tableCountsGenerations, "races": tableAdvancesOnce, "removal": tableKeepsStepOfRemoved,
		"atomic": tableChangesNothingOnErrors, "indexes": tableNumbersProfiles, "edits": tableApplies, "edits at fault": tableAppliesAllOrNone, "prunes": tablePrunes, "connected": tableKnowsWhoIsConnected,
		"history": tableKeepsHistory, "thinning out": tableThinsOut, "attempts": tableFindsAttempts, "reasons": tableSearchesReasons, "traffic": tableAddsTraffic, "settings": tableKeepsSettings,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tableKeepsProfiles(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("bob")))
	must(t, table.Add(ctx, simple("Alice")))
	got, err := table.List(ctx)
	must(t, err)
	alice := simple("Alice")
	alice.Index = 1
	if diff := cmp.Diff([]usermgmt.Profile{alice, full("bob")}, got, addresses); diff != "" {
		t.Error(diff)
	}
	account, ok, err := table.Account(ctx, "bob")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	schedule, err := auth.ParseSchedule("Mon-Fri 08:00-18:00 UTC")
	must(t, err)
	want := auth.Account{
		Name: "bob", Enabled: true, Password: "pass wörd", Token: motp.Token{Secret: secret, PIN: "1234"},
		Services: []auth.Service{auth.L2TP, auth.PPTP}, IPsecMust: true, RemoteNode: netip.MustParsePrefix("203.0.113.0/24"),
		Schedule: schedule, Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
		Terms: auth.Terms{
			Address: netip.MustParseAddr("10.99.0.77"), Pool: "staff", Group: "field-work", IdleTimeout: 5 * time.Minute, SessionTime: time.Hour, MaxConnections: 1,
			RefuseFurther: true, BlockNetBIOS: true, PassMulticast: true, UpLimit: 1_000_000, DownLimit: 2_000_000, Quota: 5_000_000_000,
		},
	}
	if diff := cmp.Diff(want, account, addresses); diff != "" {
		t.Error(diff)
	}
	must(t, table.Update(ctx, "bob", func(p *usermgmt.Profile) error {
		p.MOTPSecret, p.MOTPPIN, p.Enabled, p.Address, p.Services = "", "", false, netip.Addr{}, nil
		return nil
	}))
	account, _, err = table.Account(ctx, "bob")
	if err != nil || account.Token != nil || account.Enabled || account.Terms.Address.IsValid() || len(account.Services) != 0 {
		t.Errorf("after the change: %+v, %v", account, err)
	}
	must(t, table.Remove(ctx, "bob"))
	if _, ok, err := table.Account(ctx, "bob"); ok || err != nil {
		t.Errorf("a removed user: %v, %v", ok, err)
	}
}

func tableFoldsNames(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, simple("Alice")))
	if err := table.Add(ctx, simple("aLICE")); !errors.Is(err, usermgmt.ErrExists) {
		t.Errorf("the same name in another case: %v", err)
	}
	if a, ok, err := table.Account(ctx, "ALICE"); !ok || err != nil || a.Name != "Alice" {
		t.Errorf("got %+v, %v, %v", a, ok, err)
	}
	if ok, err := table.Advance(ctx, "ALICE", auth.TokenState{LastStep: 7}); !ok || err != nil {
		t.Error(ok, err)
	}
	if state, err := table.Token(ctx, "alice"); state.LastStep != 7 || err != nil {
		t.Error(state, err)
	}
}

func tableHoldsRules(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("owner")))
	for _, c := range []struct {
		fields string
		change func(*usermgmt.Profile)
	}{
		{"name", func(p *usermgmt.Profile) { p.Name = "" }},
		{"name", func(p *usermgmt.Profile) { p.Name = "two words" }},
		{"name", func(p *usermgmt.Profile) { p.Name = `DOMAIN\user` }},
		{"name", func(p *usermgmt.Profile) { p.Name = "-x" }},
		{"name", func(p *usermgmt.Profile) { p.Name = ".." }},
		{"name", func(p *usermgmt.Profile) { p.Name = strings.Repeat("x", 65) }},
		{"password", func(p *usermgmt.Profile) { p.Password = "" }},
		{"password", func(p *usermgmt.Profile) { p.Password = "a\nb" }},
		{"password", func(p *usermgmt.Profile) { p.Password = strings.Repeat("x", 129) }},
		{"password", func(p *usermgmt.Profile) { p.Password = "K\xe4se" }},
		{"comment", func(p *usermgmt.Profile) { p.Comment = "B\xfcro" }},
		{"motp-pin", func(p *usermgmt.Profile) { p.MOTPSecret = secret }},
		{"motp-secret", func(p *usermgmt.Profile) { p.MOTPPIN = "1234" }},
		{"motp-pin", func(p *usermgmt.Profile) { p.MOTPSecret, p.MOTPPIN = secret, "123" }},
		{"motp-pin", func(p *usermgmt.Profile) { p.MOTPSecret, p.MOTPPIN = secret, "12345678" }},
		{"motp-secret,motp-pin", func(p *usermgmt.Profile) { p.MOTPSecret, p.MOTPPIN = secret[:15], "abcd" }},
		{"dial-in", func(p *usermgmt.Profile) { p.Services = []auth.Service{"sstp"} }},
		{"ipsec", func(p *usermgmt.Profile) { p.IPsec = "maybe" }},
		{"address", func(p *usermgmt.Profile) { p.Address = netip.MustParseAddr("2001:db8::1") }},
		{"address", func(p *usermgmt.Profile) { p.Address = netip.MustParseAddr("10.99.0.77") }},
		{"idle-timeout", func(p *usermgmt.Profile) { p.IdleTimeout = -time.Second }},
		{"session-time", func(p *usermgmt.Profile) { p.SessionTime = 1500 * time.Millisecond }},
		{"comment", func(p *usermgmt.Profile) { p.Comment = "\x1b[2J" }},
		{"index", func(p *usermgmt.Profile) { p.Index = -1 }},
		{"index", func(p *usermgmt.Profile) { p.Index = 7 }},
		{"totp-secret", func(p *usermgmt.Profile) { p.TOTPSecret = "1" }},
		{"totp-secret", func(p *usermgmt.Profile) {
			p.TOTPSecret, p.MOTPSecret, p.MOTPPIN = "GEZDGNBVGY3TQOJQ", secret, "1234"
		}},
		{"remote-node", func(p *usermgmt.Profile) { p.RemoteNode = netip.MustParsePrefix("2001:db8::/32") }},
		{"pool", func(p *usermgmt.Profile) { p.Pool = "two words" }},
		{"group", func(p *usermgmt.Profile) { p.Group = "a;b" }},
		{"group", func(p *usermgmt.Profile) { p.Group = strings.Repeat("a", 33) }},
		{"max-connections", func(p *usermgmt.Profile) { p.MaxConnections = -1 }},
		{"max-connections", func(p *usermgmt.Profile) { p.MaxConnections, p.Address = 2, netip.MustParseAddr("10.99.0.78") }},
		{"further", func(p *usermgmt.Profile) { p.Further = "ask" }},
		{"schedule", func(p *usermgmt.Profile) { p.Schedule = "now and then" }},
		{"expires", func(p *usermgmt.Profile) { p.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"up-limit", func(p *usermgmt.Profile) { p.UpLimit = 7999 }},
		{"down-limit", func(p *usermgmt.Profile) { p.DownLimit = 1 << 60 }},
		{"quota", func(p *usermgmt.Profile) { p.Quota = 1 << 60 }},
	} {
		p := simple("new")
		c.change(&p)
		err := table.Add(ctx, p)
		if got := brokenFields(err); strings.Join(got, ",") != c.fields {
			t.Errorf("want %s broken, got %v", c.fields, err)
		}
		if err != nil && p.Password != "" && strings.Contains(err.Error(), p.Password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if all, err := table.List(ctx); err != nil || len(all) != 1 {
		t.Errorf("%d users, %v", len(all), err)
	}
	upper := simple("upper")
	upper.MOTPSecret, upper.MOTPPIN = strings.ToUpper(secret), "1234567"
	must(t, table.Add(ctx, upper))
	if p, err := table.Get(ctx, "upper"); err != nil || p.MOTPSecret != secret {
		t.Errorf("a secret in upper case became %q, %v", p.MOTPSecret, err)
	}
}

// brokenFields are the fields of all RuleErrors in err.
func brokenFields(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var fields []string
		for _, e := range joined.Unwrap() {
			fields = append(fields, brokenFields(e)...)
		}
		return fields
	}
	if rule := (*usermgmt.RuleError)(nil); errors.As(err, &rule) {
		return []string{rule.Field}
	}
	return nil
}

func tableKeepsLedger(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("alice")))
	must(t, table.Add(ctx, simple("bob")))
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
		if got, err := table.Advance(ctx, "alice", c.state); got != c.want || err != nil {
			t.Errorf("Advance %+v: %v, %v", c.state, got, err)
		}
	}
	if state, err := table.Token(ctx, "alice"); state != (auth.TokenState{LastStep: 101, Offset: 2}) || err != nil {
		t.Error(state, err)
	}
	until := time.UnixMilli(1464048000123)
	want := auth.Standing{
		Strangers: auth.Failures{Count: 5, Locks: 2, LockedUntil: until}, Usual: auth.Failures{Count: 1, Locks: 3, LockedUntil: until.Add(time.Hour)},
		Addresses: [auth.UsualAddresses]netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")},
	}
	_, err := table.ChangeStanding(ctx, "alice", func(v auth.Standing) auth.Standing {
		if v != (auth.Standing{}) {
			t.Errorf("alice begins with %+v", v)
		}
		return want
	})
	must(t, err)
	if v, err := table.Standing(ctx, "alice"); v != want || err != nil {
		t.Error(v, err)
	}
	last := netip.MustParseAddr("10.99.0.30")
	must(t, table.SetLastAddress(ctx, "alice", last))
	if a, err := table.LastAddress(ctx, "alice"); a != last || err != nil {
		t.Error(a, err)
	}
	must(t, table.Unlock(ctx, "alice"))
	if v, err := table.Standing(ctx, "alice"); v != (auth.Standing{Addresses: want.Addresses}) || err != nil {
		t.Errorf("after Unlock: %+v, %v", v, err)
	}
	if state, err := table.Token(ctx, "alice"); state.LastStep != 101 || err != nil {
		t.Errorf("Unlock changed the token: %+v, %v", state, err)
	}
	if state, err := table.Token(ctx, "bob"); state != (auth.TokenState{}) || err != nil {
		t.Errorf("bob has alice's: %+v, %v", state, err)
	}
	_, err = table.ChangeStanding(ctx, "alice", func(auth.Standing) auth.Standing { return want })
	must(t, err)
	for _, c := range []struct {
		state auth.TokenState
		want  bool
	}{
		{auth.TokenState{LastStep: 101, Offset: 30, Centre: 30}, false},
		{auth.TokenState{LastStep: 131, Offset: 30, Centre: 30}, true},
	} {
		if got, err := table.Recentre(ctx, "alice", c.state); got != c.want || err != nil {
			t.Errorf("Recentre %+v: %v, %v", c.state, got, err)
		}
		if v, err := table.Standing(ctx, "alice"); err != nil || (v == want) == c.want || v.Addresses != want.Addresses {
			t.Errorf("after Recentre %+v: %+v, %v", c.state, v, err)
		}
	}
	_, err = table.Advance(ctx, "alice", auth.TokenState{LastStep: 132, Offset: 31})
	must(t, err)
	if state, err := table.Token(ctx, "alice"); state != (auth.TokenState{LastStep: 132, Offset: 31, Centre: 30}) || err != nil {
		t.Error(state, err)
	}
	must(t, table.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.MOTPSecret = strings.Repeat("9b1f", 8); return nil }))
	if state, err := table.Token(ctx, "alice"); state != (auth.TokenState{LastStep: 132}) || err != nil {
		t.Errorf("with another token: %+v, %v", state, err)
	}
}

func tableKnowsNothingOfOthers(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	for what, err := range map[string]error{
		"Update": table.Update(ctx, "x", func(*usermgmt.Profile) error { return nil }), "Remove": table.Remove(ctx, "x"), "Unlock": table.Unlock(ctx, "x"),
		"ChangeStanding": fail(ctx, table, "x"), "SetLastAddress": table.SetLastAddress(ctx, "x", netip.MustParseAddr("10.0.0.1")),
	} {
		if !errors.Is(err, usermgmt.ErrNoUser) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := table.Get(ctx, "x"); !errors.Is(err, usermgmt.ErrNoUser) {
		t.Error(err)
	}
	if ok, err := table.Advance(ctx, "x", auth.TokenState{LastStep: 1}); ok || !errors.Is(err, usermgmt.ErrNoUser) {
		t.Error(ok, err)
	}
	if _, ok, err := table.Account(ctx, "x"); ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := table.Recentre(ctx, "x", auth.TokenState{LastStep: 1}); ok || !errors.Is(err, usermgmt.ErrNoUser) {
		t.Error(ok, err)
	}
	if v, err := table.Standing(ctx, "x"); v != (auth.Standing{}) || err != nil {
		t.Error(v, err)
	}
	if s, err := table.Token(ctx, "x"); s != (auth.TokenState{}) || err != nil {
		t.Error(s, err)
	}
	if a, err := table.LastAddress(ctx, "x"); a.IsValid() || err != nil {
		t.Error(a, err)
	}
}

func fail(ctx context.Context, table state.Store, user string) error {
	_, err := table.ChangeStanding(ctx, user, func(v auth.Standing) auth.Standing {
		v.Strangers.Count++
		v.Addresses[0] = netip.MustParsePrefix("192.0.2.7/32")
		return v
	})
	return err
}

func tableCountsGenerations(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	last, err := table.Generation(ctx)
	must(t, err)
	moved := func() bool {
		t.Helper()
		g, err := table.Generation(ctx)
		must(t, err)
		changed := g != last
		last = g
		return changed
	}
	for _, step := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"add", func() error { return table.Add(ctx, simple("a")) }, true},
		{"add again", func() error { _ = table.Add(ctx, simple("a")); return nil }, false},
		{"update", func() error {
			return table.Update(ctx, "a", func(p *usermgmt.Profile) error { p.Enabled = false; return nil })
		}, true},
		{"advance", func() error { _, err := table.Advance(ctx, "a", auth.TokenState{LastStep: 3}); return err }, false},
		{"failures", func() error { return fail(ctx, table, "a") }, false},
		{"unlock", func() error { return table.Unlock(ctx, "a") }, true},
		{"remove", func() error { return table.Remove(ctx, "a") }, true},
	} {
		must(t, step.do())
		if got := moved(); got != step.want {
			t.Errorf("%s: the generation moved: %v", step.what, got)
		}
	}
}

func tableAdvancesOnce(t *testing.T, table state.Store) {
	t.Helper()
	must(t, table.Add(t.Context(), simple("alice")))
	for step := int64(1); step <= 5; step++ {
		if won := race(t, step, table); won != 1 {
			t.Errorf("step %d was accepted %d times", step, won)
		}
	}
}

// race advances alice to one step from 50 goroutines over all tables, and counts who won.
func race(t *testing.T, step int64, tables ...state.Store) int64 {
	t.Helper()
	var (
		won   atomic.Int64
		all   sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range 50 {
		all.Go(func() {
			<-start
			ok, err := tables[i%len(tables)].Advance(t.Context(), "alice", auth.TokenState{LastStep: step, Offset: int64(i)})
			if err != nil {
				t.Error(err)
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

func tableKeepsStepOfRemoved(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("alice")))
	_, err := table.Advance(ctx, "alice", auth.TokenState{LastStep: 9, Offset: 4})
	must(t, err)
	must(t, fail(ctx, table, "alice"))
	must(t, table.SetLastAddress(ctx, "alice", netip.MustParseAddr("10.99.0.30")))
	must(t, table.Remove(ctx, "alice"))
	must(t, table.Add(ctx, full("alice")))
	if ok, err := table.Advance(ctx, "alice", auth.TokenState{LastStep: 9}); ok || err != nil {
		t.Errorf("a used step was accepted of the user that came back: %v, %v", ok, err)
	}
	if v, err := table.Standing(ctx, "alice"); v != (auth.Standing{}) || err != nil {
		t.Error(v, err)
	}
	if a, err := table.LastAddress(ctx, "alice"); a.IsValid() || err != nil {
		t.Error(a, err)
	}
}

func tableChangesNothingOnErrors(t *testing.T, table state.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, table.Add(ctx, full("alice")))
	own := errors.New("changed my mind")
	if err := table.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Enabled = false; return own }); !errors.Is(err, own) {
		t.Error(err)
	}
	err := table.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Name = "eve"; return nil })
	if got := brokenFields(err); !slices.Equal(got, []string{"name"}) {
		t.Error(err)
	}
	if err := table.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.MOTPPIN = "1"; return nil }); len(brokenFields(err)) != 1 {
		t.Error(err)
	}
	p, err := table.Get(ctx, "alice")
	must(t, err)
	if diff := cmp.Diff(full("alice"), p, addresses); diff != "" {
		t.Error(diff)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if ok, err := table.Advance(ended, "alice", auth.TokenState{LastStep: 1}); ok && err != nil {
		t.Error("both accepted and failed")
	}
	must(t, table.Close())
	if ok, err := table.Advance(ctx, "alice", auth.TokenState{LastStep: 5}); ok || err == nil {
		t.Errorf("after Close: %v, %v", ok, err)
	}
}
