package server_test

import (
	"net"
	"net/netip"
	"testing"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
)

const roomTotal, roomPerSource = 20, 8

// startBounded starts a server with little room for strangers, and the client of one user.
func startBounded(t *testing.T) (srv *concentrator, user *client, ofUser *session) {
	t.Helper()
	srv = start(t, server.Config{Strangers: strangers.Limits{Total: roomTotal, PerSource: roomPerSource}})
	user, ofUser = srv.logIn(clientIP)
	return srv, user, ofUser
}

// logIn makes a client dial and log in. No other client may dial meanwhile.
func (c *concentrator) logIn(from netip.Addr) (*client, *session) {
	c.t.Helper()
	user := connectFrom(c.t, from)
	user.say(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3})
	user.hear()
	user.dial(7)
	s := c.session()
	link.Authenticated(s.l)
	user.send(0, "hello")
	if got := s.frame(c.t); got != "hello" {
		c.t.Errorf(`got %q, want "hello"`, got)
	}
	return user, s
}

func loopback(n int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(n)}) }

// reach opens a bare connection from an address.
func reach(t *testing.T, from netip.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	tcp, err := d.Dial("tcp4", "127.0.1.1:17230")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	return tcp
}

// One address opens connections without calls. It gets no more than its own places. The same is
// true of others, until all places are taken. A client from one more address still gets in.
func TestUnauthenticatedConnections(t *testing.T) {
	srv, user, ofUser := startBounded(t)
	for source := range 5 {
		for range 3 * roomPerSource {
			reach(t, loopback(40+source))
		}
		want := min(roomTotal, (source+1)*roomPerSource)
		waitFor(t, func() bool {
			st := srv.Stats()
			return st.UnauthenticatedConnections == want && st.Connections == want+1+source
		})
		newcomer, ofNewcomer := srv.logIn(loopback(60 + source))
		newcomer.send(1, "welcome")
		ofNewcomer.frame(t)
		user.send(uint32(source+1), "still here")
		ofUser.frame(t)
	}
	if n := srv.Stats().Dropped["unauthenticated, over a limit"]; n < 5*3*roomPerSource-roomTotal {
		t.Errorf("%d had to go", n)
	}
}

// The calls of one connection have their own limit. The client learns of each call that has to go.
func TestUnauthenticatedCalls(t *testing.T) {
	srv, user, ofUser := startBounded(t)
	for source := range 4 {
		c := connectFrom(t, loopback(40+source))
		c.say(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3})
		c.hear()
		var first []*session
		for id := range uint16(2 * roomPerSource) {
			c.say(&wire.OutgoingCallRequest{CallID: id + 1})
			first = append(first, srv.session())
		}
		for _, s := range first[:roomPerSource] {
			if why := s.ended(t); why != strangers.ErrNoRoom.String() {
				t.Errorf("got %q, want %q", why, strangers.ErrNoRoom.String())
			}
		}
		for notified := 0; notified < roomPerSource; {
			switch c.hear().(type) {
			case *wire.CallDisconnectNotify:
				notified++
			case nil:
				t.Fatalf("%d calls are notified", notified)
			}
		}
		waitFor(t, func() bool {
			st := srv.Stats()
			return st.UnauthenticatedCalls == min(roomTotal, (source+1)*roomPerSource)
		})
		newcomer, ofNewcomer := srv.logIn(loopback(60 + source))
		newcomer.send(1, "welcome")
		ofNewcomer.frame(t)
		user.send(uint32(source+1), "still here")
		ofUser.frame(t)
	}
}

// A client that has logged in keeps its connection while a call on it has a user.
func TestAuthenticatedConnectionStays(t *testing.T) {
	srv, user, ofUser := startBounded(t)
	for range 3 * roomPerSource {
		reach(t, clientIP)
	}
	waitFor(t, func() bool { return srv.Stats().UnauthenticatedConnections == roomPerSource })
	user.send(1, "still here")
	ofUser.frame(t)
	ofUser.l.Close(reason.New(reason.Dropped, "dropped"))
	if why := ofUser.ended(t); why != "dropped" {
		t.Errorf(`got %q, want "dropped"`, why)
	}
	// Its connection counts again, as the newest one. The oldest one goes next.
	waitFor(t, func() bool {
		st := srv.Stats()
		return st.Calls == 0 && st.Connections == roomPerSource && st.UnauthenticatedConnections == roomPerSource
	})
}

// A peer that reads nothing has to go like any other.
func TestUnauthenticatedDeafConnection(t *testing.T) {
	srv := start(t, server.Config{Strangers: strangers.Limits{Total: 2, PerSource: 1}, Control: pptp.Config{MaxCalls: 256}})
	deaf := reach(t, loopback(40))
	b := (&wire.StartRequest{Version: wire.Version}).Append(nil)
	for range 100_000 { // more than the buffers of both sides hold
		b = (&wire.EchoRequest{}).Append(b)
	}
	go func() { _, _ = deaf.Write(b) }()
	waitFor(t, func() bool { return srv.Stats().UnauthenticatedConnections == 1 })
	reach(t, loopback(40))
	waitFor(t, func() bool {
		st := srv.Stats()
		return st.Dropped["unauthenticated, over a limit"] == 1 && st.Connections == 1
	})
}
