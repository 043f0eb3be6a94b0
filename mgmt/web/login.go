package web

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"vpnd/internal/state"
	"vpnd/mgmt/access"
)

// maxPassword is the longest password that is checked, in bytes.
const maxPassword = 1024

type entryData struct {
	Controls []control
	To       string // where the log-in leads
	Link     string // secret part of a set-up link
	Name     string // of the link's account; "": the user of the link chooses it
}

// logIn shows the log-in page.
func (p *Pages) logIn(w http.ResponseWriter, r *http.Request) error {
	if _, ok := access.Of(r.Context()); ok {
		http.Redirect(w, r, access.LocalPath(r.Form.Get("to")), http.StatusSeeOther) //nolint:gosec // LocalPath lets paths of these pages alone through
		return nil
	}
	return p.showLogIn(w, r, view{})
}

func (p *Pages) showLogIn(w http.ResponseWriter, r *http.Request, v view) error {
	f := form{values: r.PostForm}
	v.Title, v.Plain = "Log in", true
	v.Data = entryData{To: access.LocalPath(r.Form.Get("to")), Controls: f.fill(
		control{Name: "name", Label: "Name", Type: "text", Complete: "username", Required: true, Focus: true, MaxLength: 64},
		control{Name: "password", Label: "Password", Type: "password", Complete: "current-password", Required: true},
		control{Name: "code", Label: "Code", Type: "text", Complete: "one-time-code", Mode: "numeric", MaxLength: 10, Hint: "The code of your authenticator app, if your account has one."},
	)}
	return p.render(w, r, "login.html", v)
}

// doLogIn begins a session.
func (p *Pages) doLogIn(w http.ResponseWriter, r *http.Request) error {
	cookie, err := p.cfg.Gate.LogIn(r.Context(), source(r), r.PostForm.Get("name"), password(r, "password"), strings.TrimSpace(r.PostForm.Get("code")))
	if errors.Is(err, access.ErrLimited) {
		return p.showLogIn(w, r, view{Status: http.StatusTooManyRequests, Notice: sentence(err), Wrong: true})
	}
	if errors.Is(err, access.ErrRefused) {
		return p.showLogIn(w, r, view{Status: http.StatusForbidden, Notice: sentence(err), Wrong: true})
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, access.LocalPath(r.PostForm.Get("to")), http.StatusSeeOther) //nolint:gosec // LocalPath lets paths of these pages alone through
	return nil
}

// logOut ends the session.
func (p *Pages) logOut(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, p.cfg.Gate.LogOut(r.Context(), r))
	return done(w, r, "/login", "You are logged out.")
}

// setUp shows the page of a set-up link.
func (p *Pages) setUp(w http.ResponseWriter, r *http.Request) error {
	return p.showSetUp(w, r, form{})
}

func (p *Pages) showSetUp(w http.ResponseWriter, r *http.Request, f form) error {
	link := r.Form.Get("link")
	name, err := p.cfg.Gate.LinkName(r.Context(), link)
	if errors.Is(err, access.ErrLink) {
		return p.render(w, r, "setup.html", view{Title: "Set up", Plain: true, Status: http.StatusForbidden, Notice: sentence(err), Wrong: true, Data: entryData{}})
	}
	if err != nil {
		return err
	}
	d := entryData{Link: link, Name: name}
	if name == "" {
		d.Controls = append(d.Controls, control{Name: "name", Label: "Name", Type: "text", Complete: "username", Required: true, Focus: true, MaxLength: 64})
	}
	d.Controls = f.fill(append(d.Controls, newPassword()...)...)
	v := view{Title: "Set up", Plain: true, Data: d}
	v.faulty(&f)
	return p.render(w, r, "setup.html", v)
}

// newPassword gives the controls for a new password.
func newPassword() []control {
	return []control{
		{Name: "password", Label: "New password", Type: "password", Complete: "new-password", Required: true, Hint: "A long password is better than a complicated one. Use four or more words."},
		{Name: "again", Label: "New password again", Type: "password", Complete: "new-password", Required: true},
	}
}

// doSetUp uses a set-up link up.
func (p *Pages) doSetUp(w http.ResponseWriter, r *http.Request) error {
	f := form{values: r.PostForm}
	if same(&f, r) {
		err := p.cfg.Gate.SetUp(r.Context(), r.PostForm.Get("link"), strings.TrimSpace(r.PostForm.Get("name")), password(r, "password"))
		switch {
		case err == nil:
			return done(w, r, "/login", "Your password is set. Log in with it.")
		case errors.Is(err, access.ErrLink): // the page says so
		case errors.Is(err, state.ErrAdministratorExists):
			f.wrong("name", "An administrator with this name exists. Choose another name.")
		default:
			if err := f.broken(err); err != nil {
				return err
			}
		}
	}
	return p.showSetUp(w, r, f)
}

// same checks that a new password equals its repetition.
func same(f *form, r *http.Request) bool {
	if r.PostForm.Get("password") != r.PostForm.Get("again") {
		f.wrong("again", "The two passwords differ. Enter the new password twice.")
		return false
	}
	return true
}

// password gives a password of a form; "" if it is too long.
func password(r *http.Request, field string) string {
	if s := r.PostForm.Get(field); len(s) <= maxPassword {
		return s
	}
	return ""
}

// source is the address that a request comes from.
func source(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // invalid: unknown
	return at.Addr().Unmap()
}

// sentence writes an error's text as a sentence.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
