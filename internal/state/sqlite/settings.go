package sqlite

import (
	"context"
	"database/sql"
	"vpnd/internal/state"
)

// setting is the field name under which a setting is sealed, for no user.
func setting(name string) string { return "setting " + name }

// Settings implements state.Settings.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	settings, err := s.settings(ctx, s.db)
	return settings, s.damaged(err)
}

func (s *Store) settings(ctx context.Context, q querier) (settings map[string]string, err error) {
	err = s.unsealing(ctx, q, func(seal *sealer) error {
		settings = map[string]string{}
		rows, err := q.QueryContext(ctx, `SELECT name, value FROM settings`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var sealed []byte
			if err := rows.Scan(&name, &sealed); err != nil {
				return err
			}
			if settings[name], err = seal.unseal("", setting(name), sealed); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return settings, err
}

// SetSettings implements state.Settings.
func (s *Store) SetSettings(ctx context.Context, settings map[string]string, e state.Entry) (state.Entry, error) {
	e.At, e.By = s.opts.Now(), state.Actor(ctx)
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.sealWithCurrent(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM settings`); err != nil {
			return err
		}
		if err := putSettings(ctx, tx, s.seal.Load(), settings); err != nil {
			return err
		}
		if err := s.forget(ctx, tx, "settings"); err != nil {
			return err
		}
		return record(ctx, tx, e)
	})
	return e, err
}

func putSettings(ctx context.Context, tx *sql.Tx, seal *sealer, settings map[string]string) error {
	for name, value := range settings {
		sealed, err := seal.seal("", setting(name), value)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, sealed)
		if err != nil {
			return err
		}
	}
	return nil
}
