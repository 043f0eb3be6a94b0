package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"vpnd/internal/state"

	"github.com/google/go-cmp/cmp"
)

// Settings survive a change of the key, and are sealed in the database.
func TestSettingsSealed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	want := map[string]string{"ppp.mutual_pap": "{user: vpn, password: hush-hush}"}
	_, err := s.SetSettings(t.Context(), want, state.Entry{Event: state.EventSettings})
	must(t, err)
	must(t, s.Rekey(t.Context()))
	got, err := openStore(t, dir).Settings(t.Context())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"users.db", "users.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		if bytes.Contains(data, []byte("hush-hush")) {
			t.Errorf("%s holds the password", name)
		}
	}
}
