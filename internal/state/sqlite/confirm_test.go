package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
)

// reads counts how often a user's row is read.
type reads struct {
	*sqlite.Store
	n int
}

func (r *reads) Account(ctx context.Context, name string) (auth.Account, bool, error) {
	r.n++
	return r.Store.Account(ctx, name)
}

func (r *reads) Read(ctx context.Context, name string) (auth.Record, bool, error) {
	r.n++
	return r.Store.Read(ctx, name)
}

// A log-in reads its user's row once, and again only if anybody has written to the table before the
// user is let in.
func TestConfirmReadsChanges(t *testing.T) {
	const none = ""
	comment := func(p *usermgmt.Profile) error { p.Comment = "new"; return nil }
	for name, c := range map[string]struct {
		change func(t *testing.T, s *sqlite.Store, dir string) // s belongs to another process
		reason string                                          // beginning of the refusal
		reads  int
	}{
		"nothing": {func(*testing.T, *sqlite.Store, string) {}, none, 1},
		"another user": {func(t *testing.T, s *sqlite.Store, _ string) {
			must(t, s.Update(t.Context(), "carol", comment))
			must(t, s.Remove(t.Context(), "carol"))
		}, none, 2},
		"the ledger": {func(t *testing.T, s *sqlite.Store, _ string) {
			must(t, s.SetLastAddress(t.Context(), "bob", home))
			must(t, s.Record(t.Context(), state.Entry{User: "bob"}))
		}, none, 1},
		"a comment": {func(t *testing.T, s *sqlite.Store, _ string) {
			must(t, s.Update(t.Context(), "bob", comment))
		}, none, 2},
		"the key": {func(t *testing.T, s *sqlite.Store, _ string) { t.Helper(); must(t, s.Rekey(t.Context())) }, none, 2},
		"disabled": {func(t *testing.T, s *sqlite.Store, _ string) {
			must(t, s.Update(t.Context(), "bob", func(p *usermgmt.Profile) error { p.Enabled = false; return nil }))
		}, "account disabled", 2},
		"the password": {func(t *testing.T, s *sqlite.Store, _ string) {
			must(t, s.Update(t.Context(), "bob", func(p *usermgmt.Profile) error { p.Password = "another one"; return nil }))
		}, "the password was changed during the log-in", 2},
		"removed": {func(t *testing.T, s *sqlite.Store, _ string) { t.Helper(); must(t, s.Remove(t.Context(), "bob")) }, "user was removed", 2},
		"another program": {func(t *testing.T, _ *sqlite.Store, dir string) {
			raw(t, dir, `UPDATE users SET enabled = 0 WHERE fold = 'bob'`)
		}, "account disabled", 2},
		"damaged": {func(t *testing.T, _ *sqlite.Store, dir string) {
			raw(t, dir, `UPDATE users SET password = x'00' WHERE fold = 'bob'`)
		}, "user table: user bob: password is sealed with another key, or damaged", 2},
		"no table": {func(t *testing.T, _ *sqlite.Store, dir string) {
			raw(t, dir, `ALTER TABLE users RENAME TO lost`)
		}, "user table: ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			users, other := &reads{Store: openStore(t, dir)}, openStore(t, dir)
			must(t, other.Add(t.Context(), simple("bob")))
			must(t, other.Add(t.Context(), simple("carol")))
			a := auth.New(auth.Config{}, users, users)
			defer a.Close()
			out := logIn(t.Context(), a, "BOB", proofs[0]("open sesame"))
			if !out.OK {
				t.Fatal(out.Reason)
			}
			c.change(t, other, dir)
			if got := out.Confirm(t.Context()); got.OK != (c.reason == none) || !strings.HasPrefix(got.Reason.String(), c.reason) {
				t.Errorf("%v %q, want %q", got.OK, got.Reason, c.reason)
			}
			if users.n != c.reads {
				t.Errorf("%d reads, want %d", users.n, c.reads)
			}
		})
	}
}

// A check sees each write to the table, by any program.
func TestCheckSeesEachWrite(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	must(t, s.Add(t.Context(), full("alice")))
	must(t, s.Add(t.Context(), simple("bob")))
	must(t, s.Update(t.Context(), "bob", func(p *usermgmt.Profile) error { p.Comment = "new"; return nil }))
	writes := []string{`REPLACE INTO users SELECT * FROM users`, `DELETE FROM users WHERE fold = 'bob'`, `DELETE FROM users`}
	for _, column := range columnsOf(t, dir) {
		writes = append([]string{`UPDATE users SET ` + column + ` = ` + column}, writes...)
	}
	for _, write := range writes {
		alice, ok, err := s.Read(t.Context(), "Alice")
		if !ok || err != nil {
			t.Fatalf("before %s: found %v (error %v), want alice", write, ok, err)
		}
		if same, err := alice.Unchanged(t.Context()); !same || err != nil {
			t.Errorf("before %s: unchanged %v (error %v), want true", write, same, err)
		}
		raw(t, dir, write)
		if same, err := alice.Unchanged(t.Context()); same || err != nil {
			t.Errorf("after %s: unchanged %v (error %v), want false", write, same, err)
		}
	}
}

func columnsOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "users.db")+"?_pragma=busy_timeout(30000)")
	must(t, err)
	defer func() { must(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), `SELECT * FROM users`)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	names, err = rows.Columns()
	must(t, err)
	must(t, rows.Err())
	return names
}
