package sqlite

import (
	"context"
	"database/sql"
	"math"
	"net/netip"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

const entryColumns = `at, event, fold, user, connection, type, peer, address, auth, encryption, cause, arguments, reason, seconds, rx, tx, by`

const (
	insertEntry   = `INSERT INTO history (` + entryColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectEntries = `SELECT id, ` + entryColumns + ` FROM history`
	sumEntries    = `SELECT count(*), coalesce(sum(seconds), 0), coalesce(sum(rx), 0), coalesce(sum(tx), 0) FROM history`
	// selectConnected takes the id of the daemon's start, and the events that begin and end a
	// connection.
	selectConnected = `SELECT id, ` + entryColumns + ` FROM history WHERE id > ?1 AND event = ?2
		AND connection NOT IN (SELECT connection FROM history WHERE id > ?1 AND event = ?3) ORDER BY id`
)

// Record implements state.History.
func (s *Store) Record(ctx context.Context, entries ...state.Entry) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, e := range entries {
			if err := record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func record(ctx context.Context, tx *sql.Tx, e state.Entry) error {
	_, err := tx.ExecContext(ctx, insertEntry,
		e.At.UnixMilli(), e.Event, usermgmt.Fold(e.User), e.User, e.Connection, e.Type, text(e.Peer), text(e.Address), e.Auth, e.Encryption,
		string(e.Why.Code), e.Why.Stored(), e.Reason, int64(e.Duration/time.Second), int64(e.Rx), int64(e.Tx), e.By)
	return err
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// where gives the condition of the query with its arguments.
func where(q state.HistoryQuery) (condition string, args []any) {
	condition, args = " WHERE id < ?", []any{int64(math.MaxInt64)}
	if q.Before > 0 {
		args[0] = q.Before
	}
	if !q.Since.IsZero() {
		condition, args = condition+" AND at >= ?", append(args, q.Since.UnixMilli())
	}
	if q.Search != "" {
		codes := reason.Search(q.Search)
		condition += " AND (instr(lower(reason), lower(?)) > 0 OR instr(lower(arguments), lower(?)) > 0 OR cause IN (" + strings.TrimPrefix(strings.Repeat(", ?", len(codes)), ", ") + "))"
		args = append(args, q.Search, q.Search)
		for _, code := range codes {
			args = append(args, string(code))
		}
	}
	switch {
	case q.User == "":
	case len(q.Peers) == 0:
		condition, args = condition+" AND fold = ?", append(args, usermgmt.Fold(q.User))
	default:
		condition, args = condition+" AND (fold = ? OR fold = '' AND peer IN (?"+strings.Repeat(", ?", len(q.Peers)-1)+"))", append(args, usermgmt.Fold(q.User))
		for _, peer := range q.Peers {
			args = append(args, peer.String())
		}
	}
	if len(q.Events) > 0 {
		condition += " AND event IN (?" + strings.Repeat(", ?", len(q.Events)-1) + ")"
		for _, e := range q.Events {
			args = append(args, e)
		}
	}
	return condition, args
}

// History implements state.History.
func (s *Store) History(ctx context.Context, q state.HistoryQuery) ([]state.Entry, error) {
	condition, args := where(q)
	limit := -1 // none
	if q.Limit > 0 {
		limit = q.Limit
	}
	return s.entries(ctx, selectEntries+condition+" ORDER BY id DESC LIMIT ? OFFSET ?", append(args, limit, q.Offset)...)
}

// HistorySum implements state.History.
func (s *Store) HistorySum(ctx context.Context, q state.HistoryQuery) (state.HistorySum, error) {
	condition, args := where(q)
	var (
		sum             state.HistorySum
		seconds, rx, tx int64
	)
	err := s.db.QueryRowContext(ctx, sumEntries+condition, args...).Scan(&sum.Entries, &seconds, &rx, &tx)
	sum.Time, sum.Rx, sum.Tx = time.Duration(seconds)*time.Second, uint64(rx), uint64(tx)
	return sum, s.damaged(err)
}

// Connected implements state.History.
func (s *Store) Connected(ctx context.Context) (map[string][]state.Entry, error) {
	var start int64
	err := s.db.QueryRowContext(ctx, `SELECT id FROM history WHERE event = ? ORDER BY id DESC LIMIT 1`, state.EventStarted).Scan(&start)
	if err := s.orNothing(err); err != nil {
		return nil, err
	}
	up, err := s.entries(ctx, selectConnected, start, state.EventConnected, state.EventDisconnected)
	by := map[string][]state.Entry{}
	for _, e := range up {
		by[e.User] = append(by[e.User], e)
	}
	return by, err
}

func (s *Store) entries(ctx context.Context, query string, args ...any) ([]state.Entry, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	var all []state.Entry
	for rows.Next() {
		var (
			e                     state.Entry
			at, seconds, rx, tx   int64
			folded, peer, address string
			cause, arguments      string
		)
		err := rows.Scan(&e.ID, &at, &e.Event, &folded, &e.User, &e.Connection, &e.Type, &peer, &address, &e.Auth, &e.Encryption,
			&cause, &arguments, &e.Reason, &seconds, &rx, &tx, &e.By)
		if err != nil {
			return nil, s.damaged(err)
		}
		if e.Why, err = reason.Parse(cause, arguments); err != nil {
			return nil, s.damaged(err)
		}
		e.At, e.Duration = time.UnixMilli(at), time.Duration(seconds)*time.Second
		e.Rx, e.Tx = uint64(rx), uint64(tx)
		e.Peer, _ = netip.ParseAddr(peer)       // invalid: none
		e.Address, _ = netip.ParseAddr(address) // invalid: none
		all = append(all, e)
	}
	return all, s.damaged(rows.Err())
}

// OldestEntry implements state.History.
func (s *Store) OldestEntry(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	if err := s.db.QueryRowContext(ctx, `SELECT min(at) FROM history`).Scan(&at); err != nil || !at.Valid {
		return time.Time{}, s.damaged(err)
	}
	return time.UnixMilli(at.Int64), nil
}

// Prune implements state.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, most int) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM history WHERE at < ?`, before.UnixMilli()); err != nil {
			return err
		}
		if err := thinOut(ctx, tx, most); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM traffic WHERE month < ?`, usermgmt.Month(before))
		return err
	})
}

// AddTraffic implements usermgmt.Table.
func (s *Store) AddTraffic(ctx context.Context, month string, by map[string]usermgmt.Traffic) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for user, t := range by {
			_, err := tx.ExecContext(ctx, `INSERT INTO traffic (month, fold, rx, tx) VALUES (?, ?, ?, ?)
				ON CONFLICT (fold, month) DO UPDATE SET rx = rx + excluded.rx, tx = tx + excluded.tx`,
				month, usermgmt.Fold(user), int64(t.Rx), int64(t.Tx))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Traffic implements usermgmt.Table.
func (s *Store) Traffic(ctx context.Context, user, month string) (usermgmt.Traffic, error) {
	var rx, tx int64
	err := s.db.QueryRowContext(ctx, `SELECT rx, tx FROM traffic WHERE fold = ? AND month = ?`, usermgmt.Fold(user), month).Scan(&rx, &tx)
	return usermgmt.Traffic{Rx: uint64(rx), Tx: uint64(tx)}, s.orNothing(err)
}
