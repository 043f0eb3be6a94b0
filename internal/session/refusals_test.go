package session

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The log has the sum of a flood each minute. It loses no refusal, and other sources still have
// their own lines.
func TestRefusalsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		r := newRefusals(Refusals{OfSource: 3, Total: 10}, func(source netip.Addr, sources, left int) {
			told = append(told, fmt.Sprint(source, sources, left))
		})
		flooder, other := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
		count := func(source netip.Addr, n int) (allowed int) {
			for range n {
				if r.allow(source, time.Now()) {
					allowed++
				}
			}
			return allowed
		}
		if n := count(flooder, 100_000); n != 3 {
			t.Errorf("%d of the flood are allowed", n)
		}
		if n := count(other, 2); n != 2 {
			t.Errorf("%d of another source are allowed", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := count(flooder, 10); n != 3 {
			t.Errorf("%d are allowed a minute later", n)
		}
		r.flush()
		r.flush()
		if diff := cmp.Diff([]string{"203.0.113.1 1 99997", "203.0.113.1 1 7"}, told); diff != "" {
			t.Error(diff)
		}
		if n := r.leftOut(); n != 100_004 {
			t.Errorf("%d were left out", n)
		}
	})
}

// Many sources together get no more lines than the limit for all. They take bounded memory, and
// every refusal is counted.
func TestRefusalsOfManySources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sum, lines := 0, 0
		r := newRefusals(Refusals{}, func(_ netip.Addr, _, left int) { sum, lines = sum+left, lines+1 })
		allowed := 0
		const n = 3 * maxSources
		for i := range n {
			if r.allow(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), time.Now()) {
				allowed++
			}
			if i == n/2 {
				r.set(Refusals{OfSource: 40})
			}
		}
		r.flush()
		if allowed != 240 || len(r.by) > maxSources || sum+allowed != n || lines > sumSources+1 {
			t.Errorf("%d allowed, %d known, %d left out in %d lines", allowed, len(r.by), sum, lines)
		}
	})
}

// Tunnels and calls without a session are also counted by source. They have their own limits and
// their own line, because the address of a tunnel may be forged.
func TestRefusalsWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		m := NewManager(Config{Refusals: Refusals{OfSource: 3, Total: 10}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		flooder, other := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
		count := func(keeps func(netip.Addr) bool, source netip.Addr, n int) (kept int) {
			for range n {
				if keeps(source) {
					kept++
				}
			}
			return kept
		}
		if n := count(m.KeepsRefusal, flooder, 1000); n != 3 {
			t.Errorf("%d of the flood are kept", n)
		}
		if n := count(m.KeepsRefusal, other, 2); n != 2 {
			t.Errorf("%d of another source are kept", n)
		}
		for i := range 100 {
			m.KeepsRefusal(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		if n := count(func(a netip.Addr) bool { return m.refusals.allow(a, time.Now()) }, other, 3); n != 3 {
			t.Errorf("%d refusals with a session are kept beside the flood", n)
		}
		time.Sleep(sumEvery)
		synctest.Wait()
		if want := `level=WARN msg="refused tunnels and calls left out" peer=203.0.113.1 refusals=997`; !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, &log)
		}
		if text := log.String(); strings.Contains(text, `msg="refusals left out"`) || strings.Count(text, "\n") != sumSources+1 {
			t.Errorf("got %s, want %d lines, and none of refusals left out", text, sumSources+1)
		}
		if n := m.Counters().LeftOut; n != 997+95 {
			t.Errorf("%d are left out", n)
		}
	})
}
