package mgmt_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// documented is a client that knows the API only by its document: the paths, the requests and the
// answers. Anything that is not in the document is a fault.
type documented struct {
	*bench
	document *openapi3.T
}

func newDocumented(t *testing.T) *documented {
	t.Helper()
	b := setUp(t)
	resp, err := b.http.Get("http://vpnd/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(data)
	if err == nil {
		err = document.Validate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return &documented{b, document}
}

// find gives the route of the operation with the id.
func (d *documented) find(id string) *routers.Route {
	d.t.Helper()
	for path, item := range d.document.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == id {
				return &routers.Route{Spec: d.document, Path: path, PathItem: item, Method: method, Operation: op}
			}
		}
	}
	d.t.Fatalf("the document has no operation %s", id)
	return nil
}

// call does the operation with the id. Of args, those in its path go there, and the others into the
// query. It reads the answer's body into out, if that is not nil.
func (d *documented) call(id string, args map[string]string, body any, status int, out any) http.Header {
	d.t.Helper()
	route := d.find(id)
	path, query := route.Path, url.Values{}
	for name, value := range args {
		if strings.Contains(path, "{"+name+"}") {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		} else {
			query.Set(name, value)
		}
	}
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), route.Method, "http://vpnd"+path+"?"+query.Encode(), bytes.NewReader(data))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	asked := &openapi3filter.RequestValidationInput{Request: req, PathParams: args, QueryParams: query, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // the test's client is on the socket
	}}
	if err := openapi3filter.ValidateRequest(d.t.Context(), asked); err != nil && status < http.StatusBadRequest {
		d.t.Errorf("%s: the request is not as documented: %v", id, err)
	}
	req.Body = io.NopCloser(bytes.NewReader(data))
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	err = openapi3filter.ValidateResponse(d.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(answer)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil || resp.StatusCode != status {
		d.t.Errorf("%s: %s, want %d; %v\n%s", id, resp.Status, status, err, answer)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			d.t.Errorf("%s: %v", id, err)
		}
	}
	return resp.Header
}

// The document meets the recommendations of Redocly and Spectral.
func TestDocumentIsComplete(t *testing.T) {
	d := newDocumented(t).document
	if i := d.Info; i.Description == "" || i.Contact == nil || i.Contact.Name == "" || i.License == nil || i.License.Name == "" {
		t.Errorf("the document does not say what it is: %+v", i)
	}
	if len(d.Servers) == 0 || d.Servers[0].URL == "" || len(d.Components.SecuritySchemes) == 0 || len(d.Security) == 0 {
		t.Error("servers or security schemes are missing")
	}
	for _, one := range d.Security {
		for name := range one {
			if d.Components.SecuritySchemes[name] == nil {
				t.Errorf("there is no security scheme %s", name)
			}
		}
	}
	tags := map[string]bool{}
	for _, tag := range d.Tags {
		if tags[tag.Name] = true; tag.Description == "" {
			t.Errorf("the tag %s has no description", tag.Name)
		}
	}
	ids := map[string]bool{}
	for path, item := range d.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 || !tags[op.Tags[0]] {
				t.Errorf("%s %s: %q, %q, %q, tags %q", method, path, op.OperationID, op.Summary, op.Description, op.Tags)
			}
			ids[op.OperationID] = true
			want := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusInternalServerError}
			if method != http.MethodGet {
				want = append(want, http.StatusForbidden, http.StatusPreconditionFailed)
			}
			if op.RequestBody != nil {
				want = append(want, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
			}
			if strings.Contains(path, "{") {
				want = append(want, http.StatusNotFound)
			}
			for _, status := range want {
				if r := op.Responses.Status(status); r == nil || r.Value.Content["application/problem+json"] == nil {
					t.Errorf("%s does not tell of %d", op.OperationID, status)
				}
			}
			good := false
			for status, r := range op.Responses.Map() {
				good = good || strings.HasPrefix(status, "2")
				if r.Value.Description == nil || *r.Value.Description == "" {
					t.Errorf("%s: %s has no description", op.OperationID, status)
				}
			}
			if !good {
				t.Errorf("%s has no good answer", op.OperationID)
			}
			for _, p := range op.Parameters {
				if p.Value.In == "path" && !p.Value.Required {
					t.Errorf("%s: %s is in the path and not required", op.OperationID, p.Value.Name)
				}
			}
		}
		if strings.HasSuffix(path, "/") || strings.Contains(path, "?") {
			t.Errorf("the path %s", path)
		}
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for name := range d.Components.Schemas {
		if !strings.Contains(string(text), `"#/components/schemas/`+name+`"`) {
			t.Errorf("the schema %s is used nowhere", name)
		}
	}
}

// For every request the document names the status of the answer and its headers.
func TestStatusesAreDocumented(t *testing.T) {
	d := newDocumented(t)
	d.furnish()
	fill := strings.NewReplacer("{name}", "alice", "{id}", "none")
	for path, item := range d.document.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "events" || op.OperationID == "capture" {
				continue // they go on
			}
			for _, c := range []struct {
				query, body string
				header      []string
			}{
				{},
				{query: "?a=%"},
				{query: "?colour=red"},
				{body: "{"},
				{body: "{}", header: []string{"If-None-Match", "*"}},
				{body: "{}", header: []string{"If-Match", `"0123"`}},
				{body: "{}", header: []string{"Content-Type", "text/plain"}},
				{body: `{"comment":"` + strings.Repeat("x", 70_000) + `"}`},
			} {
				resp := d.do(method, fill.Replace(path)+c.query, c.body, nil, c.header...)
				told := op.Responses.Status(resp.StatusCode)
				if told == nil {
					t.Errorf("%s with %+.80v answers %s, of which the document does not tell", op.OperationID, c, resp.Status)
					continue
				}
				for _, name := range []string{"ETag", "Location", "X-Total-Count"} {
					if resp.Header.Get(name) != "" && told.Value.Headers[name] == nil {
						t.Errorf("%s answers %s with %s, of which the document does not tell", op.OperationID, resp.Status, name)
					}
				}
			}
		}
	}
}

// A client that knows only the document adds a user, sees the user connected, and drops the
// connection.
func TestByDocument(t *testing.T) {
	d := newDocumented(t)
	type object = map[string]any
	var services, now object
	d.call("get-services", nil, nil, 200, &services)
	if services["pptp"] != true {
		t.Errorf("%v", services)
	}
	d.call("get-time", nil, nil, 200, &now)
	d.call("inquire-time", nil, nil, 502, nil)

	d.call("add-user", nil, object{"name": "alice", "motp_secret": "0123456789abcdef", "motp_pin": "1234", "dial_in": "pptp,l2tp"}, 201, nil)
	d.call("add-user", nil, object{"name": "alice", "password": "x"}, 409, nil)
	d.call("add-user", nil, object{"name": "bob", "motp_pin": "12"}, 422, nil)
	var u object
	d.call("change-user", map[string]string{"name": "alice"}, object{"comment": "of the sales team"}, 200, &u)
	if u["comment"] != "of the sales team" || u["has_motp"] != true {
		t.Errorf("%v", u)
	}
	d.call("get-user", map[string]string{"name": "nobody"}, nil, 404, nil)
	d.call("unlock-user", map[string]string{"name": "alice"}, nil, 200, nil)

	d.sessions.set(connection(1), connection(2))
	var list []object
	d.call("list-connections", map[string]string{"q": "user1", "sort": "-since", "limit": "5"}, nil, 200, &list)
	if len(list) != 1 || list[0]["user"] != "user1" {
		t.Errorf("%v", list)
	}
	d.call("drop-connection", map[string]string{"id": "id1", "reason": "go home"}, nil, 204, nil)
	d.call("drop-connection", map[string]string{"id": "id1"}, nil, 404, nil)

	for _, id := range []string{"get-user", "list-user-attempts"} {
		d.call(id, map[string]string{"name": "alice"}, nil, 200, nil)
	}
	d.call("connect-client", map[string]string{"name": "alice", "client": "windows"}, nil, 200, nil)
	d.call("client-errors", nil, nil, 200, &list)
	if len(list) == 0 {
		t.Error("no error of a client is known")
	}
	d.call("list-attempts", nil, nil, 200, nil)

	d.call("change-services", nil, object{"l2tp": false}, 200, &services)
	d.call("get-services", nil, nil, 200, &services)
	if services["pptp"] != true || services["l2tp"] != false {
		t.Errorf("%v", services)
	}
	var setup object
	d.call("get-ppp", nil, nil, 200, &setup)
	d.call("change-ppp", nil, object{"mppe": "required"}, 200, &setup)
	if setup["mppe"] != "required" {
		t.Errorf("%v", setup)
	}
	d.call("shut-down", nil, object{"when_empty": true, "within": "1h"}, 202, nil)
	d.call("get-shutdown", nil, nil, 200, &setup)
	d.call("cancel-shutdown", nil, nil, 204, nil)

	d.call("remove-user", map[string]string{"name": "alice"}, nil, 204, nil)
	d.call("list-users", nil, nil, 200, &list)
	if len(list) != 0 {
		t.Errorf("%v", list)
	}
	d.call("list-history", map[string]string{"user": "alice"}, nil, 200, &list)
	if len(list) == 0 {
		t.Error("no history")
	}
}
