package server_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

var at = netip.MustParseAddrPort("127.0.3.1:17010")

// session is a sink that sends each frame back.
type session struct {
	l    link.Link
	down chan string
}

func (s *session) Frame(b *pktbuf.Buf) {
	var out link.Batch
	s.l.Send(b, &out)
	out.Flush()
}

func (s *session) Down(why reason.Reason) { s.down <- why.String() }

func start(t *testing.T) (*server.Server, chan *session) {
	t.Helper()
	return startWith(t, server.Config{})
}

func startWith(t *testing.T, cfg server.Config) (*server.Server, chan *session) {
	t.Helper()
	sessions := make(chan *session, 100)
	return serve(t, cfg, func(l link.Link) (link.Sink, error) {
		s := &session{l: l, down: make(chan string, 1)}
		sessions <- s
		return s, nil
	}), sessions
}

// serve starts a server that hands its calls to accept.
func serve(t *testing.T, cfg server.Config, accept link.Accept) *server.Server {
	t.Helper()
	cfg.Listen, cfg.Port = []netip.Addr{at.Addr()}, at.Port()
	s, err := server.Listen(cfg, accept)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		s.Serve()
		close(done)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
		<-done
	})
	return s
}

// client is a LAC at the level of messages.
type client struct {
	t                    *testing.T
	conn                 *net.UDPConn
	last                 []wire.AVP // of the last received message
	tunnel, call, ns, nr uint16
}

func connect(t *testing.T, from string) *client {
	t.Helper()
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn}
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func (c *client) say(kind wire.MessageType, avps ...[]byte) {
	b := wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(kind)))
	for _, a := range avps {
		b = append(b, a...)
	}
	h := wire.Header{Tunnel: c.tunnel, Session: c.call, Ns: c.ns, Nr: c.nr}
	c.ns++
	if _, err := c.conn.Write(wire.AppendControl(nil, h, b)); err != nil {
		c.t.Fatal(err)
	}
}

// hear waits for a message of a kind and returns the value of one of its attributes.
func (c *client) hear(kind wire.MessageType, attr wire.Attribute) uint16 {
	c.t.Helper()
	for {
		h, body := c.read()
		if !h.Control || len(body) == 0 {
			continue
		}
		avps, err := wire.ParseAVPs(body, "")
		if err != nil {
			c.t.Fatal(err)
		}
		c.nr, c.last = h.Ns+1, avps
		if wire.MessageType(binary.BigEndian.Uint16(avps[0].Value)) != kind {
			continue
		}
		for _, a := range avps {
			if a.Type == attr {
				return binary.BigEndian.Uint16(a.Value)
			}
		}
	}
}

func (c *client) read() (wire.Header, []byte) {
	c.t.Helper()
	b := make([]byte, 2048)
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := c.conn.Read(b)
	if err != nil {
		c.t.Fatal(err)
	}
	h, body, err := wire.ParseHeader(b[:n])
	if err != nil {
		c.t.Fatal(err)
	}
	return h, body
}

// request sends an SCCRQ with the identifier 9, as the first message of a tunnel.
func (c *client) request(avps ...[]byte) {
	c.t.Helper()
	c.tunnel, c.call, c.ns, c.nr = 0, 0, 0, 0
	c.say(wire.SCCRQ, append([][]byte{wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9))}, avps...)...)
}

// result is the result in the last received message.
func (c *client) result() wire.Result {
	for _, a := range c.last {
		if a.Type == wire.AttrResultCode {
			return wire.ParseResult(a.Value)
		}
	}
	return wire.Result{}
}

func (c *client) dial(avps ...[]byte) {
	c.t.Helper()
	c.request(avps...)
	c.tunnel = c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.say(wire.SCCCN)
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	c.call = c.hear(wire.ICRP, wire.AttrSessionID)
	c.say(wire.ICCN)
}

func (c *client) data(h wire.Header, frame string) {
	c.t.Helper()
	b := make([]byte, h.DataLen(), 100)
	h.PutData(b)
	if _, err := c.conn.Write(append(b, frame...)); err != nil {
		c.t.Fatal(err)
	}
}

// echo sends a frame and expects it back.
func (c *client) echo(frame string, numbered bool) {
	c.t.Helper()
	c.data(wire.Header{Tunnel: c.tunnel, Session: c.call, HasSeq: numbered, Ns: c.ns}, frame)
	c.ns++
	for {
		h, body := c.read()
		if h.Control {
			continue
		}
		if string(body) != frame || h.Tunnel != 9 || h.Session != 5 || h.HasSeq != numbered {
			c.t.Errorf("%+v %q, want tunnel 9, session 5, %q, with a number: %v", h, body, frame, numbered)
		}
		return
	}
}

func TestCall(t *testing.T) {
	srv, sessions := start(t)
	c := connect(t, "127.0.3.2:0")
	c.dial()
	s := <-sessions
	if info := s.l.Info(); info.Type != "L2TP" || info.Local != at.Addr() || info.Remote.Addr().String() != "127.0.3.2" {
		t.Errorf("got %+v, want L2TP from 127.0.3.2 to %v", info, at.Addr())
	}
	c.echo("hello", false)
	c.echo("with numbers", true) // a peer that sends them also gets them
	c.data(wire.Header{Tunnel: c.tunnel, Session: c.call, HasSeq: true, Ns: 0}, "late")
	c.echo("and on", true)
	stranger := connect(t, "127.0.3.3:0")
	stranger.data(wire.Header{Tunnel: c.tunnel, Session: c.call}, "spoofed")
	stranger.data(wire.Header{Tunnel: c.tunnel, Session: c.call + 1}, "unknown")
	stranger.tunnel = c.tunnel
	stranger.say(wire.StopCCN)
	c.echo("still here", true)
	if d := srv.Stats().Dropped; d["wrong source address"] != 2 || d["unknown tunnel or call"] != 1 || d["late or doubled"] != 1 {
		t.Errorf("got %v, want 2 from a wrong source address, 1 of an unknown call, 1 doubled", d)
	}
	_ = stranger.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := stranger.conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("a stranger is answered %d bytes", n)
	}
	s.l.Close(reason.New(reason.Dropped, "dropped"))
	if why := <-s.down; why != "dropped" {
		t.Errorf(`got %q, want "dropped"`, why)
	}
	c.hear(wire.CDN, wire.AttrSessionID)
}

// A flood of SCCRQs leaves a limited number of tunnels, with one answer each. A real client still
// gets through.
func TestFlood(t *testing.T) {
	srv, sessions := start(t)
	user := connect(t, "127.0.3.2:0")
	user.dial()
	<-sessions
	flood := connect(t, "127.0.3.3:0")
	for n := range 20000 {
		flood.ns, flood.nr, flood.tunnel = 0, 0, 0
		flood.say(wire.SCCRQ, wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(uint16(n+1))))
		if n%5000 == 4999 {
			user.echo("still here", true)
			other := connect(t, "127.0.3.4:0")
			other.dial()
			<-sessions
			other.echo("welcome", false)
		}
	}
	if n := srv.Stats().Tunnels; n > 256+10 { // the limit of one address
		t.Errorf("%d tunnels of one address", n)
	}
	for n := range 8000 {
		from := net.UDPAddr{IP: net.IPv4(127, 0, byte(10+n/250), byte(1+n%250))}
		conn, err := net.DialUDP("udp4", &from, net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		flood.conn = conn
		flood.request()
		_ = conn.Close()
		if n%2000 == 1999 {
			user.echo("still here", true)
		}
	}
	other := connect(t, "127.0.3.5:0")
	other.dial()
	<-sessions
	other.echo("welcome", false)
	if n := srv.Stats().Tunnels; n > 4096+10 || n < 2048 {
		t.Errorf("%d tunnels", n)
	}
}

// A LAC with a small window brings many calls at once. It gets all of them, over the network as
// well.
func TestManyCallsAtOnce(t *testing.T) {
	for _, window := range []uint16{1, 4} {
		srv, sessions := startWith(t, server.Config{})
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-sessions:
				case <-stop:
					return
				}
			}
		}()
		c := connect(t, "127.0.3.2:0")
		c.request(wire.AppendAVP(nil, true, wire.AttrReceiveWindow, u16(window)))
		c.tunnel = c.hear(wire.SCCRP, wire.AttrTunnelID)
		c.say(wire.SCCCN)
		const calls = 150
		asked, acked, answered := 0, uint16(2), 0
		for answered < calls {
			for asked < calls && c.ns-acked < 8 {
				asked++
				c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(uint16(asked))))
			}
			h, body := c.read()
			acked = h.Nr
			if len(body) > 0 && h.Ns == c.nr {
				c.nr++
				answered++
				if _, err := c.conn.Write(wire.AppendControl(nil, wire.Header{Tunnel: c.tunnel, Ns: c.ns, Nr: c.nr}, nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := srv.Stats().Calls; n != calls {
			t.Errorf("window %d: %d calls", window, n)
		}
		close(stop)
		c.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))
		waitFor(t, srv, func(st server.Stats) bool { return st.Calls == 0 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		srv.Shutdown(ctx)
		cancel()
	}
}
