package access

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"
)

// Errors of LogIn. Their texts are fit to be shown.
var (
	ErrRefused = errors.New("name, password or code is wrong")
	ErrLimited = errors.New("too many attempts to log in: wait a minute and try again")
)

// ErrLink is the error of SetUp for a link that does not count.
var ErrLink = errors.New("this set-up link is not valid any more: 'vpnd admin link' makes a new one")

// Gate lets those in who may manage the daemon. It is safe for concurrent use.
type Gate struct{}

// Guard lets requests through to next, with an Identity, and refuses the others.
func (g *Gate) Guard(next http.Handler) http.Handler { return next }

// LogIn makes a session for who knows name and password, and the code if the account has TOTP. The error is
// ErrRefused, ErrLimited, or the store's.
func (g *Gate) LogIn(ctx context.Context, source netip.Addr, name, password, code string) (*http.Cookie, error) {
	return nil, ErrRefused
}

// LogOut ends the session of a request, and gives the cookie that makes the browser forget it.
func (g *Gate) LogOut(ctx context.Context, r *http.Request) *http.Cookie { return nil }

// ValidLink reports whether a set-up link counts.
func (g *Gate) ValidLink(ctx context.Context, link string) bool { return false }

// LinkName is whose a valid set-up link is: the account that it makes, or gives a new password. Empty: SetUp chooses.
func (g *Gate) LinkName(ctx context.Context, link string) (string, error) { return "", ErrLink }

// SetUp uses a set-up link up. The error is ErrLink, or joins a usermgmt.RuleError for each field ("name", "password") that is wrong.
func (g *Gate) SetUp(ctx context.Context, link, name, password string) error { return ErrLink }

// NewLink makes a set-up link, and gives its secret part. With a name it is for that account, which may be there already and then
// gets a new password; without, whoever uses it chooses one.
func (g *Gate) NewLink(ctx context.Context, name string, role Role) (string, error) { return "", nil }

// Administrators lists the accounts by name.
func (g *Gate) Administrators(ctx context.Context) ([]Account, error) { return nil, nil }

// Add adds an account. The error joins usermgmt.RuleErrors, or is ErrExists.
func (g *Gate) Add(ctx context.Context, name, password string, role Role) error { return nil }

// SetRole changes what an account may do, and ends its sessions. The last administrator stays one (ErrLast).
func (g *Gate) SetRole(ctx context.Context, name string, role Role) error { return nil }

// SetPassword changes a password, and ends the account's sessions.
func (g *Gate) SetPassword(ctx context.Context, name, password string) error { return nil }

// SetTOTP sets the secret of the account's app, in base32; "": log-ins take no code any more.
func (g *Gate) SetTOTP(ctx context.Context, name, secret string) error { return nil }

// Remove removes an account with its sessions; the last administrator only if evenLast, or else the error is ErrLast.
func (g *Gate) Remove(ctx context.Context, name string, evenLast bool) error { return nil }

// Tokens lists the API tokens by name.
func (g *Gate) Tokens(ctx context.Context) ([]Token, error) { return nil, nil }

// NewToken makes an API token that counts until expires (zero: for good), and gives its secret, which is not known afterwards.
func (g *Gate) NewToken(ctx context.Context, name string, role Role, expires time.Time) (string, error) {
	return "", nil
}

// RemoveToken ends an API token.
func (g *Gate) RemoveToken(ctx context.Context, name string) error { return nil }
