package web

import (
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"vpnd/auth/totp"
	"vpnd/internal/qrcode"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

type accountData struct {
	Account  access.Account
	Password []control
	Off      []control // turns the app off
}

type appData struct {
	Secret   string
	URL      template.URL
	QR       template.HTML
	Controls []control
}

// own gives the caller's account.
func (p *Pages) own(r *http.Request) (access.Account, error) {
	who, _ := access.Of(r.Context())
	if who.Token {
		return access.Account{}, fault{http.StatusForbidden, "An API token has no account: log in with a password."}
	}
	return p.administratorNamed(r.Context(), who.Name)
}

func (p *Pages) administratorNamed(ctx context.Context, name string) (access.Account, error) {
	a, err := p.cfg.Gate.Account(ctx, name)
	if errors.Is(err, state.ErrNoAdministrator) {
		err = fault{http.StatusNotFound, "This administrator does not exist. Somebody may have removed the account."}
	}
	return a, err
}

// account shows the caller's account.
func (p *Pages) account(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, form{}, form{})
}

func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request, password, off form) error {
	a, err := p.own(r)
	if err != nil {
		return err
	}
	d := accountData{
		Account:  a,
		Password: password.fill(append(p.proof(a), newPassword()...)...),
		Off:      off.fill(distinct("off-", p.proof(a))...),
	}
	v := view{Title: "Your account", Data: d}
	v.faulty(&password, &off)
	return p.render(w, r, "account.html", v)
}

// distinct gives controls ids with a prefix, so that two forms of a page can share the controls.
func distinct(prefix string, controls []control) []control {
	for i := range controls {
		controls[i].ID = prefix + controls[i].Name
	}
	return controls
}

// proof gives the controls with which callers prove that they own the account.
func (p *Pages) proof(a access.Account) []control {
	controls := []control{{Name: "current", Label: "Current password", Type: "password", Complete: "current-password", Required: true}}
	if a.TOTP {
		controls = append(controls, control{Name: "current-code", Label: "Code that your app shows", Type: "text", Complete: "one-time-code", Mode: "numeric", MaxLength: 10, Required: true})
	}
	return controls
}

// proves checks the proof of a form by a log-in that ends immediately; false: f has the fault.
func (p *Pages) proves(r *http.Request, a access.Account, f *form) (bool, error) {
	cookie, err := p.cfg.Gate.LogIn(r.Context(), source(r), a.Name, password(r, "current"), strings.TrimSpace(r.PostForm.Get("current-code")))
	switch {
	case errors.Is(err, access.ErrRefused) && a.TOTP:
		f.wrong("current", "The password or the code is wrong. Each code works once: wait for the next one.")
	case errors.Is(err, access.ErrRefused):
		f.wrong("current", "The password is wrong.")
	case errors.Is(err, access.ErrLimited):
		f.wrong("current", sentence(err))
	case err != nil:
		return false, err
	default:
		session := &http.Request{Header: http.Header{}}
		session.AddCookie(cookie)
		p.cfg.Gate.LogOut(r.Context(), session)
	}
	return err == nil, nil
}

// changeAccount changes an account without a check of its tag.
func (p *Pages) changeAccount(r *http.Request, name string, change access.Change) error {
	return p.cfg.API.ChangeAdministrator(r.Context(), name, mgmt.Precondition{}, change)
}

// withoutApp is a change that ends the use of the authenticator app.
func withoutApp() access.Change { return access.Change{TOTPSecret: new(string)} }

// changePassword changes the caller's password.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request) error {
	a, err := p.own(r)
	if err != nil {
		return err
	}
	f := form{values: r.PostForm}
	if !same(&f, r) {
		return p.showAccount(w, r, f, form{})
	}
	ok, err := p.proves(r, a, &f)
	if err != nil {
		return err
	}
	if ok {
		to := password(r, "password")
		err := p.changeAccount(r, a.Name, access.Change{Password: &to})
		if err == nil {
			return done(w, r, "/login", "Your password is changed. Log in with it.")
		}
		if err := f.broken(err); err != nil {
			return err
		}
	}
	return p.showAccount(w, r, f, form{})
}

// app shows a secret for the caller's authenticator app.
func (p *Pages) app(w http.ResponseWriter, r *http.Request) error {
	secret, err := totp.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	return p.showApp(w, r, form{}, secret)
}

func (p *Pages) showApp(w http.ResponseWriter, r *http.Request, f form, secret string) error {
	a, err := p.own(r)
	if err != nil {
		return err
	}
	url := totp.Token{Secret: secret}.URL("vpnd", a.Name)
	code, err := qrcode.Encode(url)
	if err != nil {
		return err
	}
	d := appData{
		Secret: secret, URL: template.URL(url), QR: template.HTML(code.SVG("QR code of the secret")), //nolint:gosec // url.URL and the encoder wrote them
		Controls: f.fill(append(p.proof(a), control{
			Name: "code", Label: "Code of the new secret", Type: "text", Complete: "one-time-code", Mode: "numeric", MaxLength: 10, Required: true,
			Hint: "The code that the app shows after it has read the QR code.",
		})...),
	}
	v := view{Title: "Authenticator app", Data: d}
	v.faulty(&f)
	return p.render(w, r, "app.html", v)
}

// setApp has log-ins to the caller's account require a code of the app from now on.
func (p *Pages) setApp(w http.ResponseWriter, r *http.Request) error {
	a, err := p.own(r)
	if err != nil {
		return err
	}
	secret := totp.Clean(r.PostForm.Get("secret"))
	if err := totp.Check(secret); err != nil {
		return failed(w, r, "/account/app", "The form was not complete. Here is a new secret.")
	}
	f := form{values: r.PostForm}
	ok, err := p.proves(r, a, &f)
	if err != nil {
		return err
	}
	if ok {
		err := p.changeAccount(r, a.Name, access.Change{TOTPSecret: &secret, Code: strings.TrimSpace(r.PostForm.Get("code"))})
		if err == nil {
			return done(w, r, "/login", "Your app is set up. Log in again, with a code of the app.")
		}
		if err := f.broken(err); err != nil {
			return err
		}
	}
	return p.showApp(w, r, f, secret)
}

// dropApp removes the authenticator app of the caller's account.
func (p *Pages) dropApp(w http.ResponseWriter, r *http.Request) error {
	a, err := p.own(r)
	if err != nil {
		return err
	}
	f := form{values: r.PostForm}
	ok, err := p.proves(r, a, &f)
	if err != nil {
		return err
	}
	if !ok {
		return p.showAccount(w, r, form{}, f)
	}
	if err := p.changeAccount(r, a.Name, withoutApp()); err != nil {
		return err
	}
	return done(w, r, "/login", "Your app is removed. Log in with your password.")
}
