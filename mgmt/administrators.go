package mgmt

import (
	"context"
	"net/http"
	"time"
	"vpnd/mgmt/access"

	"github.com/danielgtaylor/huma/v2"
)

// Administrator is somebody who may manage the daemon; a viewer may look.
type Administrator struct {
	Name      string     `json:"name"`
	Role      string     `json:"role" enum:"administrator,viewer"`
	HasTOTP   bool       `json:"has_totp" doc:"Log-ins take a code, too"`
	Added     time.Time  `json:"added"`
	LastLogIn *time.Time `json:"last_login" doc:"Null: none"`
}

// AdministratorInput is what is changed of an administrator; what is left out stays. Each change ends the sessions.
type AdministratorInput struct {
	Role       *string `json:"role,omitempty" enum:"administrator,viewer"`
	Password   *string `json:"password,omitempty" doc:"At least 10 characters"`
	TOTPSecret *string `json:"totp_secret,omitempty" doc:"Base32; empty: log-ins take no code"`
	Code       string  `json:"code,omitempty" doc:"What an app with totp_secret shows now"`
}

// Token is an API token, as it is shown.
type Token struct {
	Name    string     `json:"name"`
	Role    string     `json:"role" enum:"administrator,viewer"`
	Expires *time.Time `json:"expires" doc:"Null: never"`
	Added   time.Time  `json:"added"`
	By      string     `json:"by" doc:"Who made it"`
}

// TokenInput is a token to be made.
type TokenInput struct {
	Name    string     `json:"name"`
	Role    string     `json:"role" enum:"administrator,viewer"`
	Expires *time.Time `json:"expires,omitempty" doc:"Left out: never"`
}

// NewToken is a token that was made.
type NewToken struct {
	TokenInput
	Secret string `json:"secret" doc:"Goes into Authorization: Bearer; it is shown here alone"`
}

// AdministratorOf is an account as the API and the commands show it.
func AdministratorOf(a access.Account) Administrator {
	return Administrator{Name: a.Name, Role: string(a.Role), HasTOTP: a.TOTP, Added: a.Added.UTC(), LastLogIn: orNull(a.LastLogIn)}
}

// TokenOf is a token as the API and the commands show it.
func TokenOf(t access.Token) Token {
	return Token{Name: t.Name, Role: string(t.Role), Expires: orNull(t.Expires), Added: t.Added.UTC(), By: t.By}
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// onlyAdministrators keeps viewers, and who is not known, away from an operation.
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
		Name  string `path:"name" maxLength:"64"`
		Force bool   `query:"force" doc:"Even the last administrator: management then is on loopback and the socket alone"`
	}
	oneAdministrator struct {
		Body Administrator
	}
	administratorList struct {
		Body []Administrator
	}
	newAdministrator struct {
		Body struct {
			Name     string `json:"name"`
			Role     string `json:"role" enum:"administrator,viewer"`
			Password string `json:"password" doc:"At least 10 characters"`
		}
	}
	changeAdministrator struct {
		Name string `path:"name" maxLength:"64"`
		Body AdministratorInput
	}
	namedToken struct {
		Name string `path:"name" maxLength:"64"`
	}
	newToken struct {
		Body TokenInput
	}
	madeToken struct {
		Body NewToken
	}
	tokenList struct {
		Body []Token
	}
)

func (a *API) registerAdministrators(api huma.API) {
	const tag = "Administrators"
	gate := a.cfg.Access
	huma.Register(api, onlyAdministrators(api, operation("list-administrators", http.MethodGet, "/administrators", "List who may manage the daemon", tag)),
		func(ctx context.Context, _ *struct{}) (*administratorList, error) {
			accounts, err := gate.Administrators(ctx)
			list := &administratorList{make([]Administrator, len(accounts))}
			for i, account := range accounts {
				list.Body[i] = AdministratorOf(account)
			}
			return list, problem(err)
		})
	add := operation("add-administrator", http.MethodPost, "/administrators", "Add an administrator, or a viewer", tag, http.StatusConflict, http.StatusUnprocessableEntity)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, onlyAdministrators(api, add), func(ctx context.Context, in *newAdministrator) (*oneAdministrator, error) {
		if err := gate.Add(ctx, in.Body.Name, in.Body.Password, access.Role(in.Body.Role)); err != nil {
			return nil, problem(err)
		}
		return a.administrator(ctx, in.Body.Name)
	})
	change := operation("change-administrator", http.MethodPatch, "/administrators/{name}", "Change what the body names, and end the sessions", tag,
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity)
	huma.Register(api, onlyAdministrators(api, change), func(ctx context.Context, in *changeAdministrator) (*oneAdministrator, error) {
		change := access.Change{Role: (*access.Role)(in.Body.Role), Password: in.Body.Password, TOTPSecret: in.Body.TOTPSecret, Code: in.Body.Code}
		if err := gate.Change(ctx, in.Name, change); err != nil {
			return nil, problem(err)
		}
		return a.administrator(ctx, in.Name)
	})
	remove := operation("remove-administrator", http.MethodDelete, "/administrators/{name}", "Remove an administrator, and end the sessions", tag,
		http.StatusNotFound, http.StatusConflict)
	huma.Register(api, onlyAdministrators(api, remove), func(ctx context.Context, in *namedAdministrator) (*struct{}, error) {
		return nil, problem(gate.Remove(ctx, in.Name, in.Force))
	})
}

func (a *API) administrator(ctx context.Context, name string) (*oneAdministrator, error) {
	account, err := a.cfg.Access.Account(ctx, name)
	return &oneAdministrator{AdministratorOf(account)}, problem(err)
}

func (a *API) registerTokens(api huma.API) {
	const tag = "API tokens"
	gate := a.cfg.Access
	huma.Register(api, onlyAdministrators(api, operation("list-tokens", http.MethodGet, "/tokens", "List the API tokens, without their secrets", tag)),
		func(ctx context.Context, _ *struct{}) (*tokenList, error) {
			tokens, err := gate.Tokens(ctx)
			list := &tokenList{make([]Token, len(tokens))}
			for i, t := range tokens {
				list.Body[i] = TokenOf(t)
			}
			return list, problem(err)
		})
	add := operation("add-token", http.MethodPost, "/tokens", "Make an API token", tag, http.StatusConflict, http.StatusUnprocessableEntity)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, onlyAdministrators(api, add), func(ctx context.Context, in *newToken) (*madeToken, error) {
		var expires time.Time
		if in.Body.Expires != nil {
			expires = *in.Body.Expires
		}
		secret, err := gate.NewToken(ctx, in.Body.Name, access.Role(in.Body.Role), expires)
		if err != nil {
			return nil, problem(err)
		}
		return &madeToken{NewToken{in.Body, secret}}, nil
	})
	huma.Register(api, onlyAdministrators(api, operation("remove-token", http.MethodDelete, "/tokens/{name}", "End an API token", tag, http.StatusNotFound)),
		func(ctx context.Context, in *namedToken) (*struct{}, error) {
			return nil, problem(gate.RemoveToken(ctx, in.Name))
		})
}
