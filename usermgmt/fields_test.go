package usermgmt_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/state/statetest"
	"vpnd/usermgmt"
	"vpnd/usermgmt/usertest"

	"github.com/google/go-cmp/cmp"
)

// Each field has a complete declaration. Its default is the value of a new user.
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

// A field does not change if its own text is set again.
func TestFields(t *testing.T) {
	from, to := statetest.Full("alice"), usermgmt.Profile{Name: "alice"}
	from.TOTPSecret = "GEZDGNBVGY3TQOJQ"
	for _, f := range usermgmt.Fields {
		if f.Get(&from) == f.Get(&to) {
			t.Errorf("the user for tests has the %s of an empty profile: set another value in usermgmt/usertest", f.Name)
		}
		if err := f.Set(&to, f.Get(&from)); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(from, to, statetest.Values); diff != "" {
		t.Error(diff)
	}
	for field, texts := range map[string][]string{
		"index": {"x"}, "enabled": {"", "maybe"}, "remote-node": {"203.0.113", "203.0.113.0/33"}, "address": {"x", "2001:db8::1"},
		"idle-timeout": {"5 minutes"}, "max-connections": {"many"}, "expires": {"tomorrow", "2027-02-30"}, "netbios": {"yes"}, "multicast": {""},
		"up-limit": {"M", "1.5M", "-1", "99999999999T"}, "quota": {"1X"},
	} {
		f, ok := usermgmt.FieldNamed(field)
		for _, text := range texts {
			if err := f.Set(&to, text); !ok || err == nil || !strings.HasPrefix(err.Error(), field+": ") {
				t.Errorf("%s %q: %v", field, text, err)
			}
		}
	}
	for text, want := range map[string]string{"1500k": "1500k", "1000k": "1M", "8000": "8k", "0": "0", "": "0", "1234": "1234", "2T": "2T"} {
		f, _ := usermgmt.FieldNamed("down-limit")
		if err := f.Set(&to, text); err != nil || f.Get(&to) != want {
			t.Errorf("%q became %q, %v", text, f.Get(&to), err)
		}
	}
	f, _ := usermgmt.FieldNamed("expires")
	if err := f.Set(&to, "2027-12-31"); err != nil || !to.Expires.Equal(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)) || f.Get(&to) != "2027-12-31" {
		t.Errorf("%v, %v, %s", err, to.Expires, f.Get(&to))
	}
}

// The user for tests sets each field to another value than that of a new user.
func TestUserForTests(t *testing.T) {
	fresh, full := usermgmt.New("anna"), usertest.Full("anna")
	for _, f := range usermgmt.Fields {
		got, want := f.Get(&full), usertest.Texts[f.Name]
		if got != want || got == f.Get(&fresh) && f.Name != "totp-secret" {
			t.Errorf("the user for tests has the %s %q, and a new user %q: set another value in usermgmt/usertest", f.Name, got, f.Get(&fresh))
		}
	}
}
