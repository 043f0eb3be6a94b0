package mgmt

import (
	"context"
	"net/http"
	"vpnd/internal/state"
	"vpnd/mgmt/guide"

	"github.com/danielgtaylor/huma/v2"
)

// Attempt is a dial-in with the meaning of its outcome.
type Attempt struct {
	Event
	Meaning string `json:"meaning,omitempty" doc:"What the reason means"`
	Fix     string `json:"fix,omitempty" doc:"How to fix it"`

	OnPage []guide.Part `json:"-"` // Fix, with links for commands
}

// AttemptOf is an event as an Attempt. It has advice if the event is a dial-in that failed or
// ended.
func AttemptOf(e Event) Attempt {
	a := Attempt{Event: e}
	if e.Event != state.EventRefused && e.Event != state.EventDisconnected {
		return a
	}
	if advice, ok := guide.For(guide.Attempt{User: e.User, Type: e.Type, Reason: e.why}); ok {
		a.Meaning, a.Fix, a.OnPage = advice.Meaning, advice.Fix, advice.OnPage
	}
	return a
}

// Attempts gives the last dial-ins of a user, the newest first. They include attempts without a
// user name that came from the addresses of the user's last log-ins. The user "" means every user.
func Attempts(ctx context.Context, users Users, history History, user string, limit int) ([]Attempt, error) {
	q := state.HistoryQuery{User: user, Events: state.Attempts, Limit: limit}
	if user != "" {
		p, err := users.Get(ctx, user)
		if err != nil {
			return nil, err
		}
		standing, err := users.Standing(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		for _, network := range standing.Addresses {
			if network.IsValid() {
				q.Peers = append(q.Peers, network.Addr())
			}
		}
	}
	entries, err := history.History(ctx, q)
	if err != nil {
		return nil, err
	}
	list := make([]Attempt, len(entries))
	for i, e := range entries {
		list[i] = AttemptOf(EventOf(e))
	}
	return list, nil
}

func (a *API) registerAttempts(api huma.API) {
	huma.Register(api, operation("list-attempts", http.MethodGet, "/attempts", "List the last dial-ins of all users, with advice on failures", tagDiagnosis),
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"20"`
		},
		) (*struct{ Body []Attempt }, error) {
			return a.attempts(ctx, "", in.Limit)
		})
	huma.Register(api, operation("list-user-attempts", http.MethodGet, "/users/{name}/attempts",
		"List a user's last dial-ins, with advice on failures", tagDiagnosis, http.StatusNotFound),
		func(ctx context.Context, in *struct {
			Name  string `path:"name" maxLength:"64"`
			Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"20"`
		},
		) (*struct{ Body []Attempt }, error) {
			return a.attempts(ctx, in.Name, in.Limit)
		})
}

// Attempts gives the last dial-ins of a user, or of every user, as the function Attempts does.
func (a *API) Attempts(ctx context.Context, user string, limit int) ([]Attempt, error) {
	return Attempts(ctx, a.cfg.Users, a.cfg.History, user, limit)
}

func (a *API) attempts(ctx context.Context, user string, limit int) (*struct{ Body []Attempt }, error) {
	list, err := a.Attempts(ctx, user, limit)
	if err != nil {
		return nil, problem(err)
	}
	return &struct{ Body []Attempt }{list}, nil
}
