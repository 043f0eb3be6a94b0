package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// SyncOff makes a store no longer wait for the disk, as the baseline of a benchmark.
func (s *Store) SyncOff(ctx context.Context) error {
	var conns []*sql.Conn
	var errs []error
	for range readers + 1 { // all at once, so that each is another connection
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, `PRAGMA synchronous = OFF`)
		conns, errs = append(conns, conn), append(errs, err)
	}
	for _, conn := range conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// BatchSize is how many small writes share a transaction.
const BatchSize = batchSize

// Queued is how many small writes wait for a transaction.
func (s *Store) Queued() int { return len(s.small) }

// Migrations are the statements that lead from a version to a later one.
func Migrations(from, to int) string { return strings.Join(migrations[from:to], "\n") }
