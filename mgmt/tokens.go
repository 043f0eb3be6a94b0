package mgmt

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt/access"

	"github.com/danielgtaylor/huma/v2"
)

// Token is an API token as it is shown.
type Token struct {
	Name    string     `json:"name"`
	Role    string     `json:"role" enum:"administrator,viewer"`
	Expires *time.Time `json:"expires" doc:"Null: never"`
	Added   time.Time  `json:"added"`
	By      string     `json:"by" doc:"The person who added it"`
}

// TokenInput describes the token to make.
type TokenInput struct {
	Name    string     `json:"name"`
	Role    string     `json:"role" enum:"administrator,viewer"`
	Expires *time.Time `json:"expires,omitempty" doc:"Missing: never"`
}

// NewToken is a new token with its secret.
type NewToken struct {
	TokenInput
	Secret string `json:"secret" doc:"For the header Authorization: Bearer. Only this answer shows it"`
}

// TokenOf is a token as the API and the commands show it.
func TokenOf(t access.Token) Token {
	return Token{Name: t.Name, Role: string(t.Role), Expires: orNull(t.Expires), Added: t.Added.UTC(), By: t.By}
}

type (
	namedToken struct {
		Name string `path:"name" maxLength:"64"`
	}
	removeToken struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
	}
	newToken struct {
		Body struct {
			TokenInput
			Added shown `json:"added,omitzero"`
			By    shown `json:"by,omitzero"`
		}
	}
	madeToken struct {
		Location string `header:"Location" doc:"Path of the token"`
		ETag     string `header:"ETag"`
		Body     NewToken
	}
	oneToken struct {
		ETag string `header:"ETag"`
		Body Token
	}
	tokenList struct {
		Body []Token
	}
)

func (a *API) registerTokens(api huma.API) {
	huma.Register(api, onlyAdministrators(api, operation("list-tokens", http.MethodGet, "/tokens", "List the API tokens, without their secrets", tagTokens)),
		func(ctx context.Context, _ *struct{}) (*tokenList, error) {
			tokens, err := a.cfg.Access.Tokens(ctx)
			list := &tokenList{make([]Token, len(tokens))}
			for i, t := range tokens {
				list.Body[i] = TokenOf(t)
			}
			return list, problem(err)
		})
	add := operation("add-token", http.MethodPost, "/tokens", "Add an API token", tagTokens, http.StatusConflict, http.StatusUnprocessableEntity)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, onlyAdministrators(api, add), a.addToken)
	huma.Register(api, onlyAdministrators(api, operation("get-token", http.MethodGet, "/tokens/{name}", "Show an API token, without its secret", tagTokens,
		http.StatusNotFound)), a.getToken)
	huma.Register(api, onlyAdministrators(api, operation("remove-token", http.MethodDelete, "/tokens/{name}", "Remove an API token", tagTokens,
		http.StatusNotFound, http.StatusPreconditionFailed)), a.removeToken)
}

func (a *API) addToken(ctx context.Context, in *newToken) (*madeToken, error) {
	var expires time.Time
	if in.Body.Expires != nil {
		expires = *in.Body.Expires
	}
	secret, err := a.cfg.Access.NewToken(ctx, in.Body.Name, access.Role(in.Body.Role), expires)
	if err != nil {
		return nil, problem(err)
	}
	one, err := a.getToken(ctx, &namedToken{in.Body.Name})
	if err != nil {
		return nil, err
	}
	made := NewToken{TokenInput{one.Body.Name, one.Body.Role, one.Body.Expires}, secret}
	return &madeToken{location("tokens", one.Body.Name), one.ETag, made}, nil
}

func (a *API) getToken(ctx context.Context, in *namedToken) (*oneToken, error) {
	t, err := a.token(ctx, in.Name)
	if err != nil {
		return nil, problem(err)
	}
	return &oneToken{quoted(StateTag(t)), t}, nil
}

func (a *API) token(ctx context.Context, name string) (Token, error) {
	tokens, err := a.cfg.Access.Tokens(ctx)
	if err != nil {
		return Token{}, err
	}
	i := slices.IndexFunc(tokens, func(t access.Token) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		return Token{}, state.ErrNoToken
	}
	return TokenOf(tokens[i]), nil
}

func (a *API) removeToken(ctx context.Context, in *removeToken) (*struct{}, error) {
	return nil, problem(a.RemoveToken(ctx, in.Name, in.Precondition))
}

// RemoveToken ends an API token, if the precondition holds.
func (a *API) RemoveToken(ctx context.Context, name string, provided Precondition) error {
	a.admins.Lock()
	defer a.admins.Unlock()
	t, err := a.token(ctx, name)
	if err == nil {
		err = provided.holds(StateTag(t))
	}
	if err != nil {
		return err
	}
	return a.cfg.Access.RemoveToken(ctx, t.Name)
}
