package client

import (
	"context"
	"net/http"
	"vpnd/mgmt"
)

// Services says what is on.
func (c *Client) Services(ctx context.Context) (mgmt.ServiceView, error) {
	var s mgmt.ServiceView
	err := c.ask(ctx, http.MethodGet, "/services", nil, &s)
	return s, err
}

// ChangeServices turns services on and off, and says what is on then.
func (c *Client) ChangeServices(ctx context.Context, change mgmt.ServiceChange) (mgmt.ServiceView, error) {
	var s mgmt.ServiceView
	err := c.ask(ctx, http.MethodPatch, "/services", change, &s)
	return s, err
}

// PPP is PPP General Setup.
func (c *Client) PPP(ctx context.Context) (mgmt.PPPView, error) {
	var p mgmt.PPPView
	err := c.ask(ctx, http.MethodGet, "/ppp", nil, &p)
	return p, err
}

// ChangePPP changes it, and says what it is then.
func (c *Client) ChangePPP(ctx context.Context, change mgmt.PPPChange) (mgmt.PPPView, error) {
	var p mgmt.PPPView
	err := c.ask(ctx, http.MethodPatch, "/ppp", change, &p)
	return p, err
}

// TimeSettings says how the daemon's clock is watched.
func (c *Client) TimeSettings(ctx context.Context) (mgmt.TimeSettingsView, error) {
	var t mgmt.TimeSettingsView
	err := c.ask(ctx, http.MethodGet, "/time/settings", nil, &t)
	return t, err
}

// ChangeTime changes that, and says what it is then.
func (c *Client) ChangeTime(ctx context.Context, change mgmt.TimeChange) (mgmt.TimeSettingsView, error) {
	var t mgmt.TimeSettingsView
	err := c.ask(ctx, http.MethodPatch, "/time/settings", change, &t)
	return t, err
}

// Pools are the addresses that clients get.
func (c *Client) Pools(ctx context.Context) (mgmt.PoolsView, error) {
	var p mgmt.PoolsView
	err := c.ask(ctx, http.MethodGet, "/pools", nil, &p)
	return p, err
}

// ChangePools changes them, and says what they are then.
func (c *Client) ChangePools(ctx context.Context, change mgmt.PoolsChange) (mgmt.PoolsView, error) {
	var p mgmt.PoolsView
	err := c.ask(ctx, http.MethodPatch, "/pools", change, &p)
	return p, err
}

// Shutdown says whether the daemon is to end.
func (c *Client) Shutdown(ctx context.Context) (mgmt.ShutdownState, error) {
	var s mgmt.ShutdownState
	err := c.ask(ctx, http.MethodGet, "/shutdown", nil, &s)
	return s, err
}

// ShutDown asks the daemon to end.
func (c *Client) ShutDown(ctx context.Context, how mgmt.ShutdownRequest) (mgmt.ShutdownState, error) {
	var s mgmt.ShutdownState
	err := c.ask(ctx, http.MethodPost, "/shutdown", how, &s)
	return s, err
}

// CancelShutdown has the daemon take calls again.
func (c *Client) CancelShutdown(ctx context.Context) error {
	return c.ask(ctx, http.MethodDelete, "/shutdown", nil, nil)
}
