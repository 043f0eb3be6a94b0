package session

import (
	"net/netip"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/ppp"
)

// lease is the address of a connection that is gone. It lasts as long as the hooks need it.
type lease struct {
	user string
	addr netip.Addr
	pool Pool
	over chan struct{} // closed when the address goes back
}

// before asks the hooks whether a user may have an address. If the call ends meanwhile, before
// gives the address back after the hooks have answered: nobody else gets it while they may still
// work for this call.
func (s *session) before(account auth.Account, addr netip.Addr, pool Pool, method ppp.Method) error {
	h := s.m.cfg.Hooks
	if h == nil {
		return nil
	}
	s.mu.Lock()
	over := s.over
	s.hooks.asked = !over
	c := Connection{
		ID: s.id, User: account.Name, Group: account.Terms.Group, Type: s.info.Type, Auth: method.String(), Remote: s.source(), Virtual: addr, DNS: pool.DNS,
	}
	s.mu.Unlock()
	if over {
		return errStopped
	}
	err := h.Before(s.m.ctx, c)
	if why := reason.Of(err); why.Code == reason.Internal {
		err = reason.New(reason.HookRefused, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.asked, s.hooks.allowed = false, err == nil
	if s.over {
		s.discard(c, s.lease.release)
	}
	return err
}

// leave gives the session's address back at once or, if the hooks know of it, when they release it.
// The caller holds the session's lock.
func (s *session) leave(why reason.Reason) {
	release := func() {}
	if s.lease.addr.IsValid() {
		if !s.hooks.asked && !s.hooks.allowed {
			s.lease.pool.Addresses.Give(s.lease.addr)
			return
		}
		release = s.m.lease(s.account.user, s.lease.addr, s.lease.pool)
	}
	c := s.described()
	switch {
	case s.hooks.told:
		s.m.cfg.Hooks.Down(c, why, release)
	case s.hooks.asked:
		s.lease.release = release
	default:
		if !c.Virtual.IsValid() {
			c.Virtual = s.lease.heir
		}
		s.discard(c, release)
	}
}

// discard tells the hooks of a connection that they accepted and that does not come up.
func (s *session) discard(c Connection, release func()) {
	if d, ok := s.m.cfg.Hooks.(Discarder); ok && s.hooks.allowed {
		d.Discard(c, release)
		return
	}
	release()
}

// lease keeps an address from others until the caller calls release.
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

// moveLeases moves the addresses that are not released yet to the pools that contain them.
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
