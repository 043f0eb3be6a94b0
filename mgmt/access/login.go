package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/state"
	"vpnd/usermgmt"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

// Errors of LogIn. Their texts can be shown to users.
var (
	ErrRefused = errors.New("name, password or code is wrong")
	ErrLimited = errors.New("too many attempts to log in: wait a minute and try again")
)

const (
	minPassword, maxPassword = 10, 256 // characters, and bytes
	maxName                  = 64      // bytes
)

// hashing is the work for one password. The second choice of RFC 9106 section 4 has 64 MiB. Half of
// that suits small machines, and is more than OWASP asks for.
var hashing = argon2id.Params{Memory: 32 << 10, Iterations: 3, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobodyOf is the hash for an unknown name. A check against it costs the same work, and never
// matches.
func nobodyOf(p argon2id.Params) string {
	raw := make([]byte, p.SaltLength+p.KeyLength)
	_, _ = rand.Read(raw) // it does not fail
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism, text(raw[:p.SaltLength]), text(raw[p.SaltLength:]))
}

// LogIn makes a session if the name and the password are right, and the code if the account has
// TOTP. The error is ErrRefused, ErrLimited, or the store's.
func (g *Gate) LogIn(ctx context.Context, source netip.Addr, name, password, code string) (*http.Cookie, error) {
	if !g.limits.allow(g.now(), source, name) {
		g.leftOut.Add(1)
		return nil, ErrLimited
	}
	if len(name) > maxName || len(password) > maxPassword {
		return nil, g.refusal(ctx, source, name, "name or password is too long")
	}
	a, err := g.store.Administrator(ctx, name)
	switch {
	case errors.Is(err, state.ErrNoAdministrator):
		a.Password = g.nobody
	case err != nil:
		return nil, err
	}
	known := err == nil
	match, err := g.verify(ctx, password, a.Password)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, g.refusal(ctx, source, name, "there is no such administrator")
	case !match:
		return nil, g.refusal(ctx, source, name, "wrong password")
	}
	if a.TOTPSecret != "" {
		step, ok := stepOf(a.TOTPSecret, code, g.now())
		if !ok {
			return nil, g.refusal(ctx, source, name, "wrong code, or none")
		}
		fresh, err := g.store.AdvanceAdministrator(ctx, name, step)
		if err != nil {
			return nil, err
		}
		if !fresh {
			return nil, g.refusal(ctx, source, name, "the code was used before")
		}
	}
	secret := newSecret()
	err = g.store.AddAdminSession(ctx, hashOf(secret), a, source, g.now(), sessionLives)
	if errors.Is(err, state.ErrNoAdministrator) {
		return nil, g.refusal(ctx, source, name, "the account was changed during the log-in")
	}
	if err != nil {
		return nil, err
	}
	g.limits.succeeded(source, name)
	g.log.Info("administrator logged in", "user", a.Name, "peer", source)
	return cookie(secret, 0), nil
}

// LogOut ends the session of a request. It gives a cookie that deletes the session's cookie in the
// browser.
func (g *Gate) LogOut(ctx context.Context, r *http.Request) *http.Cookie {
	if c := credentialOf(r); !c.token && likeSecret(c.secret) {
		if err := g.store.RemoveAdminSession(ctx, hashOf(c.secret)); err != nil {
			g.log.Error("a session could not be ended", "error", err)
		}
	}
	return cookie("", -1)
}

// cookie is a session's cookie. The prefix __Host- keeps other sites of the domain from setting it.
// MaxAge is in seconds; 0: until the browser ends.
func cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// refusal logs a refused log-in within the limits and gives ErrRefused. The next one that is logged
// counts those that were left out.
func (g *Gate) refusal(ctx context.Context, source netip.Addr, name, reason string) error {
	now := g.now()
	if !g.refused.AllowN(now, 1) {
		g.leftOut.Add(1)
		return ErrRefused
	}
	if n := g.leftOut.Swap(0); n > 0 {
		reason += fmt.Sprintf("; %d earlier log-ins were refused or had to wait", n)
	}
	name = fmt.Sprintf("%.64s", strings.ToValidUTF8(name, "?"))
	g.log.Warn("administrator refused", "user", name, "peer", source, "reason", reason)
	err := g.store.Record(ctx, state.Entry{
		At: now, Event: state.EventAdminRefused, Peer: source, Reason: fmt.Sprintf("%q: %s", name, reason),
	})
	if err != nil && ctx.Err() == nil {
		g.log.Warn("the history could not be written", "error", err)
	}
	return ErrRefused
}

// verify checks a password against a hash.
func (g *Gate) verify(ctx context.Context, password, hash string) (bool, error) {
	var match bool
	var err error
	if limited := g.hasher.do(ctx, func() { match, err = argon2id.ComparePasswordAndHash(password, hash) }); limited != nil {
		return false, limited
	}
	return match, err
}

// hash checks a password against the rules, and hashes it. The error may be a usermgmt.RuleError.
func (g *Gate) hash(ctx context.Context, name, password string) (string, error) {
	if err := checkPassword(name, password); err != nil {
		return "", err
	}
	var hash string
	var err error
	if limited := g.hasher.do(ctx, func() { hash, err = argon2id.CreateHash(password, &g.hashing) }); limited != nil {
		return "", limited
	}
	return hash, err
}

func checkPassword(name, password string) error {
	var text string
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		text = "must be text without control characters"
	case utf8.RuneCountInString(password) < minPassword:
		text = fmt.Sprintf("must have at least %d characters", minPassword)
	case len(password) > maxPassword:
		text = fmt.Sprintf("must have at most %d bytes", maxPassword)
	case strings.EqualFold(password, name):
		text = "must not be the name"
	default:
		return nil
	}
	return &usermgmt.RuleError{Field: "password", Text: text}
}

// stepOf finds the step of a code among the previous, the current and the next one; false: the code
// is wrong.
func stepOf(secret, code string, now time.Time) (int64, bool) {
	token := totp.Token{Secret: secret}
	code = strings.ReplaceAll(code, " ", "")
	stride := token.Stride()
	at := now.Unix() / motp.StepSeconds
	at -= at % stride
	for step := at - stride; step <= at+stride; step += stride {
		if want := token.Code(step); want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}
