package mgmt_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// marker must be in no answer. It breaks the rules of each secret.
const marker = "Marker-\x07-4711"

// secretWords are in the names of the fields that hold secrets.
var secretWords = []string{"password", "secret", "pin", "code", "token"}

func isSecret(path []string) bool {
	name := path[len(path)-1]
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}

// fieldsOf lists the paths of all fields of a schema.
func fieldsOf(s *openapi3.Schema) [][]string {
	var paths [][]string
	for name, p := range s.Properties {
		paths = append(paths, []string{name})
		for _, inner := range fieldsOf(p.Value) {
			paths = append(paths, append([]string{name}, inner...))
		}
	}
	return paths
}

// within puts a value at the path.
func within(path []string, value any) any {
	for _, name := range slices.Backward(path) {
		value = map[string]any{name: value}
	}
	return value
}

// An answer that reports an error repeats no secret and no body, and has no member "value".
func TestFaultsAreNotEchoed(t *testing.T) {
	d := newDocumented(t)
	send := func(op, method, path, contentType string, body []byte, secret bool) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://vpnd"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		resp, err := d.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= http.StatusBadRequest && (secret && bytes.Contains(answer, []byte("4711")) || bytes.Contains(answer, []byte(`"value"`))) {
			t.Errorf("%s echoes %s: %s", op, body, answer)
		}
	}
	for path, item := range d.document.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			path := strings.NewReplacer("{name}", "nobody", "{id}", "none").Replace(path)
			for _, body := range []string{marker, `{"password":"` + marker, `["4711"]`, `"4711"`, "4711", `{"a":4711e999}`} {
				for _, kind := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded", "application/cbor", ""} {
					send(op.OperationID, method, path, kind, []byte(body), true)
				}
			}
			for _, field := range fieldsOf(op.RequestBody.Value.Content["application/json"].Schema.Value) {
				for _, value := range []any{marker, 4711, []any{marker}, map[string]any{"a": marker}, strings.Repeat(marker, 200), strings.Repeat(marker, 6000)} {
					body, err := json.Marshal(within(field, value))
					if err != nil {
						t.Fatal(err)
					}
					send(op.OperationID, method, path, "application/json", body, isSecret(field))
				}
			}
		}
	}
}

// The answer names broken rules without the secrets that break them.
func TestBrokenRulesAreNotEchoed(t *testing.T) {
	b := setUp(t)
	b.do("POST", "/api/v1/users", `{"name":"alice","password":"x"}`, nil)
	b.do("POST", "/api/v1/administrators", `{"name":"anna","role":"viewer","password":"correct horse battery"}`, nil)
	for _, secret := range []string{"4711", "4711 4711", "zz4711", "4711\n", "totp:4711", "otpauth://totp/x?secret=4711", "0123456789abcde4711ß"} {
		for _, c := range []struct{ method, path, field string }{
			{"PATCH", "/users/alice", "password"},
			{"PATCH", "/users/alice", "motp_secret"},
			{"PATCH", "/users/alice", "motp_pin"},
			{"PATCH", "/users/alice", "totp_secret"},
			{"POST", "/users/alice/verify", "code"},
			{"PATCH", "/administrators/anna", "password"},
			{"PATCH", "/administrators/anna", "totp_secret"},
			{"PATCH", "/administrators/anna", "code"},
		} {
			body, _ := json.Marshal(map[string]string{c.field: secret})
			var answer json.RawMessage
			if resp := b.do(c.method, "/api/v1"+c.path, string(body), &answer); resp.StatusCode >= http.StatusBadRequest && strings.Contains(string(answer), "4711") {
				t.Errorf("%s %s echoes %s %q: %s", c.method, c.path, c.field, secret, answer)
			}
		}
	}
}
