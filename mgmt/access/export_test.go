package access

import "context"

// Hurry takes the work out of passwords, for tests that are not about it.
func (g *Gate) Hurry() {
	g.hashing.Memory, g.hashing.Iterations = 64, 1
	g.nobody = nobodyOf(g.hashing)
}

// SetRole is Change of the role.
func (g *Gate) SetRole(ctx context.Context, name string, role Role) error {
	_, err := g.Change(ctx, name, Change{Role: &role})
	return err
}

// SetPassword is Change of the password.
func (g *Gate) SetPassword(ctx context.Context, name, password string) error {
	_, err := g.Change(ctx, name, Change{Password: &password})
	return err
}

// SetTOTP is Change of the secret of TOTP.
func (g *Gate) SetTOTP(ctx context.Context, name, secret, code string) error {
	_, err := g.Change(ctx, name, Change{TOTPSecret: &secret, Code: code})
	return err
}
