package sqlite_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"vpnd/auth"
	"vpnd/internal/state/sqlite"
)

// TestWritesShareATransaction queues writes while a transaction is open. The transaction takes as
// many of them as fit before it ends. A write with none behind it ends at once.
func TestWritesShareATransaction(t *testing.T) {
	for _, others := range []int{0, 1, 50, sqlite.BatchSize + 10} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			s := openStore(t, t.TempDir())
			var shared atomic.Int64
			errs := behind(t, s, others, func() error {
				_, err := s.ChangeStanding(t.Context(), "bob", func(v auth.Standing) auth.Standing {
					if first, err := s.Standing(t.Context(), "alice"); err == nil && first.Usual.Count == 0 {
						shared.Add(1) // alice's write has not ended yet
					}
					v.Usual.Count++
					return v
				})
				return err
			})
			must(t, errors.Join(errs...))
			if got, want := shared.Load(), int64(min(others, sqlite.BatchSize-1)); got != want {
				t.Errorf("%d of %d writes were in the first one's transaction, want %d", got, others, want)
			}
			counted(t, s, "alice", 1)
			counted(t, s, "bob", others)
		})
	}
}

// TestWriteFailsAlone makes one write of a transaction fail: each of the others is stored, once.
func TestWriteFailsAlone(t *testing.T) {
	const others = 20
	s := openStore(t, t.TempDir())
	var n atomic.Int64
	errs := behind(t, s, others, func() error {
		if n.Add(1) == others/2 {
			return s.SetLastAddress(t.Context(), "nobody", home)
		}
		_, err := s.ChangeStanding(t.Context(), "bob", failedOnce)
		return err
	})
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) != 1 || !strings.Contains(failed[0].Error(), "nobody") {
		t.Errorf("failed: %v", failed)
	}
	counted(t, s, "alice", 1)
	counted(t, s, "bob", others-1)
}

func failedOnce(v auth.Standing) auth.Standing {
	v.Usual.Count++
	return v
}

// counted checks how often failedOnce was stored.
func counted(t *testing.T, s *sqlite.Store, user string, want int) {
	t.Helper()
	if v, err := s.Standing(t.Context(), user); err != nil || v.Usual.Count != want {
		t.Errorf("%s: %d failures, %v, want %d", user, v.Usual.Count, err, want)
	}
}

// behind adds alice and bob, and stops a write of alice's in its transaction until n others are
// queued, or as many as fit. It gives the errors of all writes.
func behind(t *testing.T, s *sqlite.Store, n int, other func() error) []error {
	t.Helper()
	must(t, s.Add(t.Context(), simple("alice")))
	must(t, s.Add(t.Context(), simple("bob")))
	var (
		all       sync.WaitGroup
		once      sync.Once
		open      = make(chan struct{})
		goOn      = make(chan struct{})
		errs      = make([]error, n+1)
		queueable = min(n, sqlite.BatchSize)
	)
	all.Go(func() {
		_, errs[n] = s.ChangeStanding(t.Context(), "alice", func(v auth.Standing) auth.Standing {
			once.Do(func() { close(open) })
			<-goOn
			return failedOnce(v)
		})
	})
	<-open
	for i := range n {
		all.Go(func() { errs[i] = other() })
	}
	for s.Queued() < queueable {
		runtime.Gosched()
	}
	close(goOn)
	all.Wait()
	return errs
}
