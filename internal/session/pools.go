package session

import (
	"net/netip"
	"strconv"
	"vpnd/auth"
	"vpnd/internal/reason"
)

// poolFor picks the pool of a user: the one that holds the fixed address, or the named one.
func (m *Manager) poolFor(terms auth.Terms) (Pool, error) {
	if terms.Address.IsValid() {
		for _, p := range m.pools {
			if p.Addresses.Contains(terms.Address) {
				return p, nil
			}
		}
		return Pool{}, reason.New(reason.AddressOutside, terms.Address)
	}
	p, ok := m.pools[terms.Pool]
	if !ok {
		return Pool{}, reason.New(reason.NoPool, strconv.Quote(terms.Pool))
	}
	return p, nil
}

// SetPools replaces the pools. A connection whose address is in no pool keeps it, or is hung up if
// keep is false.
func (m *Manager) SetPools(pools map[string]Pool, keep bool) {
	m.poolsLock.Lock()
	defer m.poolsLock.Unlock()
	m.pools = pools
	m.moveLeases(pools)
	for _, s := range m.all() {
		if !s.move(pools) && !keep {
			s.close(reason.New(reason.AddressLeftPool))
		}
	}
}

// move moves the session's address to the pool that contains it. It returns false if none does.
func (s *session) move(pools map[string]Pool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !s.lease.addr.IsValid() {
		return true
	}
	for _, p := range pools {
		if p.Addresses.Contains(s.lease.addr) {
			p.Addresses.Adopt(s.account.user, s.lease.addr)
			s.lease.pool = p
			return true
		}
	}
	return false
}

// Addresses are the inner addresses of all connections.
func (m *Manager) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, s := range m.all() {
		s.mu.Lock()
		if s.lease.addr.IsValid() && !s.over {
			all = append(all, s.lease.addr)
		}
		s.mu.Unlock()
	}
	return all
}
