// Package state is the daemon's persistent state: the users with their ledger, the history, the
// administrators with their sessions, tokens and set-up links, and the settings that were changed
// at run time. It has the types and the interface of the store.
//
// Each implementation is a package of its own and runs the conformance test of statetest.
// internal/state/sqlite stores everything in a folder.
package state

import (
	"context"
	"errors"
	"net/netip"
	"time"
	"vpnd/usermgmt"
)

// ErrClosed is the error of a Store that is closed.
var ErrClosed = errors.New("the user table is closed")

// Options are what a Store is told of its surroundings.
type Options struct {
	// CheckAddress says what is wrong with a user's fixed address, such as that it is not in the
	// pool. Nil: nothing is.
	CheckAddress func(netip.Addr) error
	// CheckPool says what is wrong with the name of a pool that a user is given, such as that there
	// is none of that name. Nil: nothing is.
	CheckPool func(string) error
	// Changed learns of each change of users that this process has made, when it is on the disk.
	// Nil: nobody does.
	Changed func(context.Context, usermgmt.Change)
	// Now dates what changes, such as entries of the history about users. Nil: time.Now.
	Now func() time.Time
}

// Store keeps the state. A change and its entry in the history are stored together or not at all, and
// are on the disk when the method returns. Several processes may use the same state at once; each sees
// the others' changes immediately. A Store is safe for concurrent use.
type Store interface {
	usermgmt.Table
	History
	Administrators
	Settings

	// Prune forgets what happened before a time, traffic of earlier months included, and all entries
	// of the history but about the newest most. Kinds of entries, and users, share that room: refusals
	// in any number take nothing of the changes, nor those of a user of another's.
	Prune(ctx context.Context, before time.Time, most int) error
	// Close waits for the writes under way and ends the use of the Store.
	Close() error
}

// Settings are the daemon's settings that differ from its configuration file.
type Settings interface {
	// Settings gives the settings by name.
	Settings(ctx context.Context) (map[string]string, error)
	// SetSettings replaces all settings, and adds e to the history, ascribed to whom By says. It gives
	// that entry.
	SetSettings(ctx context.Context, settings map[string]string, e Entry) (Entry, error)
}
