package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/amount"
	"vpnd/internal/qrcode"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

const (
	showFor  = 15 * time.Minute // how long the author can see a new secret
	maxShown = 256              // secrets that are shown at a time
)

// shownSecrets are secrets that were stored recently. Only the author can see a secret, until its
// time is over, its user has proved it, or there are too many.
type shownSecrets struct {
	mu   sync.Mutex
	open []shownSecret // oldest first
}

type shownSecret struct {
	who          access.Identity
	user, secret string
	until        time.Time
}

func secretOf(p *usermgmt.Profile) string { return p.MOTPSecret + p.TOTPSecret }

// allow lets the author of the request see the secret of a profile.
func (s *shownSecrets) allow(ctx context.Context, p usermgmt.Profile, now time.Time) {
	who, _ := access.Of(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy(now)
	if len(s.open) == maxShown {
		s.open = append(s.open[:0], s.open[1:]...)
	}
	s.open = append(s.open, shownSecret{who, p.Name, secretOf(&p), now.Add(showFor)})
}

func (s *shownSecrets) allowed(ctx context.Context, p usermgmt.Profile, now time.Time) bool {
	who, _ := access.Of(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy(now)
	for _, o := range s.open {
		if o.who == who && o.user == p.Name && o.secret == secretOf(&p) {
			return true
		}
	}
	return false
}

func (s *shownSecrets) tidy(now time.Time) {
	for len(s.open) > 0 && !now.Before(s.open[0].until) {
		s.open = append(s.open[:0], s.open[1:]...)
	}
}

// forget stops showing a user's secret.
func (s *shownSecrets) forget(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.open[:0]
	for _, o := range s.open {
		if !strings.EqualFold(o.user, user) {
			kept = append(kept, o)
		}
	}
	s.open = kept
}

type tokenData struct {
	At     string
	User   string
	Kind   string // mOTP or TOTP
	Shown  bool   // the following fields are shown
	Secret string
	Link   template.URL
	QR     template.HTML
	Code   control
	Codes  []control // of Resynchronise
	Clock  time.Time
}

// token shows a new token for its user, and asks for a code of it.
func (t userTable) token(w http.ResponseWriter, r *http.Request) error {
	return t.showToken(w, r, form{}, form{})
}

func (t userTable) showToken(w http.ResponseWriter, r *http.Request, f, codes form) error {
	p, _, err := t.cfg.API.Profile(r.Context(), r.PathValue("name"))
	if err != nil {
		return notThere(err)
	}
	d := tokenData{At: t.at(p.Name), User: p.Name, Kind: "mOTP", Clock: t.cfg.API.Clock().Corrected()}
	issuer, link := t.cfg.Issuer, ""
	switch tokenOf(&p) {
	case noToken:
		return failed(w, r, t.at(p.Name), p.Name+" has no token. Enable one-time passwords. Generate makes a secret.")
	case motpToken:
		link = motp.Token{Secret: p.MOTPSecret, PIN: p.MOTPPIN}.URL(issuer, p.Name)
	case totpToken:
		d.Kind = "TOTP"
		link = totp.Token{Secret: p.TOTPSecret}.URL(issuer, p.Name)
	}
	if t.shown.allowed(r.Context(), p, time.Now()) {
		code, err := qrcode.Encode(link)
		if err != nil {
			return err
		}
		d.Shown, d.Secret, d.Link = true, secretOf(&p), template.URL(link)                      //nolint:gosec // made of a checked secret
		d.QR = template.HTML(code.SVG("QR code of the " + d.Kind + " token of user " + p.Name)) //nolint:gosec // it escapes the label
	}
	d.Code = f.fill(control{
		Name: "code", Label: "Code", Type: "text", Required: true, MaxLength: 16, Complete: "one-time-code", Focus: true,
		Hint: "The code that the user's token or app shows. It then counts as used: the first dial-in needs the next one.",
	})[0]
	d.Codes = codes.fill(
		control{Name: "first", Label: "Code that the token shows", Type: "text", Required: true, MaxLength: 16, Complete: "one-time-code"},
		control{Name: "second", Label: "The next code", Type: "text", Required: true, MaxLength: 16, Complete: "one-time-code"},
	)
	v := view{Title: d.Kind + " token of " + p.Name, Data: d}
	v.faulty(&f, &codes)
	return t.render(w, r, "token.html", v)
}

// verify checks a code of a user's token.
func (t userTable) verify(w http.ResponseWriter, r *http.Request) error {
	name, f := r.PathValue("name"), form{values: r.PostForm}
	err := t.cfg.API.Verify(r.Context(), name, mgmt.Precondition{}, strings.TrimSpace(r.PostForm.Get("code")))
	if enrol := (*auth.EnrolError)(nil); errors.As(err, &enrol) {
		f.wrong("code", err.Error()+".")
		return t.showToken(w, r, f, form{})
	}
	if errors.Is(err, auth.ErrNoToken) {
		return failed(w, r, t.at(name), err.Error()+".")
	}
	if err != nil {
		return notThere(err)
	}
	t.shown.forget(name)
	return done(w, r, t.base, "The token of "+name+" is right: the code was verified.")
}

// resync resynchronises a token whose clock is outside the window.
func (t userTable) resync(w http.ResponseWriter, r *http.Request) error {
	name, f := r.PathValue("name"), form{values: r.PostForm}
	ahead, err := t.cfg.API.Resync(r.Context(), name, strings.TrimSpace(r.PostForm.Get("first")), strings.TrimSpace(r.PostForm.Get("second")))
	switch {
	case errors.Is(err, auth.ErrNotInRow):
		f.wrong("first", sentence(auth.ErrNotInRow))
		return t.showToken(w, r, form{}, f)
	case errors.Is(err, auth.ErrUsed):
		f.wrong("first", sentence(auth.ErrUsed))
		return t.showToken(w, r, form{}, f)
	case errors.Is(err, auth.ErrNoToken):
		return failed(w, r, t.at(name), err.Error()+".")
	case err != nil:
		return notThere(err)
	}
	way := "ahead"
	if ahead < 0 {
		way = "behind"
	}
	return done(w, r, t.at(name), fmt.Sprintf("The token of %s is resynchronised: its clock is %s %s.", name, apart(amount.Duration(ahead.Abs())), way))
}

// newSecret draws the secret of a token.
func newSecret(kind string) (string, error) {
	switch kind {
	case motpToken:
		return motp.NewSecret(rand.Reader)
	case totpToken:
		return totp.NewSecret(rand.Reader)
	default:
		return "", fault{http.StatusBadRequest, "This kind of token does not exist."}
	}
}

// generate shows the form again, with a new secret that is not stored yet.
func (t userTable) generate(w http.ResponseWriter, r *http.Request, f *profileForm, tag, kind string) error {
	secret, err := newSecret(kind)
	if err != nil {
		return err
	}
	f.values.Set("token", kind)
	f.values.Set(kind+"-secret", secret)
	return t.showProfile(w, r, f, tag, view{Notice: "The form has a new secret. OK stores it."})
}

// drawSecret gives a script a new secret for the form.
func (p *Pages) drawSecret(w http.ResponseWriter, r *http.Request) error {
	secret, err := newSecret(r.PostForm.Get("kind"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = w.Write([]byte(secret))
	return err
}
