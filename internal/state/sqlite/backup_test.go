package sqlite_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/auth"
	"vpnd/internal/state/sqlite"
)

func backup(t *testing.T, s *sqlite.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Backup(t.Context(), &b))
	return b.Bytes()
}

// TestBackup backs up a table in use, under a key that another process has changed, and restores it
// into a folder that does not exist yet.
func TestBackup(t *testing.T) {
	dir := filled(t)
	a, b := openStore(t, dir), openStore(t, dir)
	must(t, b.Add(t.Context(), simple("ben")))
	must(t, b.Rekey(t.Context()))
	data := backup(t, a)
	must(t, b.Add(t.Context(), simple("late")))
	to := filepath.Join(t.TempDir(), "var", "vpnd")
	if n, err := sqlite.Restore(t.Context(), to, bytes.NewReader(data)); n != 2 || err != nil {
		t.Fatalf("%d users, %v", n, err)
	}
	if got := names(t, to); got != "key users.db" {
		t.Errorf("the folder holds %s", got)
	}
	for _, name := range strings.Fields("key users.db") {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	s := openStore(t, to)
	wantAlice(t, s)
	if state, err := s.Token(t.Context(), "alice"); err != nil || state != (auth.TokenState{LastStep: 42, Offset: 1}) {
		t.Errorf("%+v, %v", state, err)
	}
	before := contents(t, to)
	_, err := sqlite.Restore(t.Context(), to, bytes.NewReader(data))
	if !is[*sqlite.OccupiedError](err) || !strings.Contains(err.Error(), to) || contents(t, to) != before {
		t.Errorf("over a table: %v", err)
	}
}

// TestRestoreCutShort completes a restore after a kill, and does not overwrite the key of another
// table.
func TestRestoreCutShort(t *testing.T) {
	dir := filled(t)
	data := backup(t, openStore(t, dir))
	key := keyOf(t, dir)
	stale, err := os.ReadFile(filepath.Join(withWAL(t), "users.db-wal"))
	must(t, err)
	for name, c := range map[string]struct {
		files map[string]string
		ok    bool
	}{
		"key":              {map[string]string{"key": string(key)}, true},
		"empty users.db":   {map[string]string{"key": string(key), "users.db": ""}, true},
		"old wal":          {map[string]string{"users.db-wal": string(stale), "users.db-shm": ""}, true},
		"unpacked":         {map[string]string{"restore.1/key": "abc", "restore.1/users.db": "abc"}, true},
		"key of a table":   {map[string]string{"key": strings.Repeat("ab", 32)}, false},
		"database, no key": {map[string]string{"users.db": "x"}, false},
	} {
		to := t.TempDir()
		must(t, os.Chmod(to, 0o700))
		for name, text := range c.files {
			must(t, os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o700))
			must(t, os.WriteFile(filepath.Join(to, name), []byte(text), 0o600))
		}
		n, err := sqlite.Restore(t.Context(), to, bytes.NewReader(data))
		if c.ok {
			if n != 1 || err != nil {
				t.Errorf("%s: %d users, %v", name, n, err)
				continue
			}
			wantAlice(t, openStore(t, to))
			continue
		}
		if !is[*sqlite.OccupiedError](err) {
			t.Errorf("%s: %v", name, err)
		}
		for name, text := range c.files {
			if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != text {
				t.Errorf("%s was overwritten: %v", name, err)
			}
		}
	}
}

// TestRestoreRefuses gives Restore files that are not complete backups. It must leave nothing of
// them.
func TestRestoreRefuses(t *testing.T) {
	good := backup(t, openStore(t, filled(t)))
	other := keyOf(t, filled(t))
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(good)); ; {
		header, err := r.Next()
		if err == io.EOF { //nolint:errorlint // as archive/tar says
			break
		}
		must(t, err)
		files[header.Name], err = io.ReadAll(r)
		must(t, err)
	}
	pack := func(names []string, contents ...[]byte) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i, name := range names {
			must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(contents[i]))}))
			_, err := w.Write(contents[i])
			must(t, err)
		}
		must(t, w.Close())
		return b.Bytes()
	}
	both := []string{"key", "users.db"}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":        {nil, "no file key"},
		"garbage":        {bytes.Repeat([]byte("x"), 5000), "not a complete backup"},
		"cut short":      {good[:len(good)/2], "not a complete backup"},
		"the key alone":  {pack(both[:1], files["key"]), "no file users.db"},
		"another file":   {pack([]string{"../../key", "users.db"}, files["key"], files["users.db"]), "in the place of key"},
		"key of another": {pack(both, other, files["users.db"]), "is not the key with which"},
		"no key":         {pack(both, []byte("what"), files["users.db"]), "does not hold a key"},
		"no database":    {pack(both, files["key"], []byte("hello")), "not an SQLite database"},
		"a huge key":     {pack(both, make([]byte, 5000), files["users.db"]), "in the place of key"},
	} {
		to := filepath.Join(t.TempDir(), "state")
		_, err := sqlite.Restore(t.Context(), to, bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if left := names(t, to); left != "" {
			t.Errorf("%s leaves %s", name, left)
		}
	}
}
