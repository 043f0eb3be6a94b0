package state

import (
	"context"
	"net/netip"
	"time"
	"vpnd/internal/reason"
	"vpnd/usermgmt"
)

// Events of the history.
const (
	EventStarted      = "started" // the daemon: earlier connections have ended
	EventConnected    = "connected"
	EventDisconnected = "disconnected"
	EventRefused      = "refused"
	EventAdded        = usermgmt.Added // this one and the following: changes of a user
	EventChanged      = usermgmt.Changed
	EventRemoved      = usermgmt.Removed
	EventUnlocked     = "unlocked"
	EventResynced     = "resynced"
	EventRekeyed      = "rekeyed" // the key of the table

	EventDropped      = "dropped"       // a connection, asked for
	EventCaptured     = "captured"      // the frames of a connection, a user or a peer
	EventAdminLogIn   = "admin-login"   // By has logged in to manage the daemon
	EventAdminRefused = "admin-refused" // somebody has not
	EventAdminChanged = "admin-changed" // administrators, tokens or set-up links; Reason says what
	EventSettings     = "settings"      // of the daemon
	EventShutdown     = "shutdown"      // of the daemon, asked for
	EventResumed      = "resumed"       // a shutdown was cancelled
)

// Events are all of them.
var Events = []string{
	EventStarted, EventConnected, EventDisconnected, EventRefused, EventAdded, EventChanged, EventRemoved, EventUnlocked, EventResynced, EventRekeyed,
	EventDropped, EventCaptured, EventAdminLogIn, EventAdminRefused, EventAdminChanged, EventSettings, EventShutdown, EventResumed,
}

// Attempts are the events of dial-ins.
var Attempts = []string{EventConnected, EventDisconnected, EventRefused}

// Entry is one event of the history. It holds no secret.
type Entry struct {
	ID         int64
	At         time.Time // to the millisecond
	Event      string
	User       string // as the peer wrote it, cleaned, where there is no such user
	Connection string // id
	Type       string // of dial-in
	Peer       netip.Addr
	Address    netip.Addr // inner address
	Auth       string
	Encryption string
	Why        reason.Reason // of a refusal or the end of a connection
	Reason     string        // of a change, what was changed; of an entry from before reasons had codes, its text
	Duration   time.Duration // whole seconds
	Rx, Tx     uint64        // bytes from the user, and to the user
	By         string        // who made a change
}

// Text is why or what, in words.
func (e Entry) Text() string {
	if e.Reason == "" {
		return e.Why.String()
	}
	return e.Reason
}

// HistoryQuery picks entries.
type HistoryQuery struct {
	User   string       // "": of all
	Peers  []netip.Addr // whose entries without a user's name are of the User, too
	Events []string     // none: all
	Search string       // a part of the reason, in any case; "": any
	Since  time.Time    // zero: from the first on
	Before int64        // an ID; 0: up to the last
	Offset int          // how many of the newest to leave out
	Limit  int          // the newest so many; 0: all
}

// HistorySum is what entries come to.
type HistorySum struct {
	Entries int
	Time    time.Duration // that connections were up
	Rx, Tx  uint64        // bytes from users, and to users
}

// History is what happened: dial-ins, changes and the daemon's own events.
type History interface {
	// Record adds entries.
	Record(ctx context.Context, entries ...Entry) error
	// History gives entries, the newest first.
	History(ctx context.Context, q HistoryQuery) ([]Entry, error)
	// HistorySum gives what the entries of a query come to, whatever its Offset and Limit.
	HistorySum(ctx context.Context, q HistoryQuery) (HistorySum, error)
	// OldestEntry gives the time of the entry that is dated first; zero: there is none.
	OldestEntry(ctx context.Context) (time.Time, error)
	// Connected gives the connections that are up, by the name that the user has in the history: those
	// that the history has seen connect, and not disconnect, since the daemon last started.
	Connected(ctx context.Context) (map[string][]Entry, error)
}

type actorKey struct{}

// By has the changes made with the context ascribed to who.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Actor is who By has named; "": nobody.
func Actor(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return who
}
