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
		Location string `header:"Location" doc:"Path of the user"`
		ETag     string `header:"ETag"`
		Body     User
	}
	oneUser struct {
		ETag string `header:"ETag"`
		Body User
	}
	userList struct {
		Total int `header:"X-Total-Count" doc:"Number of users in all pages"`
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
			Code string `json:"code" maxLength:"16" doc:"The current code of the token or the app"`
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
			Name string `json:"name,omitempty" doc:"The user's current name: names cannot be changed"`
			UserInput
		}
	}
)

func (a *API) registerUsers(api huma.API) {
	huma.Register(api, operation("list-users", http.MethodGet, "/users", "List the users", tagUsers), a.listUsers)
	add := operation("add-user", http.MethodPost, "/users", "Add a user", tagUsers, http.StatusConflict, http.StatusUnprocessableEntity)
	add.DefaultStatus = http.StatusCreated
	huma.Register(api, add, func(ctx context.Context, in *newUser) (*newUserView, error) {
		p := usermgmt.New(in.Body.Name)
		if err := in.Body.apply(&p); err != nil {
			return nil, problem(err)
		}
		p, err := a.AddUser(ctx, p)
		one, err := a.oneUser(ctx, p, err)
		if err != nil {
			return nil, err
		}
		return &newUserView{location("users", p.Name), one.ETag, one.Body}, nil
	})
	huma.Register(api, operation("get-user", http.MethodGet, "/users/{name}", "Show a user", tagUsers, http.StatusNotFound),
		func(ctx context.Context, in *namedUser) (*oneUser, error) { return a.getUser(ctx, in.Name) })
	huma.Register(api, operation("change-user", http.MethodPatch, "/users/{name}", "Change the fields in the body", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.changeUser)
	huma.Register(api, operation("remove-user", http.MethodDelete, "/users/{name}", "Remove a user and hang up the user's connections", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed),
		func(ctx context.Context, in *changedUser) (*struct{}, error) {
			return nil, problem(a.RemoveUsers(ctx, in.Precondition, in.Name))
		})
	huma.Register(api, operation("unlock-user", http.MethodPost, "/users/{name}/unlock", "Unlock a user after too many failures", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed),
		func(ctx context.Context, in *changedUser) (*oneUser, error) {
			if err := a.UnlockUsers(ctx, in.Precondition, in.Name); err != nil {
				return nil, problem(err)
			}
			return a.getUser(ctx, in.Name)
		})
	huma.Register(api, operation("verify-user", http.MethodPost, "/users/{name}/verify", "Verify a code of a user's new token. The code then counts as used", tagUsers,
		http.StatusNotFound, http.StatusPreconditionFailed, http.StatusUnprocessableEntity), a.verifyUser)
}

func (a *API) verifyUser(ctx context.Context, in *verifyUser) (*struct{}, error) {
	return nil, problem(a.Verify(ctx, in.Name, in.Precondition, in.Body.Code))
}

func (a *API) listUsers(ctx context.Context, in *listUsers) (*userList, error) {
	users, total, err := a.Users(ctx, in.UserQuery, in.Paging)
	if err != nil {
		return nil, problem(err)
	}
	return &userList{total, users}, nil
}

func (a *API) changeUser(ctx context.Context, in *changeUser) (*oneUser, error) {
	p, err := a.ChangeUser(ctx, in.Name, in.Precondition, func(p *usermgmt.Profile) error {
		if in.Body.Name != "" && !strings.EqualFold(in.Body.Name, p.Name) {
			p.Name = in.Body.Name // the table refuses it, and says why
		}
		return in.Body.apply(p)
	})
	return a.oneUser(ctx, p, err)
}

func (a *API) getUser(ctx context.Context, name string) (*oneUser, error) {
	p, _, err := a.Profile(ctx, name)
	return a.oneUser(ctx, p, err)
}

// oneUser answers with a user, or with the error of the request.
func (a *API) oneUser(ctx context.Context, p usermgmt.Profile, err error) (*oneUser, error) {
	if err != nil {
		return nil, problem(err)
	}
	u, err := a.User(ctx, p)
	if err != nil {
		return nil, problem(err)
	}
	return &oneUser{ETag: quoted(StateTag(&p)), Body: u}, nil
}
