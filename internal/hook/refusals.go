package hook

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	refusalsAtOnce = 10 // unless Config says otherwise
	refusalsEach   = 30 * time.Second
	maxRefused     = 4096
	refusedStride  = 64 // how many are compared to make room for one
)

// dialler is a user at an address.
type dialler struct {
	user string
	from netip.Addr
}

// refusals limits the refusing runs of the before hook. A user with the right password can dial as
// often as they like, and each run is a process.
type refusals struct {
	atOnce int

	mu sync.Mutex
	by map[dialler]*rate.Limiter // users that were refused
}

func newRefusals(atOnce int) refusals {
	return refusals{atOnce: cmp.Or(atOnce, refusalsAtOnce), by: map[dialler]*rate.Limiter{}}
}

// allow reports whether the hook may run. It is called twice, so that a user gains nothing by
// making many calls at once.
func (r *refusals) allow(f Facts, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.by[dialler{f.User, f.Remote}]
	return l == nil || l.TokensAt(now) >= 1
}

// count records a refusal. Refusals of runs that were under way at the same time are paid back
// later.
func (r *refusals) count(f Facts, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := dialler{f.User, f.Remote}
	l := r.by[d]
	if l == nil {
		if len(r.by) >= maxRefused {
			r.makeRoom(now)
		}
		l = rate.NewLimiter(rate.Every(refusalsEach), r.atOnce)
		r.by[d] = l
	}
	l.ReserveN(now, 1)
}

// makeRoom forgets one of some users, the one that was refused least.
func (r *refusals) makeRoom(now time.Time) {
	var victim dialler
	best, seen := -1.0, 0
	for d, l := range r.by {
		if tokens := l.TokensAt(now); tokens > best {
			victim, best = d, tokens
		}
		if seen++; seen == refusedStride {
			break
		}
	}
	delete(r.by, victim)
}
