package usermgmt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// migrations lead from each version of the database to the next; the number of the last is
// PRAGMA user_version. What stands here is never changed, only added to.
var migrations = []string{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
	INSERT INTO meta VALUES ('generation', 1);
	CREATE TABLE users (
		fold         TEXT PRIMARY KEY,  -- the name in lower case
		name         TEXT NOT NULL,
		enabled      INTEGER NOT NULL,
		password     BLOB,              -- sealed, as are the next two
		motp_secret  BLOB,
		motp_pin     BLOB,
		services     TEXT NOT NULL,     -- separated by commas
		ipsec        TEXT NOT NULL,
		address      TEXT UNIQUE,
		idle_timeout INTEGER NOT NULL,  -- seconds
		session_time INTEGER NOT NULL,  -- seconds
		comment      TEXT NOT NULL
	) WITHOUT ROWID;
	-- Outlives its user: a code accepted once is not accepted when the user comes back.
	CREATE TABLE ledger (
		fold         TEXT PRIMARY KEY,
		last_step    INTEGER NOT NULL DEFAULT 0,
		step_offset  INTEGER NOT NULL DEFAULT 0,
		failures     INTEGER NOT NULL DEFAULT 0,
		locks        INTEGER NOT NULL DEFAULT 0,
		locked_until INTEGER NOT NULL DEFAULT 0,  -- Unix time in milliseconds
		last_address TEXT NOT NULL DEFAULT ''
	) WITHOUT ROWID;`,
}

// keyCheck is sealed into the database to tell whether the key fits.
const keyCheck = "key_check"

// migrate brings the database up to date and sees that the key fits it.
func (s *Store) migrate(ctx context.Context) error {
	version, err := userVersion(ctx, s.db)
	if err != nil {
		return s.damaged(err)
	}
	switch {
	case version > len(migrations):
		return &NewerError{s.path, version, len(migrations)}
	case version == 0:
		// New: there is nothing to check.
	default:
		if err := s.checkIntegrity(ctx); err != nil {
			return err
		}
		if err := s.checkKey(ctx); err != nil {
			return err
		}
		if version == len(migrations) {
			return nil
		}
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		// Another process may have been faster.
		version, err := userVersion(ctx, tx)
		if err != nil {
			return err
		}
		fresh := version == 0
		for ; version < len(migrations); version++ {
			if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
				return fmt.Errorf("to version %d: %w", version+1, err)
			}
		}
		if fresh {
			sealed, err := s.seal.seal("", keyCheck, keyCheck)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO meta VALUES (?, ?)`, keyCheck, sealed); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

func (s *Store) checkIntegrity(ctx context.Context) error {
	var found string
	if err := s.db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); err != nil {
		return s.damaged(err)
	}
	if found != "ok" {
		return &DamagedError{s.path, found}
	}
	return nil
}

func (s *Store) checkKey(ctx context.Context) error {
	var sealed []byte
	err := s.db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, keyCheck).Scan(&sealed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &DamagedError{s.path, "it lacks its key check"}
	case err != nil:
		return s.damaged(err)
	}
	if text, err := s.seal.unseal("", keyCheck, sealed); err != nil || text != keyCheck {
		return &KeyError{Path: s.keyPath, Database: s.path, Text: "is not the one that this user table was sealed under"}
	}
	return nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func userVersion(ctx context.Context, q querier) (int, error) {
	var version int
	err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	return version, err
}
