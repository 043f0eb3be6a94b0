package mgmt

import (
	"context"
	"net/http"
	"vpnd/internal/timesync"

	"github.com/danielgtaylor/huma/v2"
)

type timeView struct {
	Body timesync.View
}

func (a *API) registerTime(api huma.API) {
	const tag = "Time and Date"
	huma.Register(api, operation("get-time", http.MethodGet, "/time", "Show the clock that one-time passwords are verified by", tag),
		func(context.Context, *struct{}) (*timeView, error) { return &timeView{a.cfg.Clock.View()}, nil })
	huma.Register(api, operation("inquire-time", http.MethodPost, "/time/inquire", "Inquire the time servers now", tag, http.StatusBadGateway),
		func(ctx context.Context, _ *struct{}) (*timeView, error) {
			if err := a.cfg.Clock.Inquire(ctx); err != nil {
				return nil, huma.Error502BadGateway(err.Error())
			}
			return &timeView{a.cfg.Clock.View()}, nil
		})
}
