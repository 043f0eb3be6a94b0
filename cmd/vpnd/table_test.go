package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"vpnd/internal/dial"
	"vpnd/mgmt"

	"github.com/spf13/cobra"
)

// hostile controls a terminal: with a title, a cleared screen, C1 codes, and text from right to
// left.
const hostile = "a\x1b]0;title\a\x1b[2J\u009b2J\u202eb\rc\x7f"

// Text from a peer, a server or an administrator never controls the reader's terminal.
func TestControlCharacters(t *testing.T) {
	var out bytes.Buffer
	cmd := &cobra.Command{Run: func(*cobra.Command, []string) {}}
	cmd.SetErr(&out)
	_, _ = out.WriteString(eventLine(mgmt.Event{At: time.Now(), User: hostile, Reason: hostile}) + "\n")
	if err := say(cmd, "dropped %s", hostile); err != nil {
		t.Fatal(err)
	}
	sayEvent(&out, dial.Event{Kind: dial.Authenticating, User: hostile})
	if err := printTable(&out, 0, []string{"NAME"}, [][]string{{hostile}}); err != nil {
		t.Fatal(err)
	}
	_, _ = out.WriteString(printableLines(errors.Join(errors.New("first"), errors.New(hostile)).Error()))
	text := out.String()
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || strings.Count(text, "?]0;title") < 6 {
		t.Errorf("%q", text)
	}
	if !strings.Contains(text, "first\na?") {
		t.Errorf("lines are joined: %q", text)
	}
	if r := run(context.Background(), []string{hostile}, strings.NewReader(""), &out, &out); r != 2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("status %d, %q", r, out.String())
	}
}
