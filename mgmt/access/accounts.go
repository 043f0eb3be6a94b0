package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"vpnd/auth/totp"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// Administrators lists the accounts by name.
func (g *Gate) Administrators(ctx context.Context) ([]Account, error) {
	stored, err := g.store.Administrators(ctx)
	all := make([]Account, len(stored))
	for i, a := range stored {
		all[i] = accountOf(a)
	}
	return all, err
}

// Account gives one account. The error may be state.ErrNoAdministrator.
func (g *Gate) Account(ctx context.Context, name string) (Account, error) {
	a, err := g.store.Administrator(ctx, name)
	return accountOf(a), err
}

func accountOf(a state.Administrator) Account {
	return Account{Name: a.Name, Role: Role(a.Role), TOTP: a.TOTPSecret != "", Added: a.Added, LastLogIn: a.LastLogIn, Proof: Proof(a.Password, a.TOTPSecret)}
}

// proofKey keys the proofs, so that nobody can test guesses of a secret against them.
var proofKey = []byte(newSecret())

// Proof is a fingerprint of secrets. It changes with each of them and with each start, and reveals
// none of them.
func Proof(secrets ...string) string {
	mac := hmac.New(sha256.New, proofKey)
	for _, secret := range secrets {
		mac.Write([]byte(secret + "\x00"))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// Any reports whether an account has the role of an administrator.
func (g *Gate) Any(ctx context.Context) (bool, error) { return g.store.AnyAdministrator(ctx) }

// Add adds an account. The error may join usermgmt.RuleErrors, or be state.ErrAdministratorExists.
func (g *Gate) Add(ctx context.Context, name, password string, role Role) error {
	role, wrong := ParseRole(string(role))
	hash, err := g.hash(ctx, name, password)
	if err := errors.Join(usermgmt.CheckName(name), err, wrong); err != nil {
		return err
	}
	err = g.store.AddAdministrator(ctx, state.Administrator{Name: name, Role: string(role), Password: hash})
	return g.changed(ctx, err, "administrator added", "user", name, "role", role)
}

// Change holds the changes to an account. A nil field stays as it is.
type Change struct {
	Role     *Role
	Password *string
	// TOTPSecret is the secret of the account's app, in base32, and Code is the app's current code.
	// The secret "" ends TOTP.
	TOTPSecret *string
	Code       string
}

// Change makes all changes to an account or none, and ends its sessions. If the account is so
// already, nothing changes. A password is always a change. The error may be
// state.ErrNoAdministrator or state.ErrLastAdministrator, or join a usermgmt.RuleError for each
// wrong field of "role", "password", "totp-secret" and "code".
func (g *Gate) Change(ctx context.Context, name string, c Change) (changed bool, err error) {
	before, err := g.store.Administrator(ctx, name)
	if err != nil {
		return false, err
	}
	var what []string
	var errs []error
	var hash, secret string
	var step int64
	if c.Role != nil && string(*c.Role) != before.Role {
		role, err := ParseRole(string(*c.Role))
		errs, what = append(errs, err), append(what, "role "+string(role))
	}
	if c.TOTPSecret != nil && *c.TOTPSecret+before.TOTPSecret != "" {
		var err error
		secret, step, err = g.secret(*c.TOTPSecret, c.Code)
		errs = append(errs, err)
		if secret == "" {
			what = append(what, "TOTP off")
		} else {
			what = append(what, "TOTP on")
		}
	}
	if c.Password != nil {
		var err error
		hash, err = g.hash(ctx, name, *c.Password)
		errs, what = append(errs, err), append(what, "password")
	}
	if err := errors.Join(errs...); err != nil || len(what) == 0 {
		return false, err
	}
	text := strings.Join(what, ", ")
	err = g.store.ChangeAdministrator(ctx, name, text, func(a *state.Administrator) {
		if c.Role != nil {
			a.Role = string(*c.Role)
		}
		if c.TOTPSecret != nil {
			a.TOTPSecret, a.TOTPStep = secret, step
		}
		if c.Password != nil {
			a.Password = hash
		}
	})
	return err == nil, g.changed(ctx, err, "administrator changed", "user", name, "what", text)
}

// secret checks a new secret of TOTP. It gives the clean secret with the step of the code.
func (g *Gate) secret(secret, code string) (string, int64, error) {
	if secret = totp.Clean(secret); secret == "" {
		return "", 0, nil
	}
	if err := totp.Check(secret); err != nil {
		return "", 0, &usermgmt.RuleError{Field: "totp-secret", Text: err.Error()}
	}
	step, ok := stepOf(secret, code, g.now())
	if !ok {
		return "", 0, &usermgmt.RuleError{Field: "code", Text: "is not the current code of an app with this secret: check the clocks"}
	}
	return secret, step, nil
}

// Remove removes an account and its sessions. It removes the last administrator only if evenLast is
// true. Otherwise the error is state.ErrLastAdministrator.
func (g *Gate) Remove(ctx context.Context, name string, evenLast bool) error {
	return g.changed(ctx, g.store.RemoveAdministrator(ctx, name, evenLast), "administrator removed", "user", name)
}

// Tokens lists the API tokens by name.
func (g *Gate) Tokens(ctx context.Context) ([]Token, error) {
	stored, err := g.store.AdminTokens(ctx)
	all := make([]Token, len(stored))
	for i, t := range stored {
		all[i] = Token{t.Name, Role(t.Role), t.Expires, t.Added, t.By}
	}
	return all, err
}

// NewToken makes an API token that is valid until expires (zero: for ever). It returns the secret,
// which is not stored. The error may be state.ErrTokenExists, or join usermgmt.RuleErrors about
// "name", "role" or "expires".
func (g *Gate) NewToken(ctx context.Context, name string, role Role, expires time.Time) (string, error) {
	role, err := ParseRole(string(role))
	if !expires.IsZero() && !g.now().Before(expires) {
		err = errors.Join(err, &usermgmt.RuleError{Field: "expires", Text: "is in the past"})
	}
	if err := errors.Join(usermgmt.CheckName(name), err); err != nil {
		return "", err
	}
	secret := tokenPrefix + newSecret()
	err = g.store.AddAdminToken(ctx, state.AdminToken{Name: name, Role: string(role), Hash: hashOf(secret), Expires: expires})
	if err := g.changed(ctx, err, "API token added", "token", name, "role", role); err != nil {
		return "", err
	}
	return secret, nil
}

// RemoveToken removes an API token. The error may be state.ErrNoToken.
func (g *Gate) RemoveToken(ctx context.Context, name string) error {
	return g.changed(ctx, g.store.RemoveAdminToken(ctx, name), "API token removed", "token", name)
}

// changed logs a successful change and the administrator who made it.
func (g *Gate) changed(ctx context.Context, err error, what string, attrs ...any) error {
	if err == nil {
		if id, ok := Of(ctx); ok {
			attrs = append(attrs, "by", id.Name)
		}
		g.log.Info(what, attrs...)
	}
	return err
}
