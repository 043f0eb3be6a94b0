// Package realclient dials in with clients that this project did not write: pptp-linux and pppd, in
// guests with a Linux kernel of their own. It holds tests alone.
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

// site is a server and a guest that dials it.
type site struct {
	t      *testing.T
	lab    *testenv.Lab
	server *testenv.Server
	guest  *testenv.Guest
}

func newSite(t *testing.T, yaml string) *site {
	t.Helper()
	t.Parallel()
	lab := testenv.New(t)
	s := &site{t: t, lab: lab, server: lab.NewServer(t, network+yaml)}
	s.server.VPND("user", "add", "alice", "--password", "geheim", "--dial-in", "pptp,l2tp")
	s.server.VPND("user", "add", "otto", "--motp-secret", secret, "--motp-pin", pin, "--dial-in", "pptp,l2tp")
	s.server.Start()
	s.guest = lab.Guest(t)
	return s
}

// dial dials in and gives the address that the guest got; the test fails if it does not get one.
func (s *site) dial(user, password, options string) string {
	s.t.Helper()
	out, code := s.guest.Run(fmt.Sprintf("pptp %s %s %s && address", user, password, options))
	if code != 0 {
		s.t.Fatalf("%s does not get in: %s\n%s\nserver:\n%s", user, out, s.pppd(), s.server.Log())
	}
	return strings.TrimSpace(out)
}

// refused dials in and wants to be kept out.
func (s *site) refused(user, password, options string) (pppd string) {
	s.t.Helper()
	out, code := s.guest.Run(fmt.Sprintf("pptp %s %s %s", user, password, options))
	if code == 0 {
		s.t.Fatalf("%s gets in:\n%s\nserver:\n%s", user, out, s.server.Log())
	}
	return s.pppd()
}

func (s *site) pppd() string {
	out, _ := s.guest.Run("cat /run/pppd0")
	return out
}

func (s *site) hangup() {
	s.t.Helper()
	if out, code := s.guest.Run("hangup"); code != 0 {
		s.t.Fatalf("pppd does not end: %s", out)
	}
	s.server.WaitLog("disconnected")
}

// must runs commands in the guest that have to succeed.
func (s *site) must(script string) string {
	s.t.Helper()
	out, code := s.guest.Run(script)
	if code != 0 {
		s.t.Errorf("status %d of: %s\n%s\nserver:\n%s", code, script, out, s.server.Log())
	}
	return out
}

// md5Of is the checksum of 8 MiB of c.
func md5Of(c byte) string { return md5Sum(bytes.Repeat([]byte{c}, 8<<20)) }

func md5Sum(p []byte) string {
	sum := md5.Sum(p)
	return hex.EncodeToString(sum[:])
}
