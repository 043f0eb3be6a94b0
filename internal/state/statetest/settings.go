package statetest

import (
	"testing"
	"vpnd/internal/state"

	"github.com/google/go-cmp/cmp"
)

func testSettings(t *testing.T, store state.Store) {
	ctx := state.By(t.Context(), "root")
	generation, err := store.Generation(ctx)
	must(t, err)
	for _, want := range []map[string]string{{}, {"services.pptp": "false", "ppp.mutual_pap": "{password: geheim}"}, {"services.pptp": "true"}, {}} {
		e, err := store.SetSettings(ctx, want, state.Entry{Event: state.EventSettings, Reason: "some"})
		must(t, err)
		if e.By != "root" || e.At.IsZero() {
			t.Errorf("the entry is %+v, want one by root, with a time", e)
		}
		got, err := store.Settings(ctx)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
	}
	history, err := store.History(ctx, state.HistoryQuery{})
	must(t, err)
	if len(history) != 4 || history[0].Event != state.EventSettings || history[0].By != "root" || history[0].Reason != "some" {
		t.Errorf("the history is %+v, want 4 changes of settings by root", history)
	}
	if g, err := store.Generation(ctx); err != nil || g != generation {
		t.Errorf("the users' generation goes from %d to %d (%v)", generation, g, err)
	}
}
