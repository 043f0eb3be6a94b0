package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/state/statetest"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

func TestStore(t *testing.T) {
	statetest.TestStore(t, func(t *testing.T) statetest.Open {
		t.Helper()
		dir := t.TempDir()
		return func(opts state.Options) (state.Store, error) { return sqlite.Open(t.Context(), dir, opts) }
	})
}

const secret = "f3a1c09d5be2478890aa1b2c3d4e5f60"

var full, simple = statetest.Full, statetest.Simple

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, state.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// filled makes a folder with one user and closes it.
func filled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	s, err := sqlite.Open(t.Context(), dir, state.Options{})
	must(t, err)
	must(t, s.Add(t.Context(), full("alice")))
	_, err = s.Advance(t.Context(), "alice", auth.TokenState{LastStep: 42, Offset: 1})
	must(t, err)
	must(t, s.Close())
	return dir
}

// TestMigrates opens a table that the first version wrote, with the users bob and alice in this
// order.
func TestMigrates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	must(t, os.CopyFS(dir, os.DirFS("testdata/version1")))
	s := openStore(t, dir)
	all, err := s.List(t.Context())
	must(t, err)
	want := usermgmt.New("alice")
	want.Index, want.Password, want.MOTPSecret, want.MOTPPIN, want.Comment = 1, "pass wörd", secret, "1234", "from Köln"
	bob := want
	bob.Name, bob.Index = "bob", 2
	if diff := cmp.Diff([]usermgmt.Profile{want, bob}, all, statetest.Values); diff != "" {
		t.Error(diff)
	}
	if v, err := s.Standing(t.Context(), "alice"); err != nil || v != (auth.Standing{}) {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestFirstStartTwice starts several stores at once on a folder that does not exist yet.
func TestFirstStartTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := sqlite.Open(t.Context(), dir, state.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Add(t.Context(), simple(fmt.Sprintf("user%d", i))); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if users, err := openStore(t, dir).List(t.Context()); err != nil || len(users) != 4 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

func TestModes(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		t.Run(fmt.Sprintf("umask %04o", mask), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			old := syscall.Umask(mask)
			s, err := sqlite.Open(t.Context(), dir, state.Options{})
			if err == nil {
				err = s.Add(t.Context(), simple("alice"))
			}
			syscall.Umask(old)
			must(t, err)
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("folder: %v, %v", info.Mode(), err)
			}
			entries, err := os.ReadDir(dir)
			must(t, err)
			if len(entries) != 4 {
				t.Errorf("want key, users.db, users.db-wal and users.db-shm, got %v", entries)
			}
			for _, entry := range entries {
				if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
				}
			}
			must(t, s.Close())
		})
	}
}

func TestOpenFolders(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	must(t, os.Mkdir(empty, 0o755))
	openStore(t, empty)
	if info, err := os.Stat(empty); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("an empty folder stays %v, %v", info.Mode(), err)
	}
	others := filepath.Join(t.TempDir(), "others")
	must(t, os.Mkdir(others, 0o755))
	must(t, os.WriteFile(filepath.Join(others, "letter"), nil, 0o600))
	_, err := sqlite.Open(t.Context(), others, state.Options{})
	if err == nil || !strings.Contains(err.Error(), others+" has mode 0755") {
		t.Errorf("a folder with somebody's files: %v", err)
	}
	if info, err := os.Stat(others); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("somebody's folder became %v, %v", info.Mode(), err)
	}
}

// TestSealed looks for the secrets in all files except the key.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	must(t, s.Add(t.Context(), full("alice")))
	for _, name := range []string{"users.db", "users.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		for _, text := range []string{"pass wörd", secret} {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %q", name, text)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "users.db-wal"))
	must(t, err)
	if !bytes.Contains(data, []byte("from Köln")) {
		t.Error("the comment is not where the secrets were looked for")
	}
}

// TestSealedInPlace moves a sealed field to another user, where it must not open.
func TestSealedInPlace(t *testing.T) {
	dir := filled(t)
	s := openStore(t, dir)
	must(t, s.Add(t.Context(), simple("eve")))
	raw(t, dir, `UPDATE users SET password = (SELECT password FROM users WHERE fold = 'alice') WHERE fold = 'eve'`)
	if p, err := s.Get(t.Context(), "eve"); err == nil || !strings.Contains(err.Error(), "eve") {
		t.Errorf("got %q, %v", p.Password, err)
	}
	if _, err := s.Get(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
}

func raw(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "users.db")+"?_pragma=busy_timeout(30000)")
	must(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	must(t, err)
	must(t, db.Close())
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		as    func(error) bool
		says  []string
	}{
		{"lost key", func(t *testing.T, dir string) { t.Helper(); must(t, os.Remove(filepath.Join(dir, "key"))) }, is[*sqlite.KeyError], []string{"key is lost", "backup"}},
		{"another key", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat("ab", 32)), 0o600))
		}, is[*sqlite.KeyError], []string{"is not the key with which", "backup"}},
		{"key of garbage", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "key"), []byte("what"), 0o600))
		}, is[*sqlite.KeyError], []string{"does not hold a key"}},
		{"newer", func(t *testing.T, dir string) { t.Helper(); raw(t, dir, `PRAGMA user_version = 99`) }, is[*sqlite.NewerError], []string{"version 99", "newer vpnd"}},
		{"head damaged", func(t *testing.T, dir string) { t.Helper(); scribble(t, dir, 0, 64) }, is[*sqlite.DamagedError], []string{"damaged", "backup"}},
		{"pages damaged", func(t *testing.T, dir string) { t.Helper(); scribble(t, dir, 4096, 12*4096) }, is[*sqlite.DamagedError], []string{"damaged", "backup"}},
		{"cut short", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "users.db"), 5000))
		}, is[*sqlite.DamagedError], []string{"damaged", "backup"}},
		{"not a database", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "users.db"), []byte("hello"), 0o600))
		}, is[*sqlite.DamagedError], []string{"not an SQLite database"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t)
			c.spoil(t, dir)
			before := contents(t, dir)
			s, err := sqlite.Open(t.Context(), dir, state.Options{})
			if err == nil {
				must(t, s.Close())
				t.Fatal("it opened")
			}
			if !c.as(err) {
				t.Errorf("%T: %v", err, err)
			}
			for _, text := range append(c.says, dir, "nothing was changed") {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			if after := contents(t, dir); after != before {
				t.Errorf("the folder was changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func scribble(t *testing.T, dir string, from, to int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "users.db"), os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	to = min(to, info.Size())
	if to <= from {
		t.Fatalf("the file has %d bytes", info.Size())
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(to-from)), from)
	must(t, err)
	must(t, f.Close())
}

// contents gives the names and comparable contents of the permanent files.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var b strings.Builder
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		must(t, err)
		fmt.Fprintf(&b, "%s %x\n", entry.Name(), data)
	}
	return b.String()
}

// BenchmarkAdvance measures durable steps per second with 50 callers at once.
func BenchmarkAdvance(b *testing.B) {
	s, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const callers = 50
	for i := range callers {
		if err := s.Add(b.Context(), simple(fmt.Sprintf("user%d", i))); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			name := fmt.Sprintf("user%d", i)
			for step := 1; step <= b.N/callers+1; step++ {
				if ok, err := s.Advance(b.Context(), name, auth.TokenState{LastStep: int64(step)}); !ok || err != nil {
					b.Error(ok, err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkAccount measures one look-up with its unsealing.
func BenchmarkAccount(b *testing.B) {
	s, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Add(b.Context(), full("alice")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok, err := s.Account(b.Context(), "alice"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// A damaged row does not prevent reading the others, and its user can do nothing.
func TestDamagedRows(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, name := range []string{"alice", "bob", "carol", "dave", "eve"} {
		must(t, s.Add(t.Context(), simple(name)))
	}
	damage(t, dir, `UPDATE users SET password = x'00' WHERE fold = 'bob'; UPDATE users SET address = 'x' WHERE fold = 'carol';
		UPDATE users SET schedule = 'Mon Nowhere/City' WHERE fold = 'dave'; UPDATE users SET ipsec = 'mus' WHERE fold = 'eve'`)
	sound, damaged, err := s.Sound(t.Context())
	must(t, err)
	if len(sound) != 3 || sound[0].Name != "alice" || len(damaged) != 2 || damaged["bob"] == nil || damaged["carol"] == nil {
		t.Errorf("%v, %v", sound, damaged)
	}
	for name, want := range map[string]string{"bob": "user bob: password is sealed with another key", "carol": "user carol: address cannot be read: "} {
		_, _, err := s.Account(t.Context(), name)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), ": remove the user and add it again") {
			t.Errorf("%s: %v, want %q and what to do", name, err, want)
		}
	}
	for name, want := range map[string]string{"dave": "schedule: ", "eve": `ipsec: "mus"`} {
		a, _, err := s.Account(t.Context(), name)
		must(t, err)
		if r := a.Refuses(auth.PPTP, home, noon); r.Code != reason.UserTable || !strings.HasPrefix(r.Args[0], want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A damaged record does not prevent reading the others.
func TestDamagedRecords(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, name := range []string{"bob", "carol"} {
		must(t, s.Add(t.Context(), simple(name)))
	}
	_, err := s.ChangeStanding(t.Context(), "carol", func(v auth.Standing) auth.Standing { return v })
	must(t, err)
	damage(t, dir, `UPDATE ledger SET usual_addresses = 'home' WHERE fold = 'carol'`)
	all, err := s.Records(t.Context(), "2026-11")
	if err != nil || len(all) != 2 || all.Of("carol").Damaged == nil || all.Of("bob").Damaged != nil {
		t.Errorf("the records are %+v, %v, want carol's damaged, and bob's not", all, err)
	}
}

// damage runs statements on the database, bypassing the store.
func damage(t *testing.T, dir, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "users.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), statements)
	must(t, err)
	must(t, db.Close())
}
