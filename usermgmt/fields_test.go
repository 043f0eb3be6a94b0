package usermgmt_test

import (
	"slices"
	"testing"
	"vpnd/usermgmt"
)

// Each field is declared completely, and its default is as a new user has it.
func TestDeclarations(t *testing.T) {
	fresh := usermgmt.New("anna")
	var columns []string
	for _, f := range usermgmt.Fields {
		if f.Usage == "" || f.Part == "" || f.Label == "" {
			t.Errorf("%s: usage %q, part %q, label %q: want a text for each", f.Name, f.Usage, f.Part, f.Label)
		}
		for _, c := range f.Choices {
			if !slices.Contains(f.Values, c.Value) {
				t.Errorf("%s: the form offers %q, want one of %q", f.Name, c.Value, f.Values)
			}
		}
		want := usermgmt.Profile{}
		if f.Default != "" {
			if err := f.Set(&want, f.Default); err != nil {
				t.Errorf("the default of %v", err)
			}
		}
		if f.Get(&fresh) != f.Get(&want) {
			t.Errorf("%s of a new user is %q, want %q", f.Name, f.Get(&fresh), f.Get(&want))
		}
		if slices.Contains(columns, f.Column) {
			t.Errorf("%s: another field has the column %s", f.Name, f.Column)
		}
		columns = append(columns, f.Column)
	}
	fresh.Password = "x"
	if err := fresh.Check(); err != nil {
		t.Errorf("a new user with a password breaks rules: %v", err)
	}
}
