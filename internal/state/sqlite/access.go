package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// AddAdminSession implements state.Administrators.
func (s *Store) AddAdminSession(ctx context.Context, hash []byte, a state.Administrator, from netip.Addr, at time.Time, last state.Lifetimes) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.sealWithCurrent(ctx, tx); err != nil {
			return err
		}
		stored, err := administrator(ctx, tx, s.seal.Load(), a.Name)
		if err != nil {
			return err
		}
		if stored.Password != a.Password || stored.TOTPSecret != a.TOTPSecret {
			return fmt.Errorf("%s: %w", a.Name, state.ErrNoAdministrator)
		}
		now := milli(at)
		if _, err := tx.ExecContext(ctx, `UPDATE administrators SET last_login = ? WHERE fold = ?`, now, usermgmt.Fold(a.Name)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE seen < ? OR began < ? OR began > ?`,
			milli(at.Add(-last.Idle)), milli(at.Add(-last.Whole)), milli(at.Add(state.ClockSlack)))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE hash IN (
			SELECT hash FROM admin_sessions WHERE fold = ? ORDER BY began DESC LIMIT -1 OFFSET ?)`, usermgmt.Fold(a.Name), last.Most-1)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `INSERT INTO admin_sessions VALUES (?, ?, ?, ?)`, hash, usermgmt.Fold(a.Name), now, now); err != nil {
			return err
		}
		return record(ctx, tx, state.Entry{At: at, Event: state.EventAdminLogIn, Peer: from, By: a.Name})
	})
}

// AdminSession implements state.Administrators.
func (s *Store) AdminSession(ctx context.Context, hash []byte) (state.AdminSession, bool, error) {
	var session state.AdminSession
	var began, seen int64
	err := s.db.QueryRowContext(ctx, `SELECT name, role, began, seen FROM admin_sessions JOIN administrators USING (fold) WHERE hash = ?`, hash).
		Scan(&session.Name, &session.Role, &began, &seen)
	session.Began, session.Seen = milliTime(began), milliTime(seen)
	return session, err == nil, s.orNothing(err)
}

// TouchAdminSession implements state.Administrators.
func (s *Store) TouchAdminSession(ctx context.Context, hash []byte, at time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE admin_sessions SET seen = ? WHERE hash = ?`, milli(at), hash)
		return err
	})
}

// RemoveAdminSession implements state.Administrators.
func (s *Store) RemoveAdminSession(ctx context.Context, hash []byte) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE hash = ?`, hash)
		return err
	})
}

const selectTokens = `SELECT name, role, hash, expires, added, by FROM admin_tokens` //nolint:gosec // a query

func scanToken(row interface{ Scan(dest ...any) error }) (t state.AdminToken, err error) {
	var expires, added int64
	err = row.Scan(&t.Name, &t.Role, &t.Hash, &expires, &added, &t.By)
	t.Expires, t.Added = milliTime(expires), milliTime(added)
	return t, err
}

// AdminTokens implements state.Administrators.
func (s *Store) AdminTokens(ctx context.Context) ([]state.AdminToken, error) {
	rows, err := s.db.QueryContext(ctx, selectTokens+` ORDER BY fold`)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	var all []state.AdminToken
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, s.damaged(err)
		}
		all = append(all, t)
	}
	return all, s.damaged(rows.Err())
}

// AdminToken implements state.Administrators.
func (s *Store) AdminToken(ctx context.Context, hash []byte) (state.AdminToken, bool, error) {
	t, err := scanToken(s.db.QueryRowContext(ctx, selectTokens+` WHERE hash = ?`, hash))
	return t, err == nil, s.orNothing(err)
}

// AddAdminToken implements state.Administrators.
func (s *Store) AddAdminToken(ctx context.Context, t state.AdminToken) error {
	if err := usermgmt.CheckName(t.Name); err != nil {
		return err
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		var n, same int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(fold = ?), 0) FROM admin_tokens`, usermgmt.Fold(t.Name)).Scan(&n, &same); err != nil {
			return err
		}
		switch {
		case same > 0:
			return fmt.Errorf("%s: %w", t.Name, state.ErrTokenExists)
		case n >= state.MaxTokens:
			return fmt.Errorf("tokens: %w: %d", state.ErrTooMany, n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO admin_tokens (fold, name, role, hash, expires, added, by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			usermgmt.Fold(t.Name), t.Name, t.Role, t.Hash, milli(t.Expires), milli(s.opts.Now()), state.Actor(ctx))
		if err != nil {
			return err
		}
		return s.recordAdmin(ctx, tx, fmt.Sprintf("token %s added as %s", t.Name, t.Role))
	})
}

// RemoveAdminToken implements state.Administrators.
func (s *Store) RemoveAdminToken(ctx context.Context, name string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var stored string
		err := tx.QueryRowContext(ctx, `DELETE FROM admin_tokens WHERE fold = ? RETURNING name`, usermgmt.Fold(name)).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%.64q: %w", name, state.ErrNoToken)
		}
		if err != nil {
			return err
		}
		return s.recordAdmin(ctx, tx, "token "+stored+" removed")
	})
}

// AddSetUpLink implements state.Administrators.
func (s *Store) AddSetUpLink(ctx context.Context, l state.SetUpLink) error {
	if l.Name != "" {
		if err := usermgmt.CheckName(l.Name); err != nil {
			return err
		}
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM setup_links WHERE expires < ? OR (first AND ?) OR (name <> '' AND name = ? COLLATE NOCASE)`,
			milli(s.opts.Now()), l.First, l.Name)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM setup_links WHERE hash IN (SELECT hash FROM setup_links ORDER BY expires DESC LIMIT -1 OFFSET ?)`, state.MaxLinks-1)
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

// SetUpLink implements state.Administrators.
func (s *Store) SetUpLink(ctx context.Context, hash []byte, at time.Time) (state.SetUpLink, error) {
	l, err := setUpLink(ctx, s.db, hash, at)
	return l, s.damaged(err)
}

func setUpLink(ctx context.Context, q querier, hash []byte, at time.Time) (state.SetUpLink, error) {
	l := state.SetUpLink{Hash: hash}
	var expires int64
	err := q.QueryRowContext(ctx, `SELECT name, role, first, expires FROM setup_links WHERE hash = ?`, hash).Scan(&l.Name, &l.Role, &l.First, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return state.SetUpLink{}, state.ErrNoLink
	}
	if err != nil {
		return state.SetUpLink{}, err
	}
	l.Expires = milliTime(expires)
	if !at.Before(l.Expires) {
		return state.SetUpLink{}, state.ErrNoLink
	}
	if l.First {
		if n, err := countAdministrators(ctx, q); err != nil || n > 0 {
			return state.SetUpLink{}, errors.Join(err, state.ErrNoLink)
		}
	}
	return l, nil
}

// UseSetUpLink implements state.Administrators.
func (s *Store) UseSetUpLink(ctx context.Context, hash []byte, at time.Time, name, password string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		l, err := setUpLink(ctx, tx, hash, at)
		if err != nil {
			return err
		}
		if l.Name != "" {
			name = l.Name
		}
		ctx := state.By(ctx, name+" (set-up link)")
		if _, err := tx.ExecContext(ctx, `DELETE FROM setup_links WHERE hash = ?`, hash); err != nil {
			return err
		}
		if l.Name != "" {
			err := s.changeAdministrator(ctx, tx, name, "password", func(a *state.Administrator) { a.Password = password })
			if !errors.Is(err, state.ErrNoAdministrator) {
				return err
			}
		}
		return s.addAdministrator(ctx, tx, state.Administrator{Name: name, Role: l.Role, Password: password})
	})
}
