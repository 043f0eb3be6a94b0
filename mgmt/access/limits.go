package access

import (
	"context"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Log-ins are limited by where they come from and by the name they are for. Where a name has logged in before, it has a limit of its
// own: neither a stranger who uses the name up, nor one at the same address with other names, keeps its owner out there. Behind a tunnel or a proxy all
// are at one address.
const (
	sourceEvery, sourceBurst = 6 * time.Second, 10
	nameEvery, nameBurst     = 30 * time.Second, 10
	maxSources               = 4096
	nameBuckets              = 1024
	maxUsual                 = 256

	// refusedEvery and refusedBurst bound what refused log-ins write into the history and the log.
	refusedEvery, refusedBurst = 10 * time.Second, 30
)

// limits count attempts to log in.
type limits struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*rate.Limiter
	names   [nameBuckets]*rate.Limiter // by a hash of the name, so that names that are made up cost nothing
	seed    maphash.Seed
	usual   map[usual]*rate.Limiter
}

// usual is from where a name has logged in.
type usual struct {
	source netip.Prefix
	name   string
}

func newLimits() *limits {
	return &limits{sources: map[netip.Prefix]*rate.Limiter{}, seed: maphash.MakeSeed(), usual: map[usual]*rate.Limiter{}}
}

// prefixOf is what counts as one source: an IPv4 address, or an IPv6 /64.
func prefixOf(source netip.Addr) netip.Prefix {
	source = source.Unmap()
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	p, _ := source.WithZone("").Prefix(bits)
	return p
}

// allow counts an attempt, and reports whether it may be made.
func (l *limits) allow(now time.Time, source netip.Addr, name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, name := prefixOf(source), strings.ToLower(name)
	if own, ok := l.usual[usual{from, name}]; ok {
		return own.AllowN(now, 1)
	}
	if !l.source(now, from).AllowN(now, 1) {
		return false
	}
	bucket := &l.names[maphash.String(l.seed, name)%nameBuckets]
	if *bucket == nil {
		*bucket = rate.NewLimiter(rate.Every(nameEvery), nameBurst)
	}
	return (*bucket).AllowN(now, 1)
}

// source gives the limiter of a source. For a new one, those make room that have recovered, or else any.
func (l *limits) source(now time.Time, from netip.Prefix) *rate.Limiter {
	if known, ok := l.sources[from]; ok {
		return known
	}
	if len(l.sources) >= maxSources {
		for p, other := range l.sources {
			if other.TokensAt(now) >= sourceBurst {
				delete(l.sources, p)
			}
		}
		evict(l.sources, maxSources-1)
	}
	limiter := rate.NewLimiter(rate.Every(sourceEvery), sourceBurst)
	l.sources[from] = limiter
	return limiter
}

// succeeded remembers where a name has logged in from.
func (l *limits) succeeded(source netip.Addr, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := usual{prefixOf(source), strings.ToLower(name)}
	if _, ok := l.usual[at]; ok {
		return
	}
	evict(l.usual, maxUsual-1)
	l.usual[at] = rate.NewLimiter(rate.Every(sourceEvery), sourceBurst)
}

// evict leaves at most n entries of m.
func evict[K comparable, V any](m map[K]V, n int) {
	for k := range m {
		if len(m) <= n {
			return
		}
		delete(m, k)
	}
}

const (
	maxWaiting = 16
	waitTime   = 10 * time.Second
)

// hasher lets one password be hashed at a time: each takes a processor and 32 MiB for a while, which the users' packets are not to
// feel however many log in.
type hasher struct {
	waiting, working chan struct{}
}

func newHasher() *hasher {
	return &hasher{waiting: make(chan struct{}, maxWaiting), working: make(chan struct{}, 1)}
}

// do runs f when it is its turn. The error is ErrLimited when too many wait, or that of ctx.
func (h *hasher) do(ctx context.Context, f func()) error {
	select {
	case h.waiting <- struct{}{}:
	default:
		return ErrLimited
	}
	defer func() { <-h.waiting }()
	timeout := time.NewTimer(waitTime)
	defer timeout.Stop()
	select {
	case h.working <- struct{}{}:
	case <-timeout.C:
		return ErrLimited
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.working }()
	f()
	return nil
}
