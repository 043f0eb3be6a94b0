package sqlite

import (
	"context"
	"net/netip"
	"vpnd/usermgmt"
)

const selectRecords = `SELECT u.fold, COALESCE(failures, 0), COALESCE(locks, 0), COALESCE(locked_until, 0), COALESCE(usual_failures, 0),
	COALESCE(usual_locks, 0), COALESCE(usual_locked_until, 0), COALESCE(usual_addresses, ''), COALESCE(last_address, ''), COALESCE(rx, 0), COALESCE(tx, 0)
	FROM users AS u LEFT JOIN ledger AS l ON l.fold = u.fold LEFT JOIN traffic AS t ON t.fold = u.fold AND t.month = ?`

// Records implements usermgmt.Table.
func (s *Store) Records(ctx context.Context, month string) (usermgmt.Records, error) {
	return s.records(ctx, selectRecords, month)
}

// RecordOf implements usermgmt.Table.
func (s *Store) RecordOf(ctx context.Context, user, month string) (usermgmt.Record, error) {
	r, err := s.records(ctx, selectRecords+` WHERE u.fold = ?`, month, usermgmt.Fold(user))
	return r.Of(user), err
}

func (s *Store) records(ctx context.Context, query string, args ...any) (usermgmt.Records, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	all := usermgmt.Records{}
	for rows.Next() {
		var name, addresses, last string
		var strangers, usual, rx, tx int64
		var r usermgmt.Record
		v := &r.Standing
		if err := rows.Scan(&name, &v.Strangers.Count, &v.Strangers.Locks, &strangers, &v.Usual.Count, &v.Usual.Locks, &usual, &addresses, &last, &rx, &tx); err != nil {
			return nil, s.damaged(err)
		}
		r.Damaged = complete(v, name, strangers, usual, addresses)
		r.LastAddress, _ = netip.ParseAddr(last) // invalid: none
		r.Traffic = usermgmt.Traffic{Rx: uint64(rx), Tx: uint64(tx)}
		all[name] = r
	}
	return all, s.damaged(rows.Err())
}
