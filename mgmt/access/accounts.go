package access

import (
	"context"
	"errors"
	"time"
	"vpnd/auth/totp"
	"vpnd/usermgmt"
)

// Administrators lists the accounts by name.
func (g *Gate) Administrators(ctx context.Context) ([]Account, error) {
	stored, err := g.store.Administrators(ctx)
	all := make([]Account, len(stored))
	for i, a := range stored {
		all[i] = Account{Name: a.Name, Role: Role(a.Role), TOTP: a.TOTPSecret != "", Added: a.Added, LastLogIn: a.LastLogIn}
	}
	return all, err
}

// Any reports whether there is somebody with the role of an administrator.
func (g *Gate) Any(ctx context.Context) (bool, error) { return g.store.AnyAdministrator(ctx) }

// Add adds an account. The error may join usermgmt.RuleErrors, or be usermgmt.ErrAdministratorExists.
func (g *Gate) Add(ctx context.Context, name, password string, role Role) error {
	role, wrong := ParseRole(string(role))
	hash, err := g.hash(ctx, name, password)
	if err := errors.Join(usermgmt.CheckName(name), err, wrong); err != nil {
		return err
	}
	err = g.store.AddAdministrator(ctx, usermgmt.Administrator{Name: name, Role: string(role), Password: hash})
	return g.changed(ctx, err, "administrator added", "user", name, "role", role)
}

// SetRole changes what an account may do, and ends its sessions. The last administrator stays one
// (usermgmt.ErrLastAdministrator).
func (g *Gate) SetRole(ctx context.Context, name string, role Role) error {
	role, err := ParseRole(string(role))
	if err != nil {
		return err
	}
	err = g.store.ChangeAdministrator(ctx, name, "role "+string(role), func(a *usermgmt.Administrator) { a.Role = string(role) })
	return g.changed(ctx, err, "administrator changed", "user", name, "role", role)
}

// SetPassword changes a password, and ends the account's sessions. The error may be a usermgmt.RuleError.
func (g *Gate) SetPassword(ctx context.Context, name, password string) error {
	if _, err := g.store.Administrator(ctx, name); err != nil {
		return err
	}
	hash, err := g.hash(ctx, name, password)
	if err != nil {
		return err
	}
	err = g.store.ChangeAdministrator(ctx, name, "password", func(a *usermgmt.Administrator) { a.Password = hash })
	return g.changed(ctx, err, "administrator changed", "user", name, "what", "password")
}

// SetTOTP sets the secret of the account's app, in base32, if code is what the app shows now, and ends the account's sessions. Secret "":
// log-ins take no code any more. The error may be a usermgmt.RuleError about "totp-secret" or "code".
func (g *Gate) SetTOTP(ctx context.Context, name, secret, code string) error {
	secret, step, what := totp.Clean(secret), int64(0), "TOTP off"
	if secret != "" {
		if err := totp.Check(secret); err != nil {
			return &usermgmt.RuleError{Field: "totp-secret", Text: err.Error()}
		}
		var ok bool
		if step, ok = stepOf(secret, code, g.now()); !ok {
			return &usermgmt.RuleError{Field: "code", Text: "is not what an app with this secret shows now: mind the clocks"}
		}
		what = "TOTP on"
	}
	err := g.store.ChangeAdministrator(ctx, name, what, func(a *usermgmt.Administrator) { a.TOTPSecret, a.TOTPStep = secret, step })
	return g.changed(ctx, err, "administrator changed", "user", name, "what", what)
}

// Remove removes an account with its sessions; the last administrator only if evenLast, and else the error is
// usermgmt.ErrLastAdministrator.
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

// NewToken makes an API token that counts until expires (zero: for good), and gives its secret, which is not known afterwards. The error may
// join usermgmt.RuleErrors about "name", "role" or "expires", or be usermgmt.ErrTokenExists.
func (g *Gate) NewToken(ctx context.Context, name string, role Role, expires time.Time) (string, error) {
	role, err := ParseRole(string(role))
	if !expires.IsZero() && !g.now().Before(expires) {
		err = errors.Join(err, &usermgmt.RuleError{Field: "expires", Text: "is in the past"})
	}
	if err := errors.Join(usermgmt.CheckName(name), err); err != nil {
		return "", err
	}
	secret := tokenPrefix + newSecret()
	err = g.store.AddAdminToken(ctx, usermgmt.AdminToken{Name: name, Role: string(role), Hash: hashOf(secret), Expires: expires})
	if err := g.changed(ctx, err, "API token added", "token", name, "role", role); err != nil {
		return "", err
	}
	return secret, nil
}

// RemoveToken ends an API token. The error may be usermgmt.ErrNoToken.
func (g *Gate) RemoveToken(ctx context.Context, name string) error {
	return g.changed(ctx, g.store.RemoveAdminToken(ctx, name), "API token removed", "token", name)
}

// changed logs a change, with who made it, if it was made.
func (g *Gate) changed(ctx context.Context, err error, what string, attrs ...any) error {
	if err == nil {
		if id, ok := Of(ctx); ok {
			attrs = append(attrs, "by", id.Name)
		}
		g.log.Info(what, attrs...)
	}
	return err
}
