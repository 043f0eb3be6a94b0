package access

import "context"

// Hurry makes passwords cheap, for tests about other things.
func (g *Gate) Hurry() {
	g.hashing.Memory, g.hashing.Iterations = 64, 1
	g.nobody = nobodyOf(g.hashing)
}

// SetRole changes the role.
func (g *Gate) SetRole(ctx context.Context, name string, role Role) error {
	_, err := g.Change(ctx, name, Change{Role: &role})
	return err
}

// SetPassword changes the password.
func (g *Gate) SetPassword(ctx context.Context, name, password string) error {
	_, err := g.Change(ctx, name, Change{Password: &password})
	return err
}

// SetTOTP changes the secret of TOTP.
func (g *Gate) SetTOTP(ctx context.Context, name, secret, code string) error {
	_, err := g.Change(ctx, name, Change{TOTPSecret: &secret, Code: code})
	return err
}
