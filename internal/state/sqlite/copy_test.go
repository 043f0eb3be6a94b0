package sqlite_test

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"

	"golang.org/x/sys/unix"
)

// A copy shows a table of any older version in the form of this program. The folder stays
// unchanged, whether a process has it open, has closed it, or was killed.
func TestOpenCopy(t *testing.T) {
	used := t.TempDir()
	must(t, openStore(t, used).Add(t.Context(), full("alice")))
	killed := copied(t, used)
	for name, dir := range map[string]string{"closed": filled(t), "in use": used, "killed": killed} {
		before := contents(t, dir)
		s, err := sqlite.OpenCopy(t.Context(), dir)
		must(t, err)
		wantAlice(t, s)
		must(t, s.Add(t.Context(), simple("ben"))) // this changes the copy
		must(t, s.Close())
		after := contents(t, dir)
		if name != "closed" { // SQLite keeps its locks in this file
			before, after = without(before, "users.db-shm"), without(after, "users.db-shm")
		}
		if after != before {
			t.Errorf("%s: the folder changes", name)
		}
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/version1")))
	before := contents(t, dir)
	s, err := sqlite.OpenCopy(t.Context(), dir)
	must(t, err)
	if found, current := s.Versions(); found != 1 || current < 2 {
		t.Errorf("version %d of %d", found, current)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("%d users, %v", len(all), err)
	}
	must(t, s.Close())
	if contents(t, dir) != before {
		t.Error("the folder of version 1 changes")
	}
}

func without(contents, name string) string {
	var b strings.Builder
	for line := range strings.Lines(contents) {
		if !strings.HasPrefix(line, name+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestOpenCopyErrors(t *testing.T) {
	newer := filled(t)
	path := filepath.Join(newer, "users.db")
	data, err := os.ReadFile(path)
	must(t, err)
	binary.BigEndian.PutUint32(data[60:], 1000)
	must(t, os.WriteFile(path, data, 0o600))
	empty := t.TempDir()
	must(t, os.WriteFile(filepath.Join(empty, "users.db"), nil, 0o600))
	keyless := filled(t)
	must(t, os.Remove(filepath.Join(keyless, "key")))
	for dir, is := range map[string]func(error) bool{
		newer:                           is[*sqlite.NewerError],
		empty:                           func(err error) bool { return errors.Is(err, sqlite.ErrNoTable) },
		filepath.Join(t.TempDir(), "x"): func(err error) bool { return errors.Is(err, sqlite.ErrNoTable) },
		keyless:                         is[*sqlite.KeyError],
	} {
		if _, err := sqlite.OpenCopy(t.Context(), dir); !is(err) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if got := names(t, empty); got != "users.db" {
		t.Errorf("the folder holds %s", got)
	}
}

// While a daemon of an older version serves from the folder, no command migrates the table.
func TestNoMigrationUnderDaemon(t *testing.T) {
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/version1")))
	folder, err := os.Open(dir)
	must(t, err)
	must(t, unix.Flock(int(folder.Fd()), unix.LOCK_EX))
	if _, err := sqlite.Open(t.Context(), dir, state.Options{}); err == nil || !strings.Contains(err.Error(), "restart the daemon first") {
		t.Errorf("%v", err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "users.db"))
	must(t, err)
	var version int
	must(t, db.QueryRowContext(t.Context(), `PRAGMA user_version`).Scan(&version))
	must(t, db.Close())
	if version != 1 {
		t.Errorf("version %d", version)
	}
	must(t, folder.Close())
	must(t, openStore(t, dir).Add(t.Context(), simple("carl")))
}
