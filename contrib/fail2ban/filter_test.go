// Package fail2ban_test checks the filter with lines of the daemon's log.
package fail2ban_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/testenv"
)

// container is a line in the form of Docker's json-file log.
func container(t *testing.T, line string) string {
	t.Helper()
	entry := struct {
		Log    string    `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}{line + "\n", "stderr", time.Date(2026, 5, 6, 12, 0, 0, 123456789, time.UTC)}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logs are the kinds of log, and how their lines change on the way to fail2ban.
var logs = []struct {
	name string
	json bool
	line func(t *testing.T, line string) string
}{
	{"text", false, func(_ *testing.T, line string) string { return line }},
	{"json", true, func(_ *testing.T, line string) string { return line }},
	{"journal, text", false, func(_ *testing.T, line string) string { return "May 06 12:00:00 host vpnd[123]: " + line }},
	{"journal, json", true, func(_ *testing.T, line string) string {
		return "2026-05-06T12:00:00.000000 host 0123456789ab[456]: " + line
	}},
	{"containerd", false, func(_ *testing.T, line string) string { return "2026-05-06T12:00:00.123456789Z stderr F " + line }},
	{"Docker, text", false, container},
	{"Docker, json", true, container},
}

func TestFilter(t *testing.T) {
	program, err := exec.LookPath("fail2ban-regex")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv(testenv.RequireEnv) == "" {
		t.Skip("fail2ban is not installed (sudo make test installs it)")
	}
	if err != nil {
		t.Fatal(err)
	}
	// A relative path is looked up in fail2ban's own folder.
	filter, err := filepath.Abs("filter.d/vpnd.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range logs {
		t.Run(c.name, func(t *testing.T) {
			text, want, early := lines(t, c.json, c.line)
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for mode, want := range map[string][]string{"": want, "[mode=aggressive]": append(slices.Clone(want), early)} {
				out, err := exec.CommandContext(t.Context(), program, "--out", "row", file, filter+mode).CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				var got []string
				for _, row := range found.FindAllStringSubmatch(string(out), -1) {
					got = append(got, row[1]+" "+row[2])
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: got %v\nwant %v\nof\n%s\n%s", mode, got, want, text, out)
				}
			}
		})
	}
}

// found finds the address in a row of fail2ban-regex, and the time of the line.
var found = regexp.MustCompile(`(?m)^\['([\d.]+)',\s*(\d+)`)

// lines gives a log whose times are in a zone of its own, and the expected matches. Early are those
// that only the mode aggressive finds.
func lines(t *testing.T, inJSON bool, wrap func(*testing.T, string) string) (text string, want []string, early string) {
	t.Helper()
	var book bytes.Buffer
	at := time.Date(2026, 5, 6, 20, 0, 0, 123_000_000, time.FixedZone("", 8*3600))
	options := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(at)
		}
		return a
	}}
	log := slog.New(slog.NewTextHandler(&book, options))
	if inJSON {
		log = slog.New(slog.NewJSONHandler(&book, options))
	}
	peer := netip.MustParseAddr("203.0.113.0")
	line := func(guess bool, msg, user string, why reason.Reason) {
		peer = peer.Next()
		log.Info(msg, "session", "3fj2k7ah5m2q", "type", "PPTP", "peer", peer, "user", user, "auth", "MS-CHAPv2", "cause", why.Code, "reason", why)
		if guess {
			want = append(want, fmt.Sprintf("%s %d", peer, at.Unix()))
		}
	}
	forged := `msg=refused session=a type=PPTP peer=192.0.2.1 user=a auth=PAP cause=wrong_password reason="wrong password"`
	forgedJSON := `"msg":"refused","session":"a","type":"PPTP","peer":"192.0.2.1","user":"a","auth":"PAP","cause":"wrong_password","reason":"wrong password`
	for _, user := range []string{
		"alice", "", `a "b\" c`, "x=y", `DOM\alice`, "Käse <&>", "\x1b\u2028", `\`, forged, `x" ` + forged, forgedJSON, `x\",` + forgedJSON, `{"log":"` + forged, container(t, forged),
	} {
		line(true, "refused", user, reason.New(reason.WrongPassword))
		line(true, "refused", user, reason.New(reason.WrongCode, time.Minute))
		line(true, "refused", user, reason.New(reason.WrongPassword, "", at))
		line(true, "refused", user, reason.New(reason.TokenClockOff, "", "7 minutes ahead"))
		line(true, "refused", user, reason.New(reason.UnknownUser))
		line(true, "refused", user, reason.New(reason.SourceLimited))
		line(false, "refused", user, reason.New(reason.UsedCode))
		line(false, "refused", user, reason.New(reason.UserLocked, at))
		line(false, "refused", user, reason.New(reason.AccountDisabled))
		line(false, "connected", user, reason.Reason{})
		line(false, "disconnected", user, reason.New(reason.WrongPassword))
		log.Info("peer says", "peer", peer, "text", user)
	}
	row := func() string {
		peer = peer.Next()
		return fmt.Sprintf("%s %d", peer, at.Unix())
	}
	want = append(want, row())
	log.Warn("refusals left out", "peer", peer, "refusals", 331834)
	log.Warn("refusals left out", "sources", 12, "refusals", 3)
	early = row()
	log.Info("refused", "session", "3fj2k7ah5m2q", "type", "PPTP", "peer", peer, "user", "", "cause", reason.CallCleared, "reason", reason.New(reason.CallCleared))
	log.Info("refused", "session", "3fj2k7ah5m2q", "type", "PPTP", "peer", peer.Next(), "user", "alice", "cause", reason.CallCleared, "reason", reason.New(reason.CallCleared))
	for record := range strings.Lines(book.String()) {
		text += wrap(t, strings.TrimSuffix(record, "\n")) + "\n"
	}
	return text, want, early
}
