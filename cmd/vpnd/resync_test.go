package main

import (
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
)

func TestUserResync(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "alice", "--motp-secret", testSecret, "--motp-pin", testPIN)
	h.ok("", "user", "add", "bob", "--password", testWord)
	codes := func(ahead time.Duration) string {
		token, step := motp.Token{Secret: testSecret, PIN: testPIN}, motp.Step(time.Now().Add(ahead))
		return token.Code(step) + "\n" + token.Code(step+1) + "\n"
	}
	for _, c := range []struct {
		user, stdin string
		status      int
		says        string
	}{
		{"alice", "123456\n", 2, "standard input has ended"},
		{"alice", "123456\n\n", 2, "two codes in a row are needed"},
		{"alice", "123456\n123457\n", 12, "not two codes in a row"},
		{"alice", codes(10 * time.Minute), 0, "user alice resynchronised: the token's clock is 10m"},
		{"alice", codes(-10 * time.Minute), 12, "used already"},
		{"bob", "", 12, "has no token"},
		{"carol", "", 10, "no such user"},
	} {
		if r := h.run(c.stdin, "user", "resync", c.user); r.status != c.status || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("%s %q: want %d and %q, got %+v", c.user, c.stdin, c.status, c.says, r)
		}
	}
	s, err := sqlite.Open(t.Context(), h.dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	// The clock is 60 steps ahead, and one more for the second code, or none if a step has ended in
	// between.
	if state, err := s.Token(t.Context(), "alice"); err != nil || state.Centre != state.Offset || state.Centre < 59 || state.Centre > 61 {
		t.Errorf("%+v, %v", state, err)
	}
}
