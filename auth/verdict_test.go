package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
)

// counting counts the verifications of a proof.
type counting struct {
	auth.Proof
	n *int
}

func (c counting) Verify(candidate string) bool {
	*c.n++
	return c.Proof.Verify(candidate)
}

// Every refusal costs the same work and counts equally against the source. Only the verdict itself
// distinguishes a right password from a wrong one.
func TestRefusalsCostTheSame(t *testing.T) {
	const all = 2 + 2*37 // the password and a decoy; the codes of six minutes, in lower case and in upper case
	for name, c := range map[string]struct {
		user, password string
		before         func(a *auth.Authenticator, m *memory)
		cause          reason.Code
		told           bool // that the password is right: it cannot be guessed further, so nothing is counted
	}{
		"wrong password":  {user: "bob", password: "x", cause: reason.WrongPassword},
		"unknown user":    {user: "mallory", password: "x", cause: reason.UnknownUser},
		"wrong code":      {user: "alice", password: "x", cause: reason.WrongCode},
		"disabled":        {user: "carol", password: "geheim", cause: reason.AccountDisabled, told: true},
		"type":            {user: "bob", password: "geheim", cause: reason.TypeNotAllowed, told: true},
		"locked, wrong":   {user: "dave", password: "x", before: lock, cause: reason.WrongCode},
		"locked, right":   {user: "dave", password: "geheim", before: lock, cause: reason.UserLocked},
		"locked, by code": {user: "dave", password: code(noon, 0), before: lock, cause: reason.UserLocked},
		"used code": {user: "alice", password: code(noon, 0), cause: reason.UsedCode, before: func(a *auth.Authenticator, _ *memory) {
			a.Authenticate(t.Context(), from(away, pap("alice", code(noon, 0))))
		}},
		"older code": {user: "alice", password: code(noon, -time.Minute), cause: reason.OldCode, before: func(a *auth.Authenticator, _ *memory) {
			a.Authenticate(t.Context(), from(away, pap("alice", code(noon, 0))))
		}},
		"full disk": {user: "alice", password: code(noon, 0), cause: reason.CodeNotStored, before: func(_ *auth.Authenticator, m *memory) {
			m.fsyncErr = fmt.Errorf("disk full")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, m, _ := setUp(t)
			if c.before != nil {
				c.before(a, m)
			}
			for i := range 31 {
				n := 0
				at := pap(c.user, c.password)
				at.Proof = counting{at.Proof, &n}
				got := a.Authenticate(t.Context(), at)
				switch {
				case i == 30 && c.told:
					if got.Reason.Code != c.cause {
						t.Errorf("refusal %d: %s, want %s: it counts against the source", i, got.Reason.Code, c.cause)
					}
				case i == 30:
					if got.Reason.Code != reason.SourceLimited {
						t.Errorf("refusal %d: %s; it does not count against the source", i, got.Reason.String())
					}
				case got.OK || n != all:
					t.Fatalf("refusal %d: %s, %d passwords tried, want %d", i, got.Reason.String(), n, all)
				case i == 0 && got.Reason.Code != c.cause:
					t.Errorf("%s: %s", got.Reason.Code, got.Reason.String())
				}
			}
		})
	}
}

func lock(_ *auth.Authenticator, m *memory) {
	m.standing["dave"] = auth.Standing{Strangers: auth.Failures{Locks: 1, LockedUntil: noon.Add(time.Minute)}}
}

// A clock that was a year ahead and is right again locks nobody out: not by a lock, not by the last
// code used, and not by the limit of a source.
func TestClockWasAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	a, m, c := setUp(t)
	other := netip.MustParseAddr("198.51.100.9")
	c.add(year)
	for i := range 40 {
		a.Authenticate(t.Context(), pap("dave", fmt.Sprint(i)))
	}
	if got := a.Authenticate(t.Context(), from(other, pap("alice", code(c.now, 0)))); !got.OK {
		t.Fatal(got.Reason.String())
	}
	c.add(-year)
	if got := a.Authenticate(t.Context(), pap("dave", "geheim")); !got.OK {
		t.Errorf("a lock from then: %s", got.Reason.String())
	}
	if got := a.Authenticate(t.Context(), from(other, pap("alice", code(c.now, 0)))); !got.OK {
		t.Errorf("a code from then: %s", got.Reason.String())
	}
	if got := a.Authenticate(t.Context(), from(other, pap("alice", code(c.now, 0)))); got.Reason.Code != reason.UsedCode {
		t.Errorf("the same code again: %s", got.Reason.String())
	}
	m.tokens["alice"] = auth.TokenState{LastStep: m.tokens["alice"].LastStep + int64(year/(10*time.Second))}
	first, second := code(c.now, 10*time.Minute), code(c.now, 10*time.Minute+10*time.Second)
	if _, err := auth.Resync(t.Context(), m, m, "alice", first, second, c.now); err != nil {
		t.Errorf("a resync: %v", err)
	}
	for i := range 5 {
		a.Authenticate(t.Context(), from(other, pap("bob", fmt.Sprint(i))))
	}
	if got := a.Authenticate(t.Context(), from(other, pap("bob", "geheim"))); got.Reason.Code != reason.UserLocked || !strings.Contains(got.Reason.String(), "12:01:00") {
		t.Errorf("a lock of now: %s", got.Reason.String())
	}
}

// A successful log-in is checked against the user table again before the user is let in.
func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		user, password, reason string
		change                 func(m *memory, a *auth.Account)
	}{
		"as it was":        {"bob", "geheim", "", func(*memory, *auth.Account) {}},
		"disabled":         {"bob", "geheim", "account disabled", func(_ *memory, a *auth.Account) { a.Enabled = false }},
		"removed":          {"bob", "geheim", "user was removed", func(m *memory, _ *auth.Account) { delete(m.users, "bob") }},
		"expired":          {"bob", "geheim", "account expired on 2026-05-06T12:00:00Z", func(_ *memory, a *auth.Account) { a.Expires = noon }},
		"type":             {"bob", "geheim", "dial-in type l2tp not allowed", func(_ *memory, a *auth.Account) { a.Services = nil }},
		"another password": {"bob", "geheim", "the password was changed during the log-in", func(_ *memory, a *auth.Account) { a.Password = "x" }},
		"another token":    {"alice", code(noon, 0), "the token was changed during the log-in", func(_ *memory, a *auth.Account) { a.Token = nil }},
		"a token as well":  {"bob", "geheim", "", func(_ *memory, a *auth.Account) { a.Token = &token }},
	} {
		a, m, _ := setUp(t)
		at := pap(c.user, c.password)
		at.Service = auth.L2TP
		out := a.Authenticate(t.Context(), at)
		if !out.OK {
			t.Fatalf("%s: %s", name, out.Reason.String())
		}
		account := m.users[c.user]
		m.users[c.user] = account
		c.change(m, &account)
		if _, ok := m.users[c.user]; ok {
			account.Terms.Group = "new"
			m.users[c.user] = account
		}
		got := out.Confirm(t.Context())
		if got.OK != (c.reason == "") || got.Reason.String() != c.reason {
			t.Errorf("%s: %v %q, want %q", name, got.OK, got.Reason.String(), c.reason)
		}
		if got.OK && (got.Account.Terms.Group != "new" || got.Candidate != c.password) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// checked is a memory that reports whether an account has changed.
type checked struct {
	*memory
	err error
}

func (c *checked) Read(ctx context.Context, name string) (auth.Record, bool, error) {
	was, ok, err := c.Account(ctx, name)
	unchanged := func(context.Context) (bool, error) { return reflect.DeepEqual(c.users[was.Name], was), c.err }
	return auth.Record{Account: was, Unchanged: unchanged}, ok, err
}

// An unchanged account is not read again, but checked against the clock. An account whose state
// cannot be told is refused.
func TestConfirmByCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *checked, c *clock)
		reason string
		reads  int
	}{
		"as it was":         {func(*checked, *clock) {}, "", 1},
		"another user":      {func(m *checked, _ *clock) { delete(m.users, "alice") }, "", 1},
		"expired meanwhile": {func(_ *checked, c *clock) { c.add(time.Hour) }, "account expired on 2026-05-06T13:00:00Z", 1},
		"disabled":          {func(m *checked, _ *clock) { m.users["bob"] = auth.Account{Name: "bob", Password: "geheim"} }, "account disabled", 2},
		"removed":           {func(m *checked, _ *clock) { delete(m.users, "bob") }, "user was removed", 2},
		"unreadable":        {func(m *checked, _ *clock) { m.err = errors.New("disk on fire") }, "user table: disk on fire", 1},
	} {
		_, m, now := setUp(t)
		users := &checked{memory: m}
		bob := m.users["bob"]
		bob.Expires = noon.Add(time.Hour)
		m.users["bob"] = bob
		a := auth.New(auth.Config{Now: now.Now}, users, m)
		at := pap("bob", "geheim")
		at.Service = auth.L2TP
		out := a.Authenticate(t.Context(), at)
		if !out.OK {
			t.Fatalf("%s: %s", name, out.Reason)
		}
		c.change(users, now)
		if got := out.Confirm(t.Context()); got.OK != (c.reason == "") || got.Reason.String() != c.reason {
			t.Errorf("%s: %v %q, want %q", name, got.OK, got.Reason, c.reason)
		}
		if len(m.lookups) != c.reads {
			t.Errorf("%s: %d reads, want %d", name, len(m.lookups), c.reads)
		}
		a.Close()
	}
}
