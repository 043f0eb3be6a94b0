package server_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

const roomTotal, roomPerSource = 20, 8

// startBounded starts a server with little room for strangers, and the client of one user.
func startBounded(t *testing.T) (srv *server.Server, sessions chan *session, user *client, ofUser *session) {
	t.Helper()
	srv, sessions = startWith(t, server.Config{Strangers: strangers.Limits{Total: roomTotal, PerSource: roomPerSource}})
	user, ofUser = logIn(t, sessions, "127.0.3.2:0")
	return srv, sessions, user, ofUser
}

// logIn makes a client dial and log in. No other client may dial meanwhile.
func logIn(t *testing.T, sessions chan *session, from string) (*client, *session) {
	t.Helper()
	c := connect(t, from)
	c.dial()
	s := <-sessions
	link.Authenticated(s.l)
	c.echo("hello", false)
	return c, s
}

// open opens a tunnel without a call. The client's identifier of the tunnel is own.
func (c *client) open(own uint16) {
	c.t.Helper()
	c.tunnel, c.call, c.ns, c.nr = 0, 0, 0, 0
	c.say(wire.SCCRQ, wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(own)))
	for c.tunnel == 0 {
		h, body := c.read()
		if h.Tunnel != own || len(body) == 0 {
			continue // of another tunnel, which has ended
		}
		avps, err := wire.ParseAVPs(body, "")
		if err != nil || wire.MessageType(binary.BigEndian.Uint16(avps[0].Value)) != wire.SCCRP {
			c.t.Fatalf("%v, %v, want an SCCRP", avps, err)
		}
		for _, a := range avps {
			if a.Type == wire.AttrTunnelID {
				c.tunnel, c.nr = binary.BigEndian.Uint16(a.Value), h.Ns+1
			}
		}
	}
	c.say(wire.SCCCN)
}

// waitFor waits until the counters of a server satisfy is.
func waitFor(t *testing.T, srv *server.Server, is func(server.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(srv.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want other numbers within the time", srv.Stats())
		}
	}
}

// One address opens tunnels without calls, or stops them at once. It gets no more than its own
// places. The same is true of others, until all places are taken. A client from one more address
// still gets in.
func TestUnauthenticatedTunnels(t *testing.T) {
	for _, stop := range []bool{false, true} {
		t.Run(fmt.Sprintf("stop %v", stop), func(t *testing.T) {
			srv, sessions, user, _ := startBounded(t)
			for source := range 5 {
				c := connect(t, fmt.Sprintf("127.0.3.%d:0", 40+source))
				for id := range uint16(3 * roomPerSource) {
					c.open(id + 1)
					if stop {
						c.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrResultCode, u16(1)), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(id+1)))
					}
				}
				want := min(roomTotal, (source+1)*roomPerSource)
				waitFor(t, srv, func(st server.Stats) bool {
					return st.HalfOpen == 0 && st.UnauthenticatedTunnels == want && st.Tunnels == want+1+source
				})
				newcomer, _ := logIn(t, sessions, fmt.Sprintf("127.0.3.%d:0", 60+source))
				newcomer.echo("welcome", false)
				user.echo("still here", false)
			}
			if n := srv.Stats().Dropped["unauthenticated, over a limit"]; n < 5*3*roomPerSource-roomTotal {
				t.Errorf("%d had to go", n)
			}
		})
	}
}

// A client that has to go gets a message, so that it can dial again.
func TestUnauthenticatedTunnelIsTold(t *testing.T) {
	startBounded(t)
	first, others := connect(t, "127.0.3.40:0"), connect(t, "127.0.3.40:0")
	first.open(1)
	for id := range uint16(roomPerSource) {
		others.open(id + 1)
	}
	if first.hear(wire.StopCCN, wire.AttrTunnelID); first.result().Code != 6 {
		t.Errorf("got %v, want the code 6", first.result())
	}
}

// The calls of one tunnel have their own limit.
func TestUnauthenticatedCalls(t *testing.T) {
	srv, sessions, user, _ := startBounded(t)
	var gone int
	for source := range 4 {
		c := connect(t, fmt.Sprintf("127.0.3.%d:0", 40+source))
		c.open(9)
		var made []*session
		for id := range uint16(2 * roomPerSource) {
			c.call = 0
			c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(id+100)))
			c.call = c.hear(wire.ICRP, wire.AttrSessionID)
			c.say(wire.ICCN)
			made = append(made, <-sessions)
		}
		for _, s := range made[:roomPerSource] {
			if why := <-s.down; why != strangers.ErrNoRoom.String() {
				t.Errorf("got %q, want %q", why, strangers.ErrNoRoom.String())
			}
		}
		gone += roomPerSource
		waitFor(t, srv, func(st server.Stats) bool {
			return st.UnauthenticatedCalls == min(roomTotal, (source+1)*roomPerSource)
		})
		newcomer, _ := logIn(t, sessions, fmt.Sprintf("127.0.3.%d:0", 60+source))
		newcomer.echo("welcome", false)
		user.echo("still here", false)
	}
	if n := srv.Stats().Dropped["unauthenticated, over a limit"]; n < uint64(gone) {
		t.Errorf("%d had to go", n)
	}
}

// A client that has logged in keeps its tunnel while a call in it has a user.
func TestAuthenticatedTunnelStays(t *testing.T) {
	srv, _, user, ofUser := startBounded(t)
	waitFor(t, srv, func(st server.Stats) bool { return st.UnauthenticatedTunnels == 0 && st.UnauthenticatedCalls == 0 })
	same := connect(t, "127.0.3.2:0")
	for id := range uint16(3 * roomPerSource) {
		same.open(id + 1)
	}
	waitFor(t, srv, func(st server.Stats) bool { return st.UnauthenticatedTunnels == roomPerSource })
	user.echo("still here", false)
	ofUser.l.Close(reason.New(reason.Dropped, "dropped"))
	if why := <-ofUser.down; why != "dropped" {
		t.Errorf(`got %q, want "dropped"`, why)
	}
	// Its tunnel counts again, as the newest one. The oldest one goes next.
	waitFor(t, srv, func(st server.Stats) bool {
		return st.Calls == 0 && st.Tunnels == roomPerSource && st.UnauthenticatedTunnels == roomPerSource
	})
}

// A refused SCCRQ does not prove who has sent it. Its tunnel keeps the place of a half-open one
// until it ends. The client's own tunnel stays, even if the SCCRQ has its address, port and
// identifier.
func TestRefusedTunnelIsHalfOpen(t *testing.T) {
	srv, sessions := startWith(t, server.Config{Tunnel: l2tp.Config{HandshakeTimeout: time.Second}})
	user, _ := logIn(t, sessions, "127.0.3.2:0")
	forger := &client{t: t, conn: user.conn}
	forge := func(own uint16) {
		forger.ns = 0
		forger.say(wire.SCCRQ, wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{9, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(own)))
		forger.read()
	}
	waitFor(t, srv, func(st server.Stats) bool { // until it cannot be a repetition
		forge(9)
		return st.HalfOpen == 1
	})
	for id := range uint16(10) {
		forge(100 + id)
	}
	waitFor(t, srv, func(st server.Stats) bool { return st.HalfOpen == 11 })
	user.echo("still here", false)
	if st := srv.Stats(); st.Tunnels != 12 || st.UnauthenticatedTunnels != 0 {
		t.Errorf("got %+v, want 12 tunnels, none without a user", st)
	}
}

// A client that has named its tunnel always names it. Any message without the name is from somebody
// else.
func TestNamelessToANamedTunnel(t *testing.T) {
	for kind, avps := range map[wire.MessageType][]byte{
		wire.StopCCN: wire.AppendAVP(wire.AppendAVP(nil, true, wire.AttrResultCode, u16(1)), true, wire.AttrTunnelID, u16(9)),
		wire.CDN:     wire.AppendAVP(wire.AppendAVP(nil, true, wire.AttrResultCode, u16(3)), true, wire.AttrSessionID, u16(5)),
		wire.ICRQ:    wire.AppendAVP(nil, true, wire.AttrSessionID, u16(6)),
		wire.SCCRQ:   wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)),
		wire.SCCCN:   nil, wire.Hello: nil, 99: nil,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			srv, sessions := start(t)
			user, _ := logIn(t, sessions, "127.0.3.2:0")
			forger := &client{t: t, conn: user.conn}
			for ns := range uint16(30) {
				for nr := range uint16(4) {
					forger.ns, forger.nr = ns, nr
					forger.say(kind, avps)
				}
			}
			user.ns = 4 // after SCCRQ, SCCCN, ICRQ and ICCN
			user.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(77)))
			user.hear(wire.ICRP, wire.AttrSessionID)
			user.echo("still here", false)
			if st := srv.Stats(); st.Tunnels != 1 || st.Calls != 2 {
				t.Errorf("got %+v, want 1 tunnel with 2 calls", st)
			}
		})
	}
}
