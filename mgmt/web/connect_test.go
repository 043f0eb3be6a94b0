package web

import (
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt/guide"
)

// Each client has a page for a user, with the lines that the API gives.
func TestConnectPages(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	b.administrator()
	for _, k := range guide.Kinds {
		path := "/connect?user=alice&server=vpn.example&client=" + k.Name
		b.sound(administrator, path)
		body := html.UnescapeString(b.ask(viewer, path, nil).Body.String())
		page, err := b.pages.cfg.API.ConnectPage(t.Context(), "alice", k.Name, "vpn.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range page.Ways {
			for _, s := range way.Steps {
				if !strings.Contains(body, s.Text) || !strings.Contains(body, s.Code) {
					t.Errorf("%s lacks %q", path, s)
				}
			}
		}
		if page.Windows() != strings.Contains(body, `<th scope="row">809</th>`) {
			t.Errorf("%s: error numbers", path)
		}
	}
	const evil = `"><script>alert(1)</script>`
	w := b.ask(viewer, "/connect?user="+url.QueryEscape(evil)+"&server="+url.QueryEscape(evil)+"&client=x", nil)
	if w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "<script>alert") || !strings.Contains(w.Body.String(), "This user does not exist") {
		t.Errorf("nobody's page: %d", w.Code)
	}
}

// administrator adds the account that links on pages lead to.
func (b *bench) administrator() {
	b.t.Helper()
	if err := b.gate.Add(b.t.Context(), administrator.Name, longPassword, administrator.Role); err != nil {
		b.t.Fatal(err)
	}
}

// A user's page and the history say why attempts failed and how to fix that.
func TestAdvice(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	b.administrator()
	refused := state.Entry{
		At: time.Now(), Event: state.EventRefused, User: "alice", Type: "PPTP", Peer: netip.MustParseAddr("192.0.2.1"), Why: reason.New(reason.WrongPassword),
	}
	advice, ok := guide.For(guide.Attempt{Type: refused.Type, Reason: refused.Why})
	if !ok {
		t.Fatal("there is no advice")
	}
	if err := b.store.Record(t.Context(), refused); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/users/alice", "/history"} {
		b.sound(administrator, path)
		if body := html.UnescapeString(b.ask(viewer, path, nil).Body.String()); !strings.Contains(body, advice.Meaning) || !strings.Contains(body, `<a href="/users/alice#f-password">Password</a>`) {
			t.Errorf("%s gives no advice", path)
		}
	}
}

// Only administrators can download captures.
func TestCaptureForm(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	b.connect(1)
	form := formOf(b.ask(administrator, "/captures?connection=c00000", nil).Body.String())
	w := b.ask(administrator, "/captures", form)
	if h := w.Header(); w.Body.String() != "c00000 false 1m0s" || h.Get("Content-Type") != "application/x-pcapng" ||
		!strings.HasPrefix(h.Get("Content-Disposition"), "attachment; filename=vpnd-c00000-") {
		t.Errorf("%v %s", h, w.Body)
	}
	if w := b.ask(administrator, "/captures", url.Values{"user": {"alice"}, "frames": {"all"}, "minutes": {"10"}}); w.Body.String() != "alice true 10m0s" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, want := range map[string]int{"": 422, "user=a&connection=b&minutes=1": 422, "user=a&minutes=11": 422, "user=a&minutes=x": 422, "connection=gone&minutes=1": 404} {
		values, _ := url.ParseQuery(body)
		if w := b.ask(administrator, "/captures", values); w.Code != want {
			t.Errorf("%q: %d, want %d", body, w.Code, want)
		}
	}
	if w := b.ask(viewer, "/captures", form); w.Code != http.StatusForbidden {
		t.Errorf("a viewer captures: %d", w.Code)
	}
	for _, path := range []string{"/", "/users/alice"} {
		if strings.Contains(b.ask(viewer, path, nil).Body.String(), "/captures") {
			t.Errorf("%s offers a viewer captures", path)
		}
	}
}
