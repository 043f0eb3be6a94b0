package sqlite_test

import (
	"context"
	"testing"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

// A change of users is told once, when it is stored, with the profiles as they are stored.
func TestChanged(t *testing.T) {
	var store *sqlite.Store
	var told []usermgmt.Change
	var last uint64 // generation
	ctx := t.Context()
	store, err := sqlite.Open(ctx, t.TempDir(), state.Options{Changed: func(ctx context.Context, c usermgmt.Change) {
		generation, err := store.Generation(ctx)
		if err != nil || generation != c.Generation {
			t.Errorf("told of generation %d, %v, and the table has %d", c.Generation, err, generation)
		}
		if last != 0 && c.Before != last {
			t.Errorf("told of a change of generation %d, want %d", c.Before, last)
		}
		last, c.Before, c.Generation = c.Generation, 0, 0
		told = append(told, c)
	}})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	anna, ben := simple("anna"), simple("ben")
	anna.Index, ben.Index = 1, 2
	disabled := anna
	disabled.Enabled = false
	for _, c := range []struct {
		what   string
		change func() error
		want   []usermgmt.Change
	}{
		{"add", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{
				edit("anna", 1, func(p *usermgmt.Profile) { *p = simple("anna") }), edit("ben", 2, func(p *usermgmt.Profile) { *p = simple("ben") }),
			}, usermgmt.How{Add: true})
			return err
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{anna, ben}}}},
		{"change", func() error {
			return store.Update(ctx, "ANNA", func(p *usermgmt.Profile) error { p.Enabled = false; return nil })
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{disabled}}}},
		{"unlock", func() error { return store.Unlock(ctx, "anna") }, []usermgmt.Change{{}}},
		{"remove", func() error { return store.Remove(ctx, "BEN") }, []usermgmt.Change{{Removed: []string{"ben"}}}},
		{"dry run", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{edit("anna", 1, func(p *usermgmt.Profile) { p.Comment = "x" })}, usermgmt.How{Change: true, DryRun: true})
			return err
		}, nil},
		{"prune", func() error {
			_, err := store.Apply(ctx, []usermgmt.Edit{edit("ben", 1, func(p *usermgmt.Profile) { *p = ben })}, usermgmt.How{Add: true, Prune: true})
			return err
		}, []usermgmt.Change{{Stored: []usermgmt.Profile{ben}, Removed: []string{"anna"}}}},
	} {
		told = nil
		if err := c.change(); err != nil {
			t.Errorf("%s: got the error %v, want none", c.what, err)
		}
		if diff := cmp.Diff(c.want, told, addresses); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	told = nil
	if err := store.Remove(ctx, "nobody"); err == nil || told != nil {
		t.Errorf("got %v, and %v told, want an error and nothing", err, told)
	}
}
