// Package example is a separate project that uses vpnd as its dial-in server in a test. A project
// elsewhere does the same with vpnd's address in go.mod in place of ../.
package example

import (
	"testing"
	"vpnd/testenv"
)

// A user dials in with a one-time password, by PPTP and by L2TP, and reaches the server. The used
// password gets nobody in again.
func TestDialIn(t *testing.T) {
	lab := testenv.New(t)
	server := lab.Serve(t, "network: {pool: 10.99.0.10-10.99.0.20, dns: [10.99.0.1]}\n")
	capture := lab.Capture(t, "br0") // kept as pcapng if the test fails
	for _, kind := range []string{"pptp", "l2tp"} {
		user := server.AddUser(testenv.User{Name: "anna-" + kind})
		host := lab.Host(t)
		var clock testenv.Clock // of the user's token
		dialIn := user.Dial(host, kind, &clock, "--mppe")
		var up testenv.Event = dialIn.Connected()
		if up.Encryption != "MPPE-128 stateless" || len(up.DNS) != 1 {
			t.Errorf("%s: %+v", kind, up)
		}
		if out, err := host.Command("ping", "-c", "3", "-i", "0.2", "-w", "20", up.Peer.String()).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", kind, out)
		}
		server.WaitLog("connected", "user=anna-"+kind)
		if code := dialIn.Interrupt(); code != 0 {
			t.Errorf("%s: status %d: %s", kind, code, dialIn.Said())
		}
		if code := user.Dial(host, kind, &clock).Wait(); code != 5 {
			t.Errorf("%s: the same password again: status %d", kind, code)
		}
		server.WaitLog("refused", "user=anna-"+kind, "one-time password already used")
	}
	if n := len(capture.Packets()); n == 0 {
		t.Error("nothing passed the wire")
	}
}
