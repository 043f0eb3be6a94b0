package mgmt

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"

	"github.com/danielgtaylor/huma/v2"
)

// Event is an entry of the history, or an event as it happens.
type Event struct {
	ID         int64     `json:"id,omitempty" doc:"Id of the entry"`
	At         time.Time `json:"at"`
	Event      string    `json:"event" doc:"connected, disconnected, refused, or the kind of change"`
	User       string    `json:"user"`
	Connection string    `json:"connection,omitempty"`
	Type       string    `json:"type,omitempty"`
	RemoteIP   string    `json:"remote_ip,omitempty"`
	VirtualIP  string    `json:"virtual_ip,omitempty"`
	Auth       string    `json:"auth,omitempty"`
	Encryption string    `json:"encryption,omitempty"`
	Cause      string    `json:"cause,omitempty" doc:"Code of the reason: see docs/reasons.md. Codes do not change, texts may"`
	Arguments  []string  `json:"arguments,omitempty" doc:"Arguments of the reason"`
	Reason     string    `json:"reason,omitempty"`
	Seconds    int64     `json:"seconds,omitempty" doc:"Duration of the connection"`
	RxBytes    uint64    `json:"rx_bytes,omitempty"`
	TxBytes    uint64    `json:"tx_bytes,omitempty"`
	By         string    `json:"by,omitempty" doc:"Who made the change"`

	why reason.Reason
}

// EventOf is an entry of the history as the API and the commands show it.
func EventOf(e state.Entry) Event {
	v := Event{
		ID: e.ID, At: e.At.UTC(), Event: e.Event, User: e.User, Connection: e.Connection, Type: e.Type, Auth: e.Auth, Encryption: e.Encryption,
		Cause: string(e.Why.Code), Arguments: e.Why.Arguments(), Reason: e.Text(), why: e.Why, Seconds: int64(e.Duration / time.Second), RxBytes: e.Rx, TxBytes: e.Tx, By: e.By,
	}
	if e.Peer.IsValid() {
		v.RemoteIP = e.Peer.String()
	}
	if e.Address.IsValid() {
		v.VirtualIP = e.Address.String()
	}
	return v
}

// History gives the entries that match the query, the newest first. The sum counts all that match,
// without offset and limit.
func (a *API) History(ctx context.Context, q state.HistoryQuery) ([]Event, state.HistorySum, error) {
	sum, err := a.cfg.History.HistorySum(ctx, q)
	if err != nil {
		return nil, sum, err
	}
	events, err := a.Events(ctx, q)
	return events, sum, err
}

// Events gives the entries of the history that match the query, the newest first.
func (a *API) Events(ctx context.Context, q state.HistoryQuery) ([]Event, error) {
	entries, err := a.cfg.History.History(ctx, q)
	events := make([]Event, len(entries))
	for i, e := range entries {
		events[i] = EventOf(e)
	}
	return events, err
}

// knownEvents gives an error for each event that is not among all.
func knownEvents(events, all []string) (wrong []error) {
	for _, e := range events {
		if !slices.Contains(all, e) {
			wrong = append(wrong, &huma.ErrorDetail{Location: "query.event", Message: "names, separated by commas, of " + strings.Join(all, ", ")})
		}
	}
	return wrong
}

type historyList struct {
	Total int `header:"X-Total-Count" doc:"Number of entries in all pages"`
	Body  []Event
}

type historyInput struct {
	User   string    `query:"user" maxLength:"64"`
	Events []string  `query:"event" maxItems:"20" doc:"Only these events, separated by commas"`
	Since  time.Time `query:"since"`
	Before int64     `query:"before" minimum:"0" doc:"Only entries before this id"`
	Offset int       `query:"offset" minimum:"0" doc:"Number of the newest entries to skip"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Resolve implements huma.Resolver.
func (in *historyInput) Resolve(huma.Context) []error { return knownEvents(in.Events, state.Events) }

func (a *API) registerHistory(api huma.API) {
	huma.Register(api, operation("list-history", http.MethodGet, "/history", "List past events, newest first", tagHistory),
		func(ctx context.Context, in *historyInput) (*historyList, error) {
			events, sum, err := a.History(ctx, state.HistoryQuery{User: in.User, Events: in.Events, Since: in.Since, Before: in.Before, Offset: in.Offset, Limit: in.Limit})
			if err != nil {
				return nil, problem(err)
			}
			return &historyList{sum.Entries, events}, nil
		})
}
