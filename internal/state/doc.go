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

// Options tell a Store about its surroundings.
type Options struct {
	// CheckAddress reports a fault of a user's fixed address, for example that it is not in the
	// pool. Nil: no address has a fault.
	CheckAddress func(netip.Addr) error
	// CheckPool reports a fault of the name of a user's pool, for example that no pool has it. Nil:
	// no name has a fault.
	CheckPool func(string) error
	// Changed is called after each change of users by this process, when it is on the disk. Nil:
	// nothing is called.
	Changed func(context.Context, usermgmt.Change)
	// Now gives the time of changes, for example for history entries about users. Nil: time.Now.
	Now func() time.Time
}

// Store keeps the state. A change and its entry in the history are stored together or not at all,
// and are on the disk when the method returns. Several processes may use the same state at once,
// and each sees the changes of the others immediately. A Store is safe for concurrent use.
type Store interface {
	usermgmt.Table
	History
	Administrators
	Settings

	// Prune deletes events before a time, including the traffic of earlier months, and leaves about
	// as many of the newest entries of the history as most says. Each kind of entry has its share
	// of that room, and so has each user: any number of refusals displaces no changes, and no
	// user's entries displace those of another user.
	Prune(ctx context.Context, before time.Time, most int) error
	// Close waits for the writes under way and closes the Store.
	Close() error
}

// Settings are the daemon's settings that differ from its configuration file.
type Settings interface {
	// Settings gives the settings by name.
	Settings(ctx context.Context) (map[string]string, error)
	// SetSettings replaces all settings, and adds e to the history under the name that By has set.
	// It returns that entry.
	SetSettings(ctx context.Context, settings map[string]string, e Entry) (Entry, error)
}
