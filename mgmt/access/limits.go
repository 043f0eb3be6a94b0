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

// Log-ins are limited by source address and by name. A name has a separate limit at each address
// from which it has logged in. So nobody can lock a name's owner out there, neither by guesses for
// that name from elsewhere, nor by other names from the same address. All clients behind a tunnel
// or a proxy have one address.
const (
	sourceEvery, sourceBurst = 6 * time.Second, 10
	nameEvery, nameBurst     = 30 * time.Second, 10
	maxSources               = 4096
	nameBuckets              = 1024
	maxUsual                 = 256

	// refusedEvery and refusedBurst limit the entries about refused log-ins in the history and the
	// log.
	refusedEvery, refusedBurst = 10 * time.Second, 30
)

// limits counts log-in attempts.
type limits struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*rate.Limiter
	names   [nameBuckets]*rate.Limiter // by a hash of the name, so that invented names use no memory
	seed    maphash.Seed
	usual   map[usual]*rate.Limiter
}

// usual is a source from which a name has logged in.
type usual struct {
	source netip.Prefix
	name   string
}

func newLimits() *limits {
	return &limits{sources: map[netip.Prefix]*rate.Limiter{}, seed: maphash.MakeSeed(), usual: map[usual]*rate.Limiter{}}
}

// prefixOf is the source for the limits: an IPv4 address, or an IPv6 /64.
func prefixOf(source netip.Addr) netip.Prefix {
	source = source.Unmap()
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	p, _ := source.WithZone("").Prefix(bits)
	return p
}

// allow counts an attempt and reports whether it is within the limits.
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

// source gives the limiter of a source. A new source takes the place of sources that have
// recovered, or else of any.
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

// succeeded remembers the source of a successful log-in.
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

// hasher hashes one password at a time. Each hash takes a processor and 32 MiB for a while, and
// many log-ins must not slow down the users' packets.
type hasher struct {
	waiting, working chan struct{}
}

func newHasher() *hasher {
	return &hasher{waiting: make(chan struct{}, maxWaiting), working: make(chan struct{}, 1)}
}

// do runs f in its turn. The error is ErrLimited if too many wait or the wait is too long, or the
// error of ctx.
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
