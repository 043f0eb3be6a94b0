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

// columns are those of a profile, in the order of put and scan.
const columns = `name, idx, enabled, password, motp_secret, motp_pin, totp_secret, services, ipsec, remote_node, address, pool,
	idle_timeout, session_time, max_connections, further, schedule, expires, block_netbios, pass_multicast, up_limit, down_limit, quota, comment`

const (
	selectUsers = `SELECT ` + columns + ` FROM users`
	insertUser  = `INSERT INTO users (fold, ` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

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
		if err := s.put(ctx, tx, p); err != nil {
			return err
		}
		return s.recordChange(ctx, tx, EventAdded, p.Name, "")
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
		if p.MOTPSecret != old.MOTPSecret || p.TOTPSecret != old.TOTPSecret {
			// Another token has another clock.
			if _, err := tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0, step_centre = 0 WHERE fold = ?`, fold(name)); err != nil {
				return err
			}
		}
		if err := s.put(ctx, tx, p); err != nil {
			return err
		}
		return s.recordChange(ctx, tx, EventChanged, p.Name, differences(&old, &p))
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
		_, err = tx.ExecContext(ctx, `UPDATE ledger SET step_offset = 0, step_centre = 0, last_address = '', usual_addresses = '', `+noFailures+`
			WHERE fold = ?`, fold(name))
		if err != nil {
			return err
		}
		return s.recordChange(ctx, tx, EventRemoved, name, "")
	})
}

// Unlock implements Table.
func (s *Store) Unlock(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := known(ctx, tx, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET `+noFailures+` WHERE fold = ?`, fold(name))
		if err != nil {
			return err
		}
		return s.recordChange(ctx, tx, EventUnlocked, name, "")
	})
}

// Get implements Table.
func (s *Store) Get(ctx context.Context, name string) (Profile, error) {
	p, err := s.get(ctx, s.db, name)
	return p, s.damaged(err)
}

// List implements Table.
func (s *Store) List(ctx context.Context) ([]Profile, error) {
	rows, err := s.db.QueryContext(ctx, selectUsers+` ORDER BY fold`)
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
	return p.Account(), true, nil
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

// recordChange writes into the history who changed a user.
func (s *Store) recordChange(ctx context.Context, tx *sql.Tx, event, user, what string) error {
	return record(ctx, tx, Entry{At: s.opts.Now(), Event: event, User: user, Reason: what, By: actor(ctx)})
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
	if err := s.number(ctx, tx, &p); err != nil {
		return err
	}
	var sealed [4][]byte
	for i, f := range p.secrets() {
		var err error
		if sealed[i], err = s.seal.seal(p.Name, f.column, *f.text); err != nil {
			return err
		}
	}
	services := make([]string, len(p.Services))
	for i, service := range p.Services {
		services[i] = string(service)
	}
	var node string
	if p.RemoteNode.IsValid() {
		node = p.RemoteNode.String()
	}
	var expires int64
	if !p.Expires.IsZero() {
		expires = p.Expires.Unix()
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM users WHERE fold = ?`, fold(p.Name)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, insertUser, fold(p.Name), p.Name, p.Index, p.Enabled, sealed[0], sealed[1], sealed[2], sealed[3],
		strings.Join(services, ","), string(p.IPsec), node, address, p.Pool,
		int64(p.IdleTimeout/time.Second), int64(p.SessionTime/time.Second), p.MaxConnections, string(p.Further), p.Schedule, expires,
		p.BlockNetBIOS, p.PassMulticast, int64(p.UpLimit), int64(p.DownLimit), int64(p.Quota), p.Comment)
	return err
}

// number gives a profile without an index the lowest that is free, and sees that another's is free.
func (s *Store) number(ctx context.Context, tx *sql.Tx, p *Profile) error {
	if p.Index == 0 {
		return tx.QueryRowContext(ctx, `SELECT n FROM (SELECT 1 AS n UNION ALL SELECT idx + 1 FROM users)
			WHERE n NOT IN (SELECT idx FROM users) ORDER BY n LIMIT 1`).Scan(&p.Index)
	}
	var other string
	err := tx.QueryRowContext(ctx, `SELECT name FROM users WHERE idx = ? AND fold <> ?`, p.Index, fold(p.Name)).Scan(&other)
	switch {
	case err == nil:
		return &RuleError{"index", fmt.Sprintf("%d is the index of user %s", p.Index, other)}
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	return nil
}

// secret is a field that is sealed.
type secret struct {
	column string
	text   *string
}

func (p *Profile) secrets() [4]secret {
	return [4]secret{{"password", &p.Password}, {"motp_secret", &p.MOTPSecret}, {"motp_pin", &p.MOTPPIN}, {"totp_secret", &p.TOTPSecret}}
}

func (s *Store) get(ctx context.Context, q querier, name string) (Profile, error) {
	p, err := s.scan(q.QueryRowContext(ctx, selectUsers+` WHERE fold = ?`, fold(name)))
	if errors.Is(err, sql.ErrNoRows) {
		return Profile{}, noUser(name)
	}
	return p, err
}

// scan takes a profile out of a row.
func (s *Store) scan(row interface{ Scan(dest ...any) error }) (Profile, error) {
	var (
		p                      Profile
		sealed                 [4][]byte
		services, node         string
		address                sql.NullString
		idle, session, expires int64
		up, down, quota        int64
	)
	err := row.Scan(&p.Name, &p.Index, &p.Enabled, &sealed[0], &sealed[1], &sealed[2], &sealed[3], &services, &p.IPsec, &node, &address,
		&p.Pool, &idle, &session, &p.MaxConnections, &p.Further, &p.Schedule, &expires, &p.BlockNetBIOS, &p.PassMulticast,
		&up, &down, &quota, &p.Comment)
	if err != nil {
		return Profile{}, err
	}
	for i, f := range p.secrets() {
		if *f.text, err = s.seal.unseal(p.Name, f.column, sealed[i]); err != nil {
			return Profile{}, fmt.Errorf("user %s: %s is %w: remove the user and add it anew", p.Name, f.column, err)
		}
	}
	if services != "" {
		for name := range strings.SplitSeq(services, ",") {
			p.Services = append(p.Services, auth.Service(name))
		}
	}
	p.IdleTimeout, p.SessionTime = time.Duration(idle)*time.Second, time.Duration(session)*time.Second
	p.UpLimit, p.DownLimit, p.Quota = uint64(up), uint64(down), uint64(quota)
	if expires != 0 {
		p.Expires = time.Unix(expires, 0).UTC()
	}
	if address.Valid {
		if p.Address, err = netip.ParseAddr(address.String); err != nil {
			return Profile{}, fmt.Errorf("user %s: %w", p.Name, err)
		}
	}
	if node != "" {
		if p.RemoteNode, err = netip.ParsePrefix(node); err != nil {
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
