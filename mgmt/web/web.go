package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

// maxForm is the longest body of a form, in bytes.
const maxForm = 64 << 10

// Config configures Pages.
type Config struct {
	API    *mgmt.API
	Gate   Gate
	Issuer string       // name of the server in the users' apps
	Log    *slog.Logger // nil: none
}

// Gate holds the accounts that may manage the daemon, and their log-ins: an access.Gate.
type Gate interface {
	LogIn(ctx context.Context, source netip.Addr, name, password, code string) (*http.Cookie, error)
	LogOut(ctx context.Context, r *http.Request) *http.Cookie
	LinkName(ctx context.Context, link string) (string, error)
	SetUp(ctx context.Context, link, name, password string) error
	NewLink(ctx context.Context, name string, role access.Role) (string, error)
	Administrators(ctx context.Context) ([]access.Account, error)
	Account(ctx context.Context, name string) (access.Account, error)
	Tokens(ctx context.Context) ([]access.Token, error)
	NewToken(ctx context.Context, name string, role access.Role, expires time.Time) (string, error)
}

// Pages answers requests for pages and their files. It is safe for concurrent use.
type Pages struct {
	cfg       Config
	mux       *http.ServeMux
	templates map[string]*template.Template // by the name of the page's file
	shown     shownSecrets
}

// New makes Pages.
func New(cfg Config) *Pages {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pages{cfg: cfg, mux: http.NewServeMux(), templates: parse()}
	for _, r := range p.routes() {
		p.mux.Handle(r.pattern, p.handler(r.handle))
	}
	p.mux.HandleFunc("GET /static/{file}", static)
	p.mux.Handle("/", p.handler(func(http.ResponseWriter, *http.Request) error {
		return fault{http.StatusNotFound, "This page does not exist. It may have moved: look in the menu."}
	}))
	return p
}

// ServeHTTP answers a request.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	p.mux.ServeHTTP(w, r)
}

// fault is an error with its HTTP status and a text for users.
type fault struct {
	status int
	text   string
}

// Error gives the text.
func (f fault) Error() string { return f.text }

// handler answers with handle. An error of handle becomes a page. The form is parsed before.
func (p *Pages) handler(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := parseForm(r)
		if err == nil {
			err = handle(w, r)
		}
		if err == nil {
			return
		}
		f := fault{http.StatusInternalServerError, "The daemon could not do that: " + err.Error()}
		if !errors.As(err, &f) {
			p.cfg.Log.Error("page", "path", r.URL.Path, "error", err)
		}
		v := view{Title: http.StatusText(f.status), Data: f.text, Status: f.status}
		if err := p.render(w, r, "fault.html", v); err != nil {
			p.cfg.Log.Error("page", "path", r.URL.Path, "error", err)
		}
	})
}

func parseForm(r *http.Request) error {
	err := r.ParseForm()
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return fault{http.StatusRequestEntityTooLarge, fmt.Sprintf("The form is longer than %d bytes. Send less at once.", tooLong.Limit)}
	}
	if err != nil {
		return fault{http.StatusBadRequest, "The form cannot be read: " + err.Error()}
	}
	return nil
}

// mayChange reports whether the caller may make changes.
func mayChange(r *http.Request) bool {
	who, _ := access.Of(r.Context())
	return who.Role == access.Administrator
}

// change wraps a handler that changes something: only administrators get to it.
func change(handle func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !mayChange(r) {
			return fault{http.StatusForbidden, "You can look, but not change anything. Ask an administrator."}
		}
		return handle(w, r)
	}
}
