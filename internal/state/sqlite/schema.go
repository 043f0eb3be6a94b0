package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// migrations lead from each version of the database to the next. Their number is the current
// version, which is stored in PRAGMA user_version. Never change a migration, only add new ones.
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
	`ALTER TABLE ledger ADD COLUMN step_centre INTEGER NOT NULL DEFAULT 0;
	-- Failures from the addresses that the user gets in from, counted apart.
	ALTER TABLE ledger ADD COLUMN usual_failures     INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE ledger ADD COLUMN usual_locks        INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE ledger ADD COLUMN usual_locked_until INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE ledger ADD COLUMN usual_addresses    TEXT NOT NULL DEFAULT '';  -- prefixes, separated by spaces, the latest first`,

	`ALTER TABLE users ADD COLUMN idx INTEGER NOT NULL DEFAULT 0;
	UPDATE users SET idx = (SELECT COUNT(*) FROM users AS u WHERE u.fold <= users.fold);
	CREATE UNIQUE INDEX users_idx ON users (idx);
	ALTER TABLE users ADD COLUMN totp_secret BLOB;  -- sealed
	ALTER TABLE users ADD COLUMN remote_node TEXT NOT NULL DEFAULT '';
	ALTER TABLE users ADD COLUMN pool TEXT NOT NULL DEFAULT '';
	ALTER TABLE users ADD COLUMN max_connections INTEGER NOT NULL DEFAULT 1;
	ALTER TABLE users ADD COLUMN further TEXT NOT NULL DEFAULT 'replace';
	ALTER TABLE users ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
	ALTER TABLE users ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;  -- Unix time in seconds; 0: never
	ALTER TABLE users ADD COLUMN block_netbios INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE users ADD COLUMN pass_multicast INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE users ADD COLUMN up_limit INTEGER NOT NULL DEFAULT 0;    -- bits per second
	ALTER TABLE users ADD COLUMN down_limit INTEGER NOT NULL DEFAULT 0;  -- bits per second
	ALTER TABLE users ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;       -- octets a month
	CREATE TABLE traffic (
		month TEXT NOT NULL,  -- of UTC, such as 2026-11
		fold  TEXT NOT NULL,
		rx    INTEGER NOT NULL,  -- octets from the user
		tx    INTEGER NOT NULL,  -- octets to the user
		PRIMARY KEY (fold, month)
	) WITHOUT ROWID;
	CREATE TABLE history (
		id         INTEGER PRIMARY KEY,
		at         INTEGER NOT NULL,  -- Unix time in milliseconds
		event      TEXT NOT NULL,
		fold       TEXT NOT NULL,
		user       TEXT NOT NULL,
		connection TEXT NOT NULL,
		type       TEXT NOT NULL,
		peer       TEXT NOT NULL,
		address    TEXT NOT NULL,
		auth       TEXT NOT NULL,
		encryption TEXT NOT NULL,
		reason     TEXT NOT NULL,
		seconds    INTEGER NOT NULL,
		rx         INTEGER NOT NULL,
		tx         INTEGER NOT NULL,
		by         TEXT NOT NULL
	);
	CREATE INDEX history_user ON history (fold, id);`,

	// Administrators. Passwords, sessions, tokens and links are stored only as hashes.
	`CREATE TABLE administrators (
		fold        TEXT PRIMARY KEY,  -- the name in lower case
		name        TEXT NOT NULL,
		role        TEXT NOT NULL,
		password    TEXT NOT NULL,     -- argon2id in the PHC format
		totp_secret BLOB,              -- sealed
		totp_step   INTEGER NOT NULL,  -- of the code accepted last
		added       INTEGER NOT NULL,  -- Unix time in milliseconds, as are all times here
		last_login  INTEGER NOT NULL   -- 0: none
	) WITHOUT ROWID;
	CREATE TABLE admin_sessions (
		hash  BLOB PRIMARY KEY,
		fold  TEXT NOT NULL,
		began INTEGER NOT NULL,
		seen  INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE admin_tokens (
		fold    TEXT PRIMARY KEY,
		name    TEXT NOT NULL,
		role    TEXT NOT NULL,
		hash    BLOB NOT NULL UNIQUE,
		expires INTEGER NOT NULL,  -- 0: never
		added   INTEGER NOT NULL,
		by      TEXT NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE setup_links (
		hash    BLOB PRIMARY KEY,
		name    TEXT NOT NULL,     -- of the administrator; empty: whoever uses it chooses
		role    TEXT NOT NULL,
		first   INTEGER NOT NULL,  -- it makes the first administrator, and none after
		expires INTEGER NOT NULL
	) WITHOUT ROWID;`,

	`CREATE TABLE settings (
		name  TEXT PRIMARY KEY,
		value BLOB NOT NULL  -- sealed
	) WITHOUT ROWID;`,
	`ALTER TABLE users ADD COLUMN user_group TEXT NOT NULL DEFAULT '';`,
	`ALTER TABLE history ADD COLUMN cause TEXT NOT NULL DEFAULT '';      -- code of the reason
	ALTER TABLE history ADD COLUMN arguments TEXT NOT NULL DEFAULT '';  -- of the reason, JSON`,

	userTriggers,
}

const nextGeneration = `UPDATE meta SET value = value + 1 WHERE name = 'generation'`

// userTriggers make a new generation when any program changes a user.
const userTriggers = `CREATE TRIGGER user_added AFTER INSERT ON users BEGIN ` + nextGeneration + `; END;
	CREATE TRIGGER user_changed AFTER UPDATE ON users BEGIN ` + nextGeneration + `; END;
	CREATE TRIGGER user_removed AFTER DELETE ON users BEGIN ` + nextGeneration + `; END;`

// reasonCodes is the version since which reasons have codes.
const reasonCodes = 7

// migrate brings the database up to date and makes sure that the key fits it.
func (s *Store) migrate(ctx context.Context) error {
	version, err := userVersion(ctx, s.db)
	if err != nil {
		return s.damaged(err)
	}
	s.found = version
	switch {
	case version > len(migrations):
		return &NewerError{s.path, version, len(migrations)}
	case version == 0:
		// The database is new: there is nothing to check.
	default:
		if err := s.checkIntegrity(ctx, s.db); err != nil {
			return err
		}
		if err := s.openKey(ctx); err != nil {
			return err
		}
		if version == len(migrations) {
			return nil
		}
		unlock, err := s.keepDaemonsOut()
		if err != nil {
			return err
		}
		defer unlock()
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		// Another process may have been faster.
		version, err := userVersion(ctx, tx)
		if err != nil {
			return err
		}
		if err := advance(ctx, tx, version); err != nil {
			return err
		}
		if version > 0 {
			return nil
		}
		return s.storeKeyCheck(ctx, tx)
	})
	if err != nil || s.seal.Load() != nil {
		return err
	}
	return s.openKey(ctx)
}

// advance brings the tables from a version to the current one.
func advance(ctx context.Context, tx *sql.Tx, version int) error {
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("to version %d: %w", version+1, err)
		}
		if version+1 == reasonCodes {
			if err := codeOldReasons(ctx, tx); err != nil {
				return err
			}
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return err
}

// storeKeyCheck stores the check in a new database that later tells whether a key fits it.
func (s *Store) storeKeyCheck(ctx context.Context, tx *sql.Tx) error {
	seal, err := s.firstKey()
	if err != nil {
		return err
	}
	sealed, err := seal.seal("", keyCheck, keyCheck)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO meta VALUES (?, ?)`, keyCheck, sealed)
	return err
}

// keepDaemonsOut keeps daemons from serving from the folder while its table is migrated. A daemon
// of an older version that already serves would not start again.
func (s *Store) keepDaemonsOut() (unlock func(), err error) {
	if s.inMemory {
		return func() {}, nil
	}
	folder, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		_ = folder.Close()
		return nil, fmt.Errorf("the daemon that uses %s has an older version, and its table cannot be converted while it runs: restart the daemon first (%w)", s.dir, err)
	}
	return func() { _ = folder.Close() }, nil
}

func (s *Store) checkIntegrity(ctx context.Context, q querier) error {
	var found string
	if err := q.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); err != nil {
		return s.damaged(err)
	}
	if found != "ok" {
		return &DamagedError{s.path, found}
	}
	return nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func userVersion(ctx context.Context, q querier) (int, error) {
	var version int
	err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	return version, err
}
