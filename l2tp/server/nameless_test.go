package server_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

// D-Link's DIR-300 has 0 as our tunnel's identifier in all its control messages, the SCCCN
// included. Its data messages are right.
func TestPersonaDIR300(t *testing.T) {
	for _, secret := range []string{"", "tunnel"} {
		t.Run(fmt.Sprintf("%q", secret), func(t *testing.T) {
			srv, sessions := startWith(t, server.Config{Tunnel: l2tp.Config{Secret: secret}})
			c := connect(t, "127.0.3.2:0")
			c.request()
			ours := c.hear(wire.SCCRP, wire.AttrTunnelID)
			c.say(wire.SCCCN, c.responds(secret)...)
			c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
			c.call = c.hear(wire.ICRP, wire.AttrSessionID)
			c.say(wire.ICCN)
			s := <-sessions
			c.tunnel = ours
			c.echo("hello", false)
			c.tunnel = 0
			c.ns-- // data does not use the numbers of control messages
			c.say(wire.CDN, wire.AppendAVP(nil, true, wire.AttrResultCode, u16(3)), wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
			if why := <-s.down; why != "client disconnected the call (result 3)" {
				t.Errorf(`got %q, want "client disconnected the call (result 3)"`, why)
			}
			if d := srv.Stats().Dropped; d["unknown tunnel or call"] != 0 || d["wrong source address"] != 0 {
				t.Errorf("got %v, want no unknown tunnel and no wrong source address", d)
			}
		})
	}
}

// responds returns the AVP that proves that the client knows the tunnel's secret, if the server has
// asked for it.
func (c *client) responds(secret string) [][]byte {
	for _, a := range c.last {
		if a.Type == wire.AttrChallenge {
			r := wire.ChallengeResponse(wire.SCCCN, secret, a.Value)
			return [][]byte{wire.AppendAVP(nil, true, wire.AttrChallengeResponse, r[:])}
		}
	}
	return nil
}

// A sender with forged addresses hears none of our answers. By guessing the messages of a DIR-300
// it gets no session, and no more half-open tunnels than by an SCCRQ only. A real client still gets
// in.
func TestNamelessFlood(t *testing.T) {
	srv, sessions := start(t)
	crowd := connect(t, "127.0.3.3:0")
	for n := range 6000 {
		from := net.UDPAddr{IP: net.IPv4(127, 0, byte(10+n/250), byte(1+n%250)), Port: 1701}
		conn, err := net.DialUDP("udp4", &from, net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		crowd.conn = conn
		crowd.request()
		crowd.nr = 1
		crowd.say(wire.SCCCN)
		crowd.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
		crowd.nr, crowd.call = 2, uint16(n) // a guess
		crowd.say(wire.ICCN)
		_ = conn.Close()
	}
	other := connect(t, "127.0.3.5:0")
	other.dial()
	<-sessions
	other.echo("welcome", false)
	st := srv.Stats()
	if st.Tunnels > 4096+10 || st.Tunnels < 2048 {
		t.Errorf("%d tunnels", st.Tunnels)
	}
	if n := len(sessions); n > 3 { // one of 65,536 guesses is right
		t.Errorf("%d sessions of nobody", n)
	}
}

// Messages from a client's address without our identifier do not disturb the opening of its tunnel.
func TestNamelessWithAClient(t *testing.T) {
	_, sessions := start(t)
	c := connect(t, "127.0.3.2:0")
	c.request()
	c.tunnel = c.hear(wire.SCCRP, wire.AttrTunnelID)
	forger := &client{t: t, conn: c.conn, ns: 1, nr: 1}
	for _, kind := range []wire.MessageType{wire.StopCCN, wire.Hello, wire.ICRQ, wire.SCCCN} {
		forger.ns = 1
		forger.say(kind, wire.AppendAVP(nil, true, wire.AttrResultCode, u16(1)))
	}
	c.say(wire.SCCCN)
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	c.call = c.hear(wire.ICRP, wire.AttrSessionID)
	c.say(wire.ICCN)
	<-sessions
	c.echo("hello", false)
}

// Two tunnels opened from one address and port cannot be told apart without an identifier.
func TestNamelessAmbiguous(t *testing.T) {
	srv, _ := start(t)
	c := connect(t, "127.0.3.2:0")
	c.request()
	c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.ns, c.nr = 0, 0
	c.say(wire.SCCRQ, wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(10)))
	c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.say(wire.SCCCN)
	for deadline := time.Now().Add(5 * time.Second); srv.Stats().Dropped["unknown tunnel or call"] != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the SCCCN is taken: %v", srv.Stats())
		}
	}
}

// With a secret, the response is the proof, whatever the identifier is. Without the right response
// nobody gets in, and nothing ends. The log shows a client with a wrong secret.
func TestNamelessWithoutTheSecret(t *testing.T) {
	for _, secret := range []string{"", "wrong"} {
		t.Run(fmt.Sprintf("%q", secret), func(t *testing.T) {
			refused := make(chan string, 9)
			srv, sessions := startWith(t, server.Config{
				Tunnel: l2tp.Config{Secret: "tunnel"}, Refused: func(_ netip.Addr, why reason.Reason) bool {
					refused <- why.String()
					return true
				},
			})
			c := connect(t, "127.0.3.2:0")
			c.request()
			ours := c.hear(wire.SCCRP, wire.AttrTunnelID)
			right := c.responds("tunnel")
			if secret == "" {
				c.say(wire.SCCCN)
			} else {
				c.say(wire.SCCCN, c.responds(secret)...)
			}
			c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
			if why := <-refused; why != "wrong tunnel secret" {
				t.Errorf(`got %q, want "wrong tunnel secret"`, why)
			}
			if n := srv.Stats().HalfOpen; n != 1 || len(sessions) != 0 {
				t.Errorf("%d half-open tunnels, %d sessions", n, len(sessions))
			}
			c.tunnel, c.ns = ours, 1
			c.say(wire.SCCCN, right...)
			c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
			c.call = c.hear(wire.ICRP, wire.AttrSessionID)
			c.say(wire.ICCN)
			<-sessions
			c.echo("hello", false)
		})
	}
}
