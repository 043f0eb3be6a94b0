package main

import (
	"os"
	"strings"
	"testing"
)

func TestReferenceIsCurrent(t *testing.T) {
	defaults, err := os.ReadFile("../default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := reference(defaults)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != want {
		t.Error("docs/configuration.md is stale: run go generate ./internal/config")
	}
}

func TestReference(t *testing.T) {
	page, err := reference([]byte(`# The file.

# Folder of
# the state.
folder: /state

# The log.
log:
  # Its level.
  level: info
  # A pair.
  pair:
    # One half.
    half: ""
  # Nothing.
  unset:
  # Everything.
  all: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `folder` | `/state` | Folder of the state. |\n",
		"\n## log\n\nThe log.\n\n| key |",
		"| `log.level` | `info` | Its level. |\n",
		"| `log.pair` | | A pair. |\n| `log.pair.half` | `\"\"` | One half. |\n",
		"| `log.unset` | unset | Nothing. |\n",
		"| `log.all` | `{}` | Everything. |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestReferenceWantsComments(t *testing.T) {
	_, err := reference([]byte("log:\n  # Its level.\n  level: info\n  format: text\n"))
	if want := "without a comment: log, log.format"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
