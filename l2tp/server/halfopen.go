package server

import (
	"math/rand/v2"
	"net/netip"
)

// Tunnels that wait for their peer's second message: when one more comes, another one goes, picked at
// random, so that in a flood from invented addresses, which costs no more than that, a real peer has its
// chance. One address cannot take the places of all others.
const (
	maxHalfOpen        = 4096
	maxHalfOpenPerAddr = 256
)

// dialler is who has half-open tunnels: how many, and which is the newest one.
type dialler struct {
	n      int
	newest *tunnel
}

// nameless finds the tunnel of a message without our identifier, such as all of D-Link's DIR-300 are: the open one of
// its address and port, or the only one that is being opened from there.
func (s *Server) nameless(from netip.AddrPort) *tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.addrs[from]; t != nil {
		return t
	}
	if d := s.dialling[from]; d.n == 1 && d.newest.slot != noSlot {
		return d.newest
	}
	return nil
}

// makeRoom adds t to the half-open tunnels, and gives the one that goes when there are too many.
func (s *Server) makeRoom(t *tunnel) (victim *tunnel) {
	n := len(s.halfOpen)
	if full := s.waiting[t.peer.Addr()] >= maxHalfOpenPerAddr; n > 0 && (full || n >= maxHalfOpen) {
		at := rand.IntN(n) //nolint:gosec // no secret
		for full && s.halfOpen[at].peer.Addr() != t.peer.Addr() {
			at = (at + 1) % n
		}
		victim = s.halfOpen[at]
		s.noLongerHalfOpen(victim)
		s.drops.limit.Add(1)
	}
	t.slot = len(s.halfOpen)
	s.halfOpen = append(s.halfOpen, t)
	s.waiting[t.peer.Addr()]++
	s.dialling[t.peer] = dialler{s.dialling[t.peer].n + 1, t}
	return victim
}

func (s *Server) noLongerHalfOpen(t *tunnel) {
	if t.slot == noSlot {
		return
	}
	last := len(s.halfOpen) - 1
	s.halfOpen[t.slot] = s.halfOpen[last]
	s.halfOpen[t.slot].slot = t.slot
	s.halfOpen[last] = nil
	s.halfOpen = s.halfOpen[:last]
	t.slot = noSlot
	if addr := t.peer.Addr(); s.waiting[addr] == 1 {
		delete(s.waiting, addr)
	} else {
		s.waiting[addr]--
	}
	if d := s.dialling[t.peer]; d.n == 1 {
		delete(s.dialling, t.peer)
	} else {
		s.dialling[t.peer] = dialler{d.n - 1, d.newest}
	}
}

// opened takes note that the peer of t hears us. What it had before under the same identifier is given, and the tunnel
// that has to go for it.
func (s *Server) opened(t *tunnel) (before, victim *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.over.Load() {
		s.addrs[t.peer] = t
		victim, _ = s.strangers.Host(t, t.peer.Addr())
	}
	s.noLongerHalfOpen(t)
	before, t.before = t.before, nil
	return before, victim
}
