package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

const (
	administratorColumns = `name, role, password, totp_secret, totp_step, added, last_login`
	selectAdministrators = `SELECT ` + administratorColumns + ` FROM administrators`
)

// Administrators implements state.Administrators.
func (s *Store) Administrators(ctx context.Context) (all []state.Administrator, err error) {
	err = s.unsealing(ctx, s.db, func(seal *sealer) error {
		all, err = listAdministrators(ctx, s.db, seal)
		return err
	})
	return all, s.damaged(err)
}

func listAdministrators(ctx context.Context, q querier, seal *sealer) ([]state.Administrator, error) {
	rows, err := q.QueryContext(ctx, selectAdministrators+` ORDER BY fold`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []state.Administrator
	for rows.Next() {
		a, err := scanAdministrator(rows, seal)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// Administrator implements state.Administrators.
func (s *Store) Administrator(ctx context.Context, name string) (a state.Administrator, err error) {
	err = s.unsealing(ctx, s.db, func(seal *sealer) error {
		a, err = administrator(ctx, s.db, seal, name)
		return err
	})
	return a, s.damaged(err)
}

func administrator(ctx context.Context, q querier, seal *sealer, name string) (state.Administrator, error) {
	a, err := scanAdministrator(q.QueryRowContext(ctx, selectAdministrators+` WHERE fold = ?`, usermgmt.Fold(name)), seal)
	if errors.Is(err, sql.ErrNoRows) {
		return state.Administrator{}, fmt.Errorf("%.64q: %w", name, state.ErrNoAdministrator)
	}
	return a, err
}

func scanAdministrator(row interface{ Scan(dest ...any) error }, seal *sealer) (state.Administrator, error) {
	var (
		a            state.Administrator
		sealed       []byte
		added, logIn int64
	)
	err := row.Scan(&a.Name, &a.Role, &a.Password, &sealed, &a.TOTPStep, &added, &logIn)
	if err != nil {
		return state.Administrator{}, err
	}
	a.Added, a.LastLogIn = time.UnixMilli(added), milliTime(logIn)
	if a.TOTPSecret, err = seal.unseal(a.Name, adminTOTP, sealed); err != nil {
		return state.Administrator{}, fmt.Errorf("administrator %s: the TOTP secret is %w: remove it", a.Name, err)
	}
	return a, nil
}

// adminTOTP is the field name under which an administrator's TOTP secret is sealed.
const adminTOTP = "administrator totp_secret"

// milliTime is the inverse of milli.
func milliTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// milli is a time in its stored form; 0: zero.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// AnyAdministrator implements state.Administrators.
func (s *Store) AnyAdministrator(ctx context.Context) (bool, error) {
	n, err := countAdministrators(ctx, s.db)
	return n > 0, s.damaged(err)
}

func countAdministrators(ctx context.Context, q querier) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM administrators WHERE role = ?`, state.RoleAdministrator).Scan(&n)
	return n, err
}

// AddAdministrator implements state.Administrators.
func (s *Store) AddAdministrator(ctx context.Context, a state.Administrator) error {
	return s.transact(ctx, func(tx *sql.Tx) error { return s.addAdministrator(ctx, tx, a) })
}

func (s *Store) addAdministrator(ctx context.Context, tx *sql.Tx, a state.Administrator) error {
	if err := usermgmt.CheckName(a.Name); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM administrators`).Scan(&n); err != nil {
		return err
	}
	if n >= state.MaxAdministrators {
		return fmt.Errorf("administrators: %w: %d", state.ErrTooMany, n)
	}
	err := tx.QueryRowContext(ctx, `SELECT name FROM administrators WHERE fold = ?`, usermgmt.Fold(a.Name)).Scan(new(string))
	if err == nil {
		return fmt.Errorf("%s: %w", a.Name, state.ErrAdministratorExists)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	a.Added = s.opts.Now()
	if err := s.putAdministrator(ctx, tx, a); err != nil {
		return err
	}
	return s.recordAdmin(ctx, tx, fmt.Sprintf("%s added as %s", a.Name, a.Role))
}

func (s *Store) putAdministrator(ctx context.Context, tx *sql.Tx, a state.Administrator) error {
	if err := s.sealWithCurrent(ctx, tx); err != nil {
		return err
	}
	sealed, err := s.seal.Load().seal(a.Name, adminTOTP, a.TOTPSecret)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO administrators (fold, `+administratorColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		usermgmt.Fold(a.Name), a.Name, a.Role, a.Password, sealed, a.TOTPStep, milli(a.Added), milli(a.LastLogIn))
	return err
}

// ChangeAdministrator implements state.Administrators.
func (s *Store) ChangeAdministrator(ctx context.Context, name, what string, change func(*state.Administrator)) error {
	return s.transact(ctx, func(tx *sql.Tx) error { return s.changeAdministrator(ctx, tx, name, what, change) })
}

func (s *Store) changeAdministrator(ctx context.Context, tx *sql.Tx, name, what string, change func(*state.Administrator)) error {
	if err := s.sealWithCurrent(ctx, tx); err != nil {
		return err
	}
	a, err := administrator(ctx, tx, s.seal.Load(), name)
	if err != nil {
		return err
	}
	before := a
	change(&a)
	a.Name = before.Name
	if before.Role == state.RoleAdministrator && a.Role != state.RoleAdministrator {
		if err := notLast(ctx, tx); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	if err := s.putAdministrator(ctx, tx, a); err != nil {
		return err
	}
	if err := endAdministrator(ctx, tx, a.Name, before.Role == state.RoleAdministrator && a.Role != state.RoleAdministrator); err != nil {
		return err
	}
	if err := s.forget(ctx, tx, "administrators"); err != nil {
		return err
	}
	return s.recordAdmin(ctx, tx, a.Name+": "+what)
}

// endAdministrator ends the sessions of an administrator, and the set-up links for the name. If
// demoted is set, it also ends all links for new accounts: they may be a way back in.
func endAdministrator(ctx context.Context, tx *sql.Tx, name string, demoted bool) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM admin_sessions WHERE fold = ?`, usermgmt.Fold(name)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM setup_links WHERE name = ?1 COLLATE NOCASE AND name <> '' OR ?2 AND NOT first`, name, demoted)
	return err
}

// notLast gives ErrLastAdministrator if only one is left.
func notLast(ctx context.Context, tx *sql.Tx) error {
	n, err := countAdministrators(ctx, tx)
	if err == nil && n <= 1 {
		err = state.ErrLastAdministrator
	}
	return err
}

// RemoveAdministrator implements state.Administrators.
func (s *Store) RemoveAdministrator(ctx context.Context, name string, evenLast bool) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var stored, role string
		err := tx.QueryRowContext(ctx, `SELECT name, role FROM administrators WHERE fold = ?`, usermgmt.Fold(name)).Scan(&stored, &role)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%.64q: %w", name, state.ErrNoAdministrator)
		}
		if err != nil {
			return err
		}
		if role == state.RoleAdministrator && !evenLast {
			if err := notLast(ctx, tx); err != nil {
				return fmt.Errorf("%s: %w", stored, err)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM administrators WHERE fold = ?`, usermgmt.Fold(name)); err != nil {
			return err
		}
		if err := endAdministrator(ctx, tx, stored, role == state.RoleAdministrator); err != nil {
			return err
		}
		if err := s.forget(ctx, tx, "administrators"); err != nil {
			return err
		}
		return s.recordAdmin(ctx, tx, stored+" removed")
	})
}

// maxStepsAhead is an hour, in steps of TOTP codes. A stored step that is further ahead of a
// correct code comes from a clock that was ahead, and does not count.
const maxStepsAhead = int64(time.Hour / (motp.StepSeconds * time.Second))

// AdvanceAdministrator implements state.Administrators.
func (s *Store) AdvanceAdministrator(ctx context.Context, name string, step int64) (bool, error) {
	advanced := false
	err := s.transact(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE administrators SET totp_step = ?1 WHERE fold = ?2 AND (totp_step < ?1 OR totp_step > ?3)`,
			step, usermgmt.Fold(name), step+maxStepsAhead)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		advanced = n > 0
		return err
	})
	return advanced && err == nil, err
}

// recordAdmin records a change of administrators, tokens or set-up links in the history.
func (s *Store) recordAdmin(ctx context.Context, tx *sql.Tx, what string) error {
	return record(ctx, tx, state.Entry{At: s.opts.Now(), Event: state.EventAdminChanged, Reason: what, By: state.Actor(ctx)})
}
