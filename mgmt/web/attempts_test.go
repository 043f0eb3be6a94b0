package web

import (
	"encoding/csv"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/internal/state"

	"github.com/google/go-cmp/cmp"
)

// refuse records refusals of a user, one each minute. The last one is just now.
func (b *bench) refuse(user string, reasons ...reason.Reason) {
	b.t.Helper()
	for i, why := range reasons {
		err := b.store.Record(b.t.Context(), state.Entry{
			At: time.Now().Add(time.Duration(i+1-len(reasons)) * time.Minute), Event: state.EventRefused, User: user, Type: "PPTP",
			Peer: netip.MustParseAddr("192.0.2.7"), Why: why,
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// The page of a locked user has Unlock beside the word, one row for all refusals with the same
// cause, and each advice once.
func TestLockedUser(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	wrong, used, locked := reason.New(reason.WrongCode), reason.New(reason.UsedCode), reason.New(reason.WrongCode, time.Minute)
	b.refuse("alice", wrong, wrong, used, wrong, wrong, wrong, wrong, wrong, locked)
	if body := b.ask(administrator, "/users/alice", nil).Body.String(); strings.Contains(body, `value="unlock"`) {
		t.Error("Unlock is offered for a user that is not locked")
	}
	_, err := b.store.ChangeStanding(t.Context(), "alice", func(s auth.Standing) auth.Standing {
		s.Strangers.LockedUntil = clock{}.Corrected().Add(time.Minute)
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	body := html.UnescapeString(b.ask(administrator, "/users/alice", nil).Body.String())
	_, status, _ := strings.Cut(body, `<div id="status">`)
	if status, _, _ = strings.Cut(status, "</div>"); !strings.Contains(status, "locked") || !strings.Contains(status, `value="unlock">Unlock</button>`) {
		t.Errorf("status: %s", status)
	}
	if strings.Count(body, ">6 × "+wrong.String()+"<") != 1 || strings.Count(body, ">2 × "+wrong.String()+"<") != 1 || strings.Count(body, wrong.Row().Means) != 1 {
		t.Errorf("attempts are not together:\n%s", body)
	}
	if body := b.ask(viewer, "/users/alice", nil).Body.String(); strings.Contains(body, "Unlock</button>") {
		t.Error("a viewer may unlock")
	}
	b.wantRedirect(b.ask(administrator, "/users", url.Values{"id": {"alice"}, "do": {"unlock"}, "back": {"/users/alice"}}), "/users/alice")
	if s, err := b.store.Standing(t.Context(), "alice"); err != nil || !s.Strangers.LockedUntil.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
}

// Connection Management links to the users, and shows the last refusals with their causes.
func TestLastRefusals(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.administrator()
	b.connect(1)
	b.add("user0")
	b.refuse("nobody", reason.New(reason.UnknownUser))
	b.refuse("user0", reason.New(reason.AccountDisabled))
	for i := range 20 {
		if err := b.store.Record(t.Context(), state.Entry{At: time.Now(), Event: state.EventConnected, User: fmt.Sprint("u", i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.sound(administrator, "/")
	body := b.ask(viewer, "/?fragment=live", nil).Body.String()
	for _, want := range []string{
		`<a href="/users/user0">user0</a></th>`, `<a href="/users/user0">user0</a></td>`, "nobody</td>", reason.New(reason.UnknownUser).String(), reason.New(reason.AccountDisabled).Row().Means,
		`<a href="/users/user0#f-enabled">Enable this account</a>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

// The history can be searched by reason. Times in reasons look like all others on the page. A file
// has all the requested entries.
func TestHistorySearch(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.refuse("alice", reason.New(reason.UserLocked, time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)), reason.New(reason.AccountExpired, "2026-01-02 03:04:05 UTC"), reason.New(reason.Dropped, "=1+1 <i>"))
	body := b.ask(viewer, "/history?q=LOCKED", nil).Body.String()
	if strings.Count(body, "data-key") != 1 || !strings.Contains(body, `until <time datetime="2027-01-02T03:04:05Z">2027-01-02 03:04:05 UTC</time> after`) {
		t.Errorf("%s", body)
	}
	body = b.ask(viewer, "/history", nil).Body.String()
	if !strings.Contains(body, `expired on <time datetime="2026-01-02T03:04:05Z">`) || !strings.Contains(body, "=1+1 &lt;i&gt;") {
		t.Errorf("%s", body)
	}
	w := b.ask(viewer, "/history.csv?user=alice", nil)
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 4 || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatalf("%v %v %v", rows, w.Header(), err)
	}
	want := []string{"refused", "alice", "", "PPTP", "192.0.2.7", "", "", "", "0", "0", "0", "'=1+1 <i>", ""}
	if diff := cmp.Diff(want, rows[1][1:]); diff != "" {
		t.Error(diff)
	}
	many := make([]state.Entry, historyRead+5)
	for i := range many {
		many[i] = state.Entry{At: time.Now(), Event: state.EventConnected, User: fmt.Sprint("u", i)}
	}
	if err := b.store.Record(t.Context(), many...); err != nil {
		t.Fatal(err)
	}
	rows, err = csv.NewReader(b.ask(viewer, "/history.csv?event=connected", nil).Body).ReadAll()
	if err != nil || len(rows) != 1+len(many) || rows[1][2] != fmt.Sprint("u", len(many)-1) || rows[len(many)][2] != "u0" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if link := `href="/history.csv?event=connected&amp;q=x"`; !strings.Contains(b.ask(viewer, "/history?q=x&event=connected", nil).Body.String(), "with <q>x</q>") ||
		!strings.Contains(b.ask(viewer, "/history?event=connected&q=", nil).Body.String(), `href="/history.csv?event=connected`) {
		t.Errorf("no %s", link)
	}
}

// The page refuses a server name that would be more than a name in a copied line.
func TestServerName(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	for _, server := range []string{"two words", "x'; Remove-Item C:", "$(id)", "a..b", "-x", "ä\u2019b", strings.Repeat("x", 64)} {
		for _, user := range []string{"", "&user=alice"} {
			w := b.ask(viewer, "/connect?server="+url.QueryEscape(server)+user, nil)
			body := html.UnescapeString(w.Body.String())
			if w.Code != http.StatusUnprocessableEntity || !strings.Contains(body, "is neither a host name nor an address") || !strings.Contains(body, "-ServerAddress 'SERVER'") {
				t.Errorf("%q: %d", server, w.Code)
			}
		}
		r := b.askAPI("/api/v1/users/alice/connect?client=windows&server=" + url.QueryEscape(server))
		if r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), "query.server") {
			t.Errorf("%q: API %d %s", server, r.Code, r.Body)
		}
	}
	for _, server := range []string{"vpn.example.org", "203.0.113.7", "2001:db8::1", "büro.example", "gate"} {
		if w := b.ask(viewer, "/connect?server="+url.QueryEscape(server), nil); w.Code != http.StatusOK || !strings.Contains(html.UnescapeString(w.Body.String()), "'"+server+"'") {
			t.Errorf("%q: %d", server, w.Code)
		}
	}
}

// Texts use the singular for one. A daemon that will end takes no new calls.
func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0 connections", 1: "1 connection", 2: "2 connections", 11: "11 connections", 21: "21 connections"} {
		if got := plural(n, "connection"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b, s := setUpDaemon(t)
	s.services.L2TP = false
	s.shutdown.Pending = true
	for connections, want := range map[int]string{1: "ends with its connection", 3: "ends with the last of 3 connections"} {
		s.shutdown.Connections = connections
		body := b.ask(viewer, "/status", nil).Body.String()
		if !strings.Contains(body, want) || !strings.Contains(body, `<dt>PPTP</dt><dd><span class="badge warn">no new calls</span>`) || !strings.Contains(body, "<dt>L2TP</dt><dd>off") {
			t.Errorf("%d: %s", connections, body)
		}
	}
	if body := b.ask(viewer, "/services", nil).Body.String(); !strings.Contains(body, `<dt>PPTP VPN Service</dt><dd><span class="badge warn">no new calls</span>`) {
		t.Errorf("%s", body)
	}
}
