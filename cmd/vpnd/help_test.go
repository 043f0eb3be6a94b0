package main

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fullDisk fails each write.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, unix.ENOSPC }

// Help that cannot be written fails like any other result.
func TestHelpCannotBeWritten(t *testing.T) {
	for _, line := range []string{"help", "--help", "help exit-status", "exit-status", "help user", "user add --help", "services --help", "help help", "--version"} {
		var stderr bytes.Buffer
		if status := run(t.Context(), strings.Fields(line), strings.NewReader(""), fullDisk{}, &stderr); status != statusFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("vpnd %s: status %d, %q", line, status, &stderr)
		}
	}
}

// Help for an unknown command says so, and shows nothing else.
func TestHelpForNothing(t *testing.T) {
	h := newHouse(t)
	for line, says := range map[string]string{
		"help foo": `unknown command "foo" for vpnd`, "help user lst": "similar commands: set, list", "help user add foo": `"foo" for vpnd user add`,
		"foo --help": `unknown command "foo"`, "user lst --help": "similar commands: set, list",
	} {
		if r := h.run("", strings.Fields(line)...); r.status != statusUsage || r.stdout != "" || !strings.Contains(r.stderr, says) {
			t.Errorf("vpnd %s: %+v, want %q", line, r, says)
		}
	}
	for line, says := range map[string]string{
		"help": "\n  vpnd [command]", "help user": "vpnd user [command]", "help user add": "--motp-secret", "help exit-status": "Exit statuses of all commands",
		"user add --help": "--motp-secret", "--help": "--version",
	} {
		if out := h.ok("", strings.Fields(line)...); !strings.Contains(out, says) {
			t.Errorf("vpnd %s does not show %q: %s", line, says, out)
		}
	}
}
