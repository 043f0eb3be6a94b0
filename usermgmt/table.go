package usermgmt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"vpnd/auth"
)

// Errors of a Table.
var (
	ErrNoUser = auth.ErrNoUser
	ErrExists = errors.New("the user exists already")
)

// Table is a user table. Names are compared without regard to case. For an unknown name, Account,
// Read, Token, Standing, RecordOf, LastAddress and Traffic give nothing, Rewind does nothing, and
// AddTraffic still counts. All others except Add and Apply give ErrNoUser. Each change of a user
// adds an entry to the history. A Table is safe for concurrent use.
type Table interface {
	auth.Users
	auth.Reader
	auth.Ledger
	auth.Rewinder

	// Add stores a new user. The error may be ErrExists or hold RuleErrors.
	Add(ctx context.Context, p Profile) error
	// Update changes a user as change does. It stores nothing if change gives an error, or if the
	// result breaks a rule (RuleErrors). The name cannot be changed. Change must not use the Table.
	Update(ctx context.Context, name string, change func(*Profile) error) error
	// Apply makes all edits in one transaction, or none of them. Each edit sees the results of
	// earlier ones, but indexes and addresses may be exchanged among them. Apply gives the outcome
	// of each edit. The error joins one EditError for each edit that fails.
	Apply(ctx context.Context, edits []Edit, how How) ([]Outcome, error)
	// Remove deletes users, all of them or none. It keeps the step of the last accepted one-time
	// password, so that the password is not accepted again if the user is added again.
	Remove(ctx context.Context, names ...string) error
	// Unlock deletes the failures of users, all of them or none. It keeps the usual addresses.
	Unlock(ctx context.Context, names ...string) error

	// Get gives a user with its secrets.
	Get(ctx context.Context, name string) (Profile, error)
	// List gives all users in the order of their names.
	List(ctx context.Context) ([]Profile, error)
	// Sound gives the readable users in the order of their names, and the faults of the others by
	// name.
	Sound(ctx context.Context) (sound []Profile, damaged map[string]error, err error)
	// Generation changes with each change of users by any process.
	Generation(ctx context.Context) (uint64, error)

	// Records gives the records of all users in one query, with the traffic of a Month.
	Records(ctx context.Context, month string) (Records, error)
	// RecordOf gives the record of one user, with the traffic of a Month.
	RecordOf(ctx context.Context, user, month string) (Record, error)
	// LastAddress gives the user's last inner address; invalid: none.
	LastAddress(ctx context.Context, user string) (netip.Addr, error)
	// SetLastAddress stores the user's last inner address.
	SetLastAddress(ctx context.Context, user string, a netip.Addr) error
	// AddTraffic adds to the traffic of users in a Month.
	AddTraffic(ctx context.Context, month string, by map[string]Traffic) error
	// Traffic gives the traffic of a user in a Month.
	Traffic(ctx context.Context, user, month string) (Traffic, error)
}

// Edit is a change of one user.
type Edit struct {
	Name   string
	Line   int                  // of the file with the edit; 0: none
	Change func(*Profile) error // changes the stored profile, or that of New; must not use the Table
}

// How says what Apply may do.
type How struct {
	Add    bool // unknown users are added; else they are ErrNoUser
	Change bool // known users are changed; else they are ErrExists
	Prune  bool // users without an Edit are removed
	DryRun bool // nothing is stored
}

// Values of Outcome.Event.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Outcome is the outcome of an Edit.
type Outcome struct {
	Name   string
	Event  string // Added, Changed or Removed; "": the user was so already
	Fields string // the names of the changed fields

	Profile Profile // as it is stored now; empty for a removed user
}

// Change describes the changes of users in one transaction.
type Change struct {
	Before, Generation uint64    // of the table, before and after the transaction
	Stored             []Profile // added or changed, as they are stored now
	Removed            []string  // names
}

// EditError is an Edit that failed.
type EditError struct {
	Name string
	Line int
	Err  error // may join several, such as RuleErrors
}

// Error gives the user's name and the fault.
func (e *EditError) Error() string {
	if CheckName(e.Name) != nil {
		return fmt.Sprintf("%.64q: %v", e.Name, e.Err)
	}
	return e.Name + ": " + e.Err.Error()
}

// Unwrap gives the fault.
func (e *EditError) Unwrap() error { return e.Err }

// Record has the data of a Table about a user in addition to the profile.
type Record struct {
	Standing    auth.Standing
	LastAddress netip.Addr // inner; invalid: none
	Traffic     Traffic    // of a month
	Damaged     error      // the fault of an unreadable part: the user is refused
}

// Records are the records of many users.
type Records map[string]Record // by name, as Fold writes it

// Of gives the record of a user.
func (r Records) Of(user string) Record { return r[Fold(user)] }

// Traffic is a user's traffic in a calendar month of UTC, in bytes.
type Traffic struct {
	Rx, Tx uint64 // from the user, and to the user
}

// Total is the traffic in both directions, which a quota counts.
func (t Traffic) Total() uint64 { return t.Rx + t.Tx }

// Month names the calendar month of t in UTC, as Traffic and AddTraffic take it.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }
