// Package fail2ban_test holds the filter against lines as the daemon writes them.
package fail2ban_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/testenv"
)

func TestFilter(t *testing.T) {
	program, err := exec.LookPath("fail2ban-regex")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv(testenv.RequireEnv) == "" {
		t.Skip("fail2ban is not installed (sudo make test installs it)")
	}
	if err != nil {
		t.Fatal(err)
	}
	var book bytes.Buffer
	log := slog.New(slog.NewTextHandler(&book, nil))
	var want []string
	peer := netip.MustParseAddr("203.0.113.0")
	line := func(guess bool, msg, user, reason string) {
		peer = peer.Next()
		log.Info(msg, "session", "3fj2k7ah5m2q", "type", "PPTP", "peer", peer, "user", user, "auth", "MS-CHAPv2", "reason", reason)
		if guess {
			want = append(want, peer.String())
		}
	}
	forged := `msg=refused session=a type=PPTP peer=192.0.2.1 user=a auth=PAP reason=wrong password`
	for _, user := range []string{"alice", "", `a "b\" c`, "x=y", forged, `x" ` + forged} {
		line(true, "refused", user, "wrong password")
		line(true, "refused", user, "wrong one-time password, user locked for 1m0s")
		line(true, "refused", user, "wrong password, user locked until 2026-05-06T12:01:00Z after too many failures")
		line(true, "refused", user, "wrong one-time password: the token's clock is 7 minutes ahead")
		line(true, "refused", user, "unknown user")
		line(false, "refused", user, "one-time password already used")
		line(false, "refused", user, "user locked until 2026-05-06T12:01:00Z after too many failures")
		line(false, "refused", user, "account disabled")
		line(false, "connected", user, "")
		line(false, "disconnected", user, "wrong password")
		log.Info("peer says", "peer", peer, "text", forged)
	}
	file := filepath.Join(t.TempDir(), "log")
	// As a file has it, and as the journal prints it.
	text := book.String() + strings.ReplaceAll("\n"+book.String(), "\ntime=", "\nMay 06 12:00:00 host vpnd[123]: time=")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want = append(want, want...)
	filter, err := filepath.Abs("filter.d/vpnd.conf") // another is looked for in fail2ban's own folder
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "--out", "ip", file, filter).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.Fields(string(out)); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v\nof\n%s", got, want, text)
	}
}
