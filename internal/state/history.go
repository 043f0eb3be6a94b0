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

	EventDropped      = "dropped"       // a connection, on request
	EventCaptured     = "captured"      // the frames of a connection, a user or a peer
	EventAdminLogIn   = "admin-login"   // By has logged in to manage the daemon
	EventAdminRefused = "admin-refused" // a log-in to manage the daemon was refused
	EventAdminChanged = "admin-changed" // administrators, tokens or set-up links; Reason says what
	EventSettings     = "settings"      // of the daemon
	EventShutdown     = "shutdown"      // of the daemon, on request
	EventResumed      = "resumed"       // a shutdown was cancelled
)

// Events are all events.
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
	User       string // as the peer wrote it, cleaned, if there is no such user
	Connection string // id
	Type       string // of dial-in
	Peer       netip.Addr
	Address    netip.Addr // inner address
	Auth       string
	Encryption string
	Why        reason.Reason // of a refusal or the end of a connection
	Reason     string        // what was changed, or the text of an old entry without a code
	Duration   time.Duration // whole seconds
	Rx, Tx     uint64        // bytes from the user, and to the user
	By         string        // who made a change
}

// Text describes the reason or the change in words.
func (e Entry) Text() string {
	if e.Reason == "" {
		return e.Why.String()
	}
	return e.Reason
}

// HistoryQuery selects entries.
type HistoryQuery struct {
	User   string       // "": of all
	Peers  []netip.Addr // whose entries without a user's name also count as the User's
	Events []string     // none: all
	Search string       // a part of the reason, in any case; "": any
	Since  time.Time    // zero: from the first one
	Before int64        // an ID; 0: up to the last one
	Offset int          // number of the newest entries to leave out
	Limit  int          // maximum number of entries, from the newest; 0: all
}

// HistorySum is the sum of entries.
type HistorySum struct {
	Entries int
	Time    time.Duration // that connections were up
	Rx, Tx  uint64        // bytes from users, and to users
}

// History records events: dial-ins, changes and the daemon's own events.
type History interface {
	// Record adds entries.
	Record(ctx context.Context, entries ...Entry) error
	// History gives entries, newest first.
	History(ctx context.Context, q HistoryQuery) ([]Entry, error)
	// HistorySum gives the sum of the entries of a query. It ignores Offset and Limit.
	HistorySum(ctx context.Context, q HistoryQuery) (HistorySum, error)
	// OldestEntry gives the earliest time of an entry, or zero if there is none.
	OldestEntry(ctx context.Context) (time.Time, error)
	// Connected gives the open connections by the user's name in the history. These are the
	// connections that have connected and not disconnected since the last start of the daemon.
	Connected(ctx context.Context) (map[string][]Entry, error)
}

type actorKey struct{}

// By attributes the changes made with the context to who.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Actor is the name that By has set; "": none.
func Actor(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return who
}
