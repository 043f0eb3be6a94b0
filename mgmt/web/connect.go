package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"vpnd/mgmt/guide"
	"vpnd/usermgmt"
)

// anybody is the user of pages without a named user.
var anybody = guide.Person{Name: "USER", Password: true, PPTP: true, L2TP: true}

type connectData struct {
	User, Server string // as the request gives them
	Fault        string // of the user
	ServerFault  string
	Clients      []clientLink
	Client       string
	Page         guide.Page
	Ways         []connectWay
	Numbers      []guide.Number
}

// clientLink leads to the steps of another client.
type clientLink struct {
	Title, Link string
	Current     bool
}

// connectWay is a way to connect. Its lines can be copied.
type connectWay struct {
	Title string
	Steps []connectStep
}

type connectStep struct {
	guide.Step
	Parts []guide.Part
	ID    string // of the element with the line; "": the step has no line
}

// connect shows the set-up of a client, for a user or for anybody.
func (p *Pages) connect(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	asked := func(key string, longest int) string {
		text := strings.TrimSpace(q.Get(key))
		return strings.ToValidUTF8(text[:min(len(text), longest)], "")
	}
	const maxUser, maxServer = 64, 253
	d := connectData{User: asked("user", maxUser), Server: asked("server", maxServer), Client: guide.Kinds[0].Name}
	for _, k := range guide.Kinds {
		if k.Name == q.Get("client") {
			d.Client = k.Name
		}
	}
	for _, k := range guide.Kinds {
		to := url.Values{"client": {k.Name}}
		for key, text := range map[string]string{"user": d.User, "server": d.Server} {
			if text != "" {
				to.Set(key, text)
			}
		}
		d.Clients = append(d.Clients, clientLink{k.Title, "/connect?" + to.Encode(), k.Name == d.Client})
	}
	v := view{Title: "Connect a Client"}
	if err := p.connectPage(r.Context(), &d, d.Server); err != nil {
		return err
	}
	switch {
	case d.Fault != "":
		v.Status = http.StatusNotFound
	case d.ServerFault != "":
		v.Status = http.StatusUnprocessableEntity
	}
	d.Ways = copied(d.Page.Ways)
	v.Data = d
	return p.render(w, r, "connect.html", v)
}

// connectPage puts the steps into d, for the user if the request names one. It uses the address if
// that is valid.
func (p *Pages) connectPage(ctx context.Context, d *connectData, address string) error {
	var err error
	if d.User != "" {
		d.Page, err = p.cfg.API.ConnectPage(ctx, d.User, d.Client, address)
	}
	if errors.Is(err, usermgmt.ErrNoUser) {
		d.Fault, err = "This user does not exist. Check the spelling, or look in the list. The steps below are for any user.", nil
	}
	person := ""
	if err == nil && (d.User == "" || d.Fault != "") {
		server := p.cfg.API.Guide()
		server.Address = cmp.Or(address, server.Address)
		d.Page, err = guide.Connect(d.Client, server, anybody)
	} else {
		person = d.User
	}
	d.Numbers = guide.Numbers(person)
	if errors.Is(err, guide.ErrServer) && address != "" {
		d.ServerFault = sentence(err)
		return p.connectPage(ctx, d, "")
	}
	return err
}

// copied gives ways whose lines have ids of their own.
func copied(ways []guide.Way) []connectWay {
	all, n := make([]connectWay, len(ways)), 0
	for i, way := range ways {
		all[i].Title = way.Title
		for j, s := range way.Steps {
			step := connectStep{Step: s, Parts: way.OnPage[j]}
			if s.Code != "" {
				n++
				step.ID = "line-" + strconv.Itoa(n)
			}
			all[i].Steps = append(all[i].Steps, step)
		}
	}
	return all
}
