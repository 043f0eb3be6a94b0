package session

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"

	"golang.org/x/time/rate"
)

// Refusals limits the refusals that are logged and stored one by one: so many in a minute, and so
// many at once. The others are counted and reported as a sum.
type Refusals struct {
	OfSource int // of one source (auth.Network); 0: 30
	Total    int // 0: 120
}

const (
	sumEvery   = time.Minute
	sumSources = 10 // sources with their own line in a sum
	maxSources = 4096
	roomStride = 64 // how many sources makeRoom compares
	maxChanges = 10 // logged encryption changes per connection; a peer can cause thousands a second
)

// refusals keeps a flood of refused calls from filling the log and the history.
type refusals struct {
	tell func(source netip.Addr, sources, left int)

	mu     sync.Mutex
	limits Refusals
	total  *rate.Limiter
	by     map[netip.Prefix]*refuser
	others int // left out, of forgotten sources
	left   uint64
	timer  *time.Timer // nil: no sum is due
}

// refuser is a source of refused calls.
type refuser struct {
	*rate.Limiter
	left int
}

func newRefusals(limits Refusals, tell func(source netip.Addr, sources, left int)) *refusals {
	r := &refusals{tell: tell}
	r.set(limits)
	return r
}

// set starts again with other limits.
func (r *refusals) set(limits Refusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	limits.OfSource, limits.Total = cmp.Or(limits.OfSource, 30), cmp.Or(limits.Total, 120)
	if limits == r.limits {
		return
	}
	for _, f := range r.by {
		r.others += f.left
	}
	r.limits, r.total, r.by = limits, perMinute(limits.Total), map[netip.Prefix]*refuser{}
}

func perMinute(n int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), n)
}

// allow reports whether a refusal may be logged and stored. If not, it counts the refusal.
func (r *refusals) allow(source netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	network := auth.Network(source)
	f := r.by[network]
	if f == nil {
		if len(r.by) >= maxSources {
			r.makeRoom(now)
		}
		f = &refuser{Limiter: perMinute(r.limits.OfSource)}
		r.by[network] = f
	}
	if f.AllowN(now, 1) && r.total.AllowN(now, 1) {
		return true
	}
	f.left++
	r.left++
	if r.timer == nil {
		r.timer = time.AfterFunc(sumEvery, r.sum)
	}
	return false
}

// makeRoom compares some sources and forgets the one with the fewest refusals.
func (r *refusals) makeRoom(now time.Time) {
	var victim netip.Prefix
	best, seen := -1.0, 0
	for network, f := range r.by {
		if tokens := f.TokensAt(now); tokens > best {
			victim, best = network, tokens
		}
		if seen++; seen == roomStride {
			break
		}
	}
	r.others += r.by[victim].left
	delete(r.by, victim)
}

// sum reports the refusals left out since the last sum: a line for each source with the most, and
// one for the rest.
func (r *refusals) sum() {
	type sum struct {
		source netip.Addr
		left   int
	}
	r.mu.Lock()
	var sums []sum
	for network, f := range r.by {
		if f.left > 0 {
			sums = append(sums, sum{network.Addr(), f.left})
			f.left = 0
		}
	}
	rest, sources := r.others, 0
	r.others, r.timer = 0, nil
	r.mu.Unlock()
	slices.SortFunc(sums, func(a, b sum) int { return cmp.Or(b.left-a.left, a.source.Compare(b.source)) })
	for i, s := range sums {
		if i < sumSources {
			r.tell(s.source, 1, s.left)
			continue
		}
		rest += s.left
		sources++
	}
	if rest > 0 {
		r.tell(netip.Addr{}, sources, rest)
	}
}

// flush reports at once what the next sum would.
func (r *refusals) flush() {
	r.mu.Lock()
	waits := r.timer != nil && r.timer.Stop()
	r.mu.Unlock()
	if waits {
		r.sum()
	}
}

func (r *refusals) leftOut() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

// refused logs a refusal of the session, and stores it if the limits allow. Then it also asks
// explain for the reason.
func (m *Manager) refused(s *session, f Refusal, explain func() reason.Reason) {
	f.ID, f.Type, f.Remote = s.id, s.info.Type, s.source()
	level := slog.LevelInfo
	if !m.refusals.allow(f.Remote, time.Now()) {
		f.LeftOut, level = true, slog.LevelDebug
	} else if explain != nil {
		f.Reason = explain()
	}
	attrs := []any{"user", f.User}
	if f.Auth != "" {
		attrs = append(attrs, "auth", f.Auth)
	}
	s.log.Log(context.Background(), level, "refused", append(attrs, "cause", f.Reason.Code, "reason", f.Reason)...)
	if r := m.cfg.Recorder; r != nil {
		r.Refused(f)
	}
}

// encryptionChanged records that the encryption of an open connection has changed. The caller holds
// the session's lock.
func (s *session) encryptionChanged(to string) {
	s.crypto = to
	s.m.established(s)
	level := slog.LevelInfo
	if s.changes++; s.changes > maxChanges {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "encryption changed", "user", s.account.user, "encryption", to)
}

// KeepsRefusal reports whether a refusal of a tunnel or a call without a session may be logged and
// stored. If not, it counts the refusal. These refusals have their own limits and their own line in
// the log. That line bans nobody, because the address of a tunnel may be forged.
func (m *Manager) KeepsRefusal(source netip.Addr) bool { return m.untaken.allow(source, time.Now()) }

// The log lines for refusals that were left out: of calls with a session, and of those without.
const (
	leftOutLine = "refusals left out"
	untakenLine = "refused tunnels and calls left out"
)

// tellLeftOut logs how many refusals of a source were left out. An invalid source means several
// sources.
func (m *Manager) tellLeftOut(line string, source netip.Addr, sources, left int) {
	from := "other addresses"
	if source.IsValid() {
		from = "this address"
		m.cfg.Logger.Warn(line, "peer", source, "refusals", left)
	} else {
		m.cfg.Logger.Warn(line, "sources", sources, "refusals", left)
	}
	if r := m.cfg.Recorder; r != nil {
		r.Refused(Refusal{Remote: source, Reason: reason.New(reason.RefusalsLeftOut, left, from), Sum: left})
	}
}

// SetRefusals replaces Config.Refusals.
func (m *Manager) SetRefusals(limits Refusals) {
	m.refusals.set(limits)
	m.untaken.set(limits)
}
