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
	sourceStride = 64 // how many are looked at to make room for one
)

// sources limits the failures of each source address, as Network has them. The zero value is ready.
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
	l.ReserveN(now, 1) // more than there are: what failed at the same moment is waited for later
}

// follow forgets all when the clock was put back: a limiter gives nothing until its own time has come again.
func (s *sources) follow(now time.Time) {
	if s.latest.Sub(now) > sourceEvery {
		clear(s.by)
		s.latest = now
	}
	if now.After(s.latest) {
		s.latest = now
	}
}

// makeRoom forgets, of some sources, the one that has failed least.
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
