package usermgmt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ClockSlack is how far a clock is put back without notice: a stored time that is further in the future was stored while the
// clock was ahead, and does not count.
const ClockSlack = time.Minute

const (
	maxTokens = 256
	maxLinks  = 32 // the one that ends first makes room
)

// Errors of tokens and set-up links.
var (
	ErrNoToken     = errors.New("there is no such token")
	ErrTokenExists = errors.New("a token of that name exists already")
	ErrNoLink      = errors.New("there is no such set-up link")
)

// AdminSession is a log-in of an administrator that lasts.
type AdminSession struct {
	Name, Role  string // of the administrator, as they are now
	Began, Seen time.Time
}

// Lifetimes are how long sessions last, and how many.
type Lifetimes struct {
	Idle, Whole time.Duration
	Most        int // of one administrator; the oldest make room
}

// AddAdminSession adds a session of an administrator, at a time and from an address. If the password or the TOTP secret is by now another than
// in a, which was verified, it is ErrNoAdministrator. Sessions that are over are forgotten, and those that began in the future.
func (s *Store) AddAdminSession(ctx context.Context, hash []byte, a Administrator, from netip.Addr, at time.Time, last Lifetimes) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.sealWithCurrent(ctx, tx); err != nil {
			return err
		}
		stored, err := administrator(ctx, tx, s.seal.Load(), a.Name)
		if err != nil {
			return err
		}
		if stored.Password != a.Password || stored.TOTPSecret != a.TOTPSecret {
			return fmt.Errorf("%s: %w", a.Name, ErrNoAdministrator)
		}
		now := milli(at)
		if _, err := tx.ExecContext(ctx, `UPDATE administrators SET last_login = ? WHERE fold = ?`, now, fold(a.Name)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE seen < ? OR began < ? OR began > ?`,
			milli(at.Add(-last.Idle)), milli(at.Add(-last.Whole)), milli(at.Add(ClockSlack)))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE hash IN (
			SELECT hash FROM admin_sessions WHERE fold = ? ORDER BY began DESC LIMIT -1 OFFSET ?)`, fold(a.Name), last.Most-1)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `INSERT INTO admin_sessions VALUES (?, ?, ?, ?)`, hash, fold(a.Name), now, now); err != nil {
			return err
		}
		return record(ctx, tx, Entry{At: at, Event: EventAdminLogIn, Peer: from, By: a.Name})
	})
}

// AdminSession gives the session with the hash; false: there is none.
func (s *Store) AdminSession(ctx context.Context, hash []byte) (AdminSession, bool, error) {
	var session AdminSession
	var began, seen int64
	err := s.db.QueryRowContext(ctx, `SELECT name, role, began, seen FROM admin_sessions JOIN administrators USING (fold) WHERE hash = ?`, hash).
		Scan(&session.Name, &session.Role, &began, &seen)
	session.Began, session.Seen = milliTime(began), milliTime(seen)
	return session, err == nil, s.orNothing(err)
}

// TouchAdminSession stores when a session was used.
func (s *Store) TouchAdminSession(ctx context.Context, hash []byte, at time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE admin_sessions SET seen = ? WHERE hash = ?`, milli(at), hash)
		return err
	})
}

// RemoveAdminSession ends the session with the hash, if there is one.
func (s *Store) RemoveAdminSession(ctx context.Context, hash []byte) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE hash = ?`, hash)
		return err
	})
}

// AdminToken lets a program manage the daemon.
type AdminToken struct {
	Name, Role string
	Hash       []byte
	Expires    time.Time // zero: never
	Added      time.Time
	By         string // who made it
}

const selectTokens = `SELECT name, role, hash, expires, added, by FROM admin_tokens` //nolint:gosec // a query

func scanToken(row interface{ Scan(dest ...any) error }) (t AdminToken, err error) {
	var expires, added int64
	err = row.Scan(&t.Name, &t.Role, &t.Hash, &expires, &added, &t.By)
	t.Expires, t.Added = milliTime(expires), milliTime(added)
	return t, err
}

// AdminTokens lists all in the order of their names.
func (s *Store) AdminTokens(ctx context.Context) ([]AdminToken, error) {
	rows, err := s.db.QueryContext(ctx, selectTokens+` ORDER BY fold`)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	var all []AdminToken
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, s.damaged(err)
		}
		all = append(all, t)
	}
	return all, s.damaged(rows.Err())
}

// AdminToken gives the token with the hash; false: there is none.
func (s *Store) AdminToken(ctx context.Context, hash []byte) (AdminToken, bool, error) {
	t, err := scanToken(s.db.QueryRowContext(ctx, selectTokens+` WHERE hash = ?`, hash))
	return t, err == nil, s.orNothing(err)
}

// AddAdminToken adds a token, ascribed to whom By says. The error may be ErrTokenExists, ErrTooMany, or a RuleError about the name.
func (s *Store) AddAdminToken(ctx context.Context, t AdminToken) error {
	if err := CheckName(t.Name); err != nil {
		return err
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		var n, same int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(fold = ?), 0) FROM admin_tokens`, fold(t.Name)).Scan(&n, &same); err != nil {
			return err
		}
		switch {
		case same > 0:
			return fmt.Errorf("%s: %w", t.Name, ErrTokenExists)
		case n >= maxTokens:
			return fmt.Errorf("tokens: %w: %d", ErrTooMany, n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO admin_tokens (fold, name, role, hash, expires, added, by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			fold(t.Name), t.Name, t.Role, t.Hash, milli(t.Expires), milli(s.opts.Now()), Actor(ctx))
		if err != nil {
			return err
		}
		return s.recordAdmin(ctx, tx, fmt.Sprintf("token %s added as %s", t.Name, t.Role))
	})
}

// RemoveAdminToken ends a token. The error may be ErrNoToken.
func (s *Store) RemoveAdminToken(ctx context.Context, name string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var stored string
		err := tx.QueryRowContext(ctx, `DELETE FROM admin_tokens WHERE fold = ? RETURNING name`, fold(name)).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%.64q: %w", name, ErrNoToken)
		}
		if err != nil {
			return err
		}
		return s.recordAdmin(ctx, tx, "token "+stored+" removed")
	})
}

// SetUpLink makes an administrator, or gives one a new password, once.
type SetUpLink struct {
	Hash       []byte
	Name, Role string // name empty: whoever uses it chooses
	First      bool   // it counts while there is no administrator
	Expires    time.Time
}

// AddSetUpLink adds a link, in place of one for the same name or purpose. The error may be a RuleError about the name.
func (s *Store) AddSetUpLink(ctx context.Context, l SetUpLink) error {
	if l.Name != "" {
		if err := CheckName(l.Name); err != nil {
			return err
		}
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM setup_links WHERE expires < ? OR (first AND ?) OR (name <> '' AND name = ? COLLATE NOCASE)`,
			milli(s.opts.Now()), l.First, l.Name)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM setup_links WHERE hash IN (SELECT hash FROM setup_links ORDER BY expires DESC LIMIT -1 OFFSET ?)`, maxLinks-1)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO setup_links (hash, name, role, first, expires) VALUES (?, ?, ?, ?, ?)`,
			l.Hash, l.Name, l.Role, l.First, milli(l.Expires))
		if err != nil {
			return err
		}
		what := "a set-up link for " + l.Name
		switch {
		case l.First:
			what = "a set-up link for the first administrator"
		case l.Name == "":
			what = "a set-up link for a new " + l.Role
		}
		return s.recordAdmin(ctx, tx, what)
	})
}

// SetUpLink gives the link with the hash that counts at a time. The error may be ErrNoLink.
func (s *Store) SetUpLink(ctx context.Context, hash []byte, at time.Time) (SetUpLink, error) {
	l, err := setUpLink(ctx, s.db, hash, at)
	return l, s.damaged(err)
}

func setUpLink(ctx context.Context, q querier, hash []byte, at time.Time) (SetUpLink, error) {
	l := SetUpLink{Hash: hash}
	var expires int64
	err := q.QueryRowContext(ctx, `SELECT name, role, first, expires FROM setup_links WHERE hash = ?`, hash).Scan(&l.Name, &l.Role, &l.First, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return SetUpLink{}, ErrNoLink
	}
	if err != nil {
		return SetUpLink{}, err
	}
	l.Expires = milliTime(expires)
	if !at.Before(l.Expires) {
		return SetUpLink{}, ErrNoLink
	}
	if l.First {
		if n, err := countAdministrators(ctx, q); err != nil || n > 0 {
			return SetUpLink{}, errors.Join(err, ErrNoLink)
		}
	}
	return l, nil
}

// UseSetUpLink uses the link up, and makes the administrator of the name with the password's hash, or gives the one there is a new
// one. The error may be ErrNoLink, ErrAdministratorExists, or a RuleError about the name; the link then counts as before.
func (s *Store) UseSetUpLink(ctx context.Context, hash []byte, at time.Time, name, password string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		l, err := setUpLink(ctx, tx, hash, at)
		if err != nil {
			return err
		}
		if l.Name != "" {
			name = l.Name
		}
		ctx := By(ctx, name+" (set-up link)")
		if _, err := tx.ExecContext(ctx, `DELETE FROM setup_links WHERE hash = ?`, hash); err != nil {
			return err
		}
		if l.Name != "" {
			err := s.changeAdministrator(ctx, tx, name, "password", func(a *Administrator) { a.Password = password })
			if !errors.Is(err, ErrNoAdministrator) {
				return err
			}
		}
		return s.addAdministrator(ctx, tx, Administrator{Name: name, Role: l.Role, Password: password})
	})
}
