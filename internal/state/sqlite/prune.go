package sqlite

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"vpnd/internal/state"
)

// sharedHistory gives each entry with its kind and its share of the kind's room. The kinds are:
// changes and the daemon's own events; connections; refusals of existing users; other refusals.
// Users share the room of a kind, so a user who floods it loses only their own entries.
const sharedHistory = `SELECT id, kind, CASE WHEN kind IN (1, 2) THEN fold ELSE '' END AS share FROM (SELECT id, fold, CASE
	WHEN event IN ('` + state.EventConnected + `', '` + state.EventDisconnected + `') THEN 1
	WHEN event = '` + state.EventRefused + `' AND fold IN (SELECT fold FROM users) THEN 2
	WHEN event IN ('` + state.EventRefused + `', '` + state.EventAdminRefused + `') THEN 3
	ELSE 0 END AS kind FROM history)`

const (
	countShares = `SELECT kind, COUNT(*) FROM (` + sharedHistory + `) GROUP BY kind, share`
	// deleteOver deletes entries of a kind: in each share, all except the newest.
	deleteOver = `DELETE FROM history WHERE id IN (SELECT id FROM (
		SELECT id, row_number() OVER (PARTITION BY share ORDER BY id DESC) AS n FROM (` + sharedHistory + `) WHERE kind = ?) WHERE n > ?)`
)

// thinOut leaves about as many entries of the history as most says. It deletes the oldest entries
// of the largest kinds.
func thinOut(ctx context.Context, tx *sql.Tx, most int) error {
	shares, err := sharesOf(ctx, tx)
	if err != nil {
		return err
	}
	totals := make([]int, len(shares))
	for kind, counts := range shares {
		for _, n := range counts {
			totals[kind] += n
		}
	}
	room := fair(totals, most)
	for kind, counts := range shares {
		if totals[kind] <= room {
			continue
		}
		if _, err := tx.ExecContext(ctx, deleteOver, kind, fair(counts, room)); err != nil {
			return err
		}
	}
	return nil
}

// sharesOf counts the entries of each share, by kind.
func sharesOf(ctx context.Context, tx *sql.Tx) (shares [4][]int, err error) {
	rows, err := tx.QueryContext(ctx, countShares)
	if err != nil {
		return shares, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, n int
		if err := rows.Scan(&kind, &n); err != nil {
			return shares, err
		}
		shares[kind] = append(shares[kind], n)
	}
	return shares, rows.Err()
}

// fair is the largest share of a room that each may get, so that a large demand takes nothing from
// a small one.
func fair(wanted []int, room int) int {
	wanted = slices.Sorted(slices.Values(wanted))
	for i, n := range wanted {
		each := room / (len(wanted) - i)
		if n > each {
			return each
		}
		room -= n
	}
	return math.MaxInt
}
