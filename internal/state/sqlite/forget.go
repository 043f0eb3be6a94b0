package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// purgeDue is in the table meta from the moment a new key is in force until purge has finished. A
// kill in between therefore only delays purge.
const purgeDue = "purge_due"

const (
	// purgePatience is how long purge waits for readers.
	purgePatience = 3 * time.Second
	// cleanAgain is the time between two tries to clean the log while another connection cleans it:
	// SQLite does not wait for that.
	cleanAgain = 5 * time.Millisecond
)

// SQLite leaves copies of deleted data in three places: in free pages (which secure_delete fills
// with zeros), in the gaps of pages whose rows were moved to other pages, and in the write-ahead
// log. The key that unseals the copies may be in the same folder, or in an old backup.

// forgetUsers is forget for the users. It does so without their triggers: they would run for each
// row, and keep SQLite from clearing whole pages.
func (s *Store) forgetUsers(ctx context.Context, tx *sql.Tx) error {
	const drop = `DROP TRIGGER IF EXISTS user_added; DROP TRIGGER IF EXISTS user_changed; DROP TRIGGER IF EXISTS user_removed`
	if _, err := tx.ExecContext(ctx, drop); err != nil {
		return err
	}
	if err := s.forget(ctx, tx, "users"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, userTriggers)
	return err
}

// forget rewrites a table, so that its pages keep nothing of its former rows, and makes transact
// clean the write-ahead log.
func (s *Store) forget(ctx context.Context, tx *sql.Tx, table string) error {
	columns, rows, err := dump(ctx, tx, table)
	if err != nil {
		return err
	}
	// Without a condition, this fills the table's pages with zeros.
	if _, err := tx.ExecContext(ctx, `DELETE FROM `+table); err != nil { //nolint:gosec // one of our tables
		return err
	}
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf(`INSERT INTO %s (%s) VALUES (?%s)`,
		table, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1)))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return errors.Join(err, insert.Close())
		}
	}
	s.copies.Store(true)
	return insert.Close()
}

// dump reads a whole table.
func dump(ctx context.Context, tx *sql.Tx, table string) (columns []string, rows [][]any, err error) {
	found, err := tx.QueryContext(ctx, `SELECT * FROM `+table+` ORDER BY 1`) //nolint:gosec // one of our tables
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = found.Close() }()
	if columns, err = found.Columns(); err != nil {
		return nil, nil, err
	}
	for found.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := found.Scan(to...); err != nil {
			return nil, nil, err
		}
		rows = append(rows, row)
	}
	return columns, rows, found.Err()
}

// cleanLog empties the write-ahead log, once no other connection reads earlier data. It blocks all
// writers meanwhile, so it gives up after patience and reports false.
func (s *Store) cleanLog(ctx context.Context, patience time.Duration) (bool, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if err := setPatience(ctx, conn, patience); err != nil {
		return false, err
	}
	done, err := checkpoint(ctx, conn, patience)
	if done {
		s.copies.Store(false)
	}
	return done, errors.Join(err, setPatience(context.WithoutCancel(ctx), conn, busyLimit))
}

// checkpoint moves the whole log into the database. It waits while another connection does that.
func checkpoint(ctx context.Context, conn *sql.Conn, patience time.Duration) (done bool, err error) {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(cleanAgain) //nolint:forbidigo // no test moves the clock of a lock of SQLite's
	defer again.Stop()
	for {
		var busy, pages, moved int
		err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
		if other := busy != 0 && pages < 0; err != nil || !other {
			return err == nil && busy == 0, err
		}
		select {
		case <-again.C:
		case <-patient.Done():
			return false, nil
		}
	}
}

func setPatience(ctx context.Context, conn *sql.Conn, patience time.Duration) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA busy_timeout = %d`, patience.Milliseconds()))
	return err
}

// purge rewrites the whole database and empties the write-ahead log. This removes copies that
// forget does not know of.
func (s *Store) purge(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, err := s.db.ExecContext(ctx, `VACUUM`); err != nil {
		return s.damaged(err)
	}
	s.copies.Store(true)
	done, err := s.cleanLog(ctx, purgePatience)
	if err == nil && !done {
		err = fmt.Errorf("%s: another process, such as a backup, reads it", s.path)
	}
	if err == nil {
		_, err = s.db.ExecContext(ctx, `DELETE FROM meta WHERE name = ?`, purgeDue)
	}
	return s.damaged(err)
}

// purgeIfDue does the purge that a kill has kept an earlier process from. If it fails, the next
// process tries again.
func (s *Store) purgeIfDue(ctx context.Context) {
	if err := s.db.QueryRowContext(ctx, `SELECT 1 FROM meta WHERE name = ?`, purgeDue).Scan(new(int)); err == nil {
		_ = s.purge(ctx)
	}
}
