// Package strangers limits the hosts (tunnels, control connections) of a carrier on which no user
// has logged in, and the calls on them. Above a limit, the carrier drops another one. So a client
// from another address can always connect, even if one address has reached its limit.
package strangers

import (
	"net/netip"
	"sync"
	"vpnd/internal/reason"
)

// ErrNoRoom is the reason that ends a host or a call above a limit.
var ErrNoRoom = reason.New(reason.NoRoomClients)

// Limits says how many hosts, and how many calls, may be without a user. If a field is zero, the
// default in its comment applies.
type Limits struct {
	Total     int // 4096
	PerSource int // of one address; 512
}

// Guard knows the hosts and the calls of a carrier. It is safe for concurrent use.
type Guard[Host, Call comparable] struct {
	limits Limits

	mu      sync.Mutex
	all     map[Host]*state
	users   map[Call]struct{} // the calls with a user
	hosts   crowd[Host]
	calls   crowd[Call]
	evicted uint64
}

// state is what the guard knows of a host: its peer's address, and how many of its calls have a
// user.
type state struct {
	from  netip.Addr
	users int
}

// New makes a Guard.
func New[Host, Call comparable](l Limits) *Guard[Host, Call] {
	if l.Total == 0 {
		l.Total = 4096
	}
	if l.PerSource == 0 {
		l.PerSource = 512
	}
	return &Guard[Host, Call]{
		limits: l, all: map[Host]*state{}, users: map[Call]struct{}{}, hosts: newCrowd[Host](), calls: newCrowd[Call](),
	}
}

// Host adds a host whose peer has proved its address. If over is true, the caller ends victim.
func (g *Guard[Host, Call]) Host(h Host, from netip.Addr) (victim Host, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all[h] = &state{from: from}
	return g.enter(h, from)
}

func (g *Guard[Host, Call]) enter(h Host, from netip.Addr) (victim Host, over bool) {
	victim, over = g.hosts.enter(h, from, g.limits)
	if over {
		g.evicted++
	}
	return victim, over
}

// Call adds a call. If over is true, the caller ends victim.
func (g *Guard[Host, Call]) Call(c Call, from netip.Addr) (victim Call, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	victim, over = g.calls.enter(c, from, g.limits)
	if over {
		g.evicted++
	}
	return victim, over
}

// Authenticated says that a user has logged in on a call of a host. Neither counts from now on.
func (g *Guard[Host, Call]) Authenticated(h Host, c Call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.calls.leave(c) {
		return
	}
	g.users[c] = struct{}{}
	if s := g.all[h]; s != nil {
		s.users++
		g.hosts.leave(h)
	}
}

// CallGone says that a call is over. A host that has lost its last user counts again. If over is
// true, the caller ends victim.
func (g *Guard[Host, Call]) CallGone(h Host, c Call) (victim Host, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls.leave(c)
	if _, user := g.users[c]; !user {
		return victim, false
	}
	delete(g.users, c)
	s := g.all[h]
	if s == nil {
		return victim, false
	}
	if s.users--; s.users > 0 {
		return victim, false
	}
	return g.enter(h, s.from)
}

// HostGone says that a host is over.
func (g *Guard[Host, Call]) HostGone(h Host) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts.leave(h)
	delete(g.all, h)
}

// Stats counts the hosts and calls without a user, and those that the limits have ended since the
// start of the Guard.
type Stats struct {
	Hosts, Calls int
	Evicted      uint64
}

// Stats returns the present counts.
func (g *Guard[Host, Call]) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Hosts: len(g.hosts.places), Calls: len(g.calls.places), Evicted: g.evicted}
}
