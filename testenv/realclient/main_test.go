// Package realclient dials in with clients that this project did not write: pptp-linux and pppd, in
// guests with a Linux kernel of their own. It contains only tests.
package realclient

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"vpnd/testenv"
)

const (
	secret  = "0123456789abcdef0123456789abcdef"
	pin     = "1234"
	network = `
network: {interface: vpn0, address: 10.99.0.1, pool: 10.99.0.10-10.99.0.20}
`
)

// site is a server and a guest that dials it, by L2TP if l2tp is set and by PPTP otherwise.
type site struct {
	t      *testing.T
	lab    *testenv.Lab
	server *testenv.Server
	guest  *testenv.Guest
	l2tp   bool
	lac    string // lines for xl2tpd's configuration
}

func newSite(t *testing.T, yaml string) *site {
	t.Helper()
	t.Parallel()
	lab := testenv.New(t)
	s := &site{t: t, lab: lab, server: lab.NewServer(t, network+yaml)}
	s.server.VPND("user", "add", "alice", "--password", "geheim", "--dial-in", "pptp,l2tp", "--max-connections", "0")
	s.server.VPND("user", "add", "otto", "--motp-secret", secret, "--motp-pin", pin, "--dial-in", "pptp,l2tp", "--max-connections", "0")
	s.server.Start()
	s.guest = lab.Guest(t)
	return s
}

// byEither runs a test with a site of each type of dial-in.
func byEither(t *testing.T, yaml string, test func(t *testing.T, s *site)) {
	t.Helper()
	for _, l2tp := range []bool{false, true} {
		t.Run(map[bool]string{false: "PPTP", true: "L2TP"}[l2tp], func(t *testing.T) {
			s := newSite(t, yaml)
			s.l2tp = l2tp
			test(t, s)
		})
	}
}

// run runs a step of a test.
func (s *site) run(name string, step func(t *testing.T)) bool {
	outer := s.t
	defer func() { s.t = outer }()
	return outer.Run(name, func(t *testing.T) {
		s.t = t
		s.server.Forget()
		step(t)
	})
}

// kind is the type of dial-in as the log names it.
func (s *site) kind() string {
	if s.l2tp {
		return "L2TP"
	}
	return "PPTP"
}

func (s *site) command(user, password, options string) string {
	if s.l2tp {
		return fmt.Sprintf("lac='%s'; l2tp %s %s %s", s.lac, user, password, options)
	}
	return fmt.Sprintf("pptp %s %s %s", user, password, options)
}

// dial dials in and gives the address of the guest. If the guest gets none, the test fails.
func (s *site) dial(user, password, options string) string {
	s.t.Helper()
	out, code := s.guest.Run(s.command(user, password, options) + " && address")
	if code != 0 {
		s.t.Fatalf("%s does not get in: %s\n%s\nserver:\n%s", user, out, s.pppd(), s.server.Log())
	}
	s.server.WaitLog("connected", "type="+s.kind(), "user="+user)
	return strings.TrimSpace(out)
}

// refused dials in and expects a refusal.
func (s *site) refused(user, password, options string) (pppd string) {
	s.t.Helper()
	out, code := s.guest.Run(s.command(user, password, options))
	if code == 0 {
		s.t.Fatalf("%s gets in:\n%s\nserver:\n%s", user, out, s.server.Log())
	}
	return s.pppd()
}

// pppd is the log of the client: of pppd, and of xl2tpd if it runs.
func (s *site) pppd() string {
	out, _ := s.guest.Run("cat /run/pppd0; cat /run/xl2tpd.log 2>/dev/null")
	return out
}

func (s *site) hangup() {
	s.t.Helper()
	if out, code := s.guest.Run(map[bool]string{false: "hangup", true: "l2tp_hangup"}[s.l2tp]); code != 0 {
		s.t.Fatalf("the client does not end: %s", out)
	}
	s.server.WaitLog("disconnected")
}

// over waits until the client has ended after the server did. It ends a client that has not
// noticed. It ends xl2tpd at once, so wait for the log of the server first.
func (s *site) over() {
	s.t.Helper()
	s.must(map[bool]string{false: "pptp_end", true: "l2tp_end"}[s.l2tp])
}

// must runs commands in the guest. If they fail, the test fails.
func (s *site) must(script string) string {
	s.t.Helper()
	out, code := s.guest.Run(script)
	if code != 0 {
		s.t.Errorf("status %d of: %s\n%s\nserver:\n%s", code, script, out, s.server.Log())
	}
	return out
}

// md5Of is the checksum of size bytes c.
func md5Of(c byte, size int) string { return md5Sum(bytes.Repeat([]byte{c}, size)) }

func md5Sum(p []byte) string {
	sum := md5.Sum(p)
	return hex.EncodeToString(sum[:])
}
