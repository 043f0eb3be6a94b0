package session

import (
	"context"
	"errors"
	"net/netip"
	"time"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/ppp"
)

var (
	errOtherUser = reason.New(reason.OtherUser)
	errQuota     = reason.New(reason.QuotaUsedUp)
)

// admit gives a user whose proof was right an address, and lets it in. Whatever can say no is asked before the user's
// older connections are hung up.
func (s *session) admit(out auth.Outcome, question ppp.Authenticate) auth.Outcome {
	readmitted, err := s.readmits(out.Account.Name)
	if err == nil && !readmitted {
		err = s.grant(out.Account, question.Method)
	}
	if err == nil {
		out, err = s.confirmed(out, readmitted)
	}
	if !out.OK {
		s.forgo(out.Account.Name)
		return out
	}
	if err == nil {
		s.letIn(out, question)
	}
	s.mu.Lock()
	in, over, addr := s.account.in, s.over, s.lease.addr
	s.mu.Unlock()
	switch {
	case err != nil && !over:
		s.forgo(out.Account.Name)
		return auth.Outcome{Reason: reason.Of(err)}
	case over || !in: // the call has ended, or the peer asks again
		s.forgo(out.Account.Name)
		return out
	}
	if s.m.cfg.Leases != nil && !readmitted && !out.Account.Terms.Address.IsValid() {
		if err := s.m.cfg.Leases.SetLastAddress(s.m.ctx, out.Account.Name, addr); err != nil {
			s.log.Warn("the user's address could not be remembered", "user", out.Account.Name, "error", err)
		}
	}
	return out
}

// confirmed asks again whether a user is let in, after all that took its time; and has the older connections make way.
func (s *session) confirmed(out auth.Outcome, readmitted bool) (auth.Outcome, error) {
	confirm := func() {
		if ask := out.Confirm; ask != nil && out.OK {
			name := out.Account.Name
			out = ask(s.m.ctx)
			out.Account.Name, out.Confirm = name, ask
		}
	}
	confirm()
	if readmitted || !out.OK {
		return out, nil
	}
	err := s.replace(out.Account)
	if err == nil && s.lease.heir.IsValid() { // its release was waited for
		confirm()
	}
	return out, err
}

// letIn tells the engine, if it still waits for this answer.
func (s *session) letIn(out auth.Outcome, question ppp.Authenticate) {
	s.do(func(now time.Time) {
		if s.login.question != nil {
			return
		}
		s.login.verifying, s.account.in = false, true
		s.account.method, s.account.oneTime = question.Method, out.OneTime
		if !s.account.revised { // Revise knows newer terms
			s.setTermsLocked(out.Account.Terms)
		}
		link.Authenticated(s.link)
		s.traceUser(out.Account.Name)
		s.name(out.Account.Name)
		s.engine.Grant(now, ppp.Grant{
			Password: out.Candidate, OneTime: out.OneTime,
			Local: s.m.cfg.Local, Peer: s.lease.addr, DNS: s.lease.pool.DNS, NBNS: s.lease.pool.NBNS,
		})
	})
}

// readmits reports whether the user was let in on this link before: when that is negotiated again, its user
// authenticates again, too, and keeps the address. Another user does not get in.
func (s *session) readmits(user string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account.revised = false
	if s.account.in && s.account.user != user {
		return false, errOtherUser
	}
	return s.account.in, nil
}

// grant has a user whose proof was right counted as connected, takes an address for it, and asks the hooks.
// From the beginning Revise finds the session, so that no change of the user is missed.
func (s *session) grant(account auth.Account, method ppp.Method) error {
	if quota := account.Terms.Quota; quota > 0 && s.m.cfg.Used != nil {
		used, err := s.m.cfg.Used(s.m.ctx, account.Name)
		switch {
		case err != nil:
			return reason.New(reason.QuotaUnknown, err)
		case used >= quota:
			return errQuota
		}
	}
	if err := s.m.claim(s, account.Name, account.Terms); err != nil {
		return err
	}
	s.mu.Lock()
	s.account.user = account.Name
	s.mu.Unlock()
	addr, pool, err := s.address(account)
	if errors.Is(err, ippool.ErrTaken) || errors.Is(err, ippool.ErrEmpty) {
		if addr = s.m.inherits(s, account, pool); addr.IsValid() {
			err = nil
			s.mu.Lock()
			s.lease.heir = addr
			s.mu.Unlock()
		}
	}
	if err != nil {
		return err
	}
	return s.before(account, addr, pool, method)
}

// replace hangs up the connections that the user has too many with this one, the oldest, and takes the address of one if
// there was no other.
func (s *session) replace(account auth.Account) error {
	older, err := s.m.settleClaim(s, account.Name, account.Terms)
	if err != nil {
		return err
	}
	for _, other := range older {
		other.cut(reason.New(reason.Replaced))
	}
	if !s.lease.heir.IsValid() {
		return nil
	}
	_, _, err = s.address(account)
	return err
}

// forgo gives up what was granted to a user that is not let in. Of a call that has ended, end has given the address back.
func (s *session) forgo(user string) {
	s.m.giveUp(s, user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.account.in {
		return
	}
	s.leave(reason.Reason{})
	s.lease, s.hooks, s.account.user = leased{}, hooked{}, ""
}

// address takes an address for the user. One that is wanted, and that the hooks have not released yet, is waited for.
func (s *session) address(account auth.Account) (netip.Addr, Pool, error) {
	want := account.Terms.Address
	if !want.IsValid() {
		want = s.lease.heir
	}
	for {
		s.m.mu.Lock()
		before := s.m.leaving[want]
		s.m.mu.Unlock()
		addr, pool, err := s.take(account)
		if before == nil || !errors.Is(err, ippool.ErrTaken) && !errors.Is(err, ippool.ErrEmpty) {
			return addr, pool, err
		}
		select {
		case <-before.over:
		case <-s.done:
			return addr, pool, err
		case <-s.m.ctx.Done():
			return addr, pool, err
		}
	}
}

// take takes an address for the user, without waiting for one. The session has it from the moment that the pool
// gives it, so that a change of the pools finds it.
func (s *session) take(account auth.Account) (netip.Addr, Pool, error) {
	last, fixed := s.lease.heir, account.Terms.Address
	if s.m.cfg.Leases != nil && !fixed.IsValid() && !last.IsValid() {
		last, _ = s.m.cfg.Leases.LastAddress(context.WithoutCancel(s.m.ctx), account.Name)
	}
	s.m.poolsLock.RLock()
	defer s.m.poolsLock.RUnlock()
	pool, err := s.m.poolFor(account.Terms)
	if err != nil {
		return netip.Addr{}, pool, err
	}
	addr, err := pool.Addresses.Take(account.Name, fixed, last, s.info.Remote.Addr())
	if err != nil {
		return netip.Addr{}, pool, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		pool.Addresses.Give(addr)
		return netip.Addr{}, pool, errStopped
	}
	s.lease.addr, s.lease.pool = addr, pool
	return addr, pool, nil
}

// inherits is the address of a connection that s is to replace, if the user may have it; invalid: there is none.
func (m *Manager) inherits(s *session, account auth.Account, pool Pool) netip.Addr {
	m.mu.Lock()
	older := m.tooMany(s, account.Name, account.Terms)
	m.mu.Unlock()
	for _, other := range older {
		other.mu.Lock()
		addr := other.lease.addr
		other.mu.Unlock()
		if fixed := account.Terms.Address; addr.IsValid() && pool.Addresses.Contains(addr) && (!fixed.IsValid() || fixed == addr) {
			return addr
		}
	}
	return netip.Addr{}
}
