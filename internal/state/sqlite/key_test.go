package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
)

// copied is a copy of a folder at this moment.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func wantAlice(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if p, err := s.Get(t.Context(), "alice"); err != nil || p.Password != "pass wörd" || p.MOTPSecret != secret || p.MOTPPIN != "1234" {
		t.Errorf("%+v, %v", p, err)
	}
}

func keyOf(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "key"))
	must(t, err)
	return data
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

// TestRekey changes the key while another process has the folder open. That process then reads,
// writes and changes the key itself.
func TestRekey(t *testing.T) {
	dir := filled(t)
	a, b := openStore(t, dir), openStore(t, dir)
	before := keyOf(t, dir)
	sealed := copied(t, dir)
	ctx := state.By(t.Context(), "root")
	must(t, a.Rekey(ctx))
	after := keyOf(t, dir)
	if bytes.Equal(before, after) {
		t.Error("the key stays")
	}
	wantAlice(t, a)
	wantAlice(t, b)
	must(t, a.Rekey(ctx))
	must(t, b.Add(ctx, simple("ben"))) // sealed under a key that b has not read
	must(t, b.Rekey(ctx))
	for _, s := range []*sqlite.Store{a, b, openStore(t, dir)} {
		wantAlice(t, s)
		if all, err := s.List(ctx); err != nil || len(all) != 2 || all[1].Password != "open sesame" {
			t.Errorf("%+v, %v", all, err)
		}
	}
	if got := names(t, dir); got != "key users.db users.db-shm users.db-wal" {
		t.Errorf("the folder holds %s", got)
	}
	if h, err := a.History(ctx, state.HistoryQuery{Limit: 1}); err != nil || h[0].Event != state.EventRekeyed || h[0].By != "root" {
		t.Errorf("%+v, %v", h, err)
	}
	// The old key opens only what was sealed under it.
	must(t, os.WriteFile(filepath.Join(copied(t, dir), "key"), before, 0o600))
	wantAlice(t, openStore(t, sealed))
	other := copied(t, dir)
	must(t, os.WriteFile(filepath.Join(other, "key"), before, 0o600))
	if _, err := sqlite.Open(ctx, other, state.Options{}); !is[*sqlite.KeyError](err) {
		t.Errorf("under the old key: %v", err)
	}
}

// TestRekeyCutShort opens the folder after a kill before and after the transaction.
func TestRekeyCutShort(t *testing.T) {
	dir := filled(t)
	old := keyOf(t, dir)
	before := copied(t, dir)
	s, err := sqlite.Open(t.Context(), dir, state.Options{})
	must(t, err)
	must(t, s.Rekey(t.Context()))
	must(t, s.Close())
	for name, c := range map[string]struct {
		dir      string
		key, new []byte
	}{
		"before the transaction": {before, old, keyOf(t, dir)},
		"after the transaction":  {copied(t, dir), old, keyOf(t, dir)},
		"half a key":             {copied(t, dir), keyOf(t, dir), []byte("3fa")},
		"an empty key":           {copied(t, dir), keyOf(t, dir), nil},
	} {
		must(t, os.WriteFile(filepath.Join(c.dir, "key"), c.key, 0o600))
		must(t, os.WriteFile(filepath.Join(c.dir, "key.123"), c.new, 0o600))
		s, err := sqlite.Open(t.Context(), c.dir, state.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantAlice(t, s)
		must(t, s.Rekey(t.Context()))
		wantAlice(t, s)
		must(t, s.Close())
		if got := names(t, c.dir); got != "key users.db" {
			t.Errorf("%s: the folder holds %s", name, got)
		}
		wantAlice(t, openStore(t, c.dir))
	}
}

// TestRekeyKilled kills processes at random moments while they keep changing the key.
func TestRekeyKilled(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		s := openStore(t, dir)
		_, _ = fmt.Fprintln(os.Stdout, "begun")
		for t.Context().Err() == nil {
			must(t, s.Rekey(t.Context()))
		}
		return
	}
	const kills = 60
	dir := filled(t)
	for i := range kills {
		cmd := child(t.Context(), t, dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		begun := make([]byte, 256)
		for told := ""; !strings.Contains(told, "begun"); {
			n, err := out.Read(begun)
			if told += string(begun[:n]); err != nil {
				t.Fatalf("life %d: %s%v", i, told, err)
			}
		}
		time.AfterFunc(time.Duration(mathrand.IntN(20_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("life %d ended by itself: %v", i, err)
		}
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		if err != nil {
			t.Fatalf("after kill %d: %v (%s)", i, err, names(t, dir))
		}
		wantAlice(t, s)
		must(t, s.Close())
		if t.Failed() {
			return
		}
	}
}

// TestRekeyRaces has several stores change the key, write and read at once.
func TestRekeyRaces(t *testing.T) {
	dir := filled(t)
	var all sync.WaitGroup
	for i := range 3 {
		s := openStore(t, dir)
		all.Go(func() {
			for n := range 10 {
				if err := s.Rekey(context.Background()); err != nil {
					t.Error(err)
				}
				if err := s.Add(context.Background(), simple(fmt.Sprintf("user%d.%d", i, n))); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 50 {
				if p, err := s.Get(context.Background(), "alice"); err != nil || p.MOTPPIN != "1234" {
					t.Error(p, err)
				}
			}
		})
	}
	all.Wait()
	s := openStore(t, dir)
	wantAlice(t, s)
	if users, err := s.List(t.Context()); err != nil || len(users) != 31 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

// TestLeftOvers starts on the remains of kills, full disks and manual work in the folder.
func TestLeftOvers(t *testing.T) {
	put := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	gone := func(names ...string) func(string) error {
		return func(dir string) error {
			for _, name := range names {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	stale, err := os.ReadFile(filepath.Join(withWAL(t), "users.db-wal"))
	must(t, err)
	for name, c := range map[string]struct {
		spoil []func(string) error
		users int
	}{
		"key.* half written":      {[]func(string) error{put("key.1", "3f"), put("key.2", "")}, 1},
		"key.new of another key":  {[]func(string) error{put("key.new", strings.Repeat("ab", 32))}, 1},
		"temporary files":         {[]func(string) error{put("users.db.tmp", "x"), put(".vpnd-backup-1", "x"), put("key.tmp", "x")}, 1},
		"empty -wal":              {[]func(string) error{put("users.db-wal", "")}, 1},
		"-wal of garbage":         {[]func(string) error{put("users.db-wal", strings.Repeat("garbage ", 1000))}, 1},
		"-shm of garbage":         {[]func(string) error{put("users.db-shm", strings.Repeat("garbage ", 5000))}, 1},
		"empty users.db":          {[]func(string) error{put("users.db", "")}, 0},
		"empty users.db, no key":  {[]func(string) error{put("users.db", ""), gone("key")}, 0},
		"empty users.db, old wal": {[]func(string) error{put("users.db", ""), put("users.db-wal", string(stale))}, 0},
		"no users.db, old wal":    {[]func(string) error{gone("users.db"), put("users.db-wal", string(stale)), put("users.db-shm", "")}, 0},
		"the key alone":           {[]func(string) error{gone("users.db")}, 0},
		"a restore cut short":     {[]func(string) error{func(dir string) error { return os.Mkdir(filepath.Join(dir, "restore.1"), 0o700) }}, 1},
	} {
		dir := filled(t)
		for _, spoil := range c.spoil {
			must(t, spoil(dir))
		}
		for range 2 {
			s, err := sqlite.Open(t.Context(), dir, state.Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			all, err := s.List(t.Context())
			if err != nil || len(all) != c.users {
				t.Errorf("%s: %d users, %v", name, len(all), err)
			}
			must(t, s.Close())
		}
	}
}

// withWAL is a copy of a folder in use, whose -wal holds data that users.db does not have.
func withWAL(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir)
	must(t, s.Add(t.Context(), full("alice")))
	return copied(t, dir)
}
