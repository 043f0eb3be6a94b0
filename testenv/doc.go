// Package testenv has what tests need that dial in for real: network namespaces, a vpnd daemon in one
// of them, and clients: real ones in guests with a Linux kernel of their own, and our own.
//
// A Lab is a wire in a network namespace, which New makes. Lab.Serve runs a daemon at ServerAddress;
// Server.AddUser gives it users, with tokens for one-time passwords. A host on the wire is one of two:
//
//   - Lab.Host is a namespace, from which Host.Dial and User.Dial run `vpnd dial`, with an interface and
//     routes; Lab.HostBehind has a wire that loses, doubles, delays and reorders frames.
//   - Lab.Guest boots a guest (User Mode Linux, a process like any other, ready in about two seconds), from
//     which User.DialReal dials with pptp-linux or xl2tpd and pppd. Guest.Run runs shell commands in it, with
//     functions for dialling in and for serving, which guest.sh describes: pptp USER PASSWORD [OPTION...],
//     l2tp, hangup, l2tp_hangup, gone, address, serve_pptp, serve_l2tp, and code SECRET PIN for a one-time
//     password of that moment. Guest.Cut pulls the cable.
//
// Lab.Capture records what passes an interface; the recording of a test that fails is kept as pcapng. A
// Clock is that of a user's token, which a test moves.
//
// Other modules may use everything here but Client: our own client without an interface, for this
// project's tests of the wire. Its methods take types of internal packages.
//
//	lab := testenv.New(t)
//	server := lab.Serve(t, "ppp: {mppe: required}\n")
//	anna := server.AddUser(testenv.User{Name: "anna"})
//	host := lab.Host(t)
//	dialIn := anna.Dial(host, "l2tp", nil)
//	up := dialIn.Connected() // up.Address, up.Peer, up.Encryption
//	if out, err := host.Command("ping", "-c", "1", up.Peer.String()).CombinedOutput(); err != nil {
//		t.Errorf("%s", out)
//	}
//	if code := dialIn.Interrupt(); code != 0 {
//		t.Error(dialIn.Said())
//	}
//
// All of it needs root and the Debian packages that scripts/install-test-packages installs. Everything
// goes with the test. The folder examples has a module of its own that uses it: its go.mod shows the two
// lines that another project needs, the requirement of vpnd, and vpnd/cmd/vpnd as a tool.
package testenv
