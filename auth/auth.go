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

// Proof is the answer that a peer sends instead of its password.
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

// Token computes one-time passwords. It counts time in steps of motp.StepSeconds.
type Token interface {
	// Code is the one-time password that is valid from step, a multiple of Stride.
	Code(step int64) string
	// Stride is the number of steps for which a one-time password is valid.
	Stride() int64
}

// Account holds a user's rights and the means to verify the user. A password and a token may both
// be set: either of them lets the user in.
type Account struct {
	Name       string
	Enabled    bool
	Password   string // "": none
	Token      Token  // nil: none
	Services   []Service
	IPsecMust  bool         // plain L2TP is refused
	RemoteNode netip.Prefix // the outer addresses that may dial; invalid: all
	Schedule   Schedule     // when the user may be connected
	Expires    time.Time    // from when the user is refused; zero: never
	Terms      Terms
	Fault      string // the unreadable part of the account, which is then refused; "": none
}

// Terms are the limits of a user's connections.
type Terms struct {
	Address        netip.Addr    // fixed inner address; invalid: from the pool
	Pool           string        // the pool's name; "": the one without a name
	Group          string        // the user's group for firewalls; "": none
	IdleTimeout    time.Duration // of user data; 0: none
	SessionTime    time.Duration // 0: unlimited
	MaxConnections int           // at once; 0: unlimited
	RefuseFurther  bool          // a connection over MaxConnections is refused; otherwise it replaces the oldest
	BlockNetBIOS   bool
	PassMulticast  bool
	UpLimit        uint64    // from the user, in bits per second; 0: none
	DownLimit      uint64    // to the user, in bits per second; 0: none
	Quota          uint64    // bytes in a calendar month (UTC), both ways together; 0: unlimited
	Until          time.Time // when the connection must end; zero: never
	UntilReason    reason.Reason
}

// Users finds accounts. Names are compared without regard to case.
type Users interface {
	// Account gives the account of name; not ok: the user is unknown.
	Account(ctx context.Context, name string) (account Account, ok bool, err error)
}

// A Reader is a Users that reads all data for a log-in at once.
type Reader interface {
	// Read gives the record of name; not ok: the user is unknown.
	Read(ctx context.Context, name string) (r Record, ok bool, err error)
}

// Record is an account with the state of its token, both as stored at one moment.
type Record struct {
	Account Account
	Token   TokenState
	// Unchanged reports whether no program has written to the user table since Read. It costs less
	// than another Read. Nil: there is no such check.
	Unchanged func(ctx context.Context) (bool, error)
}

// ErrNoUser is the error of a Ledger for an unknown user.
var ErrNoUser = errors.New("no such user")

// TokenState is the stored state of a user's token. An offset is the number of steps by which the
// token's clock is ahead of ours.
type TokenState struct {
	LastStep int64 // the step of the last accepted code; 0: none
	Offset   int64 // the offset of that code, where the search begins
	Centre   int64 // the offset in the middle of the window; 0 unless Resync has set it
}

// Failures is the record of failed log-ins.
type Failures struct {
	Count       int       // in a row
	Locks       int       // in a row; each lock is twice as long as the one before
	LockedUntil time.Time // zero: not locked
}

// UsualAddresses is the number of a user's last addresses that are kept.
const UsualAddresses = 8

// Standing is the record of a user's log-ins. Failures from the usual addresses, where the user has
// logged in, count separately. So a stranger who knows the name locks out all addresses except the
// usual ones.
type Standing struct {
	Strangers Failures                     // from other addresses
	Usual     Failures                     // from those of Addresses
	Addresses [UsualAddresses]netip.Prefix // of the user's log-ins, the latest first; see Network
}

// Ledger stores data across restarts. Names are those of Account.
type Ledger interface {
	// Token gives the state of a user's token; zero: none is stored.
	Token(ctx context.Context, user string) (TokenState, error)
	// Advance stores LastStep and Offset if LastStep is greater than the stored one, and reports
	// whether it was. The data is on the disk when Advance returns.
	Advance(ctx context.Context, user string, state TokenState) (bool, error)
	// Recentre does the same as Advance, and also stores Centre and deletes the user's failures.
	Recentre(ctx context.Context, user string, state TokenState) (bool, error)
	// Standing gives a user's standing; zero: none is stored.
	Standing(ctx context.Context, user string) (Standing, error)
	// ChangeStanding replaces a user's standing by the result of change in one atomic step, and
	// gives the stored result. It may call change more than once.
	ChangeStanding(ctx context.Context, user string, change func(Standing) Standing) (Standing, error)
}

// A Rewinder is a Ledger that can delete a LastStep that was stored while the clock was ahead.
// Otherwise the user's codes count as used until the clock reaches that step.
type Rewinder interface {
	// Rewind deletes a user's LastStep if it equals step.
	Rewind(ctx context.Context, user string, step int64) error
}
