package state

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Errors of Administrators.
var (
	ErrNoAdministrator     = errors.New("there is no such administrator")
	ErrAdministratorExists = errors.New("the administrator exists already")
	ErrLastAdministrator   = errors.New("this is the last administrator")
	ErrTooMany             = errors.New("there are too many already: remove one first")
	ErrNoToken             = errors.New("there is no such token")
	ErrTokenExists         = errors.New("a token with this name exists already")
	ErrNoLink              = errors.New("there is no such set-up link")
)

// RoleAdministrator is the role that at least one administrator keeps.
const RoleAdministrator = "administrator"

// How many there may be.
const (
	MaxAdministrators = 256
	MaxTokens         = 256
	MaxLinks          = 32 // the one that ends first makes room
)

// ClockSlack is how far a clock is put back without notice: a stored time that is further in the
// future was stored while the clock was ahead, and does not count.
const ClockSlack = time.Minute

// Administrator is somebody with access to the management of the daemon.
type Administrator struct {
	Name       string
	Role       string
	Password   string // its hash
	TOTPSecret string // base32; "": none
	TOTPStep   int64  // of the code accepted last
	Added      time.Time
	LastLogIn  time.Time // zero: none
}

// AdminSession is a session of an administrator.
type AdminSession struct {
	Name, Role  string // of the administrator, as they are now
	Began, Seen time.Time
}

// Lifetimes are how long sessions last, and how many.
type Lifetimes struct {
	Idle, Whole time.Duration
	Most        int // of one administrator; the oldest make room
}

// AdminToken lets a program manage the daemon.
type AdminToken struct {
	Name, Role string
	Hash       []byte
	Expires    time.Time // zero: never
	Added      time.Time
	By         string // who made it
}

// SetUpLink makes an administrator, or gives one a new password, once.
type SetUpLink struct {
	Hash       []byte
	Name, Role string // name empty: the person who uses it chooses
	First      bool   // it counts while there is no administrator
	Expires    time.Time
}

// Administrators are the administrators with their sessions, the tokens and the set-up links. Names
// are compared without regard to case. Of passwords, sessions, tokens and links there are only hashes.
// A change is added to the history, ascribed to whom By says.
type Administrators interface {
	// Administrators lists all in the order of their names.
	Administrators(ctx context.Context) ([]Administrator, error)
	// Administrator gives one by name. The error may be ErrNoAdministrator.
	Administrator(ctx context.Context, name string) (Administrator, error)
	// AnyAdministrator reports whether somebody has RoleAdministrator.
	AnyAdministrator(ctx context.Context) (bool, error)
	// AddAdministrator adds one. The error may be ErrAdministratorExists, ErrTooMany, or a
	// usermgmt.RuleError about the name.
	AddAdministrator(ctx context.Context, a Administrator) error
	// ChangeAdministrator changes one as change does, and ends the sessions of that administrator, and
	// the set-up links of that name. If it takes RoleAdministrator away, it also ends all links for new
	// accounts, which may be a way back in. What says in the history what was changed. The error may be
	// ErrNoAdministrator, or ErrLastAdministrator when nobody would be left with RoleAdministrator.
	ChangeAdministrator(ctx context.Context, name, what string, change func(*Administrator)) error
	// RemoveAdministrator removes one, and ends sessions and links as ChangeAdministrator does; the
	// last with RoleAdministrator only if evenLast. The error may be ErrNoAdministrator or
	// ErrLastAdministrator.
	RemoveAdministrator(ctx context.Context, name string, evenLast bool) error
	// AdvanceAdministrator stores the step of a TOTP code that is accepted; false: this step or a later
	// one has been before. A stored step of over an hour later was stored by a clock that was ahead,
	// and does not count.
	AdvanceAdministrator(ctx context.Context, name string, step int64) (bool, error)

	// AddAdminSession adds a session of an administrator, at a time and from an address. If the
	// password or the TOTP secret is by now another than in a, which was verified, it is
	// ErrNoAdministrator. Sessions that are over are forgotten, and those that began in the future.
	AddAdminSession(ctx context.Context, hash []byte, a Administrator, from netip.Addr, at time.Time, last Lifetimes) error
	// AdminSession gives the session with the hash; false: there is none.
	AdminSession(ctx context.Context, hash []byte) (AdminSession, bool, error)
	// TouchAdminSession stores when a session was used.
	TouchAdminSession(ctx context.Context, hash []byte, at time.Time) error
	// RemoveAdminSession ends the session with the hash, if there is one.
	RemoveAdminSession(ctx context.Context, hash []byte) error

	// AdminTokens lists all in the order of their names.
	AdminTokens(ctx context.Context) ([]AdminToken, error)
	// AdminToken gives the token with the hash; false: there is none.
	AdminToken(ctx context.Context, hash []byte) (AdminToken, bool, error)
	// AddAdminToken adds a token, made by whom By says. The error may be ErrTokenExists, ErrTooMany, or
	// a usermgmt.RuleError about the name.
	AddAdminToken(ctx context.Context, t AdminToken) error
	// RemoveAdminToken ends a token. The error may be ErrNoToken.
	RemoveAdminToken(ctx context.Context, name string) error

	// AddSetUpLink adds a link, in place of one for the same name or purpose. The error may be a
	// usermgmt.RuleError about the name.
	AddSetUpLink(ctx context.Context, l SetUpLink) error
	// SetUpLink gives the link with the hash that counts at a time. The error may be ErrNoLink.
	SetUpLink(ctx context.Context, hash []byte, at time.Time) (SetUpLink, error)
	// UseSetUpLink uses the link up, and makes the administrator of the name with the password's hash,
	// or gives the one there is a new one. The error may be ErrNoLink, ErrAdministratorExists, or a
	// usermgmt.RuleError about the name; the link then counts as before.
	UseSetUpLink(ctx context.Context, hash []byte, at time.Time, name, password string) error
}
