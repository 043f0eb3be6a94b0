// Package usermgmt keeps the users: their profiles with the rules that hold for them, what is
// remembered of their tokens and failures, and the address each had last; and the settings of the daemon
// that were made while it served. The store is SQLite;
// several processes may use one state folder at once. It reads a clock to date changes of users,
// and for nothing else.
//
// The folder holds users.db (with users.db-wal and users.db-shm while in use) and key. Passwords,
// secrets of tokens and PINs are sealed by XChaCha20-Poly1305 under that key: CHAP needs them in clear
// text, so they cannot be hashes. A copy of the database tells nothing without the key; a back-up
// needs both.
package usermgmt

import (
	"context"
	"errors"
	"net/netip"
	"time"
	"vpnd/auth"
)

// Errors of a Table.
var (
	ErrNoUser = auth.ErrNoUser
	ErrExists = errors.New("the user exists already")
	ErrClosed = errors.New("the user table is closed")
)

// Table is a user table. Names are compared without regard to case; every method but Add, Apply and List
// gives ErrNoUser for a name that is not there, but for Account, Token, Standing and LastAddress,
// which know nothing of it. It is safe for concurrent use.
type Table interface {
	auth.Users
	auth.Ledger

	// Add stores a new user. The error may be ErrExists or hold RuleErrors.
	Add(ctx context.Context, p Profile) error
	// Update changes a user as change does; nothing is stored if change gives an error, or if the
	// outcome breaks a rule (RuleErrors). The name cannot be changed. Change must not use the Table.
	Update(ctx context.Context, name string, change func(*Profile) error) error
	// Apply makes all edits in one transaction, or none of them. Each finds what those before it have made,
	// but that indexes and addresses may change hands among them. It gives what became of each; the error
	// joins one EditError for each that fails.
	Apply(ctx context.Context, edits []Edit, how How) ([]Outcome, error)
	// Remove deletes users, all of them or none. The step of the one-time password accepted last is kept,
	// so that it is not accepted again if the user is added again.
	Remove(ctx context.Context, names ...string) error
	// Get gives a user with its secrets.
	Get(ctx context.Context, name string) (Profile, error)
	// List gives all users in the order of their names.
	List(ctx context.Context) ([]Profile, error)
	// Unlock forgets the failures of users, of all of them or none, not the usual addresses.
	Unlock(ctx context.Context, names ...string) error
	// LastAddress gives the inner address that a user had last; invalid: none.
	LastAddress(ctx context.Context, user string) (netip.Addr, error)
	// SetLastAddress stores it.
	SetLastAddress(ctx context.Context, user string, a netip.Addr) error
	// Record adds entries to the history. Changes of users add theirs by themselves, ascribed
	// to whom By says.
	Record(ctx context.Context, entries ...Entry) error
	// History gives entries, the newest first.
	History(ctx context.Context, q HistoryQuery) ([]Entry, error)
	// HistorySum gives what the entries of a query come to, whatever its Offset and Limit.
	HistorySum(ctx context.Context, q HistoryQuery) (HistorySum, error)
	// Connected gives the connections that are up, by the name that the user has in the history: those
	// that the history has seen connect, and not disconnect, since the daemon last started.
	Connected(ctx context.Context) (map[string][]Entry, error)
	// Prune forgets what happened before a time, traffic of earlier months included, and all entries of
	// the history but about the newest most. Kinds of entries, and users, share that room: refusals in any
	// number take nothing of the changes, nor those of a user of another's.
	Prune(ctx context.Context, before time.Time, most int) error
	// AddTraffic adds to what users have moved in a Month.
	AddTraffic(ctx context.Context, month string, by map[string]Traffic) error
	// Traffic gives what a user has moved in a Month.
	Traffic(ctx context.Context, user, month string) (Traffic, error)
	// Settings gives the settings by name.
	Settings(ctx context.Context) (map[string]string, error)
	// SetSettings replaces all settings, and adds e to the history, ascribed to whom By says. It gives that
	// entry.
	SetSettings(ctx context.Context, settings map[string]string, e Entry) (Entry, error)
	// Generation changes with every change of users by any process.
	Generation(ctx context.Context) (uint64, error)
	// Close ends the use of the Table.
	Close() error
}
