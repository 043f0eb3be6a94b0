package session

import (
	"slices"
	"time"
	"vpnd/auth"
	"vpnd/internal/dataplane"
	"vpnd/internal/reason"
)

// claim counts s as one of the user's connections before it has an address, or refuses it.
func (m *Manager) claim(s *session, user string, terms auth.Terms) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.sessions[s.id]; !ok {
		return errStopped
	}
	if terms.RefuseFurther && terms.MaxConnections > 0 && len(m.users[user]) >= terms.MaxConnections {
		return tooManyFor(terms)
	}
	if !m.logsIn(user) {
		return reason.New(reason.TooOften, m.cfg.LogIns)
	}
	m.users[user] = append(slices.Clone(m.users[user]), s)
	return nil
}

// logsIn counts a log-in of a user, and reports whether it is within the limit. Each log-in uses
// log space, disk and time of the hooks. The caller holds the lock.
func (m *Manager) logsIn(user string) bool {
	l := m.logIns[user]
	if l == nil {
		l = perMinute(m.cfg.LogIns)
		m.logIns[user] = l
	}
	return l.Allow()
}

func tooManyFor(terms auth.Terms) error {
	return reason.New(reason.ConnectedAlready, terms.MaxConnections)
}

// settleClaim counts s as a connection of the user, or refuses it. The caller must end the replaced
// connections.
func (m *Manager) settleClaim(s *session, user string, terms auth.Terms) (replaced []*session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.sessions[s.id]; !ok {
		return nil, errStopped
	}
	replaced = m.tooMany(s, user, terms)
	if terms.RefuseFurther && len(replaced) > 0 {
		return nil, tooManyFor(terms)
	}
	s.table.settled = true
	for _, other := range replaced {
		m.release(other, user)
	}
	return replaced, nil
}

// tooMany are the user's oldest connections, which must end because of s. The caller holds the
// lock.
func (m *Manager) tooMany(s *session, user string, terms auth.Terms) []*session {
	if terms.MaxConnections == 0 {
		return nil
	}
	var settled []*session
	for _, other := range m.users[user] {
		if other != s && other.table.settled {
			settled = append(settled, other)
		}
	}
	return settled[:max(0, len(settled)+1-terms.MaxConnections)]
}

// giveUp undoes claim.
func (m *Manager) giveUp(s *session, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.release(s, user)
}

// release undoes claim. The caller holds the lock.
func (m *Manager) release(s *session, user string) {
	s.table.settled = false
	others := slices.DeleteFunc(slices.Clone(m.users[user]), func(other *session) bool { return other == s })
	if len(others) == 0 {
		delete(m.users, user)
		return
	}
	m.users[user] = others
}

// addUnreported adds to the next answer of Usage. The caller holds the lock.
func (m *Manager) addUnreported(user string, u Usage) {
	if u == (Usage{}) {
		return
	}
	sum := m.unreported[user]
	m.unreported[user] = Usage{sum.Rx + u.Rx, sum.Tx + u.Tx}
}

// Usage returns the users' traffic since the last call.
func (m *Manager) Usage() map[string]Usage {
	for _, s := range m.all() {
		user, u := s.usage()
		m.mu.Lock()
		m.addUnreported(user, u)
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	unreported := m.unreported
	m.unreported = map[string]Usage{}
	return unreported
}

// usage is the session's traffic since the last call.
func (s *session) usage() (string, Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.port.Load() == nil {
		return "", Usage{}
	}
	return s.account.user, s.takeUnreported(s.port.Load().Stats())
}

// takeUnreported returns the traffic that was not reported yet, and marks it as reported. The
// caller holds the lock.
func (s *session) takeUnreported(now dataplane.Stats) Usage {
	u := Usage{now.RxBytes - s.reported.Rx, now.TxBytes - s.reported.Tx}
	s.reported = Usage{now.RxBytes, now.TxBytes}
	return u
}

// Revise shows judge every connection whose user is known, open or not yet. judge returns new
// terms, or a reason to hang up.
func (m *Manager) Revise(judge func(Connection) (auth.Terms, reason.Reason)) {
	for _, s := range m.all() {
		c, ok := s.admitted()
		if !ok {
			continue
		}
		terms, why := judge(c)
		if !why.IsZero() {
			s.close(why)
			continue
		}
		s.setTerms(terms)
	}
}

// toHostClock converts the end of the terms to the host's clock.
func (m *Manager) toHostClock(t auth.Terms) auth.Terms {
	if !t.Until.IsZero() {
		t.Until = t.Until.Add(time.Since(m.cfg.Now())).Round(0)
	}
	return t
}

// admitted is the connection once its user is known.
func (s *session) admitted() (Connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.account.user == "" || s.over {
		return Connection{}, false
	}
	return s.described(), true
}

// RefusePlainL2TP sets whether calls by L2TP are refused before a peer can send a password.
func (m *Manager) RefusePlainL2TP(refuse bool) { m.noPlainL2TP.Store(refuse) }
