package session

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/ppp"
)

// messages are what a peer is told: nothing that tells a user's name from another.
var messages = map[int]string{
	auth.CodeDenied:     "Access denied",
	auth.CodeDisabled:   "Account disabled",
	auth.CodeNotAllowed: "Dial-in not allowed",
}

// authenticate answers the engine's question. It runs in a goroutine of its own, for the user table
// may take its time.
func (s *session) authenticate(question ppp.Authenticate) {
	defer s.survive()
	out, ok := s.verify(question)
	if !ok {
		return
	}
	if out.OK {
		var err error
		if out, err = s.admit(out, question); err == nil {
			return
		}
	}
	s.do(func(now time.Time) {
		s.traceUser(question.User)
		s.reason = out.Reason
		s.engine.Refuse(now, ppp.Refusal{Code: out.Code, Message: messages[out.Code], Reason: out.Reason})
	})
	reason := out.Reason
	if out.Explain != nil {
		if more := out.Explain(); more != "" {
			reason += ": " + more
		}
	}
	s.log.Info("refused", "user", clean(question.User), "auth", question.Method.String(), "reason", reason)
}

// verify asks the Authenticator when there is a place for that; false: the server ends.
func (s *session) verify(question ppp.Authenticate) (auth.Outcome, bool) {
	select {
	case s.m.gate <- struct{}{}:
	case <-s.m.ctx.Done():
		return auth.Outcome{}, false
	}
	defer func() { <-s.m.gate }()
	return s.m.cfg.Auth.Authenticate(s.m.ctx, auth.Attempt{
		User: question.User, Proof: question.Proof,
		Service: auth.Service(strings.ToLower(s.info.Type)), Source: s.info.Remote.Addr(),
	}), true
}

var errNotAdmitted = errors.New("not admitted")

// admit gives a user whose proof was right an address, and lets it in. With an error the outcome is a
// refusal.
func (s *session) admit(out auth.Outcome, question ppp.Authenticate) (auth.Outcome, error) {
	account := out.Account
	addr, kept, err := s.address(account)
	if err != nil {
		return auth.Outcome{Code: auth.CodeNotAllowed, Reason: err.Error()}, errNotAdmitted
	}
	taken := false
	s.do(func(now time.Time) {
		taken = true
		s.user, s.method, s.terms, s.oneTime = account.Name, question.Method, account.Terms, out.OneTime
		s.addr = addr
		s.traceUser(account.Name)
		s.engine.Grant(now, ppp.Grant{
			Password: out.Candidate, OneTime: out.OneTime,
			Local: s.m.cfg.Local, Peer: addr, DNS: s.m.cfg.DNS, NBNS: s.m.cfg.NBNS,
		})
	})
	if !taken { // the call ended in the meantime, and what it held was given back
		if !kept {
			s.m.cfg.Pool.Give(addr)
		}
		return out, nil
	}
	if s.m.cfg.Leases != nil && !kept && !account.Terms.Address.IsValid() {
		if err := s.m.cfg.Leases.SetLastAddress(s.m.ctx, account.Name, addr); err != nil {
			s.log.Warn("the user's address could not be remembered", "user", account.Name, "error", err)
		}
	}
	return out, nil
}

var errOtherUser = errors.New("another user than before on the same link")

// held is the address that the link has already: when it is negotiated anew, its user authenticates
// anew, too, and keeps it. Another user does not get in.
func (s *session) held(user string) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.IsValid() && s.user != user {
		return netip.Addr{}, errOtherUser
	}
	return s.addr, nil
}

// address takes an address for the user, or keeps the one that the link has. A fixed one that the same
// user still holds, by a connection that has not been noticed to be dead, is taken over.
func (s *session) address(account auth.Account) (addr netip.Addr, kept bool, err error) {
	if addr, err = s.held(account.Name); err != nil || addr.IsValid() {
		return addr, true, err
	}
	var last netip.Addr
	fixed := account.Terms.Address
	if s.m.cfg.Leases != nil && !fixed.IsValid() {
		last, _ = s.m.cfg.Leases.LastAddress(context.WithoutCancel(s.m.ctx), account.Name)
	}
	outer := s.info.Remote.Addr()
	addr, err = s.m.cfg.Pool.Take(account.Name, fixed, last, outer)
	if errors.Is(err, ippool.ErrTaken) && s.replace(account.Name, fixed) {
		addr, err = s.m.cfg.Pool.Take(account.Name, fixed, last, outer)
	}
	return addr, false, err
}

func (s *session) replace(user string, addr netip.Addr) bool {
	for _, other := range s.m.all() {
		if c, ok := other.connection(); ok && c.User == user && c.Virtual == addr {
			other.cut("replaced by a new dial-in of the user")
			return true
		}
	}
	return false
}
