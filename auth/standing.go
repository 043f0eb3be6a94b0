package auth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	firstLock = time.Minute
	longLock  = time.Hour
	// lockMemory is how long after its end a lock still makes the next one longer.
	lockMemory = 24 * time.Hour
	// maxChanges is how many changes may wait for the disk. After that, the addresses of further
	// successes are left out. Failures are never left out; the locks keep them few.
	maxChanges = 64
	// retryAfter is the time after which failed writes are repeated, for example to a full disk.
	retryAfter = 10 * time.Second
	// writers is how many standings are written at once; the ledger may store them together.
	writers = 64
)

// Network is the address by which failures and log-ins count: an IPv4 address, or the /64 from
// which an IPv6 host chooses its addresses.
func Network(source netip.Addr) netip.Prefix {
	source = source.Unmap().WithZone("")
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	network, err := source.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not an address
	}
	return network
}

// failures are the failures with which an attempt from source counts.
func (s *Standing) failures(source netip.Prefix) *Failures {
	if source.IsValid() && slices.Contains(s.Addresses[:], source) {
		return &s.Usual
	}
	return &s.Strangers
}

// fromWrongClock reports whether the lock was set while the clock was ahead: no lock is that long.
func (f *Failures) fromWrongClock(now time.Time) bool { return f.LockedUntil.Sub(now) > longLock }

// failed is s after a failed log-in. The failure number limit in a row locks.
func (s Standing) failed(source netip.Prefix, now time.Time, limit int) Standing {
	f := s.failures(source)
	if !f.LockedUntil.IsZero() && (now.Sub(f.LockedUntil) > lockMemory || f.fromWrongClock(now)) {
		*f = Failures{Count: f.Count}
	}
	if f.Count++; f.Count < limit {
		return s
	}
	lock := longLock
	if f.Locks < 6 {
		lock = min(firstLock<<f.Locks, longLock)
	}
	*f = Failures{Locks: f.Locks + 1, LockedUntil: now.Add(lock)}
	return s
}

// succeeded is s after a successful log-in. It resets only the failures of such addresses: a log-in
// of the user gives no new guesses to an attacker elsewhere.
func (s Standing) succeeded(source netip.Prefix) Standing {
	*s.failures(source) = Failures{}
	if !source.IsValid() {
		return s
	}
	at := slices.Index(s.Addresses[:], source)
	if at < 0 {
		at = len(s.Addresses) - 1
	}
	copy(s.Addresses[1:at+1], s.Addresses[:at])
	s.Addresses[0] = source
	return s
}

// standings holds the standings of users with attempts under way, so that these attempts count each
// other's failures. It writes changes apart from the answers: the time of an answer must not reveal
// whether a user exists.
type standings struct {
	ledger Ledger

	mu     sync.Mutex
	by     map[string]*standing
	write  chan struct{} // signals changes to write
	done   chan struct{}
	closed chan struct{}
	once   sync.Once
}

// A standing is the standing of a user with an attempt under way or with unwritten changes.
type standing struct {
	Standing
	changes  []func(Standing) Standing // not yet in the ledger
	revision int                       // of Standing
	attempts int                       // under way
}

func newStandings(ledger Ledger) *standings {
	s := &standings{
		ledger: ledger, by: map[string]*standing{},
		write: make(chan struct{}, 1), done: make(chan struct{}), closed: make(chan struct{}),
	}
	go s.run()
	return s
}

func (s *standings) close() {
	s.once.Do(func() { close(s.done) })
	<-s.closed
}

// enter begins an attempt. The caller must end it with leave, even after an error.
func (s *standings) enter(ctx context.Context, user string) error {
	s.mu.Lock()
	st := s.by[user]
	if st == nil {
		st = new(standing)
		s.by[user] = st
	}
	st.attempts++
	revision := st.revision
	s.mu.Unlock()
	stored, err := s.ledger.Standing(ctx, user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && st.revision == revision && len(st.changes) == 0 {
		st.Standing = stored
	}
	return err
}

func (s *standings) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[user].attempts--
	s.tidy(user)
}

func (s *standings) tidy(user string) {
	if st := s.by[user]; st.attempts == 0 && len(st.changes) == 0 {
		delete(s.by, user)
	}
}

// lockedUntil gives the end of the lock for source; zero: there is none.
func (s *standings) lockedUntil(user string, source netip.Prefix, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[user].locked(source, now)
}

func (s *Standing) locked(source netip.Prefix, now time.Time) time.Time {
	if f := s.failures(source); now.Before(f.LockedUntil) && !f.fromWrongClock(now) {
		return f.LockedUntil
	}
	return time.Time{}
}

// fail counts a failure, unless the user is locked already. It gives the end of the lock before and
// after.
func (s *standings) fail(user string, source netip.Prefix, now time.Time, limit int) (before, after time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.by[user]
	if before = st.locked(source, now); !before.IsZero() {
		return before, before
	}
	s.change(st, func(v Standing) Standing { return v.failed(source, now, limit) })
	return before, st.locked(source, now)
}

func (s *standings) succeed(user string, source netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.by[user]; st.succeeded(source) != st.Standing && len(st.changes) < maxChanges {
		s.change(st, func(v Standing) Standing { return v.succeeded(source) })
	}
}

func (s *standings) change(st *standing, change func(Standing) Standing) {
	st.Standing = change(st.Standing)
	st.revision++
	st.changes = append(st.changes, change)
	select {
	case s.write <- struct{}{}:
	default:
	}
}

func (s *standings) run() {
	defer close(s.closed)
	for {
		var retry <-chan time.Time
		if s.flush() > 0 {
			retry = time.After(retryAfter) //nolint:forbidigo // a real disk
		}
		select {
		case <-s.write:
		case <-retry:
		case <-s.done:
			s.flush()
			return
		}
	}
}

// flush writes the changes. It keeps changes that it cannot write for the next time, and gives the
// number of their users.
func (s *standings) flush() (left int) {
	s.mu.Lock()
	var users []string
	for user, st := range s.by {
		if len(st.changes) > 0 {
			users = append(users, user)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	gate := make(chan struct{}, writers)
	for _, user := range users {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			s.store(user)
		})
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.by {
		if len(st.changes) > 0 {
			left++
		}
	}
	return left
}

func (s *standings) store(user string) {
	s.mu.Lock()
	st := s.by[user] // not deleted while it has changes
	changes := slices.Clone(st.changes)
	s.mu.Unlock()
	stored, err := s.ledger.ChangeStanding(context.Background(), user, func(v Standing) Standing {
		for _, change := range changes {
			v = change(v)
		}
		return v
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !errors.Is(err, ErrNoUser) {
		return
	}
	if st.changes = slices.Delete(st.changes, 0, len(changes)); len(st.changes) == 0 {
		st.Standing = stored
		st.revision++
	}
	s.tidy(user)
}
