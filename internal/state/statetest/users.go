package statetest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

func testProfiles(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("bob")))
	must(t, store.Add(ctx, Simple("Alice")))
	got, err := store.List(ctx)
	must(t, err)
	alice := Simple("Alice")
	alice.Index = 1
	if diff := cmp.Diff([]usermgmt.Profile{alice, Full("bob")}, got, Values); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	sound, damaged, err := store.Sound(ctx)
	if diff := cmp.Diff(got, sound, Values); diff != "" || len(damaged) != 0 || err != nil {
		t.Errorf("damaged: %v, %v, want none; difference: %s", damaged, err, diff)
	}
	account, ok, err := store.Account(ctx, "bob")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	schedule, err := auth.ParseSchedule("Mon-Fri 08:00-18:00 Europe/Berlin")
	must(t, err)
	want := auth.Account{
		Name: "bob", Enabled: true, Password: "pass wörd", Token: motp.Token{Secret: secret, PIN: "1234"},
		Services: []auth.Service{auth.L2TP}, IPsecMust: true, RemoteNode: netip.MustParsePrefix("203.0.113.0/24"),
		Schedule: schedule, Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		Terms: auth.Terms{
			Address: netip.MustParseAddr("10.99.0.77"), Pool: "staff", Group: "field-work", IdleTimeout: 61 * time.Second, SessionTime: 90 * time.Minute,
			MaxConnections: 1, RefuseFurther: true, BlockNetBIOS: true, PassMulticast: true, UpLimit: 10_000_000, DownLimit: 500_000, Quota: 50_000_000_000,
		},
	}
	if diff := cmp.Diff(want, account, Values); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	must(t, store.Update(ctx, "bob", func(p *usermgmt.Profile) error {
		p.MOTPSecret, p.MOTPPIN, p.Enabled, p.Address, p.Services = "", "", false, netip.Addr{}, nil
		return nil
	}))
	account, _, err = store.Account(ctx, "bob")
	if err != nil || account.Token != nil || account.Enabled || account.Terms.Address.IsValid() || len(account.Services) != 0 {
		t.Errorf("after the change the account is %+v, %v, want it disabled, without token, address and services", account, err)
	}
	must(t, store.Remove(ctx, "bob"))
	if _, ok, err := store.Account(ctx, "bob"); ok || err != nil {
		t.Errorf("a removed user has an account: %v, %v, want none", ok, err)
	}
}

func testNames(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Simple("Alice")))
	if err := store.Add(ctx, Simple("aLICE")); !errors.Is(err, usermgmt.ErrExists) {
		t.Errorf("the same name in another case: %v, want %v", err, usermgmt.ErrExists)
	}
	if a, ok, err := store.Account(ctx, "ALICE"); !ok || err != nil || a.Name != "Alice" {
		t.Errorf("the account of ALICE is %+v, %v, %v, want that of Alice", a, ok, err)
	}
	if ok, err := store.Advance(ctx, "ALICE", auth.TokenState{LastStep: 7}); !ok || err != nil {
		t.Errorf("a first step of ALICE: %v, %v, want it accepted", ok, err)
	}
	if state, err := store.Token(ctx, "alice"); state.LastStep != 7 || err != nil {
		t.Errorf("the token of alice is %+v, %v, want step 7", state, err)
	}
}

// brokenRules are changes of a good profile, in a table with one user of Full, and the fields whose
// rules they break.
var brokenRules = []struct {
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
}

func testRules(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("owner")))
	for _, c := range brokenRules {
		p := Simple("new")
		c.change(&p)
		err := store.Add(ctx, p)
		if got := brokenFields(err); strings.Join(got, ",") != c.fields {
			t.Errorf("want %s broken, got %v", c.fields, err)
		}
		if err != nil && p.Password != "" && strings.Contains(err.Error(), p.Password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if all, err := store.List(ctx); err != nil || len(all) != 1 {
		t.Errorf("%d users, %v", len(all), err)
	}
	upper := Simple("upper")
	upper.MOTPSecret, upper.MOTPPIN = strings.ToUpper(secret), "1234567"
	must(t, store.Add(ctx, upper))
	if p, err := store.Get(ctx, "upper"); err != nil || p.MOTPSecret != secret {
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

func testIndexes(t *testing.T, store state.Store) {
	ctx := t.Context()
	index := func(name string) int {
		p, err := store.Get(ctx, name)
		must(t, err)
		return p.Index
	}
	for _, name := range []string{"c", "a", "b"} {
		must(t, store.Add(ctx, Simple(name)))
	}
	must(t, store.Remove(ctx, "a"))
	must(t, store.Update(ctx, "b", func(p *usermgmt.Profile) error { p.Index = 5; return nil }))
	for _, name := range []string{"d", "e", "f", "g"} {
		must(t, store.Add(ctx, Simple(name)))
	}
	for name, want := range map[string]int{"c": 1, "d": 2, "e": 3, "f": 4, "b": 5, "g": 6} {
		if got := index(name); got != want {
			t.Errorf("%s has index %d, want %d", name, got, want)
		}
	}
}

func testUnknownUsers(t *testing.T, store state.Store) {
	ctx := t.Context()
	_, got := store.Get(ctx, "x")
	for what, err := range map[string]error{
		"Update": store.Update(ctx, "x", func(*usermgmt.Profile) error { return nil }), "Remove": store.Remove(ctx, "x"), "Unlock": store.Unlock(ctx, "x"),
		"ChangeStanding": fail(ctx, store, "x"), "SetLastAddress": store.SetLastAddress(ctx, "x", netip.MustParseAddr("10.0.0.1")),
		"Get": got,
	} {
		if !errors.Is(err, usermgmt.ErrNoUser) {
			t.Errorf("%s: %v, want %v", what, err, usermgmt.ErrNoUser)
		}
	}
	for what, accept := range map[string]func(context.Context, string, auth.TokenState) (bool, error){"Advance": store.Advance, "Recentre": store.Recentre} {
		if ok, err := accept(ctx, "x", auth.TokenState{LastStep: 1}); ok || !errors.Is(err, usermgmt.ErrNoUser) {
			t.Errorf("%s: %v, %v, want %v", what, ok, err, usermgmt.ErrNoUser)
		}
	}
	must(t, store.Rewind(ctx, "x", 1))
	if _, ok, err := store.Account(ctx, "x"); ok || err != nil {
		t.Errorf("Account: %v, %v, want none", ok, err)
	}
	if v, err := store.Standing(ctx, "x"); v != (auth.Standing{}) || err != nil {
		t.Errorf("Standing: %+v, %v, want none", v, err)
	}
	if token, err := store.Token(ctx, "x"); token != (auth.TokenState{}) || err != nil {
		t.Errorf("Token: %+v, %v, want none", token, err)
	}
	if a, err := store.LastAddress(ctx, "x"); a.IsValid() || err != nil {
		t.Errorf("LastAddress: %v, %v, want none", a, err)
	}
}

func fail(ctx context.Context, store state.Store, user string) error {
	_, err := store.ChangeStanding(ctx, user, func(v auth.Standing) auth.Standing {
		v.Strangers.Count++
		v.Addresses[0] = netip.MustParsePrefix("192.0.2.7/32")
		return v
	})
	return err
}

func testGenerations(t *testing.T, store state.Store) {
	ctx := t.Context()
	last, err := store.Generation(ctx)
	must(t, err)
	moved := func() bool {
		t.Helper()
		g, err := store.Generation(ctx)
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
		{"add", func() error { return store.Add(ctx, Simple("a")) }, true},
		{"add again", func() error { _ = store.Add(ctx, Simple("a")); return nil }, false},
		{"update", func() error {
			return store.Update(ctx, "a", func(p *usermgmt.Profile) error { p.Enabled = false; return nil })
		}, true},
		{"advance", func() error { _, err := store.Advance(ctx, "a", auth.TokenState{LastStep: 3}); return err }, false},
		{"failures", func() error { return fail(ctx, store, "a") }, false},
		{"unlock", func() error { return store.Unlock(ctx, "a") }, true},
		{"remove", func() error { return store.Remove(ctx, "a") }, true},
	} {
		must(t, step.do())
		if got := moved(); got != step.want {
			t.Errorf("%s: the generation moved: %v", step.what, got)
		}
	}
}

func testErrorsChangeNothing(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("alice")))
	own := errors.New("changed my mind")
	if err := store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Enabled = false; return own }); !errors.Is(err, own) {
		t.Errorf("Update: %v, want the error of its change", err)
	}
	err := store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Name = "eve"; return nil })
	if got := brokenFields(err); !slices.Equal(got, []string{"name"}) {
		t.Errorf("another name: %v, want a RuleError of the name", err)
	}
	if err := store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.MOTPPIN = "1"; return nil }); len(brokenFields(err)) != 1 {
		t.Errorf("a PIN of one digit: %v, want one RuleError", err)
	}
	p, err := store.Get(ctx, "alice")
	must(t, err)
	if diff := cmp.Diff(Full("alice"), p, Values); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if ok, err := store.Advance(ended, "alice", auth.TokenState{LastStep: 1}); ok && err != nil {
		t.Errorf("a context that has ended: accepted, with the error %v, want one of them", err)
	}
	must(t, store.Close())
	if ok, err := store.Advance(ctx, "alice", auth.TokenState{LastStep: 5}); ok || err == nil {
		t.Errorf("after Close a step is accepted: %v, %v, want an error", ok, err)
	}
}

// testConditions changes users only as long as they are as the caller has seen them.
func testConditions(t *testing.T, store state.Store) {
	must(t, store.Add(t.Context(), Simple("alice")))
	other := errors.New("the user is another by now")
	ctx := usermgmt.Provided(t.Context(), func(p *usermgmt.Profile) error {
		if p.Name != "alice" || p.Password != "open sesame" {
			t.Errorf("the condition is asked of %+v, want alice", p)
		}
		return other
	})
	for what, err := range map[string]error{"Remove": store.Remove(ctx, "ALICE"), "Unlock": store.Unlock(ctx, "ALICE")} {
		if !errors.Is(err, other) {
			t.Errorf("%s: %v, want %v", what, err, other)
		}
	}
	if _, err := store.Get(ctx, "alice"); err != nil {
		t.Errorf("the user is gone: %v", err)
	}
	must(t, store.Remove(usermgmt.Provided(t.Context(), func(*usermgmt.Profile) error { return nil }), "alice"))
}

// testChecks changes a user after a log-in has read the account.
func testChecks(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.Add(ctx, Full("alice")))
	read := func() auth.Record {
		t.Helper()
		r, ok, err := store.Read(ctx, "ALICE")
		if !ok || err != nil || r.Account.Name != "alice" {
			t.Fatalf("the record is %+v, %v, %v, want alice's", r, ok, err)
		}
		return r
	}
	alice, used := read(), auth.TokenState{LastStep: 1, Offset: 2}
	if alice.Token != (auth.TokenState{}) {
		t.Errorf("the token of a new user: %+v, want nothing known", alice.Token)
	}
	_, err := store.Advance(ctx, "alice", used)
	must(t, err)
	if again := read(); again.Token != used {
		t.Errorf("the token after a log-in: %+v, want %+v", again.Token, used)
	}
	if same, err := alice.Unchanged(ctx); !same || err != nil {
		t.Errorf("after a change of the ledger: %v, %v, want unchanged", same, err)
	}
	must(t, store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Comment = "new"; return nil }))
	if same, err := alice.Unchanged(ctx); same || err != nil {
		t.Errorf("after a change: %v, %v, want changed", same, err)
	}
	alice = read()
	must(t, store.Remove(ctx, "alice"))
	if same, err := alice.Unchanged(ctx); same || err != nil {
		t.Errorf("after the removal: %v, %v, want changed", same, err)
	}
	if _, ok, err := store.Read(ctx, "alice"); ok || err != nil {
		t.Errorf("a removed user has an account: %v, %v", ok, err)
	}
}
