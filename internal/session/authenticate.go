package session

import (
	"time"
	"vpnd/auth"
	"vpnd/ppp"
)

// ask has a question of the engine answered, one after another, for a peer may negotiate the link again and
// authenticate again while its log-in waits. The caller holds the lock.
func (s *session) ask(question ppp.Authenticate) {
	s.login.question = &question
	if !s.login.answering {
		s.login.answering = true
		go s.answer()
	}
}

// answer answers what is asked, in a goroutine of its own, for the user table may take its time.
func (s *session) answer() {
	defer s.survive()
	for question := s.next(); question != nil; question = s.next() {
		s.authenticate(*question)
	}
}

// next takes the question that must be answered now. Without one, answer has to end, even if the peer asks right after that:
// ask begins another answer then.
func (s *session) next() *ppp.Authenticate {
	s.mu.Lock()
	defer s.mu.Unlock()
	question := s.login.question
	s.login.question = nil
	if s.over {
		question = nil
	}
	s.login.answering, s.login.verifying = question != nil, question != nil
	return question
}

// authenticate answers one question.
func (s *session) authenticate(question ppp.Authenticate) {
	out, ok := s.verify(question)
	if !ok {
		s.unanswered(question)
		return
	}
	if out.OK {
		if out = s.admit(out, question); out.OK {
			s.unanswered(question)
			return
		}
	}
	s.do(func(now time.Time) {
		s.traceUser(question.User)
		s.name(question.User)
		if s.login.question != nil { // the peer asks again: this answer is for nobody
			return
		}
		s.login.verifying, s.login.refusal = false, out.Reason
		s.engine.Refuse(now, ppp.Refusal{Reason: out.Reason})
	})
	s.m.refused(s, Refusal{User: clean(question.User), Auth: question.Method.String(), Reason: out.Reason}, out.Explain)
}

// unanswered tells of a call that has ended while its log-in was under way, and was not refused for that.
func (s *session) unanswered(question ppp.Authenticate) {
	s.mu.Lock()
	verifying, why := s.login.verifying, s.login.lost
	s.login.verifying = false
	s.mu.Unlock()
	if verifying && !why.IsZero() {
		s.m.refused(s, Refusal{User: clean(question.User), Auth: question.Method.String(), Reason: why}, nil)
	}
}

// verify asks the Authenticator when there is a place for that; false: the server or the call has ended before.
func (s *session) verify(question ppp.Authenticate) (auth.Outcome, bool) {
	s.m.waiting.Add(1)
	defer s.m.waiting.Add(-1)
	select {
	case s.m.gate <- struct{}{}:
	case <-s.done:
		return auth.Outcome{}, false
	case <-s.m.ctx.Done():
		return auth.Outcome{}, false
	}
	defer func() { <-s.m.gate }()
	return s.m.cfg.Auth.Authenticate(s.m.ctx, auth.Attempt{
		User: question.User, Proof: question.Proof,
		Service: services[s.info.Type], Source: s.info.Remote.Addr(),
	}), true
}
