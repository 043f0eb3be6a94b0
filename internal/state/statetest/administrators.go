package statetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/state"

	"github.com/google/go-cmp/cmp"
)

var noon = time.UnixMilli(1464048000123)

func administrator(name string) state.Administrator {
	return state.Administrator{Name: name, Role: state.RoleAdministrator, Password: "hash of " + name, TOTPSecret: "GEZDGNBVGY3TQOJQ", TOTPStep: 7}
}

func testAdministrators(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	if all, err := store.Administrators(ctx); len(all) != 0 || err != nil {
		t.Errorf("at first there are %+v, %v, want none", all, err)
	}
	viewer := state.Administrator{Name: "Bob", Role: "viewer", Password: "hash"}
	must(t, store.AddAdministrator(ctx, viewer))
	if anybody, err := store.AnyAdministrator(ctx); anybody || err != nil {
		t.Errorf("with a viewer alone: %v, %v, want no administrator", anybody, err)
	}
	must(t, store.AddAdministrator(ctx, administrator("alice")))
	if anybody, err := store.AnyAdministrator(ctx); !anybody || err != nil {
		t.Errorf("with an administrator: %v, %v, want one", anybody, err)
	}
	if err := store.AddAdministrator(ctx, administrator("ALICE")); !errors.Is(err, state.ErrAdministratorExists) {
		t.Errorf("the same name in another case: %v, want %v", err, state.ErrAdministratorExists)
	}
	if err := store.AddAdministrator(ctx, administrator("two words")); !slices.Equal(brokenFields(err), []string{"name"}) {
		t.Errorf("a name of two words: %v, want a RuleError", err)
	}
	all, err := store.Administrators(ctx)
	must(t, err)
	for i := range all {
		if time.Since(all[i].Added) > time.Hour {
			t.Errorf("%s was added at %v, want now", all[i].Name, all[i].Added)
		}
		all[i].Added = time.Time{}
	}
	if diff := cmp.Diff([]state.Administrator{administrator("alice"), viewer}, all); diff != "" {
		t.Errorf("administrators (-want +got):\n%s", diff)
	}
	must(t, store.ChangeAdministrator(ctx, "BOB", "password", func(a *state.Administrator) { a.Name, a.Password, a.TOTPSecret = "carl", "another", "MFRGG" }))
	if b, err := store.Administrator(ctx, "bob"); b.Name != "Bob" || b.Password != "another" || b.TOTPSecret != "MFRGG" || err != nil {
		t.Errorf("after the change: %+v, %v, want Bob with another password and secret", b, err)
	}
	must(t, store.RemoveAdministrator(ctx, "bob", false))
	_, gone := store.Administrator(ctx, "bob")
	for what, err := range map[string]error{
		"Administrator": gone, "RemoveAdministrator": store.RemoveAdministrator(ctx, "bob", true),
		"ChangeAdministrator": store.ChangeAdministrator(ctx, "bob", "", func(*state.Administrator) {}),
	} {
		if !errors.Is(err, state.ErrNoAdministrator) {
			t.Errorf("%s: %v, want %v", what, err, state.ErrNoAdministrator)
		}
	}
	wantChanges(t, store, "root", "Bob added as viewer", "alice added as administrator", "Bob: password", "Bob removed")
}

// wantChanges compares the changes of administrators in the history, oldest first.
func wantChanges(t *testing.T, store state.Store, by string, want ...string) {
	t.Helper()
	entries, err := store.History(t.Context(), state.HistoryQuery{Events: []string{state.EventAdminChanged}})
	must(t, err)
	var got []string
	for _, e := range slices.Backward(entries) {
		if e.By == by {
			got = append(got, e.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes in the history by %q: %s", by, diff)
	}
}

func testLastAdministrator(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.AddAdministrator(ctx, administrator("alice")))
	must(t, store.AddAdministrator(ctx, state.Administrator{Name: "bob", Role: "viewer"}))
	demote := func(name string) error {
		return store.ChangeAdministrator(ctx, name, "role", func(a *state.Administrator) { a.Role = "viewer" })
	}
	for what, err := range map[string]error{"demotion": demote("alice"), "removal": store.RemoveAdministrator(ctx, "alice", false)} {
		if !errors.Is(err, state.ErrLastAdministrator) {
			t.Errorf("%s: %v, want %v", what, err, state.ErrLastAdministrator)
		}
	}
	must(t, store.AddAdministrator(ctx, administrator("carol")))
	must(t, demote("alice"))
	must(t, store.RemoveAdministrator(ctx, "carol", true))
	if anybody, err := store.AnyAdministrator(ctx); anybody || err != nil {
		t.Errorf("after the last one is removed: %v, %v, want none", anybody, err)
	}
	for i := range state.MaxAdministrators - 2 {
		must(t, store.AddAdministrator(ctx, state.Administrator{Name: fmt.Sprint("viewer", i), Role: "viewer"}))
	}
	if err := store.AddAdministrator(ctx, administrator("dora")); !errors.Is(err, state.ErrTooMany) {
		t.Errorf("one more than %d: %v, want %v", state.MaxAdministrators, err, state.ErrTooMany)
	}
}

// testSteps accepts each code of an administrator's TOTP app once.
func testSteps(t *testing.T, store state.Store) {
	must(t, store.AddAdministrator(t.Context(), administrator("alice")))
	const hour = 360 // steps of mOTP
	for _, c := range []struct {
		name string
		step int64
		want bool
	}{
		{"alice", 7, false},
		{"ALICE", 8, true},
		{"alice", 8, false},
		{"bob", 9, false},
		{"alice", 8 + 2*hour, true}, // by a clock that is ahead
		{"alice", 9 + hour, false},
		{"alice", 9, true},
		{"alice", 9, false},
	} {
		if got, err := store.AdvanceAdministrator(t.Context(), c.name, c.step); got != c.want || err != nil {
			t.Errorf("step %d of %s is accepted: %v, %v, want %v", c.step, c.name, got, err, c.want)
		}
	}
}

var lifetimes = state.Lifetimes{Idle: time.Hour, Whole: 12 * time.Hour, Most: 3}

func testSessions(t *testing.T, store state.Store) {
	ctx := t.Context()
	alice, home := administrator("alice"), netip.MustParseAddr("192.0.2.1")
	must(t, store.AddAdministrator(ctx, alice))
	must(t, store.AddAdministrator(ctx, administrator("bob")))
	began := func(hash string, a state.Administrator) error {
		return store.AddAdminSession(ctx, []byte(hash), a, home, noon, lifetimes)
	}
	changed := alice
	changed.Password = "another"
	if err := began("wrong", changed); !errors.Is(err, state.ErrNoAdministrator) {
		t.Errorf("with another password: %v, want %v", err, state.ErrNoAdministrator)
	}
	changed = alice
	changed.TOTPSecret = ""
	if err := began("wrong", changed); !errors.Is(err, state.ErrNoAdministrator) {
		t.Errorf("with another TOTP secret: %v, want %v", err, state.ErrNoAdministrator)
	}
	must(t, began("one", alice))
	must(t, began("two", alice))
	must(t, began("three", administrator("bob")))
	session := func(hash string, want bool) (got state.AdminSession) {
		t.Helper()
		got, ok, err := store.AdminSession(ctx, []byte(hash))
		if ok != want || err != nil {
			t.Errorf("session %s is there: %v, %v, want %v", hash, ok, err, want)
		}
		return got
	}
	session("wrong", false)
	if got, want := session("one", true), (state.AdminSession{Name: "alice", Role: state.RoleAdministrator, Began: noon, Seen: noon}); got != want {
		t.Errorf("the session is %+v, want %+v", got, want)
	}
	must(t, store.TouchAdminSession(ctx, []byte("one"), noon.Add(time.Minute)))
	if got := session("one", true); !got.Seen.Equal(noon.Add(time.Minute)) || !got.Began.Equal(noon) {
		t.Errorf("after its use the session is %+v", got)
	}
	if a, err := store.Administrator(ctx, "alice"); !a.LastLogIn.Equal(noon) || err != nil {
		t.Errorf("the last log-in is at %v, %v, want %v", a.LastLogIn, err, noon)
	}
	logIns, err := store.History(ctx, state.HistoryQuery{Events: []string{state.EventAdminLogIn}})
	if err != nil || len(logIns) != 3 || logIns[2].By != "alice" || logIns[2].Peer != home || !logIns[2].At.Equal(noon) {
		t.Errorf("log-ins in the history: %+v, %v, want 3, the first by alice", logIns, err)
	}
	must(t, store.RemoveAdminSession(ctx, []byte("one")))
	must(t, store.RemoveAdminSession(ctx, []byte("one")))
	session("one", false)
	session("two", true)
	must(t, store.ChangeAdministrator(ctx, "alice", "password", func(a *state.Administrator) { a.Password = "another" }))
	session("two", false)
	session("three", true)
	must(t, store.RemoveAdministrator(ctx, "bob", false))
	session("three", false)
}

func testSessionLimits(t *testing.T, store state.Store) {
	ctx := t.Context()
	for _, name := range []string{"alice", "bob"} {
		must(t, store.AddAdministrator(ctx, administrator(name)))
	}
	begin := func(hash, name string, at time.Time) {
		t.Helper()
		must(t, store.AddAdminSession(ctx, []byte(hash), administrator(name), netip.Addr{}, at, lifetimes))
	}
	want := func(hashes ...string) {
		t.Helper()
		var there []string
		for _, hash := range []string{"bob", "idle", "old", "1", "2", "3", "4", "future", "new"} {
			_, ok, err := store.AdminSession(ctx, []byte(hash))
			must(t, err)
			if ok {
				there = append(there, hash)
			}
		}
		if !slices.Equal(there, hashes) {
			t.Errorf("there are the sessions %v, want %v", there, hashes)
		}
	}
	begin("bob", "bob", noon)
	for i := range 4 {
		begin(fmt.Sprint(i+1), "alice", noon.Add(time.Duration(i)*time.Second))
	}
	want("bob", "2", "3", "4")
	must(t, store.TouchAdminSession(ctx, []byte("bob"), noon.Add(2*time.Hour)))
	begin("old", "alice", noon.Add(90*time.Minute)) // those that were not used for an hour end
	want("bob", "old")
	must(t, store.TouchAdminSession(ctx, []byte("bob"), noon.Add(12*time.Hour)))
	begin("new", "alice", noon.Add(12*time.Hour+time.Second)) // bob's is 12 hours old
	want("new")
	begin("future", "bob", noon.Add(12*time.Hour+state.ClockSlack+2*time.Second))
	begin("1", "alice", noon.Add(12*time.Hour+time.Second)) // the clock was put back
	want("1", "new")
}

func testTokens(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	probe := state.AdminToken{Name: "Probe", Role: "viewer", Hash: []byte("hash"), Expires: noon}
	must(t, store.AddAdminToken(ctx, probe))
	must(t, store.AddAdminToken(ctx, state.AdminToken{Name: "backup", Role: "viewer", Hash: []byte("other")}))
	if err := store.AddAdminToken(ctx, state.AdminToken{Name: "probe", Hash: []byte("third")}); !errors.Is(err, state.ErrTokenExists) {
		t.Errorf("the same name in another case: %v, want %v", err, state.ErrTokenExists)
	}
	if err := store.AddAdminToken(ctx, state.AdminToken{Name: "-x", Hash: []byte("third")}); !slices.Equal(brokenFields(err), []string{"name"}) {
		t.Errorf("a name with a dash: %v, want a RuleError", err)
	}
	got, ok, err := store.AdminToken(ctx, []byte("hash"))
	if !ok || err != nil || time.Since(got.Added) > time.Hour {
		t.Errorf("the token is there: %v, %v, added %v, want it there, added now", ok, err, got.Added)
	}
	probe.By, got.Added = "root", time.Time{}
	if diff := cmp.Diff(probe, got); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
	all, err := store.AdminTokens(ctx)
	if err != nil || len(all) != 2 || all[0].Name != "backup" || !all[0].Expires.IsZero() || all[1].Name != "Probe" {
		t.Errorf("all are %+v, %v, want backup and Probe", all, err)
	}
	must(t, store.RemoveAdminToken(ctx, "PROBE"))
	if _, ok, err := store.AdminToken(ctx, []byte("hash")); ok || err != nil {
		t.Errorf("the removed token is there: %v, %v", ok, err)
	}
	if err := store.RemoveAdminToken(ctx, "probe"); !errors.Is(err, state.ErrNoToken) {
		t.Errorf("the removed token again: %v, want %v", err, state.ErrNoToken)
	}
	wantChanges(t, store, "root", "token Probe added as viewer", "token backup added as viewer", "token Probe removed")
	for i := range state.MaxTokens - 1 {
		name := fmt.Sprint("t", i)
		must(t, store.AddAdminToken(ctx, state.AdminToken{Name: name, Hash: []byte(name)}))
	}
	if err := store.AddAdminToken(ctx, probe); !errors.Is(err, state.ErrTooMany) {
		t.Errorf("one more than %d: %v, want %v", state.MaxTokens, err, state.ErrTooMany)
	}
}

// link adds a link whose hash is text.
func link(t *testing.T, store state.Store, text string, l state.SetUpLink) {
	t.Helper()
	l.Hash, l.Role = []byte(text), state.RoleAdministrator
	if l.Expires.IsZero() {
		l.Expires = time.Now().Add(time.Hour) // the store's clock decides which links have ended
	}
	must(t, store.AddSetUpLink(state.By(t.Context(), "root"), l))
}

// wantLinks compares which links are valid.
func wantLinks(t *testing.T, store state.Store, among, want string) {
	t.Helper()
	var there []string
	for _, text := range strings.Fields(among) {
		l, err := store.SetUpLink(t.Context(), []byte(text), time.Now())
		if err == nil && string(l.Hash) == text {
			there = append(there, text)
		} else if !errors.Is(err, state.ErrNoLink) {
			t.Errorf("link %s: %v, want it or %v", text, err, state.ErrNoLink)
		}
	}
	if got := strings.Join(there, " "); got != want {
		t.Errorf("of the links %s, %q count, want %q", among, got, want)
	}
}

func testSetUpLinks(t *testing.T, store state.Store) {
	ctx, now := t.Context(), time.Now()
	must(t, store.AddAdministrator(ctx, administrator("alice")))
	must(t, store.AddAdminSession(ctx, []byte("session"), administrator("alice"), netip.Addr{}, now, lifetimes))
	link(t, store, "first", state.SetUpLink{Name: "Alice"})
	link(t, store, "second", state.SetUpLink{Name: "ALICE"})
	link(t, store, "new", state.SetUpLink{})
	link(t, store, "newer", state.SetUpLink{})
	link(t, store, "named", state.SetUpLink{Name: "carol"})
	link(t, store, "over", state.SetUpLink{Name: "dora", Expires: now.Add(-time.Second)})
	wantLinks(t, store, "none first second new newer named over", "second new newer named")
	if err := store.AddSetUpLink(ctx, state.SetUpLink{Name: "two words"}); !slices.Equal(brokenFields(err), []string{"name"}) {
		t.Errorf("a name of two words: %v, want a RuleError", err)
	}
	for _, c := range []struct {
		link, name string
		want       error
	}{
		{"new", "alice", state.ErrAdministratorExists},
		{"over", "dora", state.ErrNoLink},
		{"second", "ignored", nil},
		{"second", "ignored", state.ErrNoLink},
		{"new", "bob", nil},
		{"named", "ignored", nil},
	} {
		if err := store.UseSetUpLink(ctx, []byte(c.link), now, c.name, "hash by "+c.link); !errors.Is(err, c.want) {
			t.Errorf("link %s as %s: %v, want %v", c.link, c.name, err, c.want)
		}
	}
	if err := store.UseSetUpLink(ctx, []byte("newer"), now, "two words", "hash"); !slices.Equal(brokenFields(err), []string{"name"}) {
		t.Errorf("a name of two words: %v, want a RuleError", err)
	}
	wantLinks(t, store, "first second new newer named over", "newer")
	for name, want := range map[string]string{"alice": "hash by second", "bob": "hash by new", "carol": "hash by named"} {
		if a, err := store.Administrator(ctx, name); a.Password != want || a.Role != state.RoleAdministrator || err != nil {
			t.Errorf("%s is %+v, %v, want the password %s", name, a, err, want)
		}
	}
	if _, ok, err := store.AdminSession(ctx, []byte("session")); ok || err != nil {
		t.Errorf("alice's session outlives her password: %v, %v", ok, err)
	}
	wantChanges(t, store, "bob (set-up link)", "bob added as administrator")
}

// testEndedLinks changes an administrator who has a set-up link.
func testEndedLinks(t *testing.T, store state.Store) {
	ctx := t.Context()
	must(t, store.AddAdministrator(ctx, administrator("alice")))
	must(t, store.AddAdministrator(ctx, administrator("bob")))
	link(t, store, "newer", state.SetUpLink{})
	link(t, store, "bobs", state.SetUpLink{Name: "bob"})
	must(t, store.ChangeAdministrator(ctx, "bob", "password", func(a *state.Administrator) { a.Password = "third" }))
	wantLinks(t, store, "bobs newer", "newer")
	must(t, store.ChangeAdministrator(ctx, "bob", "role", func(a *state.Administrator) { a.Role = "viewer" }))
	wantLinks(t, store, "newer", "")
}

func testFirstAdministrator(t *testing.T, store state.Store) {
	ctx := t.Context()
	link(t, store, "lost", state.SetUpLink{First: true})
	link(t, store, "first", state.SetUpLink{First: true})
	wantLinks(t, store, "lost first", "first")
	must(t, store.AddAdministrator(ctx, administrator("alice")))
	wantLinks(t, store, "lost first", "")
	must(t, store.RemoveAdministrator(ctx, "alice", true))
	wantLinks(t, store, "lost first", "first")
	must(t, store.UseSetUpLink(ctx, []byte("first"), noon, "bob", "hash"))
	if anybody, err := store.AnyAdministrator(ctx); !anybody || err != nil {
		t.Errorf("after the link is used: %v, %v, want an administrator", anybody, err)
	}
	wantChanges(t, store, "root", "a set-up link for the first administrator", "a set-up link for the first administrator")
}

// testLinkLimits makes more links than the limit allows.
func testLinkLimits(t *testing.T, store state.Store) {
	ends := time.Now().Add(time.Hour)
	link(t, store, "late", state.SetUpLink{Expires: ends.Add(time.Hour)})
	for i := range state.MaxLinks {
		link(t, store, fmt.Sprint("l", i), state.SetUpLink{Expires: ends.Add(time.Duration(i) * time.Second)})
	}
	wantLinks(t, store, "late l0 l1 l31", "late l1 l31")
}
