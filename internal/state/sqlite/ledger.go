package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// A smallWrite shares its transaction, and so the wait for the disk, with others. Do may be run
// more than once.
type smallWrite struct {
	do   func(context.Context, *sql.Tx) error
	done chan error // has room for the answer
}

// write queues a small write and waits until it is on the disk. If ctx ends first, the write may
// still happen.
func (s *Store) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	w := &smallWrite{do: do, done: make(chan error, 1)}
	select {
	case s.small <- w:
	case <-s.closing:
		return state.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
	}
	select {
	case err := <-w.done:
		return err
	default:
		return state.ErrClosed
	}
}

// writeSmall writes the queued writes in one transaction after another, until the store is closed.
func (s *Store) writeSmall() {
	defer close(s.stopped)
	batch := make([]*smallWrite, 0, batchSize)
	for {
		select {
		case w := <-s.small:
			// Let all other goroutines that can run do so first: some of them are about to queue a
			// write.
			runtime.Gosched()
			s.writeBatch(append(batch, w))
		case <-s.closing:
			return
		}
	}
}

// writeBatch writes the batch, and the writes that are queued meanwhile, in one transaction. If one
// of them fails, each is written in its own transaction.
func (s *Store) writeBatch(batch []*smallWrite) {
	ctx := context.Background()
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for i := 0; i < len(batch); i++ {
			if err := batch[i].do(ctx, tx); err != nil {
				return err
			}
			if i == len(batch)-1 {
				batch = s.queued(batch)
			}
		}
		return nil
	})
	for _, w := range batch {
		if err != nil && len(batch) > 1 {
			w.done <- s.transact(ctx, func(tx *sql.Tx) error { return w.do(ctx, tx) })
		} else {
			w.done <- err
		}
	}
}

// queued adds queued writes to the batch, as far as there is room.
func (s *Store) queued(batch []*smallWrite) []*smallWrite {
	for len(batch) < batchSize {
		select {
		case w := <-s.small:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// Token implements auth.Ledger.
func (s *Store) Token(ctx context.Context, user string) (auth.TokenState, error) {
	var t auth.TokenState
	err := readRow(ctx, s.stmts.token, usermgmt.Fold(user)).Scan(&t.LastStep, &t.Offset, &t.Centre)
	return t, s.orNothing(err)
}

// Advance implements auth.Ledger.
func (s *Store) Advance(ctx context.Context, user string, state auth.TokenState) (bool, error) {
	return s.advance(ctx, user, s.stmts.advance, state.LastStep, state.Offset)
}

// Rewind implements auth.Rewinder.
func (s *Store) Rewind(ctx context.Context, user string, step int64) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET last_step = 0 WHERE fold = ? AND last_step = ?`, usermgmt.Fold(user), step)
		return err
	})
}

// Recentre implements auth.Ledger.
func (s *Store) Recentre(ctx context.Context, user string, state auth.TokenState) (bool, error) {
	return s.advance(ctx, user, s.stmts.recentre, state.LastStep, state.Offset, state.Centre)
}

// advance runs a statement that writes one row, or none if the step is not later than the stored
// one.
func (s *Store) advance(ctx context.Context, user string, statement *sql.Stmt, args ...any) (bool, error) {
	// A channel and not a variable, because a write may end after its ctx.
	advanced := make(chan bool, 2)
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := in(ctx, tx, statement).ExecContext(ctx, append([]any{usermgmt.Fold(user)}, args...)...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			_, err = known(ctx, tx, user)
		}
		select {
		case <-advanced: // from a transaction that was rolled back
		default:
		}
		advanced <- n == 1
		return err
	})
	if err != nil {
		return false, err
	}
	return <-advanced, nil
}

// noFailures resets all failures in a row of the ledger.
const noFailures = `failures = 0, locks = 0, locked_until = 0, usual_failures = 0, usual_locks = 0, usual_locked_until = 0`

// Standing implements auth.Ledger.
func (s *Store) Standing(ctx context.Context, user string) (auth.Standing, error) {
	v, err := s.standing(ctx, s.db, user)
	return v, s.damaged(err)
}

func (s *Store) standing(ctx context.Context, q querier, user string) (auth.Standing, error) {
	var (
		v               auth.Standing
		strangers, home int64
		addresses       string
	)
	err := readRow(ctx, in(ctx, q, s.stmts.standing), usermgmt.Fold(user)).
		Scan(&v.Strangers.Count, &v.Strangers.Locks, &strangers, &v.Usual.Count, &v.Usual.Locks, &home, &addresses)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Standing{}, nil
	}
	if err != nil {
		return auth.Standing{}, err
	}
	if err := complete(&v, user, strangers, home, addresses); err != nil {
		return auth.Standing{}, err
	}
	return v, nil
}

// complete fills in the columns of a user's row that are not plain numbers.
func complete(v *auth.Standing, user string, strangers, home int64, addresses string) (err error) {
	v.Strangers.LockedUntil, v.Usual.LockedUntil = milliTime(strangers), milliTime(home)
	if v.Addresses, err = parseAddresses(addresses); err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	return nil
}

// parseAddresses takes the usual addresses out of a row.
func parseAddresses(texts string) (list [auth.UsualAddresses]netip.Prefix, err error) {
	for i, text := range strings.Fields(texts) {
		if i == len(list) {
			break
		}
		if list[i], err = netip.ParsePrefix(text); err != nil {
			return list, err
		}
	}
	return list, nil
}

// ChangeStanding implements auth.Ledger.
func (s *Store) ChangeStanding(ctx context.Context, user string, change func(auth.Standing) auth.Standing) (auth.Standing, error) {
	stored := make(chan auth.Standing, 2) // see advance
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		v, err := s.standing(ctx, tx, user)
		if err != nil {
			return err
		}
		v = change(v)
		var addresses []string
		for _, a := range v.Addresses {
			if a.IsValid() {
				addresses = append(addresses, a.String())
			}
		}
		select {
		case <-stored:
		default:
		}
		stored <- v
		return upsert(ctx, tx, user, s.stmts.setStanding,
			v.Strangers.Count, v.Strangers.Locks, milli(v.Strangers.LockedUntil),
			v.Usual.Count, v.Usual.Locks, milli(v.Usual.LockedUntil), strings.Join(addresses, " "))
	})
	if err != nil {
		return auth.Standing{}, err
	}
	return <-stored, nil
}

// LastAddress implements usermgmt.Table.
func (s *Store) LastAddress(ctx context.Context, user string) (netip.Addr, error) {
	var text string
	err := readRow(ctx, s.stmts.lastAddress, usermgmt.Fold(user)).Scan(&text)
	if err := s.orNothing(err); err != nil || text == "" {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(text)
}

// SetLastAddress implements usermgmt.Table.
func (s *Store) SetLastAddress(ctx context.Context, user string, a netip.Addr) error {
	text := ""
	if a.IsValid() {
		text = a.String()
	}
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return upsert(ctx, tx, user, s.stmts.setLastAddress, text)
	})
}

// upsert runs a statement that writes user's row of the ledger, or none if there is no such user.
func upsert(ctx context.Context, tx *sql.Tx, user string, statement *sql.Stmt, args ...any) error {
	res, err := in(ctx, tx, statement).ExecContext(ctx, append([]any{usermgmt.Fold(user)}, args...)...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = noUser(user)
	}
	return err
}

// orNothing treats a missing row as the zero value.
func (s *Store) orNothing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return s.damaged(err)
}
