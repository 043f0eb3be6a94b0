package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/state"

	"modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	readers   = 4                // connections
	batchSize = 256              // small writes that share a transaction
	busyLimit = 10 * time.Second // limit of another process's hold on the database
)

// Store is the state.Store in SQLite.
type Store struct {
	dir, path string
	opts      state.Options
	inMemory  bool // a copy, whose store changes no file
	found     int  // the database's version before it was brought up to date
	db        *sql.DB
	stmts     statements
	seal      atomic.Pointer[sealer]
	writing   sync.Mutex  // held while this process has a transaction that writes
	copies    atomic.Bool // the write-ahead log has copies of deleted secrets

	small   chan *smallWrite
	closing chan struct{} // closed when the store accepts no more work
	stopped chan struct{} // closed when the store writes no more
	once    sync.Once
}

var _ state.Store = (*Store)(nil)

// Open opens the user table in dir, and makes folder, key and table if they do not exist. The error
// may be a KeyError, NewerError or DamagedError.
func Open(ctx context.Context, dir string, opts state.Options) (*Store, error) {
	s, err := open(ctx, dir, opts)
	if err != nil {
		return nil, fmt.Errorf("user table: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, dir string, opts state.Options) (*Store, error) {
	s, err := newStore(dir, opts)
	if err != nil {
		return nil, err
	}
	if err := prepareFolder(s.dir); err != nil {
		return nil, err
	}
	if err := prepareDatabase(s.dir, s.path); err != nil {
		return nil, err
	}
	if s.db, err = sql.Open("sqlite", dataSource(s.path)); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.purgeIfDue(ctx)
	return s, nil
}

func newStore(dir string, opts state.Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the clock that a test replaces
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Store{
		dir: dir, path: filepath.Join(dir, databaseFile), opts: opts,
		small: make(chan *smallWrite, batchSize), closing: make(chan struct{}), stopped: make(chan struct{}),
	}, nil
}

// begin prepares an open database for use.
func (s *Store) begin(ctx context.Context) error {
	s.db.SetMaxOpenConns(readers + 1)
	s.db.SetMaxIdleConns(readers + 1)
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.stmts.prepare(ctx, s.db); err != nil {
		return s.damaged(err)
	}
	go s.writeSmall()
	return nil
}

// dataSource sets the options that every connection needs. A write is on the disk when it is
// committed (WAL with synchronous FULL), deleted data is overwritten, and a transaction waits for
// its turn when it begins.
func dataSource(path string) string {
	q := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyLimit.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)"},
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// Close implements state.Store.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	if s.copies.Load() {
		// Otherwise the last program that closes the database does it.
		_, _ = s.cleanLog(context.Background(), 0)
	}
	return s.db.Close()
}

// transact runs do in a writing transaction. If it returns without an error, the transaction is
// committed and on the disk; otherwise it is rolled back.
func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.damaged(err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the error of do is the one to report
		return s.damaged(err)
	}
	err = tx.Commit()
	if err == nil && s.copies.Load() {
		_, _ = s.cleanLog(context.WithoutCancel(ctx), 0) // else the next transaction does it
	}
	return s.damaged(err)
}

// damaged turns SQLite's errors about damage into a DamagedError, and leaves others as they are.
func (s *Store) damaged(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &DamagedError{s.path, e.Error()}
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%s: another process has held it for over %v: %w", s.path, busyLimit, err)
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%s: the disk is full or fails; make room in %s: %w", s.path, filepath.Dir(s.path), err)
	default:
		return fmt.Errorf("%s: %w", s.path, err)
	}
}
