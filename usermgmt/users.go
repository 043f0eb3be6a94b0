package usermgmt

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"vpnd/auth"
)

const columns = `name, enabled, password, motp_secret, motp_pin, services, ipsec, address, idle_timeout, session_time, comment`

// Add implements Table.
func (s *Store) Add(ctx context.Context, p Profile) error {
	p.clean()
	if err := p.check(); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		var name string
		err := tx.QueryRowContext(ctx, `SELECT name FROM users WHERE fold = ?`, fold(p.Name)).Scan(&name)
		switch {
		case err == nil:
			return fmt.Errorf("%s: %w", name, ErrExists)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		return s.put(ctx, tx, p)
	})
}

// Update implements Table.
func (s *Store) Update(ctx context.Context, name string, change func(*Profile) error) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		old, err := s.get(ctx, tx, name)
		if err != nil {
			return err
		}
		p := old
		if err := change(&p); err != nil {
			return err
		}
		if p.Name != old.Name {
			return &RuleError{"name", "cannot be changed: add a user of the new name and remove " + old.Name}
		}
		p.clean()
		if err := p.check(); err != nil {
			return err
		}
		if p.MOTPSecret != old.MOTPSecret {
			// Another token has another clock.
			if _, err := tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0 WHERE fold = ?`, fold(name)); err != nil {
				return err
			}
		}
		return s.put(ctx, tx, p)
	})
}

// Remove implements Table.
func (s *Store) Remove(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM users WHERE fold = ?`, fold(name))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, noUser(name))
		}
		_, err = tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0, failures = 0, locks = 0, locked_until = 0, last_address = ''
			WHERE fold = ?`, fold(name))
		return err
	})
}

// Unlock implements Table.
func (s *Store) Unlock(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := known(ctx, tx, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET failures = 0, locks = 0, locked_until = 0 WHERE fold = ?`, fold(name))
		return err
	})
}

// Get implements Table.
func (s *Store) Get(ctx context.Context, name string) (Profile, error) {
	p, err := s.get(ctx, s.db, name)
	return p, s.damaged(err)
}

// List implements Table.
func (s *Store) List(ctx context.Context) ([]Profile, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+` FROM users ORDER BY fold`)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	var all []Profile
	for rows.Next() {
		p, err := s.scan(rows)
		if err != nil {
			return nil, s.damaged(err)
		}
		all = append(all, p)
	}
	return all, s.damaged(rows.Err())
}

// Account implements auth.Users.
func (s *Store) Account(ctx context.Context, name string) (auth.Account, bool, error) {
	p, err := s.get(ctx, s.db, name)
	if errors.Is(err, ErrNoUser) {
		return auth.Account{}, false, nil
	}
	if err != nil {
		return auth.Account{}, false, s.damaged(err)
	}
	return p.account(), true, nil
}

// Generation implements Table.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	var g uint64
	err := s.db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'generation'`).Scan(&g)
	return g, s.damaged(err)
}

// change is transact for what makes a new generation.
func (s *Store) change(ctx context.Context, do func(*sql.Tx) error) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE meta SET value = value + 1 WHERE name = 'generation'`)
		return err
	})
}

// put writes a checked profile, once its address is free.
func (s *Store) put(ctx context.Context, tx *sql.Tx, p Profile) error {
	var address sql.NullString
	if p.Address.IsValid() {
		if s.opts.CheckAddress != nil {
			if err := s.opts.CheckAddress(p.Address); err != nil {
				return &RuleError{"address", err.Error()}
			}
		}
		address = sql.NullString{String: p.Address.String(), Valid: true}
		var other string
		err := tx.QueryRowContext(ctx, `SELECT name FROM users WHERE address = ? AND fold <> ?`, address.String, fold(p.Name)).Scan(&other)
		switch {
		case err == nil:
			return &RuleError{"address", fmt.Sprintf("%s is taken by user %s", p.Address, other)}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	sealed := make([][]byte, 3)
	for i, f := range []struct{ name, text string }{{"password", p.Password}, {"motp_secret", p.MOTPSecret}, {"motp_pin", p.MOTPPIN}} {
		var err error
		if sealed[i], err = s.seal.seal(p.Name, f.name, f.text); err != nil {
			return err
		}
	}
	services := make([]string, len(p.Services))
	for i, service := range p.Services {
		services[i] = string(service)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO users (fold, `+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (fold) DO UPDATE SET (`+columns+`) = (excluded.name, excluded.enabled, excluded.password, excluded.motp_secret,
			excluded.motp_pin, excluded.services, excluded.ipsec, excluded.address, excluded.idle_timeout, excluded.session_time, excluded.comment)`,
		fold(p.Name), p.Name, p.Enabled, sealed[0], sealed[1], sealed[2], strings.Join(services, ","), string(p.IPsec), address,
		int64(p.IdleTimeout/time.Second), int64(p.SessionTime/time.Second), p.Comment)
	return err
}

func (s *Store) get(ctx context.Context, q querier, name string) (Profile, error) {
	p, err := s.scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM users WHERE fold = ?`, fold(name)))
	if errors.Is(err, sql.ErrNoRows) {
		return Profile{}, noUser(name)
	}
	return p, err
}

// scan takes a profile out of a row.
func (s *Store) scan(row interface{ Scan(dest ...any) error }) (Profile, error) {
	var (
		p                     Profile
		password, secret, pin []byte
		services, ipsec       string
		address               sql.NullString
		idle, session         int64
	)
	err := row.Scan(&p.Name, &p.Enabled, &password, &secret, &pin, &services, &ipsec, &address, &idle, &session, &p.Comment)
	if err != nil {
		return Profile{}, err
	}
	for _, f := range []struct {
		name   string
		sealed []byte
		to     *string
	}{{"password", password, &p.Password}, {"motp_secret", secret, &p.MOTPSecret}, {"motp_pin", pin, &p.MOTPPIN}} {
		if *f.to, err = s.seal.unseal(p.Name, f.name, f.sealed); err != nil {
			return Profile{}, fmt.Errorf("user %s: %s is %w: remove the user and add it anew", p.Name, f.name, err)
		}
	}
	if services != "" {
		for name := range strings.SplitSeq(services, ",") {
			p.Services = append(p.Services, auth.Service(name))
		}
	}
	p.IPsec = IPsec(ipsec)
	p.IdleTimeout, p.SessionTime = time.Duration(idle)*time.Second, time.Duration(session)*time.Second
	if address.Valid {
		if p.Address, err = netip.ParseAddr(address.String); err != nil {
			return Profile{}, fmt.Errorf("user %s: %w", p.Name, err)
		}
	}
	return p, nil
}

// known gives ErrNoUser when there is no user of that name.
func known(ctx context.Context, q querier, name string) error {
	var one int
	err := q.QueryRowContext(ctx, `SELECT 1 FROM users WHERE fold = ?`, fold(name)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return noUser(name)
	}
	return err
}

func noUser(name string) error { return fmt.Errorf("%.64q: %w", name, ErrNoUser) }
