package hook

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A user whom the hook keeps refusing is refused without it, also with many calls at once. The hook
// still runs for other users from that address, and for this user from another address.
func TestRefusedAgainAndAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs")
	r := New(Config{
		Before:  []string{"/bin/sh", "-c", `echo "$PEERNAME" "$REMOTE" >> "$1"; exit 3`, "hook", file},
		Timeout: time.Minute, AtOnce: 2, Refusals: 5, Logger: slog.New(slog.DiscardHandler),
	})
	ask := func(user, from string, n int) (ran, often int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i := range n {
			wg.Go(func() {
				err := r.Before(t.Context(), Facts{Session: fmt.Sprint(user, from, i), User: user, Remote: netip.MustParseAddr(from)})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == errOften: //nolint:errorlint // it is returned bare
					often++
				case err != nil && err.Error() == "before hook: exit status 3":
					ran++
				default:
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		return ran, often
	}
	// Up to AtOnce runs are under way when the last allowed refusal comes; a slow machine may allow
	// one more run.
	if ran, often := ask("alice", "203.0.113.1", 50); ran < 5 || ran > 8 || ran+often != 50 {
		t.Errorf("of 50 calls at once, %d were run for and %d were not", ran, often)
	}
	for _, other := range [][2]string{{"bob", "203.0.113.1"}, {"alice", "203.0.113.2"}} {
		if ran, _ := ask(other[0], other[1], 5); ran != 5 {
			t.Errorf("%v: %d runs", other, ran)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "alice 203.0.113.1\n"); n > 8 {
		t.Errorf("%d processes", n)
	}
	if n := r.Stats().Failed["before"]; n != 60 {
		t.Errorf("%d failures are counted", n)
	}
}

// After the first refusals only one per half minute is allowed, and the number of stored users is
// limited.
func TestRefusalsAreBounded(t *testing.T) {
	r := newRefusals(0)
	now := time.Unix(1e9, 0)
	alice := Facts{User: "alice", Remote: netip.MustParseAddr("203.0.113.1")}
	refused := func(f Facts, within time.Duration) (n int) {
		for range within / time.Second {
			if r.allow(f, now) {
				r.count(f, now)
				n++
			}
			now = now.Add(time.Second)
		}
		return n
	}
	if n := refused(alice, 10*time.Minute); n < 29 || n > 31 {
		t.Errorf("%d runs in ten minutes, want 10, and one each 30 s", n)
	}
	now = now.Add(time.Hour)
	if n := refused(alice, 10*time.Second); n != 10 {
		t.Errorf("%d runs an hour later", n)
	}
	for i := range 3 * maxRefused {
		r.count(Facts{User: fmt.Sprint(i), Remote: alice.Remote}, now)
	}
	if len(r.by) > maxRefused {
		t.Errorf("%d are remembered", len(r.by))
	}
}
