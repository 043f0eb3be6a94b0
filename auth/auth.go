// Package auth authenticates users: it compares the proof of a peer with the candidate passwords of
// the user that the peer claims to be. It knows neither the protocol of the proof nor the storage.
package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"
	"vpnd/internal/reason"
)

// Service is a type of dial-in.
type Service string

// The services.
const (
	PPTP Service = "pptp"
	L2TP Service = "l2tp"
)

// Proof is what a peer showed instead of its password.
type Proof interface {
	// Verify reports whether candidate is the password that the peer knows.
	Verify(candidate string) bool
}

// Attempt is one log-in.
type Attempt struct {
	User    string
	Proof   Proof
	Service Service
	Source  netip.Addr // outer address of the peer
}

// Token computes one-time passwords. Time is counted in steps of motp.StepSeconds.
type Token interface {
	// Code is the one-time password that begins with step, a multiple of Stride.
	Code(step int64) string
	// Stride is the number of steps for which a one-time password is valid.
	Stride() int64
}

// Account is what a user may do and how it is known. A password and a token may both be set: either
// lets the user in.
type Account struct {
	Name       string
	Enabled    bool
	Password   string // empty: none
	Token      Token  // nil: none
	Services   []Service
	IPsecMust  bool         // plain L2TP is refused
	RemoteNode netip.Prefix // the outer addresses that may dial; invalid: all
	Schedule   Schedule     // when the user may be connected
	Expires    time.Time    // from when on the user may not; zero: never
	Terms      Terms
	Fault      string // the part of the account that cannot be understood, so that it is refused; "": none
}

// Terms are the limits of a user's connections.
type Terms struct {
	Address        netip.Addr    // fixed inner address; invalid: from the pool
	Pool           string        // the pool's name; "": the one without a name
	Group          string        // the user's group for firewalls; "": none
	IdleTimeout    time.Duration // of user data; 0: none
	SessionTime    time.Duration // 0: unlimited
	MaxConnections int           // at once; 0: unlimited
	RefuseFurther  bool          // a connection over MaxConnections is refused; else it replaces the oldest
	BlockNetBIOS   bool
	PassMulticast  bool
	UpLimit        uint64    // from the user, in bits per second; 0: none
	DownLimit      uint64    // to the user, in bits per second; 0: none
	Quota          uint64    // bytes in a calendar month (UTC), both ways together; 0: unlimited
	Until          time.Time // when the connection is to end; zero: never
	UntilReason    reason.Reason
}

// Users finds accounts. Names are compared without regard to case.
type Users interface {
	// Account gives the account of name; not ok: there is none.
	Account(ctx context.Context, name string) (account Account, ok bool, err error)
}

// A Reader is Users that reads at once what a log-in needs.
type Reader interface {
	// Read gives the record of name; not ok: there is none.
	Read(ctx context.Context, name string) (r Record, ok bool, err error)
}

// Record is an account with the state of its token, as both are stored at one moment.
type Record struct {
	Account Account
	Token   TokenState
	// Unchanged reports for less than another Read that no program has written to the user table since. Nil: it cannot be told.
	Unchanged func(ctx context.Context) (bool, error)
}

// ErrNoUser is the error of a Ledger that is told of a user who is not there.
var ErrNoUser = errors.New("no such user")

// TokenState is what is remembered of a user's token. Offsets are how many steps the token's clock is
// ahead of ours.
type TokenState struct {
	LastStep int64 // the step of the code accepted last; 0: none
	Offset   int64 // that code's: the search begins there
	Centre   int64 // the offset that the window lies around; 0 but for what Resync has set
}

// Failures is what is remembered of wrong log-ins.
type Failures struct {
	Count       int       // in a row
	Locks       int       // in a row, each twice as long as the one before
	LockedUntil time.Time // zero: not locked
}

// UsualAddresses is how many addresses of a user's last log-ins are remembered.
const UsualAddresses = 8

// Standing is what is remembered of a user's log-ins. Wrong ones from the addresses that the user has
// got in from are counted apart: a stranger who knows the name locks all others, but not those.
type Standing struct {
	Strangers Failures                     // from other addresses
	Usual     Failures                     // from those of Addresses
	Addresses [UsualAddresses]netip.Prefix // where the user got in from, the latest first; see Network
}

// Ledger remembers across restarts. Names are those of Account.
type Ledger interface {
	// Token gives the state of a user's token; zero: nothing is known.
	Token(ctx context.Context, user string) (TokenState, error)
	// Advance stores LastStep and Offset if LastStep is greater than what is stored, and reports whether
	// it was. What it has stored is on the disk when it returns.
	Advance(ctx context.Context, user string, state TokenState) (bool, error)
	// Recentre is Advance with the Centre, too, and forgets the user's failures.
	Recentre(ctx context.Context, user string, state TokenState) (bool, error)
	// Standing gives a user's standing; zero: nothing is known.
	Standing(ctx context.Context, user string) (Standing, error)
	// ChangeStanding stores what change makes of a user's standing, with nothing in between, and gives
	// what it stored. Change may be called more than once.
	ChangeStanding(ctx context.Context, user string, change func(Standing) Standing) (Standing, error)
}

// A Rewinder is a Ledger that can forget a LastStep that was stored while the clock was ahead. Without it the
// user's codes count as used until then.
type Rewinder interface {
	// Rewind forgets a user's LastStep if it is the one given.
	Rewind(ctx context.Context, user string, step int64) error
}
