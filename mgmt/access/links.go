package access

import (
	"context"
	"errors"
	"vpnd/internal/state"
	"vpnd/usermgmt"
)

// ErrLink is the error of SetUp and LinkName for a link that is not valid.
var ErrLink = errors.New("this set-up link is not valid or has expired: 'vpnd admin link' makes a new one")

// FirstLink makes the set-up link of the first administrator and returns its secret part. The link
// replaces an earlier one. It is valid for 24 hours, and only while there is no administrator.
func (g *Gate) FirstLink(ctx context.Context) (string, error) {
	return g.addLink(ctx, state.SetUpLink{Role: string(Administrator), First: true})
}

// NewLink makes a set-up link that works once, within 24 hours, and returns its secret part. A link
// with a name is for that account and replaces an earlier link: it adds the account, or sets a new
// password. The user of a link without a name chooses the name.
func (g *Gate) NewLink(ctx context.Context, name string, role Role) (string, error) {
	role, err := ParseRole(string(role))
	if err != nil {
		return "", err
	}
	return g.addLink(ctx, state.SetUpLink{Name: name, Role: string(role)})
}

func (g *Gate) addLink(ctx context.Context, l state.SetUpLink) (string, error) {
	secret := newSecret()
	l.Hash, l.Expires = hashOf(secret), g.now().Add(linkLife)
	if err := g.store.AddSetUpLink(ctx, l); err != nil {
		return "", err
	}
	return secret, nil
}

// LinkName gives the account's name of a set-up link; "": the user of the link chooses the name.
// The error may be ErrLink.
func (g *Gate) LinkName(ctx context.Context, link string) (string, error) {
	if !likeSecret(link) {
		return "", ErrLink
	}
	l, err := g.store.SetUpLink(ctx, hashOf(link), g.now())
	if errors.Is(err, state.ErrNoLink) || err == nil && !within(g.now(), l.Expires.Add(-linkLife), linkLife) {
		err = ErrLink
	}
	return l.Name, err
}

// SetUp uses a set-up link up. A name of the link overrides name. The error may be ErrLink or
// state.ErrAdministratorExists, or join a usermgmt.RuleError for each wrong field, "name" and
// "password". After a RuleError the link stays valid.
func (g *Gate) SetUp(ctx context.Context, link, name, password string) error {
	of, err := g.LinkName(ctx, link)
	if err != nil {
		return err
	}
	if of != "" {
		name = of
	}
	hash, err := g.hash(ctx, name, password)
	if err := errors.Join(usermgmt.CheckName(name), err); err != nil {
		return err
	}
	err = g.store.UseSetUpLink(ctx, hashOf(link), g.now(), name, hash)
	if errors.Is(err, state.ErrNoLink) {
		return ErrLink
	}
	return g.changed(ctx, err, "set-up link used", "user", name)
}
