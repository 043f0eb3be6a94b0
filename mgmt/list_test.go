package mgmt_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	"vpnd/usermgmt"
)

// The list shows a damaged user by name, with the fix, and the others as they are.
func TestDamagedUserIsListed(t *testing.T) {
	b := setUp(t)
	for _, name := range []string{"alice", "bob", "carol"} {
		b.do("POST", "/api/v1/users", `{"name":"`+name+`","password":"x"}`, nil)
	}
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE users SET password = x'00' WHERE fold = 'bob'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"": "alice enabled, bob damaged, carol enabled", "?sort=-name": "carol enabled, bob damaged, alice enabled",
		"?show=damaged": "bob damaged", "?show=disabled": "", "?q=BO": "bob damaged",
	} {
		var list []mgmt.User
		if resp := b.do("GET", "/api/v1/users"+query, "", &list); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", query, resp.Status)
		}
		var got []string
		for _, u := range list {
			got = append(got, u.Name+" "+u.Status)
			if (u.Damaged != "") != (u.Name == "bob") || u.Name == "bob" && !strings.Contains(u.Damaged, "remove the user and add it again") {
				t.Errorf("%s: %+v", query, u)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %s", query, got, want)
		}
	}
	if resp := b.do("GET", "/api/v1/users/bob", "", nil); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("bob alone: %s", resp.Status)
	}
	if resp := b.do("DELETE", "/api/v1/users/bob", "", nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("bob is removed: %s", resp.Status)
	}
	var list []mgmt.User
	if b.do("GET", "/api/v1/users", "", &list); len(list) != 2 {
		t.Errorf("%+v", list)
	}
}

// BenchmarkUsersOfAStatus lists the locked ones of 2,000 users, and BenchmarkUsers the first
// thousand of all.
func BenchmarkUsersOfAStatus(b *testing.B) { benchmarkUsers(b, "?show=locked") }

func BenchmarkUsers(b *testing.B) { benchmarkUsers(b, "") }

func benchmarkUsers(b *testing.B, query string) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	edits := make([]usermgmt.Edit, 2000)
	for i := range edits {
		edits[i] = usermgmt.Edit{Name: fmt.Sprint("user", i), Change: func(p *usermgmt.Profile) error {
			p.Password = "x"
			return nil
		}}
	}
	if _, err := store.Apply(b.Context(), edits, usermgmt.How{Add: true}); err != nil {
		b.Fatal(err)
	}
	api := mgmt.New(mgmt.Config{Sessions: &sessions{}, Users: store, History: store, Settings: newSettings(), Clock: clock{}, Version: "1"})
	for b.Loop() {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/users"+query, http.NoBody))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
