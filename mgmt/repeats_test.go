package mgmt_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A repeated name in a request is refused by name, and nothing changes.
func TestTwice(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	for _, c := range []struct {
		method, path, body string
		status             int
		location           string // "": the text says it all
	}{
		{"GET", "/users?limit=1&limit=2", "", 400, "query.limit"},
		{"GET", "/users?limit=1&limit=1", "", 400, "query.limit"},
		{"GET", "/events?event=refused&event=connected", "", 400, "query.event"},
		{"DELETE", "/users/alice?force=true&force=false", "", 400, "query.force"},
		{"GET", "/users?limit=1&offset=%zz", "", 400, ""},
		{"GET", "/users?limit=1;offset=1", "", 400, ""},
		{"GET", "/users?Limit=1", "", 422, "query.Limit"},
		{"PATCH", "/users/alice", `{"comment":"a","comment":"b"}`, 400, "body.comment"},
		{"PATCH", "/users/alice", `{"comment":"a","comment":"a"}`, 400, "body.comment"},
		{"PATCH", "/users/alice", `{"comment":"a","Comment":"b"}`, 400, "body.comment"},
		{"PATCH", "/users/alice", `{"comment":"a","\u0063omment":"b"}`, 400, "body.comment"},
		{"PATCH", "/users/alice", `{"ipsec":"none","ip\u017fec":"must"}`, 400, "body.ipsec"},
		{"PATCH", "/users/alice", `{"Comment":"b"}`, 422, "body.Comment"},
		{"PATCH", "/users/alice", `{"Comment":null}`, 422, "body.Comment"},
		{"PATCH", "/users/alice", `{"status":"a","status":"b"}`, 400, "body.status"},
		{"PATCH", "/users/alice", `{"what":{"x":1,"x":2}}`, 400, "body.what.x"},
		{"POST", "/users", `{"name":"zoe","password":"a","name":"zora"}`, 400, "body.name"},
		{"POST", "/shutdown", `{"when_empty":true,"WHEN_EMPTY":false}`, 400, "body.when_empty"},
		{"PATCH", "/ppp", `{"mutual_pap":{"user":"a","User":"b"}}`, 400, "body.mutual_pap.user"},
		{"PATCH", "/pools", `{"ranges":[{"start":"10.99.0.10","count":9},{"start":"10.99.0.30","count":9,"Count":8}]}`, 400, "body.ranges[1].count"},
		{"PATCH", "/pools", `{"pools":{"a":{"dns":[]},"a":{}}}`, 400, "body.pools.a"},
		{"PATCH", "/pools", `{"pools":{"a":{"dns":[],"DNS":[]}}}`, 400, "body.pools.a.dns"},
		{"PATCH", "/users/alice", `[{"a":1}`, 400, "body"},
		{"PATCH", "/users/alice", `{"comment":[1 x`, 400, "body"},
		{"PATCH", "/users/alice", `{"comment" 1}`, 400, "body"},
		{"PATCH", "/users/alice", `{"comment":"a"}{"comment":"b"}`, 400, "body"},
	} {
		var before, after []any
		var problem struct {
			Status int
			Detail string
			Errors []struct{ Location string }
		}
		d.do("GET", "/api/v1/users", "", &before)
		resp := d.do(c.method, "/api/v1"+c.path, c.body, &problem)
		named := c.location == "" && strings.Contains(problem.Detail, "query") || slices.ContainsFunc(problem.Errors, func(e struct{ Location string }) bool {
			return e.Location == c.location
		})
		if resp.StatusCode != c.status || problem.Status != c.status || !named {
			t.Errorf("%s %s %s: %s %+v, want %d for %q", c.method, c.path, c.body, resp.Status, problem, c.status, c.location)
		}
		d.do("GET", "/api/v1/users", "", &after)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s %s %s changed something: %s", c.method, c.path, c.body, diff)
		}
	}
	// Names in a map are independent: two pools may differ only by case.
	var got json.RawMessage
	if resp := d.do("PATCH", "/api/v1/pools", `{"pools":{"a":{"ranges":[]},"A":{"ranges":[]}}}`, &got); resp.StatusCode == http.StatusBadRequest {
		t.Errorf("two pools: %s %s", resp.Status, got)
	}
	// Deep nesting is refused, and costs no more than its length.
	if resp := d.do("PATCH", "/api/v1/users/alice", `{"comment":`+strings.Repeat("[", 60_000), nil); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("deep nesting: %s", resp.Status)
	}
}
