package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt/access"

	"golang.org/x/net/html"
)

const longPassword = "correct horse battery staple"

// notice gives the notice that a redirect leaves for its target page.
func (b *bench) notice(who access.Identity, to string, cookies []*http.Cookie) string {
	b.t.Helper()
	body := b.ask(who, to, nil, cookies...).Body.String()
	found := regexp.MustCompile(`<p class="notice[^>]*>([^<]*)<`).FindStringSubmatch(body)
	if found == nil {
		return ""
	}
	return found[1]
}

// The page finds, sorts and pages connections.
func TestConnections(t *testing.T) {
	b := setUp(t)
	b.connect(120)
	for path, want := range map[string][]string{
		"/":                           {"1–50 of 120", ">user0<", "10.99.0.0/32", "Encrypted", "Not encrypted", "0:00:0"},
		"/?page=3":                    {"101–120 of 120", ">user119<"},
		"/?page=99":                   {"101–120 of 120"},
		"/?q=USER77":                  {"1–1 of 1", ">user77<"},
		"/?q=nobody":                  {"No connection matches"},
		"/?sort=-tx_packets&rows=10":  {"1–10 of 120", ">user119<", `aria-sort="descending"`},
		"/?sort=drop+table&rows=7":    {"1–50 of 120"},
		"/?fragment=live&sort=uptime": {`data-key="c00000"`},
	} {
		w := b.ask(administrator, path, nil)
		for _, text := range want {
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %d, without %q", path, w.Code, text)
			}
		}
	}
	if body := b.ask(administrator, "/?fragment=live", nil).Body.String(); strings.Contains(body, "<html") {
		t.Error("a fragment has a layout")
	}
}

// Dropping takes two steps without a script: first the connections, then the reason.
func TestDrop(t *testing.T) {
	b := setUp(t)
	b.connect(4)
	if w := b.ask(administrator, "/connections/drop", url.Values{"back": {"/?page=2"}}); w.Code != http.StatusSeeOther ||
		!strings.Contains(b.notice(administrator, w.Header().Get("Location"), w.Result().Cookies()), "First select") {
		t.Errorf("nothing picked: %d", w.Code)
	}
	w := b.ask(administrator, "/connections/drop", url.Values{"id": {"c00001", "c00002", "gone"}})
	if w.Code != http.StatusOK || strings.Count(w.Body.String(), `name="id"`) != 2 || !strings.Contains(w.Body.String(), "1 of the selected connections has already ended") {
		t.Errorf("the question: %d %s", w.Code, w.Body)
	}
	if n := len(b.sessions.list); n != 4 {
		t.Errorf("%d connections are left after the question", n)
	}
	w = b.ask(administrator, "/connections/drop", url.Values{"id": {"c00001"}, "confirm": {"yes"}, "reason": {strings.Repeat("x", 101)}})
	if !strings.Contains(w.Body.String(), "at most 100 bytes") || len(b.sessions.list) != 4 {
		t.Errorf("a reason that is too long: %d", w.Code)
	}
	w = b.ask(administrator, "/connections/drop", url.Values{"id": {"c00001", "c00002"}, "confirm": {"yes"}, "reason": {"maintenance"}, "back": {"//evil.example/"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(b.sessions.list) != 2 || b.sessions.reason != "maintenance" {
		t.Errorf("%d to %s, %d left, reason %q", w.Code, w.Header().Get("Location"), len(b.sessions.list), b.sessions.reason)
	}
	if text := b.notice(administrator, "/", w.Result().Cookies()); text != "2 connections are dropped." {
		t.Errorf("the notice is %q", text)
	}
}

// A viewer sees no button that changes something, and the server refuses a change.
func TestViewer(t *testing.T) {
	b := setUp(t)
	b.connect(2)
	body := b.ask(viewer, "/", nil).Body.String()
	if strings.Contains(body, "danger") || strings.Contains(body, "/connections/drop\" data") && strings.Contains(body, "checkbox") || strings.Contains(body, `href="/administrators"`) {
		t.Error("changes are offered to a viewer")
	}
	for _, path := range []string{"/administrators", "/administrators/admin", "/tokens/x/remove"} {
		if w := b.ask(viewer, path, nil); w.Code != http.StatusForbidden {
			t.Errorf("%s shows a viewer the administrators: %d", path, w.Code)
		}
	}
	for _, who := range []access.Identity{viewer, nobody} {
		if w := b.ask(who, "/connections/drop", url.Values{"id": {"c00001"}, "confirm": {"yes"}}); w.Code != http.StatusForbidden || len(b.sessions.list) != 2 {
			t.Errorf("%v drops: %d", who, w.Code)
		}
	}
}

// Names with HTML in them appear as text.
func TestEscaping(t *testing.T) {
	b := setUp(t)
	b.connect(1)
	const evil = `<script>alert(1)</script>"onload='x`
	b.sessions.list[0].User, b.sessions.list[0].Encryption = evil, evil
	for path, form := range map[string]url.Values{
		"/": nil, "/?q=" + url.QueryEscape(evil): nil, "/history?user=" + url.QueryEscape(evil): nil, "/connections/drop": {"id": {"c00000"}, "reason": {evil}, "back": {"/" + evil}},
		"/login": {"name": {evil}, "to": {evil}},
	} {
		if body := b.ask(administrator, path, form).Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, `"onload`) {
			t.Errorf("%s lets HTML through", path)
		}
	}
}

// The first administrator follows a link, logs in, and changes the password.
func TestGettingIn(t *testing.T) {
	b := setUp(t)
	if w := b.ask(nobody, "/setup?link=x", nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "not valid") {
		t.Errorf("a wrong link: %d", w.Code)
	}
	link, err := b.gate.FirstLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []url.Values{
		{"name": {"anna"}, "password": {"short"}, "again": {"short"}},
		{"name": {"anna"}, "password": {longPassword}, "again": {"another"}},
		{"name": {"<b>"}, "password": {longPassword}, "again": {longPassword}},
	} {
		f.Set("link", link)
		if w := b.ask(nobody, "/setup", f); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `class="fault"`) {
			t.Errorf("%v: %d", f, w.Code)
		}
	}
	if w := b.ask(nobody, "/setup", url.Values{"link": {link}, "name": {"anna"}, "password": {longPassword}, "again": {longPassword}}); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login" {
		t.Fatalf("set-up: %d %s", w.Code, w.Body)
	}
	if w := b.ask(nobody, "/login", url.Values{"name": {"anna"}, "password": {"wrong"}}); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), `value="wrong"`) {
		t.Errorf("a wrong password: %d", w.Code)
	}
	w := b.ask(nobody, "/login", url.Values{"name": {"anna"}, "password": {longPassword}, "to": {"https://evil.example/"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(w.Result().Cookies()) != 1 {
		t.Errorf("log-in: %d to %s", w.Code, w.Header().Get("Location"))
	}
	anna := access.Identity{Name: "anna", Role: access.Administrator}
	change := url.Values{"current": {"wrong"}, "password": {longPassword + "!"}, "again": {longPassword + "!"}}
	if w := b.ask(anna, "/account/password", change); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a change without the password: %d", w.Code)
	}
	change.Set("current", longPassword)
	if w := b.ask(anna, "/account/password", change); w.Code != http.StatusSeeOther {
		t.Errorf("a change of the password: %d %s", w.Code, w.Body)
	}
	if w := b.ask(anna, "/administrators/anna/remove", url.Values{"sure": {"yes"}}); !strings.Contains(b.notice(anna, "/administrators", w.Result().Cookies()), "last administrator") {
		t.Errorf("the last one is removed: %d", w.Code)
	}
	w = b.ask(anna, "/tokens", url.Values{"name": {"monitor"}, "role": {"viewer"}, "days": {"30"}})
	if !strings.Contains(w.Body.String(), "vpnd_") {
		t.Errorf("no token is shown: %d", w.Code)
	}
	b.ask(anna, "/tokens", url.Values{"name": {"backup"}, "role": {"viewer"}, "days": {"0"}})
	if body := b.ask(anna, "/administrators", nil).Body.String(); !strings.Contains(body, ">never<") || strings.Contains(body, "Expired") {
		t.Error("it is not said until when tokens count")
	}
	old := state.AdminToken{Name: "old", Role: "viewer", Hash: []byte("old"), Expires: time.Unix(1_000_000_000, 0)}
	if err := b.store.AddAdminToken(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if body := b.ask(anna, "/administrators", nil).Body.String(); strings.Count(body, "Expired") != 1 {
		t.Error("an expired token is not marked")
	}
}

// All pages are sound HTML: controls have labels, links lead somewhere, nothing is inline.
func TestPagesAreSound(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.connect(60)
	if err := b.gate.Add(t.Context(), "admin", longPassword, access.Administrator); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/?page=2&q=user", "/history", "/account", "/account/app", "/administrators", "/administrators/admin", "/tokens/x/remove", "/nowhere", "/connect", "/connect?client=linux", "/captures?connection=c00000"} {
		b.sound(administrator, path)
	}
	b.sound(nobody, "/login")
	b.sound(nobody, "/setup?link=x")
}

// A page without room for a request says when to try again.
func TestRetryAfter(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.managed.Captures = noCaptures{}
	b.serve()
	w := b.ask(administrator, "/captures", url.Values{"user": {"alice"}, "minutes": {"1"}})
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" {
		t.Errorf("a capture: %d, %v", w.Code, w.Header())
	}
	for range 50 {
		if w = b.ask(nobody, "/login", url.Values{"name": {"anna"}, "password": {"wrong"}}); w.Code == http.StatusTooManyRequests {
			break
		}
		if w.Header().Get("Retry-After") != "" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
	}
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "10" {
		t.Errorf("a log-in: %d, %v", w.Code, w.Header())
	}
}

func (b *bench) sound(who access.Identity, path string) {
	b.t.Helper()
	root, err := html.Parse(b.ask(who, path, nil).Body)
	if err != nil {
		b.t.Errorf("%s: %v", path, err)
		return
	}
	labels, ids, heads := map[string]bool{}, map[string]bool{}, 0
	for n := range root.Descendants() {
		a := attributes(n)
		if a["id"] != "" {
			if ids[a["id"]] {
				b.t.Errorf("%s: two elements are %s", path, a["id"])
			}
			ids[a["id"]] = true
		}
		if n.Data == "label" {
			labels[a["for"]] = true
		}
		if n.Data == "h1" {
			heads++
		}
	}
	if heads != 1 {
		b.t.Errorf("%s has %d first headings", path, heads)
	}
	for n := range root.Descendants() {
		a := attributes(n)
		for name := range a {
			if name == "style" || strings.HasPrefix(name, "on") {
				b.t.Errorf("%s: <%s %s>", path, n.Data, name)
			}
		}
		switch n.Data {
		case "script":
			if n.FirstChild != nil {
				b.t.Errorf("%s has a script in it", path)
			}
		case "style":
			b.t.Errorf("%s has a style in it", path)
		case "input", "select", "textarea":
			if a["type"] != "hidden" && n.Parent.Data != "label" && !labels[a["id"]] && a["aria-label"] == "" {
				b.t.Errorf("%s: %s %s has no label", path, n.Data, a["name"])
			}
		case "a", "link", "img":
			to := a["href"] + a["src"]
			if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "/api/") {
				page, part, _ := strings.Cut(to, "#")
				w := b.ask(administrator, page, nil)
				if w.Code >= http.StatusBadRequest || part != "" && !strings.Contains(w.Body.String(), ` id="`+part+`"`) {
					b.t.Errorf("%s leads to %s: %d", path, to, w.Code)
				}
			}
		}
	}
}

func attributes(n *html.Node) map[string]string {
	all := map[string]string{}
	for _, a := range n.Attr {
		all[a.Key] = a.Val
	}
	return all
}

func BenchmarkConnectionsPage(b *testing.B) {
	bench := setUp(b)
	bench.connect(10_000)
	for _, path := range []string{"/", "/?q=user99", "/?fragment=live&sort=-tx_rate", "/?rows=500"} {
		b.Run(fmt.Sprint(path), func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = bench.ask(administrator, path, nil).Body.Len()
			}
			b.ReportMetric(float64(size), "octets")
		})
	}
}

// A page number beyond all bounds leads to the last page.
func TestPageBeyond(t *testing.T) {
	b := setUp(t)
	for _, path := range []string{"/", "/users", "/history"} {
		for _, page := range []string{"9223372036854775807", "4611686018427387905"} {
			if w := b.ask(administrator, path+"?rows=50&page="+page, nil); w.Code != http.StatusOK {
				t.Errorf("%s, page %s: %d", path, page, w.Code)
			}
		}
	}
}

// The changes in the history include every kind of action of an administrator.
func TestHistoryOfChanges(t *testing.T) {
	b := setUp(t)
	events := []string{
		state.EventAdded, state.EventAdminChanged, state.EventDropped, state.EventCaptured, state.EventSettings, state.EventShutdown, state.EventResumed,
	}
	for _, event := range events {
		if err := b.store.Record(t.Context(), state.Entry{At: time.Now(), Event: event, Reason: "reason " + event + ".", By: "anna"}); err != nil {
			t.Fatal(err)
		}
	}
	body := b.ask(viewer, "/history?event=changes", nil).Body.String()
	for _, event := range events {
		if !strings.Contains(body, "reason "+event+".") {
			t.Errorf("%s is missing", event)
		}
	}
}
