package mgmt

import (
	"context"
	"net/http"
	"time"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

type timeView struct {
	Body any
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

// Event is an entry of the history, or an event as it happens.
type Event struct {
	ID         int64     `json:"id,omitempty" doc:"Of the entry in the history"`
	At         time.Time `json:"at"`
	Event      string    `json:"event" doc:"connected, disconnected, refused, or a change of a user or of settings"`
	User       string    `json:"user"`
	Connection string    `json:"connection,omitempty"`
	Type       string    `json:"type,omitempty"`
	RemoteIP   string    `json:"remote_ip,omitempty"`
	VirtualIP  string    `json:"virtual_ip,omitempty"`
	Auth       string    `json:"auth,omitempty"`
	Encryption string    `json:"encryption,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Seconds    int64     `json:"seconds,omitempty" doc:"How long the connection was up"`
	RxBytes    uint64    `json:"rx_bytes,omitempty"`
	TxBytes    uint64    `json:"tx_bytes,omitempty"`
	By         string    `json:"by,omitempty" doc:"Who made the change"`
}

// EventOf is an entry of the history as the API and the commands show it.
func EventOf(e usermgmt.Entry) Event {
	v := Event{
		ID: e.ID, At: e.At.UTC(), Event: e.Event, User: e.User, Connection: e.Connection, Type: e.Type, Auth: e.Auth, Encryption: e.Encryption,
		Reason: e.Reason, Seconds: int64(e.Duration / time.Second), RxBytes: e.Rx, TxBytes: e.Tx, By: e.By,
	}
	if e.Peer.IsValid() {
		v.RemoteIP = e.Peer.String()
	}
	if e.Address.IsValid() {
		v.VirtualIP = e.Address.String()
	}
	return v
}

func (a *API) registerHistory(api huma.API) {
	huma.Register(api, operation("list-history", http.MethodGet, "/history", "List what happened, the newest first", "History"),
		func(ctx context.Context, in *struct {
			User   string    `query:"user" maxLength:"64"`
			Since  time.Time `query:"since"`
			Before int64     `query:"before" minimum:"0" doc:"An id: what came before it"`
			Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		},
		) (*struct{ Body []Event }, error) {
			entries, err := a.cfg.Users.History(ctx, usermgmt.HistoryQuery{User: in.User, Since: in.Since, Before: in.Before, Limit: in.Limit})
			if err != nil {
				return nil, problem(err)
			}
			events := make([]Event, len(entries))
			for i, e := range entries {
				events[i] = EventOf(e)
			}
			return &struct{ Body []Event }{events}, nil
		})
}
