package testenv

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
	"vpnd/auth/motp"
)

// User is a user who may dial in, by all types of dial-in unless DialIn limits them. The user has
// Password, or one-time passwords if it is empty.
type User struct {
	Name     string
	Password string
	DialIn   []string // of "pptp", "l2tp"
	Token    motp.Token
	Options  []string // more of `vpnd user add`, such as --max-connections 0
}

// AddUser adds a user to the table. The other fields have the values of a new user: an idle
// time-out of 300 s, and one connection at a time, which a further one replaces. A user without a
// password gets a token, which the result has.
func (s *Server) AddUser(u User) User {
	s.t.Helper()
	if len(u.DialIn) == 0 {
		u.DialIn = []string{"pptp", "l2tp"}
	}
	args := []string{"user", "add", u.Name, "--dial-in", strings.Join(u.DialIn, ",")}
	if u.Password != "" {
		args = append(args, "--password", u.Password)
	} else {
		if u.Token.Secret == "" {
			secret, err := motp.NewSecret(rand.Reader)
			if err != nil {
				s.t.Fatal(err)
			}
			u.Token = motp.Token{Secret: secret, PIN: "1234"}
		}
		args = append(args, "--motp-secret", u.Token.Secret, "--motp-pin", u.Token.PIN)
	}
	s.VPND(append(args, u.Options...)...)
	return u
}

// Dial dials in as the user from a host with our own client. kind is "pptp" or "l2tp". The one-time
// password is that of the moment on clock (nil: the machine's clock). args are more options of
// `vpnd dial`. Connected waits for the link.
func (u User) Dial(h *Host, kind string, clock *Clock, args ...string) *DialIn {
	h.t.Helper()
	return h.Dial(h.t, append([]string{ServerAddress, "--type", kind, "--user", u.Name, "--password", u.now(clock), "--auth", "mschapv2,mschap,chap,pap"}, args...)...)
}

// DialReal dials in as the user from a guest with programs that are not ours: pptp-linux or xl2tpd,
// and pppd. kind and clock are as in Dial. options are more options of pppd, as shell words.
// DialReal gives the guest's inner address. If the guest gets none, the test fails. The guest's
// functions hangup and l2tp_hangup end the dial-in.
func (u User) DialReal(g *Guest, kind string, clock *Clock, options ...string) netip.Addr {
	g.t.Helper()
	out, code := g.Run(fmt.Sprintf("%s '%s' '%s' %s && address", kind, u.Name, u.now(clock), strings.Join(options, " ")))
	address, err := netip.ParseAddr(strings.TrimSpace(out))
	if code != 0 || err != nil {
		log, _ := g.Run("cat /run/pppd0")
		g.t.Fatalf("%s does not get in by %s: %s\n%s", u.Name, kind, out, log)
	}
	return address
}

// now is the user's password at the time of a clock.
func (u User) now(clock *Clock) string {
	if u.Password != "" {
		return u.Password
	}
	return u.Token.Code(motp.Step(clock.Now()))
}

// Clock is the clock of a user's token. A test can move it. The zero value is the machine's clock.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// Now is the time on the clock. A nil Clock is the machine's.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Move sets the clock forward by d, or back if d is negative.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}
