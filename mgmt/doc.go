// Package mgmt is Connection Management: the API of a daemon, /api/v1, with JSON over HTTP.
// /api/v1/openapi.json describes it. It uses the parts that it manages through the small interfaces
// below. The HTTP server in front of the API controls access.
package mgmt

import (
	"context"
	"time"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/internal/timesync"
	"vpnd/usermgmt"
)

// Sessions are the connections of the daemon.
type Sessions interface {
	// Connections lists the open connections, the oldest first.
	Connections() []Connection
	// Drop hangs up the connection with the id, tells its client the reason, and notes in the
	// history who did it. It gives false if no connection has the id.
	Drop(ctx context.Context, id, reason string) bool
}

// Clock is the clock that one-time passwords are verified by.
type Clock interface {
	// View gives the state of the clock.
	View() timesync.View
	// Inquire asks the time servers now.
	Inquire(ctx context.Context) error
	// Corrected gives the host's time, corrected by the offset that was measured.
	Corrected() time.Time
}

// Users is the user table.
type Users interface {
	auth.Users
	auth.Ledger
	Apply(ctx context.Context, edits []usermgmt.Edit, how usermgmt.How) ([]usermgmt.Outcome, error)
	Remove(ctx context.Context, names ...string) error
	Get(ctx context.Context, name string) (usermgmt.Profile, error)
	Sound(ctx context.Context) (sound []usermgmt.Profile, damaged map[string]error, err error)
	Records(ctx context.Context, month string) (usermgmt.Records, error)
	RecordOf(ctx context.Context, user, month string) (usermgmt.Record, error)
	Generation(ctx context.Context) (uint64, error)
	Unlock(ctx context.Context, names ...string) error
}

// History is the history of log-ins, connections and changes.
type History interface {
	History(ctx context.Context, q state.HistoryQuery) ([]state.Entry, error)
	HistorySum(ctx context.Context, q state.HistoryQuery) (state.HistorySum, error)
}
