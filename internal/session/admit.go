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

// admit lets a user in whose proof was right, and gives it an address. It makes all checks before
// it hangs up the user's older connections.
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
	case over || !in: // the call has ended, or the peer has asked again
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

// confirmed asks again whether to let the user in, because the checks took time. It then hangs up
// the older connections that have to go.
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
	if err == nil && s.lease.heir.IsValid() { // replace waited for the hooks to release it
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
		if !s.account.revised { // otherwise Revise has set newer terms
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

// readmits reports whether this link has let the user in before. If the link is negotiated again,
// the user authenticates again and keeps its address. Another user does not get in.
func (s *session) readmits(user string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account.revised = false
	if s.account.in && s.account.user != user {
		return false, errOtherUser
	}
	return s.account.in, nil
}

// grant counts a user as connected, takes an address for it, and asks the hooks. Revise finds the
// session from the first step on, so that it misses no change of the user.
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

// replace hangs up the user's oldest connections, as many as it has too many. If no other address
// was free, it takes the address of one of them.
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

// forgo gives up everything that was granted to a user that is not let in. If the call has ended,
// end has already given the address back.
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

// address takes an address for the user. If the hooks have not released the wanted address yet, it
// waits for them.
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

// take takes an address for the user without waiting. It stores the address in the session before
// it unlocks the pools, so that a change of the pools finds it.
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

// inherits returns the address of a connection that s will replace, if the user may have the
// address. An invalid one means that no such address exists.
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
