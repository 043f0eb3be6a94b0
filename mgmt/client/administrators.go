package client

import (
	"context"
	"net/http"
	"net/url"
	"vpnd/mgmt"
)

// Administrators lists the administrators and viewers.
func (c *Client) Administrators(ctx context.Context) ([]mgmt.Administrator, error) {
	return answer[[]mgmt.Administrator](ctx, c, http.MethodGet, "/administrators", nil)
}

// AddAdministrator adds an administrator, or a viewer.
func (c *Client) AddAdministrator(ctx context.Context, name, role, password string) error {
	in := map[string]string{"name": name, "role": role, "password": password}
	return c.ask(ctx, http.MethodPost, "/administrators", in, nil)
}

// ChangeAdministrator changes the fields that the input has.
func (c *Client) ChangeAdministrator(ctx context.Context, name string, in mgmt.AdministratorInput) error {
	return c.ask(ctx, http.MethodPatch, "/administrators/"+url.PathEscape(name), in, nil)
}

// RemoveAdministrator removes an administrator. With force it removes even the last one.
func (c *Client) RemoveAdministrator(ctx context.Context, name string, force bool) error {
	path := "/administrators/" + url.PathEscape(name)
	if force {
		path += "?force=true"
	}
	return c.ask(ctx, http.MethodDelete, path, nil, nil)
}

// Tokens lists the API tokens.
func (c *Client) Tokens(ctx context.Context) ([]mgmt.Token, error) {
	return answer[[]mgmt.Token](ctx, c, http.MethodGet, "/tokens", nil)
}

// AddToken makes an API token and gives its secret.
func (c *Client) AddToken(ctx context.Context, in mgmt.TokenInput) (string, error) {
	var made mgmt.NewToken
	err := c.ask(ctx, http.MethodPost, "/tokens", in, &made)
	return made.Secret, err
}

// RemoveToken removes an API token.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	return c.ask(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(name), nil, nil)
}
