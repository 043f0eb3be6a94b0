package mgmt_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/usermgmt"
	"vpnd/usermgmt/usertest"

	"github.com/google/go-cmp/cmp"
)

// furnish adds one of each resource.
func (b *bench) furnish() {
	b.t.Helper()
	for path, body := range map[string]string{
		"users": `{"name":"alice","password":"geheim","index":7,"idle_timeout":300,"session_time":"8h","max_connections":0,"dial_in":["l2tp"],
			"up_limit":1500000,"down_limit":"10M","quota":"50G","expires":"2027-12-31","remote_node":"203.0.113.0/24","address":"10.99.0.20",
			"schedule":"Mon-Fri 08:00-18:00 Europe/Berlin","group":"staff","comment":"of sales"}`,
		"administrators": `{"name":"anna","role":"viewer","password":"correct horse battery"}`,
		"tokens":         `{"name":"scripts","role":"viewer","expires":null}`,
	} {
		var made map[string]any
		resp := b.do("POST", "/api/v1/"+path, body, &made)
		where := fmt.Sprintf("/api/v1/%s/%v", path, made["name"])
		if resp.StatusCode != http.StatusCreated || resp.Header.Get("Location") != where {
			b.t.Fatalf("POST %s: %s, Location %q, want %q: %v", path, resp.Status, resp.Header.Get("Location"), where, made)
		}
		if resp := b.do("GET", where, "", nil); resp.StatusCode != http.StatusOK {
			b.t.Errorf("GET %s: %s", where, resp.Status)
		}
	}
}

// resources are the resources that can be read and changed.
var resources = map[string]string{
	"/users/{name}": "/users/alice", "/administrators/{name}": "/administrators/anna", "/services": "/services", "/ppp": "/ppp",
	"/time/settings": "/time/settings", "/pools": "/pools",
}

// A change to null is refused, and the other fields of the same change stay as they are.
func TestNull(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	for path, body := range map[string]string{
		"/users/alice schedule":        `{"comment":"of the lab","schedule":null}`,
		"/users/alice password":        `{"password":null}`,
		"/administrators/anna role":    `{"role":null}`,
		"/services pptp":               `{"pptp":null,"l2tp":true}`,
		"/ppp authentication":          `{"authentication":null}`,
		"/ppp mutual_pap":              `{"mutual_pap":null}`,
		"/ppp mutual_pap.password":     `{"mutual_pap":{"user":"vpn","password":null}}`,
		"/time/settings servers":       `{"servers":null}`,
		"/pools ranges":                `{"ranges":null}`,
		"/users/alice max_connections": ` {"max_connections" : null } `,
	} {
		path, field, _ := strings.Cut(path, " ")
		var before, after, problem map[string]any
		d.do("GET", "/api/v1"+path, "", &before)
		resp := d.do("PATCH", "/api/v1"+path, body, &problem)
		text, _ := json.Marshal(problem)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(text), `"body.`+field+`"`) {
			t.Errorf("PATCH %s %s: %s %s, want 422 for %s", path, body, resp.Status, text, field)
		}
		d.do("GET", "/api/v1"+path, "", &after)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("PATCH %s %s changed something: %s", path, body, diff)
		}
	}
}

// The API sets and shows each field of a profile, except secrets.
func TestEachFieldOfAUser(t *testing.T) {
	b := setUp(t)
	alice := map[string]any{"name": "alice"}
	for name, text := range usertest.Texts {
		alice[strings.ReplaceAll(name, "-", "_")] = text
	}
	alice["enabled"] = false
	body, err := json.Marshal(alice)
	if err != nil {
		t.Fatal(err)
	}
	if resp := b.do("POST", "/api/v1/users", string(body), nil); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s, want 201 Created", resp.Status)
	}
	b.do("POST", "/api/v1/users", `{"name":"bob","totp_secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}`, nil)
	for _, f := range usermgmt.Fields {
		user, want := "alice", usertest.Texts[f.Name]
		if f.Name == "totp-secret" { // a user cannot have two tokens
			user, want = "bob", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
		}
		p, err := b.store.Get(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		if f.Get(&p) != want {
			t.Errorf("%s is %q, want %q", f.Name, f.Get(&p), want)
		}
		var shown map[string]any
		b.do("GET", "/api/v1/users/"+user, "", &shown)
		if _, ok := shown[f.Key()]; ok == f.Secret {
			t.Errorf("%s is shown: %v, want %v", f.Name, ok, !f.Secret)
		}
	}
}

// Null in a user's expires means never, as GET shows it. A field that is left out stays as it is.
func TestNeverExpires(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	for _, c := range []struct {
		body string
		want any
	}{
		{`{"comment":"of the lab"}`, "2028-01-01T00:00:00Z"},
		{`{"expires":null}`, nil},
		{`{"expires":"2027-06-30T18:00:00Z"}`, "2027-06-30T18:00:00Z"},
		{`{"expires":"2027-06-30"}`, "2027-07-01T00:00:00Z"},
		{`{"expires":""}`, nil},
	} {
		var u map[string]any
		if resp := d.do("PATCH", "/api/v1/users/alice", c.body, &u); resp.StatusCode != http.StatusOK || u["expires"] != c.want {
			t.Errorf("PATCH %s: %s, expires %v, want %v", c.body, resp.Status, u["expires"], c.want)
		}
	}
	var u map[string]any
	d.do("GET", "/api/v1/users/alice", "", &u)
	text, _ := json.Marshal(u)
	if resp := d.do("PATCH", "/api/v1/users/alice", string(text), nil); resp.StatusCode != http.StatusOK {
		t.Errorf("PATCH of what GET returned: %s, want 200 OK", resp.Status)
	}
}

// PATCH accepts the answer of GET, whole and each field separately, and changes nothing.
func TestRoundTrip(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	for path, item := range d.document.Paths.Map() {
		if item.Patch == nil {
			continue
		}
		where, ok := resources[strings.TrimPrefix(path, "/api/v1")]
		if !ok || item.Get == nil {
			t.Errorf("%s can be changed, and is not in this test, or cannot be read", path)
			continue
		}
		where = "/api/v1" + where
		var before map[string]any
		tag := d.do("GET", where, "", &before).Header.Get("ETag")
		bodies := []map[string]any{before}
		for name, value := range before {
			bodies = append(bodies, map[string]any{name: value})
		}
		for _, body := range bodies {
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			var after map[string]any
			resp := d.do("PATCH", where, string(text), &after, "If-Match", tag)
			if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != tag {
				t.Errorf("PATCH %s %s: %s %v; tag %s, want %s", where, text, resp.Status, after, resp.Header.Get("ETag"), tag)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("PATCH %s %s: %s", where, text, diff)
			}
		}
	}
	if history := d.changes("alice"); len(history) != 1 {
		t.Errorf("changes that change nothing are in the history: %v", history)
	}
	for path, name := range map[string]string{"users": "alice", "administrators": "anna", "tokens": "scripts"} {
		var made, again map[string]any
		d.do("GET", "/api/v1/"+path+"/"+name, "", &made)
		made["name"] = "copy"
		delete(made, "index")
		delete(made, "address") // only one user can have it
		if path != "tokens" {
			made["password"] = "correct horse battery"
		}
		text, _ := json.Marshal(made)
		if resp := d.do("POST", "/api/v1/"+path, string(text), &again); resp.StatusCode != http.StatusCreated {
			t.Errorf("POST %s of what GET returned: %s %v", path, resp.Status, again)
		}
	}
	for body, field := range map[string]string{`{"name":"bob"}`: "users/alice", `{"name":"bert"}`: "administrators/anna"} {
		if resp := d.do("PATCH", "/api/v1/"+field, body, nil); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("another name for %s: %s", field, resp.Status)
		}
	}
}

// changes gives the entries of the history about a user.
func (b *bench) changes(user string) (list []string) {
	b.t.Helper()
	entries, err := b.store.History(b.t.Context(), state.HistoryQuery{User: user})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Event+": "+e.Reason)
	}
	return list
}

// A number is accepted in each notation.
func TestNumbers(t *testing.T) {
	b := setUp(t)
	b.do("POST", "/api/v1/users", `{"name":"alice","password":"x"}`, nil)
	for body, want := range map[string]int{
		`{"idle_timeout":"5m"}`: 300, `{"idle_timeout":300}`: 300, `{"idle_timeout":"300"}`: 300, `{"idle_timeout":3e2}`: 300, `{"idle_timeout":300.0}`: 300,
		`{"idle_timeout":300.5}`: 0, `{"idle_timeout":-5}`: 0, `{"idle_timeout":1e99}`: 0, `{"idle_timeout":true}`: 0, `{"idle_timeout":[300]}`: 0,
	} {
		var u struct {
			IdleTimeout int `json:"idle_timeout"`
		}
		resp := b.do("PATCH", "/api/v1/users/alice", body, &u)
		if got := resp.StatusCode; got != http.StatusOK && want != 0 || got != http.StatusUnprocessableEntity && want == 0 || u.IdleTimeout != want {
			t.Errorf("%s: %s, %d", body, resp.Status, u.IdleTimeout)
		}
	}
}

// Unlock of an unlocked user adds nothing to the history.
func TestUnlockNobody(t *testing.T) {
	b := setUp(t)
	b.furnish()
	for range 3 {
		if resp := b.do("POST", "/api/v1/users/alice/unlock", "", nil); resp.StatusCode != http.StatusOK {
			t.Errorf("%s", resp.Status)
		}
	}
	if got := b.changes("alice"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// An unknown path, method or parameter gets a problem document. For an unknown method it comes with
// the allowed ones.
func TestUnknown(t *testing.T) {
	b := setUp(t)
	b.furnish()
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/api/v1/nothing", 404, ""},
		{"GET", "/", 404, ""},
		{"POST", "/api/v1/users/", 404, ""},
		{"PUT", "/api/v1/users/alice", 405, "DELETE, GET, HEAD, PATCH"},
		{"DELETE", "/api/v1/services", 405, "GET, HEAD, PATCH"},
		{"BREW", "/api/v1/status", 405, "GET, HEAD"},
		{"POST", "/healthz", 405, "GET, HEAD"},
		{"GET", "/api/v1/users?colour=red", 422, ""},
		{"GET", "/api/v1/users?q=100%", 400, ""},
		{"GET", "/api/v1/history?user=al%ice", 400, ""},
		{"DELETE", "/api/v1/connections/x?reason=lunch;home", 400, ""},
		{"GET", "/api/v1/users?limit=ten", 422, ""},
		{"GET", "/api/v1/users?limit=0", 422, ""},
		{"GET", "/api/v1/users?sort=colour", 422, ""},
		{"GET", "/api/v1/history?event=exploded", 422, ""},
		{"GET", "/api/v1/history?since=yesterday", 422, ""},
		{"GET", "/api/v1/attempts?user=alice", 422, ""},
		{"GET", "/api/v1/events?type=SSTP", 422, ""},
		{"GET", "/api/v1/events?event=changed", 422, ""}, // an event that only the history has
		{"DELETE", "/api/v1/connections/x?why=so", 422, ""},
		{"POST", "/api/v1/time/inquire?servers=x", 422, ""},
		{"DELETE", "/api/v1/administrators/anna?force=perhaps", 422, ""},
	} {
		var p struct {
			Status        int
			Title, Detail string
		}
		resp := b.do(c.method, c.path, "", &p)
		if resp.StatusCode != c.status || p.Status != c.status || p.Title == "" || p.Detail == "" ||
			resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, %s, Allow %q, %+v", c.method, c.path, resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("Allow"), p)
		}
	}
}

// The answer to a POST shows the new resource as GET shows it, with its tag.
func TestMade(t *testing.T) {
	b := setUp(t)
	for path, body := range map[string]string{
		"users":          `{"name":"Alice","password":"geheim","expires":"2027-12-31T23:00:00+01:00"}`,
		"administrators": `{"name":"Anna","role":"viewer","password":"correct horse battery"}`,
		"tokens":         `{"name":"Scripts","role":"viewer","expires":"2030-01-01T02:00:00.123456789+02:00"}`,
	} {
		var made, shown map[string]any
		resp := b.do("POST", "/api/v1/"+path, body, &made)
		where, tag := resp.Header.Get("Location"), resp.Header.Get("ETag")
		b.do("GET", where, "", &shown)
		for name, value := range made {
			if now, ok := shown[name]; ok && name != "$schema" && !cmp.Equal(now, value) {
				t.Errorf("%s: %s is made as %v, and shown as %v", path, name, value, now)
			}
		}
		if resp := b.do("DELETE", where, "", nil, "If-Match", tag); tag == "" || resp.StatusCode != http.StatusNoContent {
			t.Errorf("DELETE %s with the tag %q of POST: %s", where, tag, resp.Status)
		}
	}
}

// A path with // or .. leads to the path without them.
func TestPathIsCleaned(t *testing.T) {
	b := setUp(t)
	for path, want := range map[string]string{"/api/v1//users?limit=1": "/api/v1/users?limit=1", "/api/v1//nothing": "/api/v1/nothing"} {
		b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if resp := b.do("GET", path, "", nil); resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != want {
			t.Errorf("%s: %s to %q", path, resp.Status, resp.Header.Get("Location"))
		}
	}
}

// A body that cannot be read as it is meant is refused, and nothing of it is used.
func TestUnreadable(t *testing.T) {
	b := setUp(t)
	b.furnish()
	var before, after map[string]any
	tag := b.do("GET", "/api/v1/users/alice", "", &before).Header.Get("ETag")
	for _, c := range []struct {
		body   string
		status int
		header []string
	}{
		{"{\"password\":\"k\xe4se-2026\"}", 400, nil},                  // Latin-1
		{`{"password":"k\udce4se-2026"}`, 400, nil},                    // as Python writes such a byte
		{`{"password":"\ud83d\u0061"}`, 400, nil},                      // half a character
		{`{"password":"\ud83d`, 400, nil},                              // and no end
		{`{"Password":"geheim-2026"}`, 422, nil},                       // is no field
		{`{"PASSWORD":null}`, 422, nil},                                //
		{`{"comment":"x","Expires":null}`, 422, nil},                   //
		{`{"comment":"x"}`, 415, []string{"Content-Encoding", "gzip"}}, // the body is not gzip
	} {
		var p struct{ Status int }
		if resp := b.do("PATCH", "/api/v1/users/alice", c.body, &p, c.header...); resp.StatusCode != c.status || p.Status != c.status {
			t.Errorf("%s: %s, want %d", c.body, resp.Status, c.status)
		}
	}
	if now := b.do("GET", "/api/v1/users/alice", "", &after).Header.Get("ETag"); now != tag {
		t.Errorf("something was changed: %v", cmp.Diff(before, after))
	}
	for _, body := range []string{`{"comment":"\ud83d\ude00 \\ud83d \u00e4 \"\\\""}`, "{\"comment\":\"k\u00e4se \U0001f600\"}"} {
		if resp := b.do("PATCH", "/api/v1/users/alice", body, nil, "Content-Encoding", "identity"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", body, resp.Status)
		}
	}
}

// Events have ids. A listener that comes back with an id gets the wanted events since then. If the
// id is too old, the listener learns that, too.
func TestEventsAgain(t *testing.T) {
	b := setUp(t)
	for _, user := range []string{"alice", "bob", "alice"} {
		b.api.Publish(state.Entry{Event: state.EventRefused, User: user, Type: "PPTP"})
	}
	// read gives the messages up to the one with the given number of ids.
	read := func(after string, ids int) (messages, seen []string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vpnd/api/v1/events?user=ALICE&type=PPTP&event=refused", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", after)
		resp, err := b.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		for lines := bufio.NewScanner(resp.Body); lines.Scan() && (len(seen) < ids || lines.Text() != ""); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				seen = append(seen, value)
			case "event", "retry":
				messages = append(messages, lines.Text())
			}
		}
		return messages, seen
	}
	messages, ids := read("1", 2)
	if got := strings.Join(messages, ", "); got != "retry: 3000, event: alive, event: gap, event: event, event: event" || len(ids) != 2 || ids[0] == ids[1] {
		t.Fatalf("%s, ids %q", got, ids)
	}
	if messages, again := read(ids[0], 1); strings.Join(messages, ", ") != "retry: 3000, event: alive, event: event" || len(again) != 1 || again[0] != ids[1] {
		t.Errorf("%q, ids %q, want only %s", messages, again, ids[1])
	}

	// A listener that was cut off before the first event also has an id to come back with.
	for _, after := range []string{"", "0"} {
		_, none := read(after, 1)
		b.api.Publish(state.Entry{Event: state.EventRefused, User: "alice", Type: "PPTP"})
		if messages, missed := read(none[0], 1); strings.Join(messages, ", ") != "retry: 3000, event: alive, event: event" || missed[0] <= none[0] {
			t.Errorf("after %q: %q, ids %q, want the event after %q", after, messages, missed, none)
		}
	}
}
