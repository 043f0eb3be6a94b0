package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"vpnd/internal/state"

	"github.com/google/go-cmp/cmp"
)

func tableKeepsSettings(t *testing.T, table state.Store) {
	t.Helper()
	ctx := state.By(t.Context(), "root")
	generation, err := table.Generation(ctx)
	must(t, err)
	for _, want := range []map[string]string{{}, {"services.pptp": "false", "ppp.mutual_pap": "{password: geheim}"}, {"services.pptp": "true"}, {}} {
		e, err := table.SetSettings(ctx, want, state.Entry{Event: state.EventSettings, Reason: "some"})
		must(t, err)
		if e.By != "root" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
		got, err := table.Settings(ctx)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	history, err := table.History(ctx, state.HistoryQuery{})
	must(t, err)
	if len(history) != 4 || history[0].Event != state.EventSettings || history[0].By != "root" || history[0].Reason != "some" {
		t.Errorf("%+v", history)
	}
	if g, err := table.Generation(ctx); err != nil || g != generation {
		t.Errorf("the users' generation goes from %d to %d (%v)", generation, g, err)
	}
}

// Settings outlast a change of the key, and stand in the database sealed.
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
