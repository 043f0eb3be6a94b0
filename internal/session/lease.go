package session

import (
	"errors"
	"net/netip"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/ppp"
)

// lease is the address of a connection that is gone, for as long as a Watcher needs it.
type lease struct {
	user string
	addr netip.Addr
	pool Pool
	over chan struct{} // closed when the address has been given back
}

// asked asks the Watcher whether a user may have the address that was taken for it.
func (s *session) asked(account auth.Account, g granted, method ppp.Method) error {
	w := s.m.cfg.Watcher
	if w == nil || g.kept {
		return nil
	}
	return w.Before(s.m.ctx, Connection{
		ID: s.id, User: account.Name, Group: account.Terms.Group, Type: s.info.Type, Auth: method.String(), Remote: s.source(), Virtual: g.addr, DNS: g.pool.DNS,
	})
}

// leave gives the session's address back: at once, or when the Watcher that was told of it has released it. The
// caller holds the session's lock.
func (s *session) leave(reason string) {
	switch {
	case !s.addr.IsValid():
	case !s.watched:
		s.pool.Addresses.Give(s.addr)
	default:
		s.m.cfg.Watcher.Down(s.described(), reason, s.m.lease(s.user, s.addr, s.pool))
	}
}

// lease keeps an address from others until the function that it gives is called.
func (m *Manager) lease(user string, addr netip.Addr, pool Pool) (release func()) {
	l := &lease{user, addr, pool, make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving[addr] = l
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.leaving, addr)
		l.pool.Addresses.Give(addr)
		close(l.over)
	}
}

// moveLeases has the addresses that are not released yet held in the pool of pools that has them.
func (m *Manager) moveLeases(pools map[string]Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.leaving {
		for _, p := range pools {
			if p.Addresses.Contains(l.addr) {
				p.Addresses.Adopt(l.user, l.addr)
				l.pool = p
			}
		}
	}
}

// address takes an address for the user. A fixed one that a Watcher has not released yet is waited for.
func (s *session) address(account auth.Account) (granted, error) {
	for {
		s.m.mu.Lock()
		before := s.m.leaving[account.Terms.Address]
		s.m.mu.Unlock()
		g, err := s.take(account)
		if before == nil || !errors.Is(err, ippool.ErrTaken) {
			return g, err
		}
		select {
		case <-before.over:
		case <-s.m.ctx.Done():
			return g, err
		}
	}
}
