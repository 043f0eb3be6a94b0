package mgmt_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A change of a resource that has changed meanwhile is refused with 412, for each operation, and
// nothing changes.
func TestIfMatch(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	d.sessions.set(connection(1))
	fill := strings.NewReplacer("/users/{name}", "/users/alice", "/administrators/{name}", "/administrators/anna", "/tokens/{name}", "/tokens/scripts", "{id}", "id1")
	bodies := map[string]string{
		"add-user": `{"name":"bob","password":"x"}`, "add-administrator": `{"name":"bob","role":"viewer","password":"correct horse battery"}`,
		"add-token": `{"name":"more","role":"viewer"}`, "verify-user": `{"code":"123456"}`, "change-user": `{"comment":"new"}`, "change-administrator": `{"role":"administrator"}`,
		"change-services": `{"pptp":false}`, "change-ppp": `{"mppe":"off"}`, "change-time-settings": `{"interval":"2h"}`, "change-pools": `{"dns":[]}`, "shut-down": `{}`,
	}
	for path, item := range d.document.Paths.Map() {
		for method, op := range item.Operations() {
			if method == http.MethodGet {
				continue
			}
			if resp := d.do(method, fill.Replace(path), bodies[op.OperationID], nil, "If-Match", `"0123", W/"4567"`); resp.StatusCode != http.StatusPreconditionFailed {
				t.Errorf("%s with the tag of something else: %s", op.OperationID, resp.Status)
			}
		}
	}
	if n := len(d.sessions.Connections()); n != 1 || d.settings.pending || len(d.changes("alice")) != 1 {
		t.Errorf("%d connections, shutdown: %v, history of alice: %q", n, d.settings.pending, d.changes("alice"))
	}
	for _, where := range []string{"/users/alice", "/administrators/anna", "/tokens/scripts"} {
		tag := d.do("GET", "/api/v1"+where, "", nil).Header.Get("ETag")
		if resp := d.do("DELETE", "/api/v1"+where, "", nil, "If-Match", `"0123", `+tag); resp.StatusCode != http.StatusNoContent {
			t.Errorf("DELETE %s with its tag: %s", where, resp.Status)
		}
	}
	tag := d.do("GET", "/api/v1/shutdown", "", nil).Header.Get("ETag")
	if resp := d.do("POST", "/api/v1/shutdown", "{}", nil, "If-Match", tag); resp.StatusCode != http.StatusAccepted {
		t.Errorf("shutdown with its tag: %s", resp.Status)
	}
	if resp := d.do("DELETE", "/api/v1/shutdown", "", nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("the end of a shutdown that the asker has not seen: %s", resp.Status)
	}
}

// A list of tags may come in several lines.
func TestTagsInLines(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	const path = "/api/v1/users/alice"
	for _, c := range []struct {
		method, path string
		header       []string // TAG stands for the right one
		status       int
	}{
		{"PATCH", path, []string{"If-Match", `"0123"`, "If-Match", "TAG"}, http.StatusOK},
		{"PATCH", path, []string{"If-Match", "TAG", "If-Match", `"0123"`}, http.StatusOK},
		{"PATCH", path, []string{"If-Match", `"0123"`, "If-Match", `"4567"`}, http.StatusPreconditionFailed},
		{"PATCH", path, []string{"If-None-Match", `"0123"`, "If-None-Match", "TAG"}, http.StatusPreconditionFailed},
		{"GET", path, []string{"If-None-Match", `"0123"`, "If-None-Match", "TAG"}, http.StatusNotModified},
		{"POST", path + "/unlock", []string{"If-Match", "", "If-Match", `"0123"`}, http.StatusPreconditionFailed},
		{"PATCH", path, []string{"Content-Encoding", "identity", "Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType},
	} {
		tag, body := d.do("GET", path, "", nil).Header.Get("ETag"), ""
		if c.method == http.MethodPatch {
			body = `{"comment":"new"}`
		}
		header := slices.Clone(c.header)
		for i, value := range header {
			header[i] = strings.Replace(value, "TAG", tag, 1)
		}
		if resp := d.do(c.method, c.path, body, nil, header...); resp.StatusCode != c.status {
			t.Errorf("%s %s with %q: %s, want %d", c.method, c.path, header, resp.Status, c.status)
		}
	}
}

// The tag of a resource with a secret changes with each secret. If two people set one, the later
// one learns of the other.
func TestTagOfSecrets(t *testing.T) {
	b := setUp(t)
	b.furnish()
	for path, bodies := range map[string][2]string{
		"/users/alice":         {`{"password":"geheim-2"}`, `{"password":"geheim-3"}`},
		"/administrators/anna": {`{"password":"correct horse staple"}`, `{"password":"correct horse saddle"}`},
		"/ppp":                 {`{"mutual_pap":{"password":"geheim-2"}}`, `{"mutual_pap":{"password":"geheim-3"}}`},
	} {
		tag := b.do("GET", "/api/v1"+path, "", nil).Header.Get("ETag")
		for i, want := range []int{http.StatusOK, http.StatusPreconditionFailed} {
			if resp := b.do("PATCH", "/api/v1"+path, bodies[i], nil, "If-Match", tag); resp.StatusCode != want {
				t.Errorf("%s %s with the tag from before: %s, want %d", path, bodies[i], resp.Status, want)
			}
		}
	}
}

// A new value of a counter is another view, but not a change of what is set.
func TestTagOfView(t *testing.T) {
	b := setUp(t)
	b.furnish()
	tag := b.do("GET", "/api/v1/users/alice", "", nil).Header.Get("ETag")
	if resp := b.do("GET", "/api/v1/users/alice", "", nil, "If-None-Match", "W/"+tag); resp.StatusCode != http.StatusNotModified || resp.Header.Get("ETag") != tag {
		t.Errorf("nothing has changed: %s, %s", resp.Status, resp.Header.Get("ETag"))
	}
	c := connection(1)
	c.User = "alice"
	b.sessions.set(c)
	if resp := b.do("GET", "/api/v1/users/alice", "", nil, "If-None-Match", tag); resp.StatusCode != http.StatusOK {
		t.Errorf("a connection more: %s", resp.Status)
	}
	if resp := b.do("POST", "/api/v1/users/alice/unlock", "", nil, "If-Match", tag); resp.StatusCode != http.StatusOK {
		t.Errorf("with the tag from before the connection: %s", resp.Status)
	}
	for _, path := range []string{"/users", "/services", "/time/settings", "/openapi.json"} {
		tag := b.do("GET", "/api/v1"+path, "", nil).Header.Get("ETag")
		if path == "/openapi.json" {
			continue // it has none: it is not a resource of the daemon
		}
		if resp := b.do("GET", "/api/v1"+path, "", nil, "If-None-Match", `"0", `+tag); tag == "" || resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s with the tag %s: %s", path, tag, resp.Status)
		}
	}
}
