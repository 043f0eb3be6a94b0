package sqlite_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/testenv/crash"
	"vpnd/usermgmt"
)

// sealed gives the secrets in a table's column in their stored form.
func sealed(t *testing.T, dir, query string) map[string][]byte {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "users.db"))
	must(t, err)
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	all := map[string][]byte{}
	for rows.Next() {
		var name string
		var secret []byte
		must(t, rows.Scan(&name, &secret))
		all[name] = secret
	}
	must(t, rows.Err())
	must(t, rows.Close())
	must(t, db.Close())
	return all
}

// found gives the secrets that are in any file of a folder.
func found(t *testing.T, dir string, secrets map[string][]byte) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		for name, secret := range secrets {
			if bytes.Contains(data, secret) {
				all = append(all, name+" in "+e.Name())
			}
		}
	}
	return all
}

// crowd adds users in an order that makes SQLite move rows between pages.
func crowd(t *testing.T, s *sqlite.Store, n int) {
	t.Helper()
	for i := range n {
		must(t, s.Add(t.Context(), usermgmt.Profile{
			Name: fmt.Sprintf("user%03d", i*67%n), Enabled: true, Password: "open sesame", Comment: strings.Repeat("x", i%50),
			IPsec: usermgmt.IPsecNone, Further: usermgmt.Replace,
		}))
	}
}

const passwords = `SELECT name, password FROM users`

// TestSecretsVanish looks for secrets in the files on the disk, while another process has them
// open: secrets under the old key after a change of the key, of removed users, and after a change.
func TestSecretsVanish(t *testing.T) {
	const users = 300
	dir := t.TempDir()
	s, other := openStore(t, dir), openStore(t, dir)
	crowd(t, s, users)
	if _, err := other.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must(t, s.AddAdministrator(ctx, state.Administrator{Name: "root", Role: state.RoleAdministrator, Password: "hash", TOTPSecret: "GEZDGNBVGY3TQOJQ"}))
	_, err := s.SetSettings(ctx, map[string]string{"ppp.mutual_pap": "{user: a, password: geheim}"}, state.Entry{})
	must(t, err)
	gone := func(what string, secrets map[string][]byte) {
		t.Helper()
		if left := found(t, dir, secrets); len(left) > 0 {
			t.Errorf("%s: %d are left, such as %s", what, len(left), left[0])
		}
	}
	before := sealed(t, dir, passwords)
	if left := found(t, dir, before); len(left) < users {
		t.Fatalf("before, %d are found", len(left))
	}
	var some []string
	for name := range before {
		if strings.HasSuffix(name, "7") {
			some = append(some, name)
		} else {
			delete(before, name)
		}
	}
	must(t, s.Remove(ctx, some...))
	gone("removed", before)

	before = sealed(t, dir, passwords)
	must(t, s.Rekey(ctx))
	gone("a new key", before)

	before = map[string][]byte{"user001": sealed(t, dir, passwords)["user001"]}
	must(t, other.Update(ctx, "user001", func(p *usermgmt.Profile) error { p.Password = "another"; return nil }))
	gone("changed", before)

	before = sealed(t, dir, `SELECT name, totp_secret FROM administrators`)
	must(t, s.ChangeAdministrator(ctx, "root", "no TOTP", func(a *state.Administrator) { a.TOTPSecret = "" }))
	gone("TOTP off", before)

	before = sealed(t, dir, `SELECT name, value FROM settings`)
	_, err = s.SetSettings(ctx, nil, state.Entry{})
	must(t, err)
	gone("settings", before)
	if all, err := other.List(ctx); err != nil || len(all) != users-len(some) {
		t.Errorf("%d users, %v", len(all), err)
	}
}

// SQLite moves rows between pages when some become longer, and a copy may stay in the old page. The
// seed makes such a case.
func TestMovedSecretsVanish(t *testing.T) {
	const users = 60
	dir := t.TempDir()
	s := openStore(t, dir)
	r := rand.New(rand.NewPCG(35, 1))
	edits := make([]usermgmt.Edit, users)
	for i, n := range r.Perm(users) {
		edits[i] = usermgmt.Edit{Name: fmt.Sprintf("u%03d", n), Change: func(p *usermgmt.Profile) error {
			p.Password, p.Comment = "open sesame", strings.Repeat("x", r.IntN(60))
			return nil
		}}
	}
	_, err := s.Apply(t.Context(), edits, usermgmt.How{Add: true})
	must(t, err)
	for _, n := range r.Perm(users)[:20] {
		must(t, s.Update(t.Context(), fmt.Sprintf("u%03d", n), func(p *usermgmt.Profile) error {
			p.Comment = strings.Repeat("y", 60+r.IntN(60))
			return nil
		}))
	}
	before := sealed(t, dir, passwords)
	names := make([]string, users/2)
	for i, n := range r.Perm(users)[:users/2] {
		names[i] = fmt.Sprintf("u%03d", n)
	}
	must(t, s.Remove(t.Context(), names...))
	maps.DeleteFunc(before, func(name string, _ []byte) bool { return !slices.Contains(names, name) })
	if left := found(t, dir, before); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A reader under way keeps the write-ahead log. The next write after it empties the log.
func TestSecretsVanishAfterReader(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	crowd(t, s, 20)
	db, err := sql.Open("sqlite", filepath.Join(dir, "users.db"))
	must(t, err)
	reader, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	must(t, reader.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM users`).Scan(new(int)))
	before := map[string][]byte{"user003": sealed(t, dir, passwords)["user003"]}
	must(t, s.Remove(t.Context(), "user003"))
	must(t, reader.Rollback())
	must(t, db.Close())
	must(t, s.Add(t.Context(), simple("next")))
	if left := found(t, dir, before); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A kill while the key is changed leaves a table that opens. In the end no secret under the old key
// is left.
func TestRekeyKilledAtEachStep(t *testing.T) {
	before := map[string]map[string][]byte{}
	crash.AtEachStep(t, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Add(t.Context(), full("alice")))
		must(t, s.Close())
		before[dir] = sealed(t, dir, passwords)
	}, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Rekey(t.Context()))
	}, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		wantAlice(t, s)
		must(t, s.Close())
		now := sealed(t, dir, passwords)
		if left := found(t, dir, before[dir]); !bytes.Equal(now["alice"], before[dir]["alice"]) && len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// After a kill while a table is made, the next process completes it.
func TestFirstOpenKilledAtEachStep(t *testing.T) {
	crash.AtEachStep(t, func(string) {}, func(dir string) {
		_, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
	}, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Add(t.Context(), full("alice")))
		wantAlice(t, s)
		must(t, s.Close())
		if got := names(t, dir); !strings.HasSuffix(got, "key users.db") {
			t.Errorf("the folder holds %s", got)
		}
	})
}

// A kill during a backup leaves no file besides the existing backup, and none after the next
// backup.
func TestBackupKilledAtEachStep(t *testing.T) {
	source := filled(t)
	crash.AtEachStep(t, func(dir string) {
		must(t, os.CopyFS(dir, os.DirFS(source)))
	}, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Backup(t.Context(), new(bytes.Buffer)))
		must(t, s.Close())
	}, func(dir string) {
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Backup(t.Context(), new(bytes.Buffer)))
		must(t, s.Close())
		if got := names(t, dir); got != "key users.db" {
			t.Errorf("the folder holds %s", got)
		}
	})
}
