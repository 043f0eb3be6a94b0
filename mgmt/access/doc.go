// Package access controls the access over HTTPS: administrators with their passwords, roles and TOTP, their
// sessions, API tokens for programs, and one-time set-up links. It keeps only the limits of log-ins itself.
// Everything else is in a Store, so a change by any process takes effect with the next request.
package access

import (
	"context"
	"fmt"
	"time"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// Role is what somebody may do.
type Role string

// The roles.
const (
	Administrator Role = state.RoleAdministrator // everything
	Viewer        Role = "viewer"                // look
)

// ParseRole takes the name of a role. The error is a usermgmt.RuleError.
func ParseRole(name string) (Role, error) {
	if r := Role(name); r == Administrator || r == Viewer {
		return r, nil
	}
	return "", &usermgmt.RuleError{Field: "role", Text: fmt.Sprintf("%.20q is not one of %s, %s", name, Administrator, Viewer)}
}

// Identity is who asks.
type Identity struct {
	Name  string
	Role  Role
	Token bool // an API token, not a person
}

type identityKey struct{}

// With gives a context of requests of id. Changes of users made with it are ascribed to id.
func With(ctx context.Context, id Identity) context.Context {
	who := id.Name
	if id.Token {
		who = "token " + who
	}
	return state.By(context.WithValue(ctx, identityKey{}, id), who)
}

// Of gives whose request the context is of; false: nobody's that is known.
func Of(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// Account is somebody who may manage the daemon, without secrets.
type Account struct {
	Name      string
	Role      Role
	TOTP      bool      // log-ins take a code, too
	Added     time.Time // when
	LastLogIn time.Time // zero: none
	Proof     string    // another one with each password and each secret of TOTP, of which it tells nothing
}

// Token is an API token, without its secret.
type Token struct {
	Name    string
	Role    Role
	Expires time.Time // zero: never
	Added   time.Time
	By      string // who made it
}
