package usermgmt

import (
	"context"
	"net/netip"
	"vpnd/auth"
)

// Record is what a Table knows of a user beside the profile.
type Record struct {
	Standing    auth.Standing
	LastAddress netip.Addr // inner; invalid: none
	Traffic     Traffic    // of a month
	Damaged     error      // what of it cannot be read: the user is refused
}

// Records are those of many users.
type Records map[string]Record // by name in lower case

// Of is the record of a user.
func (r Records) Of(user string) Record { return r[fold(user)] }

const selectRecords = `SELECT u.fold, COALESCE(failures, 0), COALESCE(locks, 0), COALESCE(locked_until, 0), COALESCE(usual_failures, 0),
	COALESCE(usual_locks, 0), COALESCE(usual_locked_until, 0), COALESCE(usual_addresses, ''), COALESCE(last_address, ''), COALESCE(rx, 0), COALESCE(tx, 0)
	FROM users AS u LEFT JOIN ledger AS l ON l.fold = u.fold LEFT JOIN traffic AS t ON t.fold = u.fold AND t.month = ?`

// Records gives in one query what is known of all users, with the traffic of a Month.
func (s *Store) Records(ctx context.Context, month string) (Records, error) {
	return s.records(ctx, selectRecords, month)
}

// RecordOf gives what is known of one user, with the traffic of a Month.
func (s *Store) RecordOf(ctx context.Context, user, month string) (Record, error) {
	r, err := s.records(ctx, selectRecords+` WHERE u.fold = ?`, month, fold(user))
	return r.Of(user), err
}

func (s *Store) records(ctx context.Context, query string, args ...any) (Records, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	all := Records{}
	for rows.Next() {
		var name, addresses, last string
		var strangers, usual, rx, tx int64
		var r Record
		v := &r.Standing
		if err := rows.Scan(&name, &v.Strangers.Count, &v.Strangers.Locks, &strangers, &v.Usual.Count, &v.Usual.Locks, &usual, &addresses, &last, &rx, &tx); err != nil {
			return nil, s.damaged(err)
		}
		r.Damaged = complete(v, name, strangers, usual, addresses)
		r.LastAddress, _ = netip.ParseAddr(last) // invalid: none
		r.Traffic = Traffic{uint64(rx), uint64(tx)}
		all[name] = r
	}
	return all, s.damaged(rows.Err())
}
