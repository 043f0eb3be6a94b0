package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

type administratorsData struct {
	Accounts []access.Account
	Tokens   []access.Token
	Invite   []control
	Token    []control
	Link     string // a new link, shown once
	LinkFor  string
	Secret   string // the secret of a new token, shown once
	Change   bool
	Now      time.Time
}

type administratorData struct {
	Account access.Account
	Self    bool
	Role    control
	Sure    control
}

// lifeChoices are the days for which a token is valid; 0: for good.
var lifeChoices = []int{30, 90, 365, 0}

const defaultLife = 90

// administrators lists the people and programs that may manage the daemon.
func (p *Pages) administrators(w http.ResponseWriter, r *http.Request) error {
	return p.showAdministrators(w, r, administratorsData{}, form{}, form{})
}

func (p *Pages) showAdministrators(w http.ResponseWriter, r *http.Request, d administratorsData, invite, token form) error {
	var err error
	if d.Accounts, err = p.cfg.Gate.Administrators(r.Context()); err != nil {
		return err
	}
	if d.Tokens, err = p.cfg.Gate.Tokens(r.Context()); err != nil {
		return err
	}
	d.Change, d.Now = mayChange(r), p.cfg.API.Clock().Corrected()
	d.Invite = invite.fill(distinct("invite-", []control{
		{Name: "name", Label: "Name", Type: "text", MaxLength: 64, Hint: "Empty: the person who opens the link chooses it."},
		roleControl(access.Administrator),
	})...)
	life := control{Name: "days", Label: "Valid for", Type: "select", Value: strconv.Itoa(defaultLife)}
	for _, n := range lifeChoices {
		o := option{strconv.Itoa(n), fmt.Sprintf("%d days", n), n == defaultLife}
		if n == 0 {
			o.Text = "good"
		}
		life.Options = append(life.Options, o)
	}
	d.Token = token.fill(distinct("token-", []control{
		{Name: "name", Label: "Name", Type: "text", Required: true, MaxLength: 64, Hint: "The program that uses the token."},
		roleControl(access.Viewer), life,
	})...)
	v := view{Title: "Administrators and API tokens", Data: d}
	v.faulty(&invite, &token)
	return p.render(w, r, "administrators.html", v)
}

func roleControl(now access.Role) control {
	c := control{Name: "role", Label: "Role", Type: "select", Value: string(now)}
	for _, o := range []option{{string(access.Administrator), "Administrator", false}, {string(access.Viewer), "Viewer (can only look)", false}} {
		o.Selected = o.Value == c.Value
		c.Options = append(c.Options, o)
	}
	return c
}

// invite makes a set-up link, and shows it once.
func (p *Pages) invite(w http.ResponseWriter, r *http.Request) error {
	f := form{values: r.PostForm}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if name != "" {
		if err := f.broken(usermgmt.CheckName(name)); err != nil {
			return err
		}
		switch _, err := p.administratorNamed(r.Context(), name); {
		case err == nil:
			f.wrong("name", "An administrator with this name exists. To set a new password, open that account's page.")
		case !errors.As(err, new(fault)):
			return err
		}
	}
	if f.faults != nil {
		return p.showAdministrators(w, r, administratorsData{}, f, form{})
	}
	return p.showLink(w, r, name, access.Role(r.PostForm.Get("role")), &f)
}

func (p *Pages) showLink(w http.ResponseWriter, r *http.Request, name string, role access.Role, f *form) error {
	secret, err := p.cfg.Gate.NewLink(r.Context(), name, role)
	if err := f.broken(err); err != nil {
		return err
	}
	if f.faults != nil {
		return p.showAdministrators(w, r, administratorsData{}, *f, form{})
	}
	link := url.URL{Scheme: "https", Host: r.Host, Path: "/setup", RawQuery: url.Values{"link": {secret}}.Encode()}
	return p.showAdministrators(w, r, administratorsData{Link: link.String(), LinkFor: name}, form{}, form{})
}

// administrator shows an account, which may be the caller's own.
func (p *Pages) administrator(w http.ResponseWriter, r *http.Request) error {
	return p.showAdministrator(w, r, form{})
}

func (p *Pages) showAdministrator(w http.ResponseWriter, r *http.Request, f form) error {
	a, err := p.administratorNamed(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	who, _ := access.Of(r.Context())
	d := administratorData{
		Account: a, Self: !who.Token && who.Name == a.Name, Role: roleControl(a.Role),
		Sure: f.fill(control{Name: "sure", Label: "Yes, remove " + a.Name, Type: "checkbox"})[0],
	}
	v := view{Title: "Administrator " + a.Name, Data: d}
	v.faulty(&f)
	return p.render(w, r, "administrator.html", v)
}

// resetAdministrator makes a link to set a new password, and shows it once.
func (p *Pages) resetAdministrator(w http.ResponseWriter, r *http.Request) error {
	a, err := p.administratorNamed(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return p.showLink(w, r, a.Name, a.Role, &form{})
}

// setRole changes the role of an account.
func (p *Pages) setRole(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	role := access.Role(r.PostForm.Get("role"))
	return p.changed(w, r, p.changeAccount(r, name, access.Change{Role: &role}), "The role of "+name+" is changed.")
}

// dropOtherApp turns off the authenticator app of an administrator who has lost it.
func (p *Pages) dropOtherApp(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	return p.changed(w, r, p.changeAccount(r, name, withoutApp()), "Log-ins of "+name+" no longer ask for a code.")
}

// removeAdministrator removes an account.
func (p *Pages) removeAdministrator(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if r.PostForm.Get("sure") == "" {
		var f form
		f.wrong("sure", "Tick this to remove the account.")
		return p.showAdministrator(w, r, f)
	}
	return p.changed(w, r, p.cfg.API.RemoveAdministrator(r.Context(), name, mgmt.Precondition{}, false), name+" is removed.")
}

// changed leads back to the list of administrators after a change of one.
func (p *Pages) changed(w http.ResponseWriter, r *http.Request, err error, notice string) error {
	const back = "/administrators"
	switch {
	case err == nil:
		return done(w, r, back, notice)
	case errors.Is(err, state.ErrLastAdministrator):
		return failed(w, r, back, "This is the last administrator. Add another one first.")
	case errors.Is(err, state.ErrNoAdministrator), errors.Is(err, state.ErrNoToken):
		return failed(w, r, back, sentence(err))
	}
	var f form
	if err := f.broken(err); err != nil {
		return err
	}
	for _, text := range f.faults {
		return failed(w, r, back, "Nothing was changed: "+text+".")
	}
	return nil
}

// newToken makes an API token, and shows its secret once.
func (p *Pages) newToken(w http.ResponseWriter, r *http.Request) error {
	f := form{values: r.PostForm}
	var expires time.Time
	if days, err := strconv.Atoi(r.PostForm.Get("days")); err != nil || days < 0 || days > 3650 {
		f.wrong("days", "Choose how long the token is valid.")
	} else if days > 0 {
		expires = p.cfg.API.Clock().Corrected().AddDate(0, 0, days)
	}
	if f.faults != nil {
		return p.showAdministrators(w, r, administratorsData{}, form{}, f)
	}
	secret, err := p.cfg.Gate.NewToken(r.Context(), strings.TrimSpace(r.PostForm.Get("name")), access.Role(r.PostForm.Get("role")), expires)
	if errors.Is(err, state.ErrTokenExists) {
		f.wrong("name", "A token with this name exists. Choose another name, or remove the old one first.")
	} else if err := f.broken(err); err != nil {
		return err
	}
	return p.showAdministrators(w, r, administratorsData{Secret: secret}, form{}, f)
}

// askToken asks whether to remove an API token.
func (p *Pages) askToken(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, "apitoken.html", view{Title: "Remove a token", Data: r.PathValue("name")})
}

// removeToken removes an API token.
func (p *Pages) removeToken(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	return p.changed(w, r, p.cfg.API.RemoveToken(r.Context(), name, mgmt.Precondition{}), "The token "+name+" is removed.")
}
