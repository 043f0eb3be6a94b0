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

// RoleAdministrator is the role that at least one administrator must keep.
const RoleAdministrator = "administrator"

// Limits of their numbers.
const (
	MaxAdministrators = 256
	MaxTokens         = 256
	MaxLinks          = 32 // one more replaces the link that ends first
)

// ClockSlack is how far the clock can be put back unnoticed. A stored time that is further in the
// future comes from a clock that was ahead, and does not count.
const ClockSlack = time.Minute

// Administrator is a person who may manage the daemon.
type Administrator struct {
	Name       string
	Role       string
	Password   string // its hash
	TOTPSecret string // base32; "": none
	TOTPStep   int64  // step of the code accepted last
	Added      time.Time
	LastLogIn  time.Time // zero: none
}

// AdminSession is a session of an administrator.
type AdminSession struct {
	Name, Role  string // of the administrator, as they are now
	Began, Seen time.Time
}

// Lifetimes are the limits of sessions: how long they last, and how many an administrator may have.
type Lifetimes struct {
	Idle, Whole time.Duration
	Most        int // of one administrator; a new one replaces the oldest
}

// AdminToken lets a program manage the daemon.
type AdminToken struct {
	Name, Role string
	Hash       []byte
	Expires    time.Time // zero: never
	Added      time.Time
	By         string // who made the token
}

// SetUpLink makes an administrator, or gives an existing one a new password. It works once.
type SetUpLink struct {
	Hash       []byte
	Name, Role string // if the name is empty, the user of the link chooses it
	First      bool   // valid only while there is no administrator
	Expires    time.Time
}

// Administrators stores the administrators with their sessions, the tokens and the set-up links.
// Names are compared without regard to case. Passwords, sessions, tokens and links are stored only
// as hashes. Each change is added to the history under the name that By has set.
type Administrators interface {
	// Administrators lists all administrators in the order of their names.
	Administrators(ctx context.Context) ([]Administrator, error)
	// Administrator gives the administrator of a name. The error may be ErrNoAdministrator.
	Administrator(ctx context.Context, name string) (Administrator, error)
	// AnyAdministrator reports whether somebody has RoleAdministrator.
	AnyAdministrator(ctx context.Context) (bool, error)
	// AddAdministrator adds an administrator. The error may be ErrAdministratorExists, ErrTooMany,
	// or a usermgmt.RuleError about the name.
	AddAdministrator(ctx context.Context, a Administrator) error
	// ChangeAdministrator applies change to an administrator, and ends the administrator's sessions
	// and the set-up links of that name. If it takes RoleAdministrator away, it also ends all links
	// for new accounts, because they may be a way back in. The text in what describes the change in
	// the history. The error may be ErrNoAdministrator, or ErrLastAdministrator if nobody would
	// have RoleAdministrator afterwards.
	ChangeAdministrator(ctx context.Context, name, what string, change func(*Administrator)) error
	// RemoveAdministrator removes an administrator, and ends sessions and links as
	// ChangeAdministrator does. It removes the last one with RoleAdministrator only if evenLast is
	// set. The error may be ErrNoAdministrator or ErrLastAdministrator.
	RemoveAdministrator(ctx context.Context, name string, evenLast bool) error
	// AdvanceAdministrator stores the step of an accepted TOTP code. It returns false if this step
	// or a later one was stored before. A stored step that is more than an hour later comes from a
	// clock that was ahead, and does not count.
	AdvanceAdministrator(ctx context.Context, name string, step int64) (bool, error)

	// AddAdminSession adds a session of an administrator, with its time and address. It returns
	// ErrNoAdministrator if the password or the TOTP secret is no longer the one in a, which was
	// verified. It removes sessions that have ended, and those that began in the future.
	AddAdminSession(ctx context.Context, hash []byte, a Administrator, from netip.Addr, at time.Time, last Lifetimes) error
	// AdminSession gives the session with the hash, or false if there is none.
	AdminSession(ctx context.Context, hash []byte) (AdminSession, bool, error)
	// TouchAdminSession stores when a session was used.
	TouchAdminSession(ctx context.Context, hash []byte, at time.Time) error
	// RemoveAdminSession ends the session with the hash, if there is one.
	RemoveAdminSession(ctx context.Context, hash []byte) error

	// AdminTokens lists all tokens in the order of their names.
	AdminTokens(ctx context.Context) ([]AdminToken, error)
	// AdminToken gives the token with the hash, or false if there is none.
	AdminToken(ctx context.Context, hash []byte) (AdminToken, bool, error)
	// AddAdminToken adds a token, made under the name that By has set. The error may be
	// ErrTokenExists, ErrTooMany, or a usermgmt.RuleError about the name.
	AddAdminToken(ctx context.Context, t AdminToken) error
	// RemoveAdminToken ends a token. The error may be ErrNoToken.
	RemoveAdminToken(ctx context.Context, name string) error

	// AddSetUpLink adds a link. It replaces a link for the same name or purpose. The error may be a
	// usermgmt.RuleError about the name.
	AddSetUpLink(ctx context.Context, l SetUpLink) error
	// SetUpLink gives the link with the hash if it is valid at the time. The error may be
	// ErrNoLink.
	SetUpLink(ctx context.Context, hash []byte, at time.Time) (SetUpLink, error)
	// UseSetUpLink uses up the link. It makes the administrator of the name with the hash of the
	// password, or gives an existing one a new password. The error may be ErrNoLink,
	// ErrAdministratorExists, or a usermgmt.RuleError about the name; the link then stays valid.
	UseSetUpLink(ctx context.Context, hash []byte, at time.Time, name, password string) error
}
