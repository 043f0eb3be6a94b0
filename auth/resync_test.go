package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
)

// A token that drifts by a second a day works until it leaves the window. Then it is refused with
// the reason. After a resync it works until it leaves the window again.
func TestDrift(t *testing.T) {
	for _, drift := range []time.Duration{time.Second, -time.Second} {
		a, m, c := setUp(t)
		var off time.Duration
		logIn := func() auth.Outcome { return a.Authenticate(t.Context(), pap("alice", code(c.now, off))) }
		// days gives the number of days for which the token works.
		days := func() int {
			for day := range 400 {
				if got := logIn(); !got.OK {
					want := "wrong one-time password: the token's clock is 3 minutes "
					if got.Reason.String() != "wrong one-time password" || !strings.HasPrefix(got.Explain().String(), want) {
						t.Errorf("drift %v, day %d: %q: %q", drift, day, got.Reason.String(), got.Explain())
					}
					return day
				}
				off += drift
				c.add(24 * time.Hour)
			}
			t.Fatal("the token gets in for ever")
			return 0
		}
		if n := days(); n < 181 || n > 190 {
			t.Errorf("drift %v: %d days", drift, n)
		}
		first := code(c.now, off)
		c.add(10 * time.Second)
		got, err := auth.Resync(t.Context(), m, m, "Alice", first, strings.ToUpper(code(c.now, off)), c.now)
		if want := off.Truncate(10 * time.Second); err != nil || (got-want).Abs() > 10*time.Second {
			t.Errorf("drift %v: %v, %v, want %v", drift, got, err, want)
		}
		if got := logIn(); got.Reason.String() != "one-time password already used" {
			t.Errorf("a code that resync was shown: %v %q", got.OK, got.Reason.String())
		}
		c.add(10 * time.Second)
		if n := days(); n < 175 || n > 195 {
			t.Errorf("drift %v: %d days after resync", drift, n)
		}
	}
}

func TestResync(t *testing.T) {
	for _, c := range []struct {
		name          string
		user          string
		first, second time.Duration // of the token's clock
		want          error
		offset        time.Duration
	}{
		{"in the window", "alice", -10 * time.Second, 0, nil, 0},
		{"an hour ahead", "alice", time.Hour, time.Hour + 10*time.Second, nil, time.Hour + 10*time.Second},
		{"a day behind", "alice", -24*time.Hour - 10*time.Second, -24 * time.Hour, auth.ErrUsed, -24 * time.Hour},
		{"more than a day ahead", "alice", 24*time.Hour + 10*time.Second, 24*time.Hour + 20*time.Second, auth.ErrNotInRow, 0},
		{"twice the same", "alice", time.Hour, time.Hour, auth.ErrNotInRow, 0},
		{"one left out", "alice", time.Hour, time.Hour + 20*time.Second, auth.ErrNotInRow, 0},
		{"the wrong way round", "alice", time.Hour, time.Hour - 10*time.Second, auth.ErrNotInRow, 0},
		{"no token", "bob", 0, 10 * time.Second, auth.ErrNoToken, 0},
		{"unknown", "mallory", 0, 10 * time.Second, auth.ErrNoUser, 0},
	} {
		_, m, clock := setUp(t)
		before := auth.TokenState{LastStep: clock.now.Unix()/10 - 1000}
		m.tokens["alice"] = before
		m.standing["alice"] = auth.Standing{Strangers: auth.Failures{Locks: 3}}
		got, err := auth.Resync(t.Context(), m, m, c.user, code(clock.now, c.first), code(clock.now, c.second), clock.now)
		if !errors.Is(err, c.want) || err == nil && got != c.offset {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if changed := m.tokens["alice"] != before || m.standing["alice"].Strangers.Locks == 0; changed != (c.want == nil) {
			t.Errorf("%s: %+v %+v", c.name, m.tokens["alice"], m.standing["alice"])
		}
	}
}

// After a resync the window has the same width, around the offset. Codes of the server's time are
// outside it.
func TestWindowAfterResync(t *testing.T) {
	const hour = time.Hour
	for off, ok := range map[time.Duration]bool{
		0: false, hour: true, hour - 3*time.Minute: true, hour + 3*time.Minute: true,
		hour - 3*time.Minute - 10*time.Second: false, hour + 3*time.Minute + 10*time.Second: false,
	} {
		a, m, c := setUp(t)
		if _, err := auth.Resync(t.Context(), m, m, "alice", code(c.now, hour-10*time.Second), code(c.now, hour), c.now); err != nil {
			t.Fatal(err)
		}
		c.add(time.Hour) // so that no code of the window has been used
		got := a.Authenticate(t.Context(), pap("alice", code(c.now, off)))
		if got.OK != ok {
			t.Errorf("%v: %v %q", off, got.OK, got.Reason.String())
		}
		if off == 0 && got.Explain().String() != "wrong one-time password: the token's clock is 60 minutes behind, or the code is that old, counted from its resync" {
			t.Errorf("%q", got.Explain())
		}
	}
}

// A code in capitals outside the window is explained, too.
func TestExplainCapitals(t *testing.T) {
	a, _, c := setUp(t)
	off := 7 * time.Minute
	for code(c.now, off) == strings.ToUpper(code(c.now, off)) {
		c.add(10 * time.Second)
	}
	got := a.Authenticate(t.Context(), pap("alice", strings.ToUpper(code(c.now, off))))
	if got.OK || got.Explain().String() != "wrong one-time password: the token's clock is 7 minutes ahead" {
		t.Errorf("%v %q", got.OK, got.Explain())
	}
}
