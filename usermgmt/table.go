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
// Read, Token, Standing, RecordOf, LastAddress and Traffic give nothing, Rewind does
// nothing, and AddTraffic counts all the same; all others but Add and Apply give ErrNoUser. Each change
// of a user adds an entry to the history. A Table is safe for concurrent use.
type Table interface {
	auth.Users
	auth.Reader
	auth.Ledger
	auth.Rewinder

	// Add stores a new user. The error may be ErrExists or hold RuleErrors.
	Add(ctx context.Context, p Profile) error
	// Update changes a user as change does; nothing is stored if change gives an error, or if the
	// outcome breaks a rule (RuleErrors). The name cannot be changed. Change must not use the Table.
	Update(ctx context.Context, name string, change func(*Profile) error) error
	// Apply makes all edits in one transaction, or none of them. Each finds what those before it have
	// made, but that indexes and addresses may change hands among them. It gives what became of each;
	// the error joins one EditError for each that fails.
	Apply(ctx context.Context, edits []Edit, how How) ([]Outcome, error)
	// Remove deletes users, all of them or none. The step of the one-time password accepted last is
	// kept, so that it is not accepted again if the user is added again.
	Remove(ctx context.Context, names ...string) error
	// Unlock forgets the failures of users, of all of them or none, not the usual addresses.
	Unlock(ctx context.Context, names ...string) error

	// Get gives a user with its secrets.
	Get(ctx context.Context, name string) (Profile, error)
	// List gives all users in the order of their names.
	List(ctx context.Context) ([]Profile, error)
	// Sound gives the users that can be read, in the order of their names, and what is wrong with the
	// others, by name.
	Sound(ctx context.Context) (sound []Profile, damaged map[string]error, err error)
	// Generation changes with every change of users by any process.
	Generation(ctx context.Context) (uint64, error)

	// Records gives in one query what is known of all users, with the traffic of a Month.
	Records(ctx context.Context, month string) (Records, error)
	// RecordOf gives what is known of one user, with the traffic of a Month.
	RecordOf(ctx context.Context, user, month string) (Record, error)
	// LastAddress gives the inner address that a user had last; invalid: none.
	LastAddress(ctx context.Context, user string) (netip.Addr, error)
	// SetLastAddress stores it.
	SetLastAddress(ctx context.Context, user string, a netip.Addr) error
	// AddTraffic adds to what users have moved in a Month.
	AddTraffic(ctx context.Context, month string, by map[string]Traffic) error
	// Traffic gives what a user has moved in a Month.
	Traffic(ctx context.Context, user, month string) (Traffic, error)
}

// Edit is what one user is to become.
type Edit struct {
	Name   string
	Line   int                  // of the file that says so; 0: none
	Change func(*Profile) error // makes it of the stored profile, or of New; must not use the Table
}

// How says what Apply may do.
type How struct {
	Add    bool // users that are not there are added; else they are ErrNoUser
	Change bool // users that are there are changed; else they are ErrExists
	Prune  bool // users that no Edit names are removed
	DryRun bool // nothing is stored
}

// What becomes of a user by an Edit.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Outcome is what became of an Edit.
type Outcome struct {
	Name   string
	Event  string // Added, Changed or Removed; "": the user is as the Edit wants it already
	Fields string // of Changed, the names of the fields

	Profile Profile // as it is stored now; of a user that was removed, none
}

// Change is what one transaction has changed of users.
type Change struct {
	Before, Generation uint64    // of the table, before the transaction and since then
	Stored             []Profile // added or changed, as they are stored now
	Removed            []string  // names
}

// EditError is an Edit that cannot be made.
type EditError struct {
	Name string
	Line int
	Err  error // may join several, such as RuleErrors
}

// Error writes the user's name before the fault.
func (e *EditError) Error() string {
	if CheckName(e.Name) != nil {
		return fmt.Sprintf("%.64q: %v", e.Name, e.Err)
	}
	return e.Name + ": " + e.Err.Error()
}

// Unwrap gives the fault.
func (e *EditError) Unwrap() error { return e.Err }

// Record is what a Table knows of a user in addition to the profile.
type Record struct {
	Standing    auth.Standing
	LastAddress netip.Addr // inner; invalid: none
	Traffic     Traffic    // of a month
	Damaged     error      // what of it cannot be read: the user is refused
}

// Records are those of many users.
type Records map[string]Record // by name, as Fold writes it

// Of is the record of a user.
func (r Records) Of(user string) Record { return r[Fold(user)] }

// Traffic is what a user has moved in a calendar month of UTC, in bytes.
type Traffic struct {
	Rx, Tx uint64 // from the user, and to the user
}

// Total is both ways together, which is what a quota counts.
func (t Traffic) Total() uint64 { return t.Rx + t.Tx }

// Month names the calendar month of t in UTC, as Traffic and AddTraffic take it.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }
