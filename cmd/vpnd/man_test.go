package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command has a page, and the same source and date give the same pages.
func TestManPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000")
	h, first, second := newHouse(t), t.TempDir(), t.TempDir()
	h.ok("", "man-pages", first)
	h.ok("", "man-pages", second)
	eachCommand(newRootCommand(), func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() {
			return
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Error(err)
			return
		}
		if again, err := os.ReadFile(filepath.Join(second, name)); err != nil || string(again) != string(page) {
			t.Errorf("%s differs in a second run (%v)", name, err)
		}
		for _, want := range []string{`"Jan 2027"`, cmd.Short} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s does not have %q:\n%.300s", name, want, page)
			}
		}
	})
	if _, err := os.Stat(filepath.Join(first, "vpnd-man-pages.1")); err == nil {
		t.Error("the hidden command has a page")
	}
}

func TestMarkdown(t *testing.T) {
	const text = "Adds what a *file* says.\nAll of it.\n\ncsv   columns\nyaml  a list_of users\n\nNot <more>.\n"
	const want = "Adds what a \\*file\\* says.\nAll of it.\n\n    csv   columns\n    yaml  a list_of users\n\nNot \\<more>.\n"
	if got := markdown(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
