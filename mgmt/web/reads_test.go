package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
)

// reads is a store that records the names of the profiles that it reads and unseals.
type reads struct {
	*sqlite.Store
	of []string
}

func (r *reads) Get(ctx context.Context, name string) (usermgmt.Profile, error) {
	r.of = append(r.of, name)
	return r.Store.Get(ctx, name)
}

func (r *reads) Apply(ctx context.Context, edits []usermgmt.Edit, how usermgmt.How) ([]usermgmt.Outcome, error) {
	for _, e := range edits {
		r.of = append(r.of, e.Name)
	}
	return r.Store.Apply(ctx, edits, how)
}

func (r *reads) Sound(ctx context.Context) ([]usermgmt.Profile, map[string]error, error) {
	r.of = append(r.of, "all")
	return r.Store.Sound(ctx)
}

// A change of a user reads that user once, by the API and by a page. The list that follows reads no
// user.
func TestChangeReadsOnce(t *testing.T) {
	b := setUp(t)
	for _, name := range []string{"alice", "bob"} {
		b.add(name)
	}
	r := &reads{Store: b.store}
	b.managed.Users = r
	b.serve()
	list := func() string { return b.ask(administrator, "/users", nil).Body.String() }
	_ = list()
	form := formOf(b.ask(administrator, "/users/alice", nil).Body.String())
	form.Set("comment", "by the form")
	for _, c := range []struct {
		what    string
		change  func() int
		comment string
	}{
		{"PATCH", func() int {
			w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPatch, "/api/v1/users/bob", strings.NewReader(`{"comment": "by the API"}`))
			req.Header.Set("Content-Type", "application/json")
			b.api.ServeHTTP(w, req)
			return w.Code
		}, "by the API"},
		{"the form", func() int { return b.ask(administrator, "/users/alice", form).Code }, "by the form"},
		{"the list's button", func() int {
			return b.ask(administrator, "/users", url.Values{"id": {"alice"}, "do": {"disable"}}).Code
		}, "Disabled"},
	} {
		r.of = nil
		if status := c.change(); status >= http.StatusBadRequest {
			t.Errorf("%s: got status %d", c.what, status)
		}
		if len(r.of) != 1 || !slices.Contains([]string{"alice", "bob"}, r.of[0]) {
			t.Errorf("%s reads %q, want one user once", c.what, r.of)
		}
		r.of = nil
		if page := list(); !strings.Contains(page, c.comment) || r.of != nil {
			t.Errorf("the list after %s: has %q %v, reads %q, want nobody", c.what, c.comment, strings.Contains(page, c.comment), r.of)
		}
	}
	if err := b.store.Remove(t.Context(), "BOB"); err != nil {
		t.Fatal(err)
	}
	b.add("Carol")
	if page := list(); strings.Contains(page, "/users/bob") || strings.Index(page, "/users/alice") > strings.Index(page, "/users/Carol") || r.of != nil {
		t.Errorf("after bob has gone and Carol come, the list reads %q, want nobody:\n%s", r.of, page)
	}
}
