package testenv_test

import (
	"testing"
	"vpnd/testenv"
)

// A test of twenty lines: real clients dial in, with a one-time password.
func TestDialIn(t *testing.T) {
	lab := testenv.New(t)
	server := lab.Serve(t, "network: {pool: 10.99.0.10-10.99.0.20}\n")
	guest := lab.Guest(t)
	for kind, hangup := range map[string]string{"pptp": "hangup", "l2tp": "l2tp_hangup"} {
		user := server.AddUser(testenv.User{Name: "alice-" + kind})
		address := user.DialReal(guest, kind, nil, "require-mppe-128")
		server.WaitLog("connected", "user=alice-"+kind, "address="+address.String(), "MPPE-128")
		if out, code := guest.Run("ping -c 3 -W 2 10.99.0.1"); code != 0 {
			t.Errorf("no way through: %s", out)
		}
		if out, code := guest.Run(hangup); code != 0 {
			t.Errorf("%s does not end: %s", kind, out)
		}
		server.WaitLog("disconnected", "user=alice-"+kind)
	}
}
