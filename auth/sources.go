package auth

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	sourceBurst  = 30 // failures that one address may make at once
	sourceEvery  = 10 * time.Second
	maxSources   = 8192
	sourceStride = 64 // how many sources are compared to remove one
)

// sources limits the failures of each source address, as in Network. The zero value is ready for
// use.
type sources struct {
	mu     sync.Mutex
	by     map[netip.Prefix]*rate.Limiter
	latest time.Time
}

func (s *sources) allowed(source netip.Prefix, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(now)
	l := s.by[source]
	return l == nil || l.TokensAt(now) >= 1
}

func (s *sources) failed(source netip.Prefix, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(now)
	l := s.by[source]
	if l == nil {
		if s.by == nil {
			s.by = map[netip.Prefix]*rate.Limiter{}
		}
		if len(s.by) >= maxSources {
			s.makeRoom(now)
		}
		l = rate.NewLimiter(rate.Every(sourceEvery), sourceBurst)
		s.by[source] = l
	}
	l.ReserveN(now, 1) // even beyond the limit, so that each failure at the same moment adds to the wait
}

// follow forgets all sources if the clock was put back: a limiter gives nothing until its own time
// comes again.
func (s *sources) follow(now time.Time) {
	if s.latest.Sub(now) > sourceEvery {
		clear(s.by)
		s.latest = now
	}
	if now.After(s.latest) {
		s.latest = now
	}
}

// makeRoom removes one of some sources: the one with the fewest failures.
func (s *sources) makeRoom(now time.Time) {
	var victim netip.Prefix
	best, seen := -1.0, 0
	for source, l := range s.by {
		if tokens := l.TokensAt(now); tokens > best {
			victim, best = source, tokens
		}
		if seen++; seen == sourceStride {
			break
		}
	}
	delete(s.by, victim)
}
