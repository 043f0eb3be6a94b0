package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"vpnd/internal/state"
)

// ErrNoTable says that a folder has no user table.
var ErrNoTable = errors.New("there is no user table yet")

// OpenCopy opens a copy of the user table in memory, for callers that only read. The table may have
// any version. The error may be ErrNoTable, a KeyError, NewerError or DamagedError.
func OpenCopy(ctx context.Context, dir string) (*Store, error) {
	s, err := openCopy(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("user table: %w", err)
	}
	return s, nil
}

func openCopy(ctx context.Context, dir string) (*Store, error) {
	s, err := newStore(dir, state.Options{})
	if err != nil {
		return nil, err
	}
	s.inMemory = true
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		return nil, ErrNoTable
	case err != nil:
		return nil, err
	}
	if err := checkHead(s.path); err != nil {
		return nil, err
	}
	memory := (&url.URL{Scheme: "file", Path: "/" + rand.Text(), RawQuery: "vfs=memdb"}).String()
	if s.db, err = sql.Open("sqlite", memory); err != nil {
		return nil, err
	}
	if err := s.db.PingContext(ctx); err != nil { // the copy exists as long as a connection does
		return nil, errors.Join(err, s.db.Close())
	}
	if err := s.copyInto(ctx, memory); err != nil {
		return nil, errors.Join(s.damaged(err), s.db.Close())
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// copyInto copies the database and only reads it. Without a write-ahead log nobody has it open, and
// SQLite is kept from making one.
func (s *Store) copyInto(ctx context.Context, to string) error {
	q := url.Values{"mode": {"ro"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyLimit.Milliseconds())}}
	if _, err := os.Stat(s.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		q.Set("immutable", "1")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: s.path, RawQuery: q.Encode()}).String())
	if err != nil {
		return err
	}
	err = s.checkIntegrity(ctx, db)
	if err == nil {
		_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
	}
	return errors.Join(err, db.Close())
}

// Versions are the version that the database had when it was opened, and the current version of
// this program.
func (s *Store) Versions() (found, current int) { return s.found, len(migrations) }
