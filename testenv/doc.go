// Package testenv has everything for tests with real dial-ins: network namespaces, a vpnd daemon in
// one of them, real clients in guests with their own Linux kernel, and our own client.
//
// A Lab is a wire in a network namespace, and New makes it. Lab.Serve runs a daemon at
// ServerAddress. Server.AddUser adds users, with tokens for one-time passwords. A host on the wire
// is one of two:
//
//   - Lab.Host is a namespace. Host.Dial and User.Dial run `vpnd dial` there, with an interface and
//     routes. The wire of Lab.HostBehind loses, doubles, delays and reorders frames.
//   - Lab.Guest boots a guest (User Mode Linux, a process like any other, ready in about two
//     seconds). User.DialReal dials from there with pptp-linux or xl2tpd, and pppd. Guest.Run runs
//     shell commands in it. They can use the functions for dialling in and for serving that
//     guest.sh describes: pptp USER PASSWORD [OPTION...], l2tp, hangup, l2tp_hangup, gone, address,
//     serve_pptp, serve_l2tp, and code SECRET PIN for a one-time password of that moment. Guest.Cut
//     pulls the cable.
//
// Lab.Capture records the packets on an interface. If the test fails, the recording stays, as
// pcapng. A Clock is the clock of a user's token. A test can move it.
//
// Other modules may use everything here except Client. Client is our own client without an
// interface, for this project's tests of the wire. Its methods use types of internal packages.
//
//	lab := testenv.New(t)
//	server := lab.Serve(t, "ppp: {mppe: required}\n")
//	anna := server.AddUser(testenv.User{Name: "anna"})
//	host := lab.Host(t)
//	dialIn := anna.Dial(host, "l2tp", nil)
//	up := dialIn.Connected() // up.Address, up.Peer, up.Encryption
//	out, err := host.Command("ping", "-c", "1", up.Peer.String()).CombinedOutput()
//	if err != nil {
//		t.Errorf("%s", out)
//	}
//	if code := dialIn.Interrupt(); code != 0 {
//		t.Error(dialIn.Said())
//	}
//
// The package needs root and the Debian packages that scripts/install-test-packages installs.
// Everything ends with the test. The folder examples is an example with a module of its own. Its
// go.mod shows the two lines that another project needs: the requirement of vpnd, and
// vpnd/cmd/vpnd as a tool.
package testenv
