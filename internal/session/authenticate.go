package session

import (
	"time"
	"vpnd/auth"
	"vpnd/ppp"
)

// ask queues a question of the engine. Questions are answered one after another, because a peer may
// negotiate the link and authenticate again while its log-in waits. The caller holds the lock.
func (s *session) ask(question ppp.Authenticate) {
	s.login.question = &question
	if !s.login.answering {
		s.login.answering = true
		go s.answer()
	}
}

// answer answers all questions. It runs in its own goroutine, because the user table may be slow.
func (s *session) answer() {
	defer s.survive()
	for question := s.next(); question != nil; question = s.next() {
		s.authenticate(*question)
	}
}

// next takes the question to answer now. If it returns nil, answer must end, even if the peer asks
// right after that: ask then starts another answer.
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
		if s.login.question != nil { // the peer asks again: nobody needs this answer
			return
		}
		s.login.verifying, s.login.refusal = false, out.Reason
		s.engine.Refuse(now, ppp.Refusal{Reason: out.Reason})
	})
	s.m.refused(s, Refusal{User: clean(question.User), Auth: question.Method.String(), Reason: out.Reason}, out.Explain)
}

// unanswered logs a call that ended during its log-in and has no refusal of its own yet.
func (s *session) unanswered(question ppp.Authenticate) {
	s.mu.Lock()
	verifying, why := s.login.verifying, s.login.lost
	s.login.verifying = false
	s.mu.Unlock()
	if verifying && !why.IsZero() {
		s.m.refused(s, Refusal{User: clean(question.User), Auth: question.Method.String(), Reason: why}, nil)
	}
}

// verify asks the Authenticator when it has a free place. It returns false if the server or the
// call ends first.
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
