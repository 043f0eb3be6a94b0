package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/ppp"
)

// messages are what a peer is told: nothing that tells a user's name from another.
var messages = map[int]string{
	auth.CodeDenied:     "Access denied",
	auth.CodeHours:      "Dial-in not allowed at this hour",
	auth.CodeDisabled:   "Account disabled",
	auth.CodeExpired:    "Account expired",
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
	var err error
	if out.OK {
		if out, err = s.admit(out, question); err == nil {
			return
		}
	}
	message := messages[out.Code]
	if errors.Is(err, ippool.ErrEmpty) {
		message = ppp.NoAddressFree
	}
	s.do(func(now time.Time) {
		s.traceUser(question.User)
		s.name(question.User)
		s.reason = out.Reason
		s.engine.Refuse(now, ppp.Refusal{Code: out.Code, Message: message, Reason: out.Reason})
	})
	reason := out.Reason
	if out.Explain != nil {
		if more := out.Explain(); more != "" {
			reason += ": " + more
		}
	}
	user := clean(question.User)
	s.log.Info("refused", "user", user, "auth", question.Method.String(), "reason", reason)
	if r := s.m.cfg.Recorder; r != nil {
		r.Refused(Refusal{ID: s.id, User: user, Type: s.info.Type, Auth: question.Method.String(), Cause: out.Cause, Reason: reason, Remote: s.source()})
	}
}

// verify asks the Authenticator when there is a place for that; false: the server ends.
func (s *session) verify(question ppp.Authenticate) (auth.Outcome, bool) {
	s.m.waiting.Add(1)
	defer s.m.waiting.Add(-1)
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

// admit gives a user whose proof was right an address, and lets it in. With an error the outcome is a
// refusal.
func (s *session) admit(out auth.Outcome, question ppp.Authenticate) (auth.Outcome, error) {
	account := out.Account
	g, err := s.grant(account)
	if err != nil {
		return auth.Outcome{Code: auth.CodeNotAllowed, Cause: causeOf(err), Reason: err.Error()}, err
	}
	if err := s.asked(account, g, question.Method); err != nil {
		s.m.giveUp(s, account.Name)
		g.pool.Addresses.Give(g.addr)
		return auth.Outcome{Code: auth.CodeNotAllowed, Cause: CauseHook, Reason: err.Error()}, err
	}
	taken := false
	s.do(func(now time.Time) {
		taken = true
		s.user, s.method, s.oneTime = account.Name, question.Method, out.OneTime
		s.assume(account.Terms)
		s.addr, s.pool = g.addr, g.pool
		link.Authenticated(s.link)
		s.traceUser(account.Name)
		s.name(account.Name)
		s.engine.Grant(now, ppp.Grant{
			Password: out.Candidate, OneTime: out.OneTime,
			Local: s.m.cfg.Local, Peer: g.addr, DNS: g.pool.DNS, NBNS: g.pool.NBNS,
		})
	})
	if !taken { // the call ended in the meantime
		if !g.kept {
			s.m.giveUp(s, account.Name)
			g.pool.Addresses.Give(g.addr)
		}
		return out, nil
	}
	if s.m.cfg.Leases != nil && !g.kept && !account.Terms.Address.IsValid() {
		if err := s.m.cfg.Leases.SetLastAddress(s.m.ctx, account.Name, g.addr); err != nil {
			s.log.Warn("the user's address could not be remembered", "user", account.Name, "error", err)
		}
	}
	return out, nil
}

// granted is the address of a link.
type granted struct {
	addr netip.Addr
	pool Pool
	kept bool // the link had it before
}

// grant has a user whose proof was right counted as connected, and takes an address for it.
func (s *session) grant(account auth.Account) (granted, error) {
	if g, err := s.held(account.Name); err != nil || g.kept {
		return g, err
	}
	if quota := account.Terms.Quota; quota > 0 && s.m.cfg.Used != nil {
		used, err := s.m.cfg.Used(s.m.ctx, account.Name)
		switch {
		case err != nil:
			return granted{}, fmt.Errorf("the user's traffic is not known: %w", err)
		case used >= quota:
			return granted{}, errQuota
		}
	}
	replaced, err := s.m.claim(s, account.Name, account.Terms)
	if err != nil {
		return granted{}, err
	}
	for _, other := range replaced {
		other.cut("replaced by a new dial-in of the user")
	}
	g, err := s.address(account)
	if err != nil {
		s.m.giveUp(s, account.Name)
	}
	return g, err
}

var (
	errOtherUser = errors.New("another user than before on the same link")
	errQuota     = errors.New("monthly quota used up")
	errConnected = errors.New("the user is connected already")
	errNoPool    = errors.New("no pool")
)

// held is the address that the link has already: when it is negotiated anew, its user authenticates
// anew, too, and keeps it. Another user does not get in.
func (s *session) held(user string) (granted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.IsValid() && s.user != user {
		return granted{}, errOtherUser
	}
	return granted{s.addr, s.pool, s.addr.IsValid()}, nil
}

// take takes an address for the user, without waiting for one.
func (s *session) take(account auth.Account) (granted, error) {
	var last netip.Addr
	fixed := account.Terms.Address
	if s.m.cfg.Leases != nil && !fixed.IsValid() {
		last, _ = s.m.cfg.Leases.LastAddress(context.WithoutCancel(s.m.ctx), account.Name)
	}
	s.m.poolsLock.RLock()
	defer s.m.poolsLock.RUnlock()
	pool, err := s.m.poolFor(account.Terms)
	if err != nil {
		return granted{}, err
	}
	addr, err := pool.Addresses.Take(account.Name, fixed, last, s.info.Remote.Addr())
	return granted{addr: addr, pool: pool}, err
}
