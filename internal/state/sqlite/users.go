package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// columns are the columns of a profile, in the order of values and scan.
var columns = func() string {
	all := "name"
	for _, f := range usermgmt.Fields {
		all += ", " + f.Column
	}
	return all
}()

var (
	selectUsers = `SELECT ` + columns + ` FROM users`
	insertUser  = `INSERT INTO users (fold, ` + columns + `) VALUES (?, ?` + strings.Repeat(", ?", len(usermgmt.Fields)) + `)` //nolint:gosec // columns of Fields

	generation = `(SELECT value FROM meta WHERE name = 'generation')`
)

// Remove implements usermgmt.Table.
func (s *Store) Remove(ctx context.Context, names ...string) error {
	return s.change(ctx, func(tx *sql.Tx, made *usermgmt.Change) error { return s.remove(ctx, tx, made, names) })
}

func (s *Store) remove(ctx context.Context, tx *sql.Tx, made *usermgmt.Change, names []string) error {
	removed, err := s.each(ctx, tx, names, usermgmt.Removed, `UPDATE ledger SET step_offset = 0, step_centre = 0, last_address = '', usual_addresses = '', `+noFailures+`
		WHERE fold = ?`, `DELETE FROM users WHERE fold = ?`)
	if err != nil {
		return err
	}
	made.Removed = removed
	return s.forgetUsers(ctx, tx)
}

// Unlock implements usermgmt.Table.
func (s *Store) Unlock(ctx context.Context, names ...string) error {
	return s.change(ctx, func(tx *sql.Tx, _ *usermgmt.Change) error {
		_, err := s.each(ctx, tx, names, state.EventUnlocked, `UPDATE ledger SET `+noFailures+`
			WHERE fold = ? AND (failures | locks | locked_until | usual_failures | usual_locks | usual_locked_until) <> 0`)
		return err
	})
}

// each runs statements for each of names, and records the event in the history if they change
// something. It gives the stored names of the changed users. The error names all users that do not
// exist.
func (s *Store) each(ctx context.Context, tx *sql.Tx, names []string, event string, statements ...string) (done []string, err error) {
	var missing []error
	for _, name := range names {
		stored, err := known(ctx, tx, name)
		if errors.Is(err, usermgmt.ErrNoUser) {
			missing = append(missing, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.provided(ctx, tx, name); err != nil {
			return nil, err
		}
		changed := int64(0)
		for _, statement := range statements {
			result, err := tx.ExecContext(ctx, statement, usermgmt.Fold(name))
			if err != nil {
				return nil, err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return nil, err
			}
			changed += n
		}
		if changed == 0 {
			continue
		}
		if err := s.recordChange(ctx, tx, event, stored, ""); err != nil {
			return nil, err
		}
		done = append(done, stored)
	}
	return done, errors.Join(missing...)
}

// provided checks the condition of usermgmt.Provided.
func (s *Store) provided(ctx context.Context, q querier, name string) error {
	holds := usermgmt.Condition(ctx)
	if holds == nil {
		return nil
	}
	p, err := s.get(ctx, q, s.stmts.user, name)
	if err != nil {
		return err
	}
	return holds(&p)
}

// Get implements usermgmt.Table.
func (s *Store) Get(ctx context.Context, name string) (usermgmt.Profile, error) {
	p, err := s.get(ctx, s.db, s.stmts.user, name)
	return p, s.damaged(err)
}

// List implements usermgmt.Table.
func (s *Store) List(ctx context.Context) ([]usermgmt.Profile, error) {
	all, err := s.list(ctx, s.db)
	return all, s.damaged(err)
}

func (s *Store) list(ctx context.Context, q querier) (all []usermgmt.Profile, err error) {
	err = s.unsealing(ctx, q, func(seal *sealer) error {
		all = nil
		return everyUser(ctx, q, seal, func(p usermgmt.Profile, damaged error) error {
			if damaged == nil {
				all = append(all, p)
			}
			return damaged
		})
	})
	return all, err
}

// everyUser reads the users in the order of their names. A damaged user has only the name. An error
// of do ends it.
func everyUser(ctx context.Context, q querier, seal *sealer, do func(p usermgmt.Profile, damaged error) error) error {
	rows, err := q.QueryContext(ctx, selectUsers+` ORDER BY fold`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p, damaged := scan(rows, seal)
		if err := do(p, damaged); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Sound implements usermgmt.Table.
func (s *Store) Sound(ctx context.Context) (sound []usermgmt.Profile, damaged map[string]error, err error) {
	err = s.unsealing(ctx, s.db, func(seal *sealer) error {
		sound, damaged = nil, map[string]error{}
		var unsealed error
		err := everyUser(ctx, s.db, seal, func(p usermgmt.Profile, err error) error {
			if err != nil {
				damaged[p.Name] = err
				unsealed = errors.Join(unsealed, err)
				return nil
			}
			sound = append(sound, p)
			return nil
		})
		if err != nil || !errors.Is(unsealed, errUnseal) {
			return err
		}
		return errUnseal // another process may have made another key
	})
	if errors.Is(err, errUnseal) {
		err = nil
	}
	return sound, damaged, s.damaged(err)
}

// Account implements auth.Users.
func (s *Store) Account(ctx context.Context, name string) (auth.Account, bool, error) {
	r, ok, err := s.Read(ctx, name)
	return r.Account, ok, err
}

// Read implements auth.Reader. Unchanged compares the generation of the table, which triggers
// count.
func (s *Store) Read(ctx context.Context, name string) (auth.Record, bool, error) {
	var (
		generation uint64
		token      auth.TokenState
	)
	p, err := s.get(ctx, s.db, s.stmts.record, name, &generation, &token.LastStep, &token.Offset, &token.Centre)
	if errors.Is(err, usermgmt.ErrNoUser) {
		return auth.Record{}, false, nil
	}
	if err != nil {
		return auth.Record{}, false, s.damaged(err)
	}
	unchanged := func(ctx context.Context) (bool, error) {
		var now uint64
		err := readRow(ctx, s.stmts.userGeneration, usermgmt.Fold(name)).Scan(&now)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return err == nil && now == generation, s.damaged(err)
	}
	return auth.Record{Account: p.Account(), Token: token, Unchanged: unchanged}, true, nil
}

// Generation implements usermgmt.Table.
func (s *Store) Generation(ctx context.Context) (uint64, error) {
	var g uint64
	err := s.db.QueryRowContext(ctx, `SELECT `+generation).Scan(&g)
	return g, s.damaged(err)
}

// change is transact for changes that make a new generation. Do adds its changes to made.
func (s *Store) change(ctx context.Context, do func(tx *sql.Tx, made *usermgmt.Change) error) error {
	var made usermgmt.Change
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.sealWithCurrent(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT `+generation).Scan(&made.Before); err != nil {
			return err
		}
		if err := do(tx, &made); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, nextGeneration+` RETURNING value`).Scan(&made.Generation)
	})
	if err == nil && s.opts.Changed != nil {
		s.opts.Changed(context.WithoutCancel(ctx), made)
	}
	return err
}

// recordChange records in the history who changed a user.
func (s *Store) recordChange(ctx context.Context, tx *sql.Tx, event, user, what string) error {
	return record(ctx, tx, state.Entry{At: s.opts.Now(), Event: event, User: user, Reason: what, By: state.Actor(ctx)})
}

// put writes a checked profile that has its index, if the index and its address are free.
func (s *Store) put(ctx context.Context, tx *sql.Tx, p *usermgmt.Profile) error {
	var taken []error
	if p.Address.IsValid() && s.opts.CheckAddress != nil {
		if err := s.opts.CheckAddress(p.Address); err != nil {
			taken = append(taken, &usermgmt.RuleError{Field: "address", Text: err.Error()})
		}
	}
	for _, name := range []string{"address", "index"} {
		f, _ := usermgmt.FieldNamed(name)
		var other string
		err := tx.QueryRowContext(ctx, `SELECT name FROM users WHERE `+f.Column+` = ? AND fold <> ?`, f.Value(p), usermgmt.Fold(p.Name)).Scan(&other)
		switch {
		case err == nil:
			taken = append(taken, &usermgmt.RuleError{Field: f.Name, Text: fmt.Sprintf("%s is taken by user %s", f.Get(p), other)})
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	if len(taken) > 0 {
		return errors.Join(taken...)
	}
	sealed, err := s.seal.Load().sealSecrets(p)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM users WHERE fold = ?`, usermgmt.Fold(p.Name)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, insertUser, append([]any{usermgmt.Fold(p.Name)}, values(p, sealed)...)...)
	return err
}

// sealedSecrets are the sealed secrets of a row, in the order of secrets.
type sealedSecrets [][]byte

// sealSecrets seals the secrets of a profile.
func (s *sealer) sealSecrets(p *usermgmt.Profile) (sealed sealedSecrets, err error) {
	sealed = make(sealedSecrets, len(usermgmt.Secrets))
	for i, f := range usermgmt.Secrets {
		if sealed[i], err = s.seal(p.Name, f.Column, f.Get(p)); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

// unsealInto unseals a field into a profile that has its name.
func (s *sealer) unsealInto(p *usermgmt.Profile, f *usermgmt.Field, sealed []byte) error {
	text, err := s.unseal(p.Name, f.Column, sealed)
	if err != nil {
		return fmt.Errorf("is %w", err)
	}
	return f.Set(p, text)
}

// values are the values of columns.
func values(p *usermgmt.Profile, sealed sealedSecrets) []any {
	all := []any{p.Name}
	for _, f := range usermgmt.Fields {
		if f.Secret {
			all, sealed = append(all, sealed[0]), sealed[1:]
		} else {
			all = append(all, f.Value(p))
		}
	}
	return all
}

// get reads a user by a statement, and the further columns into more.
func (s *Store) get(ctx context.Context, q querier, by *sql.Stmt, name string, more ...any) (p usermgmt.Profile, err error) {
	by = in(ctx, q, by)
	err = s.unsealing(ctx, q, func(seal *sealer) error {
		p, err = scan(readRow(ctx, by, usermgmt.Fold(name)), seal, more...)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = noUser(name)
	}
	return p, err
}

// scan reads a profile from a row, and the further columns into more. With an error it still gives
// the name.
func scan(row interface{ Scan(dest ...any) error }, seal *sealer, more ...any) (usermgmt.Profile, error) {
	p, loads := new(usermgmt.Profile), make([]func() error, len(usermgmt.Fields))
	to := append(make([]any, 0, 1+len(usermgmt.Fields)+len(more)), &p.Name)
	for i := range usermgmt.Fields {
		f := &usermgmt.Fields[i]
		var column any
		if f.Secret {
			sealed := new([]byte)
			column, loads[i] = sealed, func() error { return seal.unsealInto(p, f, *sealed) }
		} else {
			column, loads[i] = f.Scan(p)
		}
		to = append(to, column)
	}
	if err := row.Scan(append(to, more...)...); err != nil {
		return usermgmt.Profile{Name: p.Name}, err
	}
	for i, f := range usermgmt.Fields {
		if err := loads[i](); err != nil {
			return usermgmt.Profile{Name: p.Name}, fmt.Errorf("user %s: %s %w: remove the user and add it again", p.Name, f.Name, err)
		}
	}
	return *p, nil
}

// known gives a user's stored name, or ErrNoUser if there is no such user.
func known(ctx context.Context, q querier, name string) (string, error) {
	var stored string
	err := q.QueryRowContext(ctx, `SELECT name FROM users WHERE fold = ?`, usermgmt.Fold(name)).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noUser(name)
	}
	return stored, err
}

func noUser(name string) error { return fmt.Errorf("%.64q: %w", name, usermgmt.ErrNoUser) }
