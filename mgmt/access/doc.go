// Package access controls the access over HTTPS: administrators with their passwords, roles and
// TOTP, their sessions, API tokens for programs, and one-time set-up links. It keeps only the
// limits of log-ins itself. Everything else is in a Store, so a change by any process takes effect
// with the next request.
package access

import (
	"context"
	"fmt"
	"time"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// Role says what an account or a token may do.
type Role string

// The roles.
const (
	Administrator Role = state.RoleAdministrator // everything
	Viewer        Role = "viewer"                // may only look
)

// ParseRole reads the name of a role. The error is a usermgmt.RuleError.
func ParseRole(name string) (Role, error) {
	if r := Role(name); r == Administrator || r == Viewer {
		return r, nil
	}
	return "", &usermgmt.RuleError{Field: "role", Text: fmt.Sprintf("%.20q is not one of %s, %s", name, Administrator, Viewer)}
}

// Identity is the sender of a request.
type Identity struct {
	Name  string
	Role  Role
	Token bool // an API token, not a person
}

type identityKey struct{}

// With gives a context for requests of id. The history names id as the author of changes of users.
func With(ctx context.Context, id Identity) context.Context {
	who := id.Name
	if id.Token {
		who = "token " + who
	}
	return state.By(context.WithValue(ctx, identityKey{}, id), who)
}

// Of gives the identity that With put into the context; false: there is none.
func Of(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// Account is an administrator or a viewer, without secrets.
type Account struct {
	Name      string
	Role      Role
	TOTP      bool      // log-ins need a code, too
	Added     time.Time // when
	LastLogIn time.Time // zero: none
	Proof     string    // a fingerprint of the password and the secret of TOTP; it reveals neither
}

// Token is an API token, without its secret.
type Token struct {
	Name    string
	Role    Role
	Expires time.Time // zero: never
	Added   time.Time
	By      string // who made it
}
