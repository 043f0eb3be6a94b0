// Package testenv has what tests need that dial in for real: network namespaces, a vpnd daemon in one
// of them, and clients: real ones in guests with a Linux kernel of their own, and our own.
//
// A Lab is a wire in a network namespace. Lab.Serve runs a daemon at ServerAddress; Lab.Guest boots a
// guest on the wire (User Mode Linux, a process like any other, ready in about two seconds), in which
// Guest.Run runs shell commands, with functions for dialling in: pptp USER PASSWORD [OPTION...], hangup,
// gone, address, and code SECRET PIN for a one-time password of that moment. Guest.Cut pulls the cable.
// Lab.Capture records what passes. Client is our own client without an interface, for tests of what
// goes over the wire and for load; Lab.Host and InNamespace give it a place to dial from.
//
//	lab := testenv.New(t)
//	server := lab.NewServer(t, "ppp: {mppe: required}\n")
//	server.VPND("user", "add", "alice", "--password", "geheim", "--dial-in", "pptp")
//	server.Start()
//	guest := lab.Guest(t)
//	if out, code := guest.Run("pptp alice geheim require-mppe-128 && ping -c 1 10.99.0.1"); code != 0 {
//		t.Fatal(out, server.Log())
//	}
//
// All of it needs root and the Debian packages that scripts/install-test-packages installs. Everything
// goes with the test.
package testenv
