package mgmt

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"vpnd/auth"
	"vpnd/mgmt/guide"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
)

// GuidePerson gives the parts of a profile that the set-up of a client depends on.
func GuidePerson(p usermgmt.Profile) guide.Person {
	return guide.Person{
		Name: p.Name, Password: p.Password != "", MOTP: p.MOTPSecret != "", TOTP: p.TOTPSecret != "",
		PPTP: slices.Contains(p.Services, auth.PPTP), L2TP: slices.Contains(p.Services, auth.L2TP), IPsecMust: p.IPsec == usermgmt.IPsecMust,
	}
}

// Guide gives the server's data for the set-up of clients.
func (a *API) Guide() guide.Server { return a.cfg.Guide() }

// ConnectPage is the page for a user's client. An empty address means the address that the daemon
// knows.
func (a *API) ConnectPage(ctx context.Context, user, client, address string) (guide.Page, error) {
	p, err := a.cfg.Users.Get(ctx, user)
	if err != nil {
		return guide.Page{}, err
	}
	server := a.Guide()
	if address != "" {
		server.Address = address
	}
	return guide.Connect(client, server, GuidePerson(p))
}

func (a *API) registerConnect(api huma.API) {
	huma.Register(api, operation("connect-client", http.MethodGet, "/users/{name}/connect", "Show how to set up a client for a user", tagConnect, http.StatusNotFound, http.StatusUnprocessableEntity),
		func(ctx context.Context, in *struct {
			Name   string `path:"name" maxLength:"64"`
			Client string `query:"client" required:"true" enum:"windows,smart-vpn,macos,ios,android,linux"`
			Server string `query:"server" maxLength:"253" doc:"Name or address of the server, as clients know it"`
		},
		) (*struct{ Body guide.Page }, error) {
			page, err := a.ConnectPage(ctx, in.Name, in.Client, in.Server)
			if errors.Is(err, guide.ErrServer) {
				err = huma.Error422UnprocessableEntity("the name of the server is not valid", &huma.ErrorDetail{Location: "query.server", Message: err.Error()})
			}
			if err != nil {
				return nil, problem(err)
			}
			return &struct{ Body guide.Page }{page}, nil
		})
	huma.Register(api, operation("client-errors", http.MethodGet, "/client-errors", "List the error numbers that clients show, with meaning and fix", tagConnect),
		func(context.Context, *struct{}) (*struct{ Body []guide.Number }, error) {
			return &struct{ Body []guide.Number }{guide.Numbers("")}, nil
		})
}
