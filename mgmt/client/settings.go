package client

import (
	"context"
	"net/http"
	"vpnd/mgmt"
)

// Services says which services are on.
func (c *Client) Services(ctx context.Context) (mgmt.ServiceView, error) {
	return answer[mgmt.ServiceView](ctx, c, http.MethodGet, "/services", nil)
}

// ChangeServices turns services on and off, and gives the new state.
func (c *Client) ChangeServices(ctx context.Context, change mgmt.ServiceChange) (mgmt.ServiceView, error) {
	return answer[mgmt.ServiceView](ctx, c, http.MethodPatch, "/services", change)
}

// PPP gives PPP General Setup.
func (c *Client) PPP(ctx context.Context) (mgmt.PPPView, error) {
	return answer[mgmt.PPPView](ctx, c, http.MethodGet, "/ppp", nil)
}

// ChangePPP changes PPP General Setup and gives the new settings.
func (c *Client) ChangePPP(ctx context.Context, change mgmt.PPPChange) (mgmt.PPPView, error) {
	return answer[mgmt.PPPView](ctx, c, http.MethodPatch, "/ppp", change)
}

// TimeSettings says how the daemon watches the host's clock.
func (c *Client) TimeSettings(ctx context.Context) (mgmt.TimeSettingsView, error) {
	return answer[mgmt.TimeSettingsView](ctx, c, http.MethodGet, "/time/settings", nil)
}

// ChangeTime changes the settings of the watch, and gives the new ones.
func (c *Client) ChangeTime(ctx context.Context, change mgmt.TimeChange) (mgmt.TimeSettingsView, error) {
	return answer[mgmt.TimeSettingsView](ctx, c, http.MethodPatch, "/time/settings", change)
}

// Pools gives the address pools.
func (c *Client) Pools(ctx context.Context) (mgmt.PoolsView, error) {
	return answer[mgmt.PoolsView](ctx, c, http.MethodGet, "/pools", nil)
}

// ChangePools changes the address pools and gives the new ones.
func (c *Client) ChangePools(ctx context.Context, change mgmt.PoolsChange) (mgmt.PoolsView, error) {
	return answer[mgmt.PoolsView](ctx, c, http.MethodPatch, "/pools", change)
}

// Shutdown says whether a shutdown is pending.
func (c *Client) Shutdown(ctx context.Context) (mgmt.ShutdownState, error) {
	return answer[mgmt.ShutdownState](ctx, c, http.MethodGet, "/shutdown", nil)
}

// ShutDown asks the daemon to end.
func (c *Client) ShutDown(ctx context.Context, how mgmt.ShutdownRequest) (mgmt.ShutdownState, error) {
	return answer[mgmt.ShutdownState](ctx, c, http.MethodPost, "/shutdown", how)
}

// CancelShutdown cancels a pending shutdown: the daemon takes calls again.
func (c *Client) CancelShutdown(ctx context.Context) error {
	return c.ask(ctx, http.MethodDelete, "/shutdown", nil, nil)
}
