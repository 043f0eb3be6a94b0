package access

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"vpnd/internal/state"
)

const (
	cookieName  = "__Host-vpnd"
	tokenPrefix = "vpnd_"
	// watchEvery is how often the caller's rights are checked while a request is answered: events
	// go on for hours.
	watchEvery = 10 * time.Second
)

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Guard passes requests with an Identity to next, and refuses the others.
//
// The session's cookie, or "Authorization: Bearer" with an API token, identifies a caller. /login,
// /setup, /static/, /healthz and /readyz need neither. For other paths, the API and /metrics answer
// 401, and pages lead to /login?to=PATH. A viewer may look, log out, and make changes below
// /account. Other changes get 403, and so do requests from pages of other sites.
func (g *Gate) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w, r)
		if err := g.origins.Check(r); err != nil {
			refuse(w, r, http.StatusForbidden, "this request comes from a page of another site")
			return
		}
		c := credentialOf(r)
		id, seen, known, err := g.identify(r.Context(), c)
		if err != nil {
			g.log.Error("the session or token could not be looked up", "error", err)
			refuse(w, r, http.StatusInternalServerError, "the user table cannot be read: the daemon's log says why")
			return
		}
		switch {
		case !known && open(r.URL.Path):
			next.ServeHTTP(w, r)
			return
		case !known:
			g.turnAway(w, r, c)
			return
		case id.Role != Administrator && !looks(r) && !open(r.URL.Path) && !own(r.URL.Path):
			refuse(w, r, http.StatusForbidden, id.Name+" can look, but not change anything: the role is "+string(id.Role))
			return
		}
		if !c.token && g.now().Sub(seen) >= seenEvery {
			if err := g.store.TouchAdminSession(r.Context(), hashOf(c.secret), g.now()); err != nil && r.Context().Err() == nil {
				g.log.Warn("the use of a session could not be stored", "error", err)
			}
		}
		ctx, cancel := context.WithCancel(With(r.Context(), id))
		defer cancel()
		defer g.watch(ctx, cancel, c, id)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// open reports whether a path needs no log-in.
func open(p string) bool {
	switch p {
	case "/login", "/setup", "/healthz", "/readyz":
		return true
	}
	return strings.HasPrefix(p, "/static/") && path.Clean(p) == p
}

// own reports whether a path concerns only the caller.
func own(p string) bool {
	return p == "/logout" || p == "/account" || strings.HasPrefix(p, "/account/") && path.Clean(p) == p
}

func looks(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// forPrograms reports whether a program reads the answer, not a person.
func forPrograms(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/metrics"
}

func setHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if !strings.HasPrefix(r.URL.Path, "/static/") {
		h.Set("Cache-Control", "no-store")
	}
}

// turnAway answers an unknown caller.
func (g *Gate) turnAway(w http.ResponseWriter, r *http.Request, c credential) {
	if forPrograms(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="vpnd"`)
		text := "log in, or send an API token: Authorization: Bearer TOKEN ('vpnd admin token add' makes one)"
		if c.secret != "" {
			text = "the session or API token is not valid, or has ended: log in again, or make a new token ('vpnd admin token add')"
		}
		refuse(w, r, http.StatusUnauthorized, text)
		return
	}
	to := "/login"
	if looks(r) {
		to += "?to=" + url.QueryEscape(LocalPath(r.URL.RequestURI()))
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// LocalPath gives the path if it is one of this server, to which a log-in may lead, and otherwise
// "/".
func LocalPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// refuse answers a program with a problem document (RFC 9457), and a person with a text.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if !forPrograms(r) {
		http.Error(w, text, status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": text})
}

// credential identifies the caller of a request.
type credential struct {
	secret string // "": nothing
	token  bool
}

// credentialOf gives the token of a request, or else its session.
func credentialOf(r *http.Request) credential {
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return credential{strings.TrimSpace(secret), true}
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return credential{secret: c.Value}
	}
	return credential{}
}

// identify gives the owner of a credential, and when the last use of a session was stored; false:
// it has no owner.
func (g *Gate) identify(ctx context.Context, c credential) (Identity, time.Time, bool, error) {
	now := g.now()
	if c.token {
		secret, ok := strings.CutPrefix(c.secret, tokenPrefix)
		if !ok || !likeSecret(secret) {
			return Identity{}, time.Time{}, false, nil
		}
		t, ok, err := g.store.AdminToken(ctx, hashOf(c.secret))
		if !ok || err != nil || !counts(t, now) {
			return Identity{}, time.Time{}, false, err
		}
		return Identity{t.Name, Role(t.Role), true}, time.Time{}, true, nil
	}
	if !likeSecret(c.secret) {
		return Identity{}, time.Time{}, false, nil
	}
	s, ok, err := g.store.AdminSession(ctx, hashOf(c.secret))
	if !ok || err != nil || !within(now, s.Seen, sessionLives.Idle) || !within(now, s.Began, sessionLives.Whole) {
		return Identity{}, time.Time{}, false, err
	}
	return Identity{s.Name, Role(s.Role), false}, s.Seen, true, nil
}

// counts reports whether a token is valid now. A token that expires is not valid if it was added
// while the clock was ahead.
func counts(t state.AdminToken, now time.Time) bool {
	return t.Expires.IsZero() || now.Before(t.Expires) && now.Sub(t.Added) >= -state.ClockSlack
}

// within reports whether less than life has passed since a stored time. A time in the future does
// not count: the clock was ahead when it was stored.
func within(now, stored time.Time, life time.Duration) bool {
	since := now.Sub(stored)
	return since < life && since >= -state.ClockSlack
}

// watch ends the request when its caller loses the right to it. The caller must call done after the
// answer.
func (g *Gate) watch(ctx context.Context, end func(), c credential, id Identity) (done func()) {
	var timer *time.Timer
	started := make(chan struct{})
	timer = time.AfterFunc(watchEvery, func() {
		<-started
		now, _, known, err := g.identify(ctx, c)
		if err != nil || !known || now != id {
			end()
			return
		}
		if ctx.Err() == nil {
			timer.Reset(watchEvery)
		}
	})
	close(started)
	return func() { timer.Stop() }
}
