package guide_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/mgmt/guide"

	"github.com/google/go-cmp/cmp"
)

// A terminal shows a deed as a command with the user's name, and the pages show a link.
func TestDeeds(t *testing.T) {
	why := reason.New(reason.UserLocked, time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC))
	for user, want := range map[string]struct {
		command string
		page    []guide.Part
	}{
		"anna":  {"vpnd user unlock anna", []guide.Part{{Text: "Wait, or unlock the user: "}, {Text: "Unlock", Link: "/users/anna#status"}}},
		"a b&c": {"vpnd user unlock 'a b&c'", []guide.Part{{Text: "Wait, or unlock the user: "}, {Text: "Unlock", Link: "/users/a%20b&c#status"}}},
		"":      {"vpnd user unlock NAME", []guide.Part{{Text: "Wait, or unlock the user: "}, {Text: "Unlock"}}},
	} {
		advice, ok := guide.For(guide.Attempt{User: user, Reason: why})
		if !ok || !strings.HasPrefix(advice.Fix, "Wait, or unlock the user: "+want.command+".") {
			t.Errorf("%q: %q", user, advice.Fix)
		}
		if diff := cmp.Diff(want.page, advice.OnPage[:2]); diff != "" {
			t.Errorf("%q: %s", user, diff)
		}
	}
}

// No text for the pages names a command of this server, and no text names an unknown deed.
func TestPagesNameNoCommand(t *testing.T) {
	pages := map[string][]guide.Part{}
	for _, row := range reason.Table() {
		for _, kind := range kinds {
			advice, _ := guide.For(guide.Attempt{User: "anna", Type: kind, Reason: sample(row)})
			pages[string(row.Code)] = append(pages[string(row.Code)], advice.OnPage...)
		}
	}
	for _, n := range guide.Numbers("anna") {
		pages[n.Number] = n.OnPage
	}
	shut := anna
	shut.PPTP, shut.IPsecMust, shut.MOTP = false, true, true
	for _, k := range guide.Kinds {
		for _, p := range []guide.Person{anna, shut} {
			page, _ := page(t, k.Name, server, p)
			for _, parts := range page.OnPage {
				pages[k.Name] = append(pages[k.Name], parts...)
			}
			for _, way := range page.Ways {
				for _, parts := range way.OnPage {
					pages[k.Name] = append(pages[k.Name], parts...)
				}
			}
		}
	}
	for at, parts := range pages {
		for _, p := range parts {
			if p.Text == "" || strings.ContainsAny(p.Text, "{}") || strings.Contains(p.Text, "NAME") {
				t.Errorf("%s: %+v", at, p)
			}
			for _, command := range []string{"user", "admin", "check", "time", "drop", "connections", "capture", "services", "motp"} {
				if strings.Contains(p.Text, "vpnd "+command) {
					t.Errorf("%s names a command: %q", at, p.Text)
				}
			}
		}
	}
}
