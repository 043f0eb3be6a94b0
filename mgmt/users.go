package mgmt

import (
	"context"
	"net/http"
	"strings"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

type (
	namedUser struct {
		Name string `path:"name" maxLength:"64"`
	}
	newUserView struct {
		Location string `header:"Location" doc:"Where the user is"`
		ETag     string `header:"ETag"`
		Body     User
	}
	oneUser struct {
		ETag string `header:"ETag"`
		Body User
	}
	userList struct {
		Total int `header:"X-Total-Count" doc:"How many there are in all pages"`
		Body  []User
	}
	listUsers struct {
		Paging
		UserQuery
	}
	changedUser struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
	}
	verifyUser struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
		Body struct {
			Code string `json:"code" maxLength:"16" doc:"That the token or the app shows now"`
		}
	}
	newUser struct {
		Body struct {
			Name string `json:"name"`
			UserInput
		}
	}
	changeUser struct {
		Name string `path:"name" maxLength:"64"`
		Precondition
		Body struct {
			Name string `json:"name,omitempty" doc:"The user's own: a name cannot be changed"`
			UserInput
		}
	}
)

// provided has the Users act only if the user is as the asker has seen it.
func (in *changedUser) provided(ctx context.Context) context.Context {
	if len(in.IfMatch)+len(in.IfNoneMatch) == 0 {
		return ctx // a user that is damaged, and has no tag, can be removed
	}
	return usermgmt.Provided(ctx, func(p *usermgmt.Profile) error { return in.holds(tagOf(p)) })
}

func (a *API) registerUsers(api huma.API) {
	huma.Register(api, operation("list-users", http.MethodGet, "/users", "List the users", tagUsers), a.listUsers)
	add := operation("add-user", http.MethodPost, "/users", "Add a user", tagUsers, http.StatusConflict, http.StatusUnprocessableEntity)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, add, func(ctx context.Context, in *newUser) (*newUserView, error) {
		p := usermgmt.New(in.Body.Name)
		if err := in.Body.apply(&p); err != nil {
			return nil, problem(err)
		}
		if err := a.cfg.Users.Add(ctx, p); err != nil {
			return nil, problem(err)
		}
		one, err := a.oneUser(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		return &newUserView{location("users", p.Name), one.ETag, one.Body}, nil
	})
	huma.Register(api, operation("get-user", http.MethodGet, "/users/{name}", "Show a user", tagUsers, http.StatusNotFound),
		func(ctx context.Context, in *namedUser) (*oneUser, error) { return a.oneUser(ctx, in.Name) })
	huma.Register(api, operation("change-user", http.MethodPatch, "/users/{name}", "Change what the body names", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changeUser)
	huma.Register(api, operation("remove-user", http.MethodDelete, "/users/{name}", "Remove a user and hang up his connections", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed),
		func(ctx context.Context, in *changedUser) (*struct{}, error) {
			return nil, problem(a.cfg.Users.Remove(in.provided(ctx), in.Name))
		})
	huma.Register(api, operation("unlock-user", http.MethodPost, "/users/{name}/unlock", "Let a user in again that too many failures locked", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed),
		func(ctx context.Context, in *changedUser) (*oneUser, error) {
			if err := a.cfg.Users.Unlock(in.provided(ctx), in.Name); err != nil {
				return nil, problem(err)
			}
			return a.oneUser(ctx, in.Name)
		})
	huma.Register(api, operation("verify-user", http.MethodPost, "/users/{name}/verify", "Verify a code of a user's new token, which counts as used then", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.verifyUser)
}

func (a *API) verifyUser(ctx context.Context, in *verifyUser) (*struct{}, error) {
	_, tag, err := a.Profile(ctx, in.Name)
	if err == nil {
		err = in.holds(tag)
	}
	if err == nil {
		err = a.Verify(ctx, in.Name, in.Body.Code)
	}
	return nil, problem(err)
}

func (a *API) listUsers(ctx context.Context, in *listUsers) (*userList, error) {
	users, total, err := a.Users(ctx, in.UserQuery, in.Paging)
	if err != nil {
		return nil, problem(err)
	}
	return &userList{total, users}, nil
}

func (a *API) changeUser(ctx context.Context, in *changeUser) (*oneUser, error) {
	err := a.cfg.Users.Update(ctx, in.Name, func(p *usermgmt.Profile) error {
		if err := in.holds(tagOf(p)); err != nil {
			return err
		}
		if in.Body.Name != "" && !strings.EqualFold(in.Body.Name, p.Name) {
			p.Name = in.Body.Name // which the table refuses, and says why
		}
		return in.Body.apply(p)
	})
	if err != nil {
		return nil, problem(err)
	}
	return a.oneUser(ctx, in.Name)
}

func (a *API) oneUser(ctx context.Context, name string) (*oneUser, error) {
	p, err := a.cfg.Users.Get(ctx, name)
	if err != nil {
		return nil, problem(err)
	}
	u, err := a.shown(ctx, p)
	if err != nil {
		return nil, problem(err)
	}
	return &oneUser{ETag: quoted(tagOf(&p)), Body: u}, nil
}
