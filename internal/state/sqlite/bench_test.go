package sqlite_test

import (
	"fmt"
	"testing"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"
)

// BenchmarkApply adds 10,000 users at once.
func BenchmarkApply(b *testing.B) {
	edits := make([]usermgmt.Edit, 10_000)
	for i := range edits {
		edits[i] = usermgmt.Edit{Name: fmt.Sprintf("user%05d", i), Line: i + 2, Change: func(p *usermgmt.Profile) error {
			p.MOTPSecret, p.MOTPPIN, p.Services = secret, "1234", []auth.Service{auth.L2TP}
			return nil
		}}
	}
	for b.Loop() {
		s, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if out, err := s.Apply(b.Context(), edits, usermgmt.How{Add: true}); err != nil || len(out) != len(edits) {
			b.Fatal(len(out), err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
