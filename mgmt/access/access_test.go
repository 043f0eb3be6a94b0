package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

const password = "correct horse battery"

var home = netip.MustParseAddr("192.0.2.1")

// house is a gate with a clock that the test moves.
type house struct {
	*access.Gate
	t     *testing.T
	store *sqlite.Store
	now   atomic.Pointer[time.Time]
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	h.pass(0)
	now := func() time.Time { return *h.now.Load() }
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state"), state.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h.store, h.Gate = store, access.New(access.Config{Store: store, Now: now})
	h.Hurry()
	return h
}

// slow has the gate work as it does outside tests.
func (h *house) slow() {
	now := func() time.Time { return *h.now.Load() }
	h.Gate = access.New(access.Config{Store: h.store, Now: now})
}

// pass advances the clock.
func (h *house) pass(d time.Duration) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	if before := h.now.Load(); before != nil {
		now = before.Add(d)
	}
	h.now.Store(&now)
}

// valid reports whether a set-up link is valid.
func (h *house) valid(link string) bool {
	_, err := h.LinkName(h.t.Context(), link)
	return err == nil
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// logIn adds an account and gives the cookie of its log-in.
func (h *house) logIn(name string, role access.Role) *http.Cookie {
	h.t.Helper()
	h.must(h.Add(h.t.Context(), name, password, role))
	c, err := h.LogIn(h.t.Context(), home, name, password, "")
	h.must(err)
	return c
}

// ask sends a request. It gives the answer and the caller's name: "": unknown, "-": turned away.
func (h *house) ask(method, path string, edit ...func(*http.Request)) (answer, string) {
	h.t.Helper()
	from := "-"
	r := httptest.NewRequest(method, "https://vpn.example"+path, nil)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ := access.Of(r.Context())
		from = id.Name
	})).ServeHTTP(w, r)
	return answer{w.Code, w.Header()}, from
}

// answer holds the parts of a response that tests check.
type answer struct {
	StatusCode int
	Header     http.Header
}

func with(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }

func bearer(secret string) func(*http.Request) {
	return header("Authorization", "Bearer "+secret)
}

func header(key, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

func TestNobody(t *testing.T) {
	h := newHouse(t)
	for path, status := range map[string]int{
		"/api/v1/users": 401, "/metrics": 401, "/": 303, "/users?sort=name": 303, "/api/../api/v1/users": 401,
		"/login": 200, "/setup?link=x": 200, "/static/site.css": 200, "/healthz": 200, "/readyz": 200,
		"/static/../users": 303, "/static/%2e%2e/users": 303, "/static//users": 303, "/healthz/": 303, "/logins": 303,
	} {
		resp, from := h.ask("GET", path)
		if resp.StatusCode != status || (from == "-") != (status != 200) {
			t.Errorf("%s: %d, passed on: %v, want %d", path, resp.StatusCode, from != "-", status)
		}
		if status == 401 && (resp.Header.Get("WWW-Authenticate") == "" || resp.Header.Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: %v", path, resp.Header)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
	resp, _ := h.ask("GET", "/users?sort=name")
	if to := resp.Header.Get("Location"); to != "/login?to=%2Fusers%3Fsort%3Dname" {
		t.Errorf("leads to %s", to)
	}
	// These secrets are invented.
	for _, c := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 1000)} {
		if _, from := h.ask("GET", "/api/v1/users", header("Cookie", "__Host-vpnd="+c)); from != "-" {
			t.Errorf("the session %q is taken", c)
		}
		if _, from := h.ask("GET", "/api/v1/users", bearer("vpnd_"+c)); from != "-" {
			t.Errorf("the token %q is taken", c)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/users?a=b": "/users?a=b", "": "/", "users": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/", "/\t/evil.example": "/",
	} {
		if got := access.LocalPath(to); got != want {
			t.Errorf("%q: %q, want %q", to, got, want)
		}
	}
}

func TestRoles(t *testing.T) {
	h := newHouse(t)
	root, eve := with(h.logIn("root", access.Administrator)), with(h.logIn("Eve", access.Viewer))
	for _, c := range []struct {
		method, path string
		who          func(*http.Request)
		want         int
	}{
		{"GET", "/api/v1/users", eve, 200},
		{"GET", "/", eve, 200},
		{"POST", "/api/v1/users", eve, 403},
		{"DELETE", "/api/v1/connections/1", eve, 403},
		{"PATCH", "/api/v1/users/x", eve, 403},
		{"PROPFIND", "/users", eve, 403},
		{"POST", "/users", eve, 403},
		{"POST", "/logout", eve, 200},
		{"POST", "/account/password", eve, 200},
		{"POST", "/account/../users", eve, 403},
		{"POST", "/api/v1/users", root, 200},
		{"DELETE", "/api/v1/connections/1", root, 200},
	} {
		if resp, _ := h.ask(c.method, c.path, c.who); resp.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.want)
		}
	}
	if _, from := h.ask("GET", "/", eve); from != "Eve" {
		t.Errorf("it is from %q", from)
	}
}

// A page of another site can neither change anything nor log in.
func TestForeignOrigin(t *testing.T) {
	h := newHouse(t)
	root := with(h.logIn("root", access.Administrator))
	for _, path := range []string{"/api/v1/users", "/users", "/login", "/setup"} {
		for _, foreign := range []func(*http.Request){
			header("Origin", "https://evil.example"), header("Origin", "null"), header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"),
		} {
			if resp, from := h.ask("POST", path, root, foreign); resp.StatusCode != 403 || from != "-" {
				t.Errorf("%s: %d", path, resp.StatusCode)
			}
		}
		if resp, _ := h.ask("POST", path, root, header("Origin", "https://vpn.example")); resp.StatusCode != 200 {
			t.Errorf("%s from our own page: %d", path, resp.StatusCode)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(h *house, c *http.Cookie){
		"unused for an hour": func(h *house, _ *http.Cookie) { h.pass(time.Hour) },
		"used for 12 hours": func(h *house, c *http.Cookie) {
			for range 23 {
				h.ask("GET", "/", with(c))
				h.pass(30 * time.Minute)
			}
		},
		"logged out": func(h *house, c *http.Cookie) {
			r := httptest.NewRequest("POST", "/logout", nil)
			r.AddCookie(c)
			if end := h.LogOut(t.Context(), r); end.MaxAge >= 0 || end.Name != c.Name {
				t.Errorf("%v", end)
			}
		},
		"new password": func(h *house, _ *http.Cookie) { h.must(h.SetPassword(t.Context(), "ROOT", "another one 123")) },
		"new role":     func(h *house, _ *http.Cookie) { h.must(h.SetRole(t.Context(), "root", access.Viewer)) },
		"removed":      func(h *house, _ *http.Cookie) { h.must(h.Remove(t.Context(), "root", false)) },
		"a 17th log-in": func(h *house, _ *http.Cookie) {
			for range 16 {
				h.pass(time.Minute - time.Second)
				_, err := h.LogIn(t.Context(), home, "root", password, "")
				h.must(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.must(h.Add(t.Context(), "other", password, access.Administrator))
			c := h.logIn("root", access.Administrator)
			h.pass(59 * time.Minute)
			if _, from := h.ask("GET", "/", with(c)); from != "root" {
				t.Fatalf("it is from %q", from)
			}
			end(h, c)
			if resp, _ := h.ask("GET", "/", with(c)); resp.StatusCode != 303 {
				t.Errorf("%d", resp.StatusCode)
			}
		})
	}
}

func TestCookie(t *testing.T) {
	c := newHouse(t).logIn("root", access.Administrator)
	if c.Name != "__Host-vpnd" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 {
		t.Errorf("%v", c)
	}
}

func TestLogIn(t *testing.T) {
	h := newHouse(t)
	h.must(h.Add(t.Context(), "root", password, access.Administrator))
	for _, c := range [][2]string{{"root", "wrong"}, {"root", ""}, {"", ""}, {"nobody", password}, {"root", strings.Repeat("x", 10_000)}, {strings.Repeat("x", 10_000), "x"}} {
		if _, err := h.LogIn(t.Context(), home, c[0], c[1], ""); !errors.Is(err, access.ErrRefused) {
			t.Errorf("%.20q, %.20q: %v", c[0], c[1], err)
		}
	}
	if _, err := h.LogIn(t.Context(), home, "ROOT", password, ""); err != nil {
		t.Error(err)
	}
	entries, err := h.store.History(t.Context(), state.HistoryQuery{})
	h.must(err)
	count := map[string]int{}
	for _, e := range entries {
		count[e.Event]++
		if text := fmt.Sprint(e); strings.Contains(text, password) {
			t.Errorf("a password is in the history: %s", text)
		}
	}
	if count[state.EventAdminLogIn] != 1 || count[state.EventAdminRefused] != 6 || count[state.EventAdminChanged] != 1 {
		t.Errorf("%v", count)
	}
	if a, err := h.Administrators(t.Context()); err != nil || len(a) != 1 || !a[0].LastLogIn.Equal(*h.now.Load()) {
		t.Errorf("%v, %v", a, err)
	}
}

// Neither the answer nor its time shows that a name is unknown.
func TestUnknownNameCostsTheSame(t *testing.T) {
	h := newHouse(t)
	h.slow()
	h.must(h.Add(t.Context(), "root", password, access.Administrator))
	least := map[string]time.Duration{}
	for i := range 5 {
		for _, name := range []string{"root", "stranger"} {
			begin := time.Now()
			_, err := h.LogIn(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), name, "wrong password", "")
			if took := time.Since(begin); least[name] == 0 || took < least[name] {
				least[name] = took
			}
			if !errors.Is(err, access.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Without the hash the time is a hundredth. A busy machine makes a difference, too.
	if least["stranger"] < least["root"]/8 {
		t.Errorf("%v", least)
	}
}

func TestLimits(t *testing.T) {
	h := newHouse(t)
	h.must(h.Add(t.Context(), "root", password, access.Administrator))
	_, err := h.LogIn(t.Context(), home, "root", password, "") // it is now a usual address
	h.must(err)
	attempts := func(name string, source func(i int) netip.Addr) (refused int) {
		for i := range 100 {
			_, err := h.LogIn(t.Context(), source(i), name, strings.Repeat("x", 300), "") // too long, so that it costs nothing
			if errors.Is(err, access.ErrRefused) {
				refused++
			} else if !errors.Is(err, access.ErrLimited) {
				t.Fatal(err)
			}
		}
		return refused
	}
	one := func(int) netip.Addr { return netip.MustParseAddr("192.0.2.7") }
	if n := attempts("somebody", one); n != 10 {
		t.Errorf("%d attempts from one address", n)
	}
	many := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }
	if n := attempts("root", many); n != 9 {
		t.Errorf("%d attempts for one name, after one that succeeded", n)
	}
	within := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i)) }
	if n := attempts("another", within); n != 10 {
		t.Errorf("%d attempts from one /64", n)
	}
	if _, err := h.LogIn(t.Context(), netip.MustParseAddr("203.0.113.1"), "root", password, ""); !errors.Is(err, access.ErrLimited) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := h.LogIn(t.Context(), home, "root", password, ""); err != nil {
		t.Errorf("from where he usually is: %v", err)
	}
	there := func(int) netip.Addr { return home }
	if n := attempts("newcomer", there); n != 9 { // the first log-in was one
		t.Errorf("%d attempts with another name at a usual address", n)
	}
	if _, err := h.LogIn(t.Context(), home, "root", password, ""); err != nil {
		t.Errorf("with another client at the same address that uses up the limit: %v", err)
	}
	if n := attempts("root", there); n == 0 || n > 10 {
		t.Errorf("%d attempts for a name at its usual address", n)
	}
	h.pass(time.Minute)
	if _, err := h.LogIn(t.Context(), netip.MustParseAddr("203.0.113.1"), "root", password, ""); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// Many log-ins wait in a short queue. If the queue is full, the answer says so immediately.
func TestFlood(t *testing.T) {
	h := newHouse(t)
	h.slow()
	var refused, limited atomic.Int64
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			_, err := h.LogIn(t.Context(), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), fmt.Sprint("user", i), "a password", "")
			switch {
			case errors.Is(err, access.ErrRefused):
				refused.Add(1)
			case errors.Is(err, access.ErrLimited):
				limited.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if refused.Load() == 0 || refused.Load()+limited.Load() != 500 || limited.Load() < 250 {
		t.Errorf("%d refused, %d limited", refused.Load(), limited.Load())
	}
	if entries, err := h.store.History(t.Context(), state.HistoryQuery{}); err != nil || len(entries) > 30 {
		t.Errorf("%d entries in the history, %v", len(entries), err)
	}
}

func TestTOTP(t *testing.T) {
	h := newHouse(t)
	c := h.logIn("root", access.Administrator)
	token := totp.Token{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}
	code := func(ago int64) string {
		step := h.now.Load().Unix() / motp.StepSeconds
		return token.Code(step - step%token.Stride() - ago*token.Stride())
	}
	var rule *usermgmt.RuleError
	if err := h.SetTOTP(t.Context(), "root", token.Secret, "000000"); !errors.As(err, &rule) || rule.Field != "code" {
		t.Errorf("%v", err)
	}
	if err := h.SetTOTP(t.Context(), "root", "short", code(0)); !errors.As(err, &rule) || rule.Field != "totp-secret" {
		t.Errorf("%v", err)
	}
	h.must(h.SetTOTP(t.Context(), "root", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", code(0)))
	if resp, _ := h.ask("GET", "/", with(c)); resp.StatusCode != 303 {
		t.Error("a session without a code goes on")
	}
	h.must(h.store.Rekey(t.Context()))
	logIn := func(code string) error {
		_, err := h.LogIn(t.Context(), home, "root", password, code)
		return err
	}
	for _, bad := range []string{"", code(0), code(1), code(2), code(-2)} {
		if err := logIn(bad); !errors.Is(err, access.ErrRefused) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	h.must(logIn(code(-1)))
	if err := logIn(code(-1)); !errors.Is(err, access.ErrRefused) {
		t.Errorf("a code that was used: %v", err)
	}
	h.pass(time.Minute)
	h.must(logIn(" " + code(0)[:3] + " " + code(0)[3:]))
	h.must(h.SetTOTP(t.Context(), "root", "", ""))
	h.must(logIn(""))
}

func TestTokens(t *testing.T) {
	h := newHouse(t)
	ctx := access.With(t.Context(), access.Identity{Name: "root", Role: access.Administrator})
	secret, err := h.NewToken(ctx, "backup", access.Viewer, h.now.Load().Add(time.Hour))
	h.must(err)
	if _, err := h.NewToken(ctx, "Backup", access.Viewer, time.Time{}); !errors.Is(err, state.ErrTokenExists) {
		t.Errorf("%v", err)
	}
	if _, err := h.NewToken(ctx, "../x y", "god", *h.now.Load()); len(errorsOf(err)) != 3 {
		t.Errorf("%v", err)
	}
	list, err := h.Tokens(ctx)
	if err != nil || len(list) != 1 || list[0].By != "root" || list[0].Role != access.Viewer {
		t.Errorf("%+v, %v", list, err)
	}
	if _, from := h.ask("GET", "/api/v1/users", bearer(secret)); from != "backup" {
		t.Errorf("it is from %q", from)
	}
	if resp, _ := h.ask("POST", "/api/v1/users", bearer(secret)); resp.StatusCode != 403 {
		t.Errorf("a viewer's token writes: %d", resp.StatusCode)
	}
	forged := secret[:len(secret)-2] + "AA"
	if _, from := h.ask("GET", "/api/v1/users", bearer(forged)); from != "-" {
		t.Error("a forged token is taken")
	}
	// A session does not replace an invalid token.
	if _, from := h.ask("GET", "/api/v1/users", bearer(forged), with(h.logIn("root", access.Administrator))); from != "-" {
		t.Error("a forged token is accepted together with a session")
	}
	h.pass(time.Hour)
	if _, from := h.ask("GET", "/api/v1/users", bearer(secret)); from != "-" {
		t.Error("an expired token is taken")
	}
	h.must(h.RemoveToken(ctx, "BACKUP"))
	if err := h.RemoveToken(ctx, "backup"); !errors.Is(err, state.ErrNoToken) {
		t.Errorf("%v", err)
	}
}

func errorsOf(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, errorsOf(e)...)
	}
	return all
}

// A long request ends with the session.
func TestLongRequestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.must(h.Add(t.Context(), "other", password, access.Administrator))
		c := h.logIn("root", access.Administrator)
		r := httptest.NewRequest("GET", "https://vpn.example/api/v1/events", nil).WithContext(t.Context())
		r.AddCookie(c)
		begin := time.Now()
		h.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.AfterFunc(time.Minute, func() { h.must(h.Remove(context.Background(), "root", false)) })
			<-r.Context().Done()
		})).ServeHTTP(httptest.NewRecorder(), r)
		if took := time.Since(begin); took < time.Minute || took > 70*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}
