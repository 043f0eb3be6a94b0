package mgmt

import (
	"context"
	"net/http"
	"vpnd/internal/timesync"

	"github.com/danielgtaylor/huma/v2"
)

type (
	// TimeSettingsView is the answer of GET /time/settings.
	TimeSettingsView struct {
		TimeSettings
		Overridden []string `json:"overridden" doc:"Keys of the configuration file that these settings override"`
	}
	// TimeChange is the body of PATCH /time/settings.
	TimeChange struct {
		Servers   []string `json:"servers,omitzero" maxItems:"16" doc:"All time servers; an empty list: none"`
		Interval  *string  `json:"interval,omitempty"`
		MaxOffset *string  `json:"max_offset,omitempty"`

		Overridden shown `json:"overridden,omitzero"`
	}
)

type (
	timeView struct {
		Body timesync.View
	}
	timeSettingsView struct {
		ETag string `header:"ETag"`
		Body TimeSettingsView
	}
	changeTime struct {
		Precondition
		Body TimeChange
	}
)

func (a *API) registerTime(api huma.API) {
	huma.Register(api, operation("get-time", http.MethodGet, "/time", "Show the clock for one-time passwords", tagTime),
		func(context.Context, *struct{}) (*timeView, error) { return &timeView{a.cfg.Clock.View()}, nil })
	huma.Register(api, operation("inquire-time", http.MethodPost, "/time/inquire", "Ask the time servers now", tagTime, http.StatusBadGateway),
		func(ctx context.Context, _ *struct{}) (*timeView, error) {
			if err := a.cfg.Clock.Inquire(ctx); err != nil {
				return nil, huma.Error502BadGateway(err.Error())
			}
			return &timeView{a.cfg.Clock.View()}, nil
		})
	huma.Register(api, operation("get-time-settings", http.MethodGet, "/time/settings", "Show the settings for the time servers", tagTime),
		func(context.Context, *struct{}) (*timeSettingsView, error) { return a.timeSettings(), nil })
	huma.Register(api, operation("change-time-settings", http.MethodPatch, "/time/settings", "Change the settings for the time servers", tagTime,
		http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changeTime)
}

func (a *API) timeSettings() *timeSettingsView {
	t := a.cfg.Settings.Time()
	return &timeSettingsView{ETag: quoted(StateTag(t)), Body: TimeSettingsView{t, a.overridden()}}
}

func (a *API) changeTime(ctx context.Context, in *changeTime) (*timeSettingsView, error) {
	if err := a.ChangeTime(ctx, in.Precondition, sets(in.Body.apply)); err != nil {
		return nil, problem(err)
	}
	return a.timeSettings(), nil
}

// ChangeTime changes the watch over the clock as ChangeServices changes services.
func (a *API) ChangeTime(ctx context.Context, provided Precondition, change func(*TimeSettings) error) error {
	return changed(a, provided, a.cfg.Settings.Time, change, func(to TimeSettings) error { return a.cfg.Settings.SetTime(ctx, to) })
}

// apply puts the given fields into the settings.
func (c *TimeChange) apply(t *TimeSettings) {
	if c.Servers != nil {
		t.Servers = c.Servers
	}
	apply(&t.Interval, c.Interval)
	apply(&t.MaxOffset, c.MaxOffset)
}
