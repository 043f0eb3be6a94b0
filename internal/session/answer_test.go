package session

import (
	"runtime"
	"testing"
	"time"
	"vpnd/ppp"
)

// A peer asks again at the moment at which answer has found no more questions. That answer ends in
// any case, and the new question gets its own answer.
func TestAskedAgainAsTheAnswersEnd(t *testing.T) {
	s := &session{m: &Manager{ctx: t.Context()}, done: make(chan struct{}), login: logIn{answering: true}}
	last := s.next()
	ask := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ask(ppp.Authenticate{User: "alice"})
	}
	state := func() (answering, verifying, asked bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.login.answering, s.login.verifying, s.login.question != nil
	}
	until := func(what string, answering, verifying, asked bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			a, v, q := state()
			runtime.Gosched()
			if a == answering && v == verifying && q == asked {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: answering %v, verifying %v, asked %v", what, a, v, q)
			}
		}
	}
	ask()
	if last != nil {
		t.Error("there was a question before the peer had asked")
	}
	until("another one takes the question", true, true, false)
	ask()
	until("the next question waits for its turn", true, true, true)
	close(s.done)
	until("all are answered", false, false, false)

	s.over = true
	s.login.question = new(ppp.Authenticate)
	if s.next() != nil || s.login.answering || s.login.question != nil {
		t.Error("a call that has ended has its questions answered")
	}
}
