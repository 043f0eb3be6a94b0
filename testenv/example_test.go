package testenv_test

import (
	"strings"
	"testing"
	"vpnd/testenv"
)

// A test of twenty lines dials in with a real client and a one-time password.
func TestDialIn(t *testing.T) {
	const secret, pin = "0123456789abcdef0123456789abcdef", "1234"
	lab := testenv.New(t)
	server := lab.NewServer(t, "network: {pool: 10.99.0.10-10.99.0.20}\n")
	server.VPND("user", "add", "alice", "--motp-secret", secret, "--motp-pin", pin, "--dial-in", "pptp")
	server.Start()
	guest := lab.Guest(t)
	address, code := guest.Run("pptp alice $(code " + secret + " " + pin + ") require-mppe-128 && address")
	if code != 0 || strings.TrimSpace(address) != "10.99.0.10" {
		log, _ := guest.Run("cat /run/pppd0")
		t.Fatalf("address %q\n%s\n%s", address, log, server.Log())
	}
	if out, code := guest.Run("ping -c 3 -W 2 10.99.0.1"); code != 0 {
		t.Errorf("no way through: %s", out)
	}
	guest.Run("hangup")
	server.WaitLog("disconnected", "user=alice", "peer hung up")
}
