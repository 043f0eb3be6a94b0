package usermgmt

import (
	"context"
	"database/sql"
	"math"
	"net/netip"
	"strings"
	"time"
	"vpnd/internal/reason"
)

// Events of the history.
const (
	EventStarted      = "started" // the daemon: whoever was connected before is not any more
	EventConnected    = "connected"
	EventDisconnected = "disconnected"
	EventRefused      = "refused"
	EventAdded        = "added" // and what follows: changes of a user
	EventChanged      = "changed"
	EventRemoved      = "removed"
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

// Traffic is what a user has moved in a calendar month of UTC, in bytes.
type Traffic struct {
	Rx, Tx uint64 // from the user, and to the user
}

// Total is both ways together, which is what a quota counts.
func (t Traffic) Total() uint64 { return t.Rx + t.Tx }

// Month names the calendar month of t in UTC, as Traffic and AddTraffic take it.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

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

const entryColumns = `at, event, fold, user, connection, type, peer, address, auth, encryption, cause, arguments, reason, seconds, rx, tx, by`

const (
	insertEntry   = `INSERT INTO history (` + entryColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectEntries = `SELECT id, ` + entryColumns + ` FROM history`
	sumEntries    = `SELECT count(*), coalesce(sum(seconds), 0), coalesce(sum(rx), 0), coalesce(sum(tx), 0) FROM history`
	// selectConnected takes the id of the daemon's start, and the events of a connection's begin and end.
	selectConnected = `SELECT id, ` + entryColumns + ` FROM history WHERE id > ?1 AND event = ?2
		AND connection NOT IN (SELECT connection FROM history WHERE id > ?1 AND event = ?3) ORDER BY id`
)

// Record implements Table.
func (s *Store) Record(ctx context.Context, entries ...Entry) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, e := range entries {
			if err := record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func record(ctx context.Context, tx *sql.Tx, e Entry) error {
	_, err := tx.ExecContext(ctx, insertEntry,
		e.At.UnixMilli(), e.Event, fold(e.User), e.User, e.Connection, e.Type, text(e.Peer), text(e.Address), e.Auth, e.Encryption,
		string(e.Why.Code), e.Why.Stored(), e.Reason, int64(e.Duration/time.Second), int64(e.Rx), int64(e.Tx), e.By)
	return err
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// where is the condition of the query, with its arguments.
func (q HistoryQuery) where() (condition string, args []any) {
	condition, args = " WHERE id < ?", []any{int64(math.MaxInt64)}
	if q.Before > 0 {
		args[0] = q.Before
	}
	if !q.Since.IsZero() {
		condition, args = condition+" AND at >= ?", append(args, q.Since.UnixMilli())
	}
	if q.Search != "" {
		codes := reason.Search(q.Search)
		condition += " AND (instr(lower(reason), lower(?)) > 0 OR instr(lower(arguments), lower(?)) > 0 OR cause IN (" + strings.TrimPrefix(strings.Repeat(", ?", len(codes)), ", ") + "))"
		args = append(args, q.Search, q.Search)
		for _, code := range codes {
			args = append(args, string(code))
		}
	}
	switch {
	case q.User == "":
	case len(q.Peers) == 0:
		condition, args = condition+" AND fold = ?", append(args, fold(q.User))
	default:
		condition, args = condition+" AND (fold = ? OR fold = '' AND peer IN (?"+strings.Repeat(", ?", len(q.Peers)-1)+"))", append(args, fold(q.User))
		for _, peer := range q.Peers {
			args = append(args, peer.String())
		}
	}
	if len(q.Events) > 0 {
		condition += " AND event IN (?" + strings.Repeat(", ?", len(q.Events)-1) + ")"
		for _, e := range q.Events {
			args = append(args, e)
		}
	}
	return condition, args
}

// History implements Table.
func (s *Store) History(ctx context.Context, q HistoryQuery) ([]Entry, error) {
	condition, args := q.where()
	limit := -1 // none
	if q.Limit > 0 {
		limit = q.Limit
	}
	return s.entries(ctx, selectEntries+condition+" ORDER BY id DESC LIMIT ? OFFSET ?", append(args, limit, q.Offset)...)
}

// HistorySum implements Table.
func (s *Store) HistorySum(ctx context.Context, q HistoryQuery) (HistorySum, error) {
	condition, args := q.where()
	var (
		sum             HistorySum
		seconds, rx, tx int64
	)
	err := s.db.QueryRowContext(ctx, sumEntries+condition, args...).Scan(&sum.Entries, &seconds, &rx, &tx)
	sum.Time, sum.Rx, sum.Tx = time.Duration(seconds)*time.Second, uint64(rx), uint64(tx)
	return sum, s.damaged(err)
}

// Connected implements Table.
func (s *Store) Connected(ctx context.Context) (map[string][]Entry, error) {
	var start int64
	err := s.db.QueryRowContext(ctx, `SELECT id FROM history WHERE event = ? ORDER BY id DESC LIMIT 1`, EventStarted).Scan(&start)
	if err := s.orNothing(err); err != nil {
		return nil, err
	}
	up, err := s.entries(ctx, selectConnected, start, EventConnected, EventDisconnected)
	by := map[string][]Entry{}
	for _, e := range up {
		by[e.User] = append(by[e.User], e)
	}
	return by, err
}

func (s *Store) entries(ctx context.Context, query string, args ...any) ([]Entry, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.damaged(err)
	}
	defer func() { _ = rows.Close() }()
	var all []Entry
	for rows.Next() {
		var (
			e                     Entry
			at, seconds, rx, tx   int64
			folded, peer, address string
			cause, arguments      string
		)
		err := rows.Scan(&e.ID, &at, &e.Event, &folded, &e.User, &e.Connection, &e.Type, &peer, &address, &e.Auth, &e.Encryption,
			&cause, &arguments, &e.Reason, &seconds, &rx, &tx, &e.By)
		if err != nil {
			return nil, s.damaged(err)
		}
		if e.Why, err = reason.Parse(cause, arguments); err != nil {
			return nil, s.damaged(err)
		}
		e.At, e.Duration = time.UnixMilli(at), time.Duration(seconds)*time.Second
		e.Rx, e.Tx = uint64(rx), uint64(tx)
		e.Peer, _ = netip.ParseAddr(peer)       // invalid: none
		e.Address, _ = netip.ParseAddr(address) // invalid: none
		all = append(all, e)
	}
	return all, s.damaged(rows.Err())
}

// OldestEntry gives the time of the entry of the history that is dated first; zero: there is none.
func (s *Store) OldestEntry(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	if err := s.db.QueryRowContext(ctx, `SELECT min(at) FROM history`).Scan(&at); err != nil || !at.Valid {
		return time.Time{}, s.damaged(err)
	}
	return time.UnixMilli(at.Int64), nil
}

// Prune implements Table.
func (s *Store) Prune(ctx context.Context, before time.Time, most int) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM history WHERE at < ?`, before.UnixMilli()); err != nil {
			return err
		}
		if err := thinOut(ctx, tx, most); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM traffic WHERE month < ?`, Month(before))
		return err
	})
}

// AddTraffic implements Table.
func (s *Store) AddTraffic(ctx context.Context, month string, by map[string]Traffic) error {
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for user, t := range by {
			_, err := tx.ExecContext(ctx, `INSERT INTO traffic (month, fold, rx, tx) VALUES (?, ?, ?, ?)
				ON CONFLICT (fold, month) DO UPDATE SET rx = rx + excluded.rx, tx = tx + excluded.tx`,
				month, fold(user), int64(t.Rx), int64(t.Tx))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Traffic implements Table.
func (s *Store) Traffic(ctx context.Context, user, month string) (Traffic, error) {
	var rx, tx int64
	err := s.db.QueryRowContext(ctx, `SELECT rx, tx FROM traffic WHERE fold = ? AND month = ?`, fold(user), month).Scan(&rx, &tx)
	return Traffic{uint64(rx), uint64(tx)}, s.orNothing(err)
}
