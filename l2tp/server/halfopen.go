package server

import (
	"math/rand/v2"
	"net/netip"
)

// The limits of the tunnels that wait for their peer's second message. Above a limit, a random one
// goes for each new one. So a real peer has its chance in a flood from invented addresses. One
// address cannot take the places of all others.
const (
	maxHalfOpen        = 4096
	maxHalfOpenPerAddr = 256
)

// dialler has the half-open tunnels of one address and port: their number and the newest one.
type dialler struct {
	n      int
	newest *tunnel
}

// nameless finds the tunnel of a message without our identifier. All messages of D-Link's DIR-300
// are such messages. The result is the open tunnel of its address and port, or the only half-open
// one from there.
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

// makeRoom adds t to the half-open tunnels. If there are too many, it returns the victim.
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

// opened notes that the peer of t hears us. It returns the peer's earlier tunnel under the same
// identifier, and the tunnel that has to go for t.
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
