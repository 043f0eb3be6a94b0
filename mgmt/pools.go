package mgmt

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type (
	// PoolsView is the answer of GET /pools.
	PoolsView struct {
		PoolSettings
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that these settings override"`
	}
	// PoolsChange is the body of PATCH /pools.
	PoolsChange struct {
		Ranges []PoolRange            `json:"ranges,omitzero" maxItems:"256"`
		DNS    []string               `json:"dns,omitzero" maxItems:"2"`
		WINS   []string               `json:"wins,omitzero" maxItems:"2"`
		Pools  map[string]AddressPool `json:"pools,omitzero" doc:"All named pools; vpnd removes the others"`

		Overridden shown `json:"overridden,omitzero"`
	}
)

type (
	onePoolsView struct {
		ETag string `header:"ETag"`
		Body PoolsView
	}
	changePools struct {
		Precondition
		Body PoolsChange
	}
)

func (a *API) registerPools(api huma.API) {
	huma.Register(api, operation("get-pools", http.MethodGet, "/pools", "Show the addresses that clients get", tagPools),
		func(context.Context, *struct{}) (*onePoolsView, error) { return a.pools(), nil })
	huma.Register(api, operation("change-pools", http.MethodPatch, "/pools", "Change the addresses that clients get", tagPools,
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changePools)
}

func (a *API) pools() *onePoolsView {
	p := a.cfg.Settings.Pools()
	return &onePoolsView{ETag: quoted(StateTag(p)), Body: PoolsView{p, a.overridden()}}
}

func (a *API) changePools(ctx context.Context, in *changePools) (*onePoolsView, error) {
	if err := a.ChangePools(ctx, in.Precondition, sets(in.Body.apply)); err != nil {
		return nil, problem(err)
	}
	return a.pools(), nil
}

// ChangePools changes the address pools as ChangeServices changes services.
func (a *API) ChangePools(ctx context.Context, provided Precondition, change func(*PoolSettings) error) error {
	return changed(a, provided, a.cfg.Settings.Pools, change, func(to PoolSettings) error { return a.cfg.Settings.SetPools(ctx, to) })
}

// apply puts the given fields into the settings.
func (c *PoolsChange) apply(p *PoolSettings) {
	if c.Ranges != nil {
		p.Ranges = c.Ranges
	}
	if c.DNS != nil {
		p.DNS = c.DNS
	}
	if c.WINS != nil {
		p.WINS = c.WINS
	}
	if c.Pools != nil {
		p.Pools = c.Pools
	}
}
