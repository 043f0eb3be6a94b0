package sqlite

import (
	"context"
	"database/sql"
)

// statements are the statements of a log-in. Each connection parses them once.
type statements struct {
	user, record, userGeneration *sql.Stmt
	token, advance, recentre     *sql.Stmt
	standing, setStanding        *sql.Stmt
	lastAddress, setLastAddress  *sql.Stmt
}

// prepare prepares the statements. They are closed with the database.
func (st *statements) prepare(ctx context.Context, db *sql.DB) error {
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&st.user, selectUsers + ` WHERE fold = ?`},
		{&st.record, `SELECT ` + columns + `, ` + generation + `, ifnull(last_step, 0), ifnull(step_offset, 0), ifnull(step_centre, 0)
			FROM users LEFT JOIN ledger USING (fold) WHERE fold = ?`},
		{&st.userGeneration, `SELECT ` + generation + ` FROM users WHERE fold = ?`},
		{&st.token, `SELECT last_step, step_offset, step_centre FROM ledger WHERE fold = ?`},
		{&st.advance, `INSERT INTO ledger (fold, last_step, step_offset)
			SELECT fold, ?2, ?3 FROM users WHERE fold = ?1 AND ?2 > 0
			ON CONFLICT (fold) DO UPDATE SET last_step = ?2, step_offset = ?3
			WHERE ?2 > last_step`},
		{&st.recentre, `INSERT INTO ledger (fold, last_step, step_offset, step_centre)
			SELECT fold, ?2, ?3, ?4 FROM users WHERE fold = ?1 AND ?2 > 0
			ON CONFLICT (fold) DO UPDATE SET last_step = ?2, step_offset = ?3, step_centre = ?4, ` + noFailures + `
			WHERE ?2 > last_step`},
		{&st.standing, `SELECT failures, locks, locked_until, usual_failures, usual_locks, usual_locked_until, usual_addresses
			FROM ledger WHERE fold = ?`},
		{&st.setStanding, `INSERT INTO ledger (fold, failures, locks, locked_until, usual_failures, usual_locks, usual_locked_until, usual_addresses)
			SELECT fold, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM users WHERE fold = ?1
			ON CONFLICT (fold) DO UPDATE SET failures = ?2, locks = ?3, locked_until = ?4,
				usual_failures = ?5, usual_locks = ?6, usual_locked_until = ?7, usual_addresses = ?8`},
		{&st.lastAddress, `SELECT last_address FROM ledger WHERE fold = ?`},
		{&st.setLastAddress, `INSERT INTO ledger (fold, last_address)
			SELECT fold, ?2 FROM users WHERE fold = ?1
			ON CONFLICT (fold) DO UPDATE SET last_address = ?2`},
	} {
		stmt, err := db.PrepareContext(ctx, s.text)
		if err != nil {
			return err
		}
		*s.stmt = stmt
	}
	return nil
}

// readRow reads a row by one of the statements. The context cannot interrupt that: it takes
// microseconds, and both the driver and database/sql would start a goroutine to watch the context.
func readRow(ctx context.Context, stmt *sql.Stmt, args ...any) *sql.Row {
	return stmt.QueryRowContext(context.WithoutCancel(ctx), args...)
}

// in gives a statement to run on q, the database or one of its transactions.
func in(ctx context.Context, q querier, stmt *sql.Stmt) *sql.Stmt {
	if tx, ok := q.(*sql.Tx); ok {
		return tx.StmtContext(ctx, stmt)
	}
	return stmt
}
