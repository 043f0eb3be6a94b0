package mgmt

import (
	"context"
	"net/http"
	"strings"
	"time"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

// Administrator is a person who may manage the daemon or, as a viewer, only look at it.
type Administrator struct {
	Name      string     `json:"name"`
	Role      string     `json:"role" enum:"administrator,viewer"`
	HasTOTP   bool       `json:"has_totp" doc:"Log-ins need a code, too"`
	Added     time.Time  `json:"added"`
	LastLogIn *time.Time `json:"last_login" doc:"Null: none"`
}

// AdministratorInput holds the changes to an administrator. A field that is left out stays as it
// is. Each change ends the administrator's sessions.
type AdministratorInput struct {
	Role       *string `json:"role,omitempty" enum:"administrator,viewer"`
	Password   *string `json:"password,omitempty" doc:"At least 10 characters"`
	TOTPSecret *string `json:"totp_secret,omitempty" doc:"Base32; empty: log-ins need no code"`
	Code       string  `json:"code,omitempty" doc:"The current code of an app with totp_secret"`

	Name      string `json:"name,omitempty" doc:"The administrator's current name: names cannot be changed"`
	HasTOTP   shown  `json:"has_totp,omitzero"`
	Added     shown  `json:"added,omitzero"`
	LastLogIn shown  `json:"last_login,omitzero"`
}

// AdministratorOf is an account as the API and the commands show it.
func AdministratorOf(a access.Account) Administrator {
	return Administrator{Name: a.Name, Role: string(a.Role), HasTOTP: a.TOTP, Added: a.Added.UTC(), LastLogIn: orNull(a.LastLogIn)}
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// onlyAdministrators refuses an operation to viewers and to unknown callers.
func onlyAdministrators(api huma.API, op huma.Operation) huma.Operation {
	op.Errors = append(op.Errors, http.StatusForbidden)
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if id, _ := access.Of(ctx.Context()); id.Role != access.Administrator {
			_ = huma.WriteErr(api, ctx, http.StatusForbidden, "only an administrator may do this")
			return
		}
		next(ctx)
	}}
	return op
}

type (
	namedAdministrator struct {
		Name string `path:"name" maxLength:"64"`
	}
	removeAdministrator struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
		Force bool `query:"force" doc:"Remove even the last administrator. Then only loopback and the socket serve management"`
	}
	oneAdministrator struct {
		ETag string `header:"ETag"`
		Body Administrator
	}
	addedAdministrator struct {
		Location string `header:"Location" doc:"Path of the administrator"`
		ETag     string `header:"ETag"`
		Body     Administrator
	}
	administratorList struct {
		Body []Administrator
	}
	newAdministrator struct {
		Body struct {
			Name     string `json:"name"`
			Role     string `json:"role" enum:"administrator,viewer"`
			Password string `json:"password" doc:"At least 10 characters"`

			HasTOTP   shown `json:"has_totp,omitzero"`
			Added     shown `json:"added,omitzero"`
			LastLogIn shown `json:"last_login,omitzero"`
		}
	}
	changeAdministrator struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
		Body AdministratorInput
	}
)

func (a *API) registerAdministrators(api huma.API) {
	huma.Register(api, onlyAdministrators(api, operation("list-administrators", http.MethodGet, "/administrators", "List the administrators", tagAdministrators)),
		func(ctx context.Context, _ *struct{}) (*administratorList, error) {
			accounts, err := a.cfg.Access.Administrators(ctx)
			list := &administratorList{make([]Administrator, len(accounts))}
			for i, account := range accounts {
				list.Body[i] = AdministratorOf(account)
			}
			return list, problem(err)
		})
	add := operation("add-administrator", http.MethodPost, "/administrators", "Add an administrator, or a viewer", tagAdministrators,
		http.StatusConflict, http.StatusTooManyRequests)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, onlyAdministrators(api, add), a.addAdministrator)
	huma.Register(api, onlyAdministrators(api, operation("get-administrator", http.MethodGet, "/administrators/{name}", "Show an administrator, or a viewer", tagAdministrators,
		http.StatusNotFound)),
		func(ctx context.Context, in *namedAdministrator) (*oneAdministrator, error) {
			return a.administrator(ctx, in.Name)
		})
	huma.Register(api, onlyAdministrators(api, operation("change-administrator", http.MethodPatch, "/administrators/{name}",
		"Change the fields in the body, and end the sessions", tagAdministrators,
		http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests)), a.changeAdministrator)
	huma.Register(api, onlyAdministrators(api, operation("remove-administrator", http.MethodDelete, "/administrators/{name}",
		"Remove an administrator, and end the sessions", tagAdministrators,
		http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed)),
		func(ctx context.Context, in *removeAdministrator) (*struct{}, error) {
			return nil, problem(a.RemoveAdministrator(ctx, in.Name, in.Precondition, in.Force))
		})
}

func (a *API) addAdministrator(ctx context.Context, in *newAdministrator) (*addedAdministrator, error) {
	if err := a.cfg.Access.Add(ctx, in.Body.Name, in.Body.Password, access.Role(in.Body.Role)); err != nil {
		return nil, problem(err)
	}
	one, err := a.administrator(ctx, in.Body.Name)
	if err != nil {
		return nil, err
	}
	return &addedAdministrator{location("administrators", one.Body.Name), one.ETag, one.Body}, nil
}

func (a *API) changeAdministrator(ctx context.Context, in *changeAdministrator) (*oneAdministrator, error) {
	if in.Body.Name != "" && !strings.EqualFold(in.Body.Name, in.Name) {
		return nil, problem(&usermgmt.RuleError{Field: "name", Text: "cannot be changed: add an administrator with the new name and remove " + in.Name})
	}
	change := access.Change{Role: (*access.Role)(in.Body.Role), Password: in.Body.Password, TOTPSecret: in.Body.TOTPSecret, Code: in.Body.Code}
	if err := a.ChangeAdministrator(ctx, in.Name, in.Precondition, change); err != nil {
		return nil, problem(err)
	}
	return a.administrator(ctx, in.Name)
}

// ChangeAdministrator changes an account as access.Gate does, if the precondition holds.
func (a *API) ChangeAdministrator(ctx context.Context, name string, provided Precondition, change access.Change) error {
	return a.ifAdministrator(ctx, name, provided, func() error {
		_, err := a.cfg.Access.Change(ctx, name, change)
		return err
	})
}

// RemoveAdministrator removes an account as access.Gate does, if the precondition holds.
func (a *API) RemoveAdministrator(ctx context.Context, name string, provided Precondition, evenLast bool) error {
	return a.ifAdministrator(ctx, name, provided, func() error { return a.cfg.Access.Remove(ctx, name, evenLast) })
}

// ifAdministrator changes an account if the precondition holds.
func (a *API) ifAdministrator(ctx context.Context, name string, provided Precondition, change func() error) error {
	a.admins.Lock()
	defer a.admins.Unlock()
	account, err := a.cfg.Access.Account(ctx, name)
	if err == nil {
		err = provided.holds(accountTag(account))
	}
	if err != nil {
		return err
	}
	return change()
}

// accountTag is the tag of an account's state. A log-in does not change it.
func accountTag(account access.Account) string {
	account.LastLogIn = time.Time{}
	return StateTag(account)
}

func (a *API) administrator(ctx context.Context, name string) (*oneAdministrator, error) {
	account, err := a.cfg.Access.Account(ctx, name)
	if err != nil {
		return nil, problem(err)
	}
	return &oneAdministrator{quoted(accountTag(account)), AdministratorOf(account)}, nil
}
