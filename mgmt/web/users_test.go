package web

import (
	"database/sql"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
	"vpnd/usermgmt/usertest"
)

var (
	second   = access.Identity{Name: "carol", Role: access.Administrator}
	inputs   = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	attrs    = regexp.MustCompile(` ([a-z-]+)(?:="([^"]*)")?`)
	selected = regexp.MustCompile(`(?s)<select[^>]* name="([^"]+)".*?</select>`)
	option1  = regexp.MustCompile(`<option value="([^"]*)" selected>`)
)

// formOf gives the values of a page's form, as a browser would send them.
func formOf(body string) url.Values {
	form := url.Values{}
	for _, tag := range inputs.FindAllString(body, -1) {
		a := map[string]string{}
		for _, m := range attrs.FindAllStringSubmatch(tag, -1) {
			a[m[1]] = html.UnescapeString(m[2])
		}
		_, checked := a["checked"]
		if a["name"] == "" || strings.HasPrefix(tag, "<select") || (a["type"] == "checkbox" || a["type"] == "radio") && !checked {
			continue
		}
		form.Add(a["name"], a["value"])
	}
	for _, m := range selected.FindAllStringSubmatch(body, -1) {
		if o := option1.FindStringSubmatch(m[0]); o != nil {
			form.Set(m[1], o[1])
		}
	}
	return form
}

// faultOf is the fault that a page shows beside a control.
func faultOf(body, name string) string {
	_, rest, ok := strings.Cut(body, `id="f-`+name+`-fault">`)
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, "</p>")
	return text
}

// submit gets a page, changes its form and sends it.
func (b *bench) submit(who access.Identity, path string, change func(url.Values)) *httptest.ResponseRecorder {
	b.t.Helper()
	page := b.ask(who, path, nil)
	if page.Code != http.StatusOK {
		b.t.Fatalf("%s: %d %s", path, page.Code, page.Body)
	}
	form := formOf(page.Body.String())
	change(form)
	return b.ask(who, path, form)
}

func (b *bench) wantRedirect(w *httptest.ResponseRecorder, to string) {
	b.t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
		b.t.Errorf("%d to %s, want %s\n%s", w.Code, w.Header().Get("Location"), to, w.Body)
	}
}

// add adds a user with a password.
func (b *bench) add(name string) {
	b.t.Helper()
	p := usermgmt.New(name)
	p.Password = "x"
	if err := b.store.Add(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) profile(name string) usermgmt.Profile {
	b.t.Helper()
	p, err := b.store.Get(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// The guide's first two steps: the administrator makes a secret and fills in a profile with it,
// under either menu.
func TestAddUser(t *testing.T) {
	for _, base := range []string{"/users", "/profiles"} {
		b, _ := setUpDaemon(t)
		form := formOf(b.ask(administrator, base+"/-new", nil).Body.String())
		form.Set("name", "alice")
		form.Set("comment", "<b>bold</b>")
		form.Set("generate", "motp")
		w := b.ask(administrator, base+"/-new", form)
		form = formOf(w.Body.String())
		secret := form.Get("motp-secret")
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(secret) || form.Get("token") != "motp" || form.Get("name") != "alice" || w.Code != http.StatusOK {
			t.Fatalf("%d %v", w.Code, form)
		}
		form.Set("motp-pin", "12")
		w = b.ask(administrator, base+"/-new", form)
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(w.Body.String(), "motp-pin"), "4 to 7 decimal digits") {
			t.Errorf("%d: %q", w.Code, faultOf(w.Body.String(), "motp-pin"))
		}
		if form = formOf(w.Body.String()); form.Get("motp-secret") != secret {
			t.Errorf("what was typed is lost: %v", form)
		}
		form.Set("motp-pin", "1234")
		b.wantRedirect(b.ask(administrator, base+"/-new", form), base+"/alice/token")
		p := b.profile("alice")
		want := usermgmt.New("alice")
		if p.MOTPSecret != secret || p.MOTPPIN != "1234" || p.Comment != "<b>bold</b>" || !p.Enabled || p.IdleTimeout != want.IdleTimeout ||
			len(p.Services) != 2 || p.MaxConnections != 1 || p.Further != want.Further || p.BlockNetBIOS || p.PassMulticast || p.Index != 1 {
			t.Errorf("%+v", p)
		}
		list := b.ask(administrator, base, nil).Body.String()
		if !strings.Contains(list, `href="`+base+`/alice"`) || !strings.Contains(list, "&lt;b&gt;bold&lt;/b&gt;") || strings.Contains(list, "<b>bold") || strings.Contains(list, secret) {
			t.Errorf("%s", list)
		}
	}
}

// The form has all fields of the profile. If nothing is changed, the stored values stay.
func TestEveryField(t *testing.T) {
	b, _ := setUpDaemon(t)
	p := usertest.Full("alice")
	p.Pool, p.Comment = "guests", `"><i>`
	if err := b.store.Add(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	before := b.profile("alice")
	page := b.ask(administrator, "/users/alice", nil).Body.String()
	for _, f := range usermgmt.Fields {
		if !strings.Contains(page, ` name="`+f.Name+`"`) {
			t.Errorf("no %s on the form", f.Name)
		}
		if text := f.Get(&before); f.Secret && text != "" && strings.Contains(page, text) {
			t.Errorf("the page shows %s", f.Name)
		}
	}
	if strings.Contains(page, "<i>") {
		t.Error("the comment is markup")
	}
	b.wantRedirect(b.submit(administrator, "/users/alice", func(url.Values) {}), "/users")
	after := b.profile("alice")
	for _, f := range usermgmt.Fields {
		if f.Get(&before) != f.Get(&after) {
			t.Errorf("%s: %s became %s", f.Name, f.Get(&before), f.Get(&after))
		}
	}
	if h, err := b.store.History(t.Context(), state.HistoryQuery{}); err != nil || len(h) != 1 {
		t.Errorf("%d entries in the history: nothing was changed", len(h))
	}
	b.wantRedirect(b.submit(administrator, "/users/alice", func(f url.Values) {
		f.Set("idle-timeout", "0")
		f["dial-in"] = []string{"pptp"}
		f.Set("enabled", "yes")
		f.Set("no-password", "yes")
	}), "/users")
	if p := b.profile("alice"); p.IdleTimeout != 0 || len(p.Services) != 1 || p.Services[0] != "pptp" || !p.Enabled || p.Password != "" || p.MOTPPIN != "1234" {
		t.Errorf("%+v", p)
	}
}

// The page shows all faults at once, each beside its field.
func TestFaults(t *testing.T) {
	b, _ := setUpDaemon(t)
	w := b.submit(administrator, "/users/-new", func(f url.Values) {
		for field, text := range map[string]string{
			"name": "two words", "idle-timeout": "soon", "schedule": "<u>never</u>", "address": "1.2", "remote-node": "here", "expires": "31.12.2027",
			"up-limit": "fast", "index": "-", "token": "totp", "max-connections": "many", "password": "kept while faults are mended",
		} {
			f.Set(field, text)
		}
	})
	body := w.Body.String()
	for field, says := range map[string]string{
		"name": "1 to 64 letters", "idle-timeout": "is not a duration", "schedule": "not a schedule", "address": "not an IPv4 address", "remote-node": "not an address or a prefix",
		"expires": "neither a date", "up-limit": "is not a number", "index": "whole number", "totp-secret": "is missing", "max-connections": "whole number",
	} {
		if got := faultOf(body, field); !strings.Contains(got, says) {
			t.Errorf("%s: %q", field, got)
		}
	}
	if w.Code != http.StatusUnprocessableEntity || strings.Contains(body, "<u>") || !strings.Contains(body, `value="&lt;u&gt;never`) {
		t.Errorf("%d %s", w.Code, body)
	}
	if formOf(body).Get("password") != "kept while faults are mended" {
		t.Error("the password that was typed is lost")
	}
	if users, err := b.store.List(t.Context()); err != nil || len(users) != 0 {
		t.Errorf("%d users", len(users))
	}
	b.add("alice")
	w = b.ask(administrator, "/users/-new", url.Values{"name": {"ALICE"}, "password": {"x"}})
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(w.Body.String(), "name"), "exists") {
		t.Errorf("%d %q", w.Code, faultOf(w.Body.String(), "name"))
	}
}

// The second of two administrators learns of the first one's change. The page keeps the second's
// input, and can still store it.
func TestConflict(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	mine := formOf(b.ask(administrator, "/users/alice", nil).Body.String())
	b.wantRedirect(b.submit(second, "/users/alice", func(f url.Values) { f.Set("idle-timeout", "60") }), "/users")
	mine.Set("comment", "mine")
	w := b.ask(administrator, "/users/alice", mine)
	body := w.Body.String()
	if w.Code != http.StatusConflict || !strings.Contains(body, "carol changed this profile") || !strings.Contains(body, "Stored now: 60.") || b.profile("alice").Comment != "" {
		t.Errorf("%d %s", w.Code, body)
	}
	again := formOf(body)
	if again.Get("comment") != "mine" || again.Get("idle-timeout") != "300" {
		t.Errorf("%v", again)
	}
	b.wantRedirect(b.ask(administrator, "/users/alice", again), "/users")
	if p := b.profile("alice"); p.Comment != "mine" || p.IdleTimeout != 300*time.Second {
		t.Errorf("%+v", p)
	}
}

// The page shows a new secret only to the administrator who has stored it, until a code of it is
// verified.
func TestToken(t *testing.T) {
	const secret, base32 = "00112233445566778899aabbccddeeff", "ABCDEFGHIJKLMNOPQRSTUVWX"
	for _, c := range []struct {
		kind, link string
		fill       func(url.Values)
		code       func(step int64) string
	}{
		{"mOTP", "motp://gate:alice?secret=" + secret, func(f url.Values) {
			f.Set("token", "motp")
			f.Set("motp-secret", secret)
			f.Set("motp-pin", "1234")
		}, motp.Token{Secret: secret, PIN: "1234"}.Code},
		{"TOTP", "otpauth://totp/gate:alice?issuer=gate&amp;secret=" + base32, func(f url.Values) {
			f.Set("token", "totp")
			f.Set("totp-secret", base32)
		}, func(step int64) string { return totp.Token{Secret: base32}.Code(step - step%3) }},
	} {
		b, _ := setUpDaemon(t)
		b.wantRedirect(b.submit(administrator, "/users/-new", func(f url.Values) {
			f.Set("name", "alice")
			c.fill(f)
		}), "/users/alice/token")
		shown := func(who access.Identity) bool {
			body := b.ask(who, "/users/alice/token", nil).Body.String()
			has := strings.Contains(body, c.link)
			if has != strings.Contains(body, `<svg class="qr"`) || has != (strings.Contains(body, secret) || strings.Contains(body, base32)) {
				t.Errorf("%s: a page that shows a part", body)
			}
			return has
		}
		if !shown(administrator) || shown(second) || shown(viewer) || shown(access.Identity{Name: administrator.Name, Role: access.Administrator, Token: true}) {
			t.Errorf("%s: wrong people see the secret", c.kind)
		}
		step := motp.Step(clock{}.Corrected())
		for code, says := range map[string]string{"<i>": "not a code of the token", c.code(step + 60): "10 minutes ahead"} {
			w := b.ask(administrator, "/users/alice/token", url.Values{"code": {code}})
			if w.Code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(w.Body.String(), "code"), says) || strings.Contains(w.Body.String(), "<i>") {
				t.Errorf("%s %q: %d %q", c.kind, code, w.Code, faultOf(w.Body.String(), "code"))
			}
		}
		if !shown(administrator) {
			t.Errorf("%s: the secret is not shown after a wrong code", c.kind)
		}
		b.wantRedirect(b.ask(administrator, "/users/alice/token", url.Values{"code": {" " + c.code(step) + " "}}), "/users")
		if state, err := b.store.Token(t.Context(), "alice"); err != nil || state.LastStep == 0 {
			t.Errorf("the code does not count as used: %+v, %v", state, err)
		}
		if shown(administrator) {
			t.Errorf("%s: the secret is shown after it was verified", c.kind)
		}
	}
}

// The secrets that can be shown have a limit in time and number.
func TestShownSecrets(t *testing.T) {
	var s shownSecrets
	ctx, now := access.With(t.Context(), administrator), time.Unix(1_790_000_000, 0)
	p := usermgmt.Profile{Name: "u0", MOTPSecret: "s"}
	s.allow(ctx, p, now)
	other := p
	other.MOTPSecret = "another"
	if !s.allowed(ctx, p, now.Add(showFor-1)) || s.allowed(ctx, other, now) || s.allowed(ctx, p, now.Add(showFor)) {
		t.Error("the time is not right")
	}
	s.allow(ctx, p, now)
	for i := range maxShown {
		s.allow(ctx, usermgmt.Profile{Name: fmt.Sprintf("u%d", i+1), MOTPSecret: "s"}, now)
	}
	if len(s.open) != maxShown || s.allowed(ctx, p, now) || !s.allowed(ctx, usermgmt.Profile{Name: "u1", MOTPSecret: "s"}, now) {
		t.Errorf("%d are shown", len(s.open))
	}
}

// Many users are changed at once. The page asks before it removes users.
func TestChangeMany(t *testing.T) {
	b, _ := setUpDaemon(t)
	for i := range 5 {
		b.add(fmt.Sprintf("user%d", i))
	}
	post := func(do string, names ...string) *httptest.ResponseRecorder {
		return b.ask(administrator, "/users", url.Values{"id": names, "do": {do}, "back": {"/users?page=1&q=u"}})
	}
	b.wantRedirect(post("disable", "user0", "user1", "user2"), "/users?page=1&q=u")
	b.wantRedirect(post("enable", "user0", "user0"), "/users?page=1&q=u")
	if !b.profile("user0").Enabled || b.profile("user2").Enabled {
		t.Error("enable, disable")
	}
	b.wantRedirect(post("unlock", "user1", "gone"), "/users?page=1&q=u")
	b.wantRedirect(post("enable"), "/users?page=1&q=u")
	b.wantRedirect(b.ask(administrator, "/users", url.Values{"id": {"user1"}, "do": {"unlock"}, "back": {"https://elsewhere/users?"}}), "/users")
	if w := post("explode", "user1"); w.Code != http.StatusBadRequest {
		t.Errorf("%d", w.Code)
	}
	w := post("remove", "user3", "user4")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "remove these 2 users") || b.profile("user3").Name == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	form := formOf(w.Body.String())
	form.Set("do", "remove")
	b.wantRedirect(b.ask(administrator, "/users", form), "/users?page=1&q=u")
	if users, err := b.store.List(t.Context()); err != nil || len(users) != 3 {
		t.Errorf("%d users", len(users))
	}
	if w := b.ask(administrator, "/users/user3", nil); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "This user does not exist") {
		t.Errorf("%d", w.Code)
	}
}

func TestUserList(t *testing.T) {
	b, _ := setUpDaemon(t)
	for i := range 60 {
		b.add(fmt.Sprintf("user%02d", 59-i))
	}
	b.sessions.list = []mgmt.Connection{{ID: "c", User: "user07", Type: "PPTP"}}
	names := regexp.MustCompile(`<tr data-key="([^"]*)">`)
	for query, want := range map[string]string{
		"":                             "user59 user58 50 rows of 60",
		"?page=2":                      "user09 user08 10 rows of 60",
		"?page=99":                     "user09 user08 10 rows of 60",
		"?sort=name&rows=10":           "user00 user01 10 rows of 60",
		"?sort=-connections&rows=10":   "user07 user00 10 rows of 60",
		"?q=USER1&sort=name":           "user10 user11 10 rows of 10",
		"?q=USER1&sort=name&page=2":    "user10 user11 10 rows of 10",
		"?sort=evil&rows=9&page=-1":    "user59 user58 50 rows of 60",
		"?fragment=live&sort=name":     "user00 user01 50 rows of 60",
		"?fragment=main&rows=10&page=": "user59 user58 10 rows of 60",
	} {
		body := b.ask(viewer, "/users"+query, nil).Body.String()
		rows := names.FindAllStringSubmatch(body, -1)
		total := regexp.MustCompile(`of (\d+)</p>`).FindStringSubmatch(body)
		if len(rows) < 2 || total == nil {
			t.Errorf("%s: %s", query, body)
			continue
		}
		if got := fmt.Sprintf("%s %s %d rows of %s", rows[0][1], rows[1][1], len(rows), total[1]); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if body := b.ask(viewer, "/users?q=user07", nil).Body.String(); !strings.Contains(body, `<a class="badge on" href="/?q=user07">connected</a>`) {
		t.Error("nobody is marked as connected")
	}
}

// The list shows a damaged user with advice, and can remove it.
func TestDamagedUserIsListed(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	b.add("bob")
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE users SET password = x'00', motp_secret = x'00' WHERE fold = 'bob'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	body := b.ask(viewer, "/users", nil).Body.String()
	if !strings.Contains(body, `data-key="alice"`) || !strings.Contains(body, `data-key="bob"`) || strings.Count(body, `<span class="badge bad">damaged</span>`) != 1 ||
		!strings.Contains(body, "remove the user and add it again") {
		t.Errorf("%s", body)
	}
	form := formOf(b.ask(administrator, "/users", url.Values{"id": {"bob"}, "do": {"remove"}, "back": {"/users"}}).Body.String())
	form.Set("do", "remove")
	b.wantRedirect(b.ask(administrator, "/users", form), "/users")
	if body := b.ask(viewer, "/users", nil).Body.String(); strings.Contains(body, `data-key="bob"`) {
		t.Errorf("%s", body)
	}
}
