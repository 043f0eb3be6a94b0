package server_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

// ends waits until a server has ended with its last tunnel.
func ends(t *testing.T, srv *server.Server) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); srv.Stats().Tunnels > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server does not end: %+v", srv.Stats())
		}
	}
	if err := srv.Resume(); !errors.Is(err, link.ErrEnded) {
		t.Errorf("got %v, want %v", err, link.ErrEnded)
	}
}

// free checks that nobody has the UDP port.
func free(t *testing.T) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// A drained server takes no tunnels and no calls, and keeps its present calls. It can be resumed.
// It ends with the last tunnel.
func TestDrain(t *testing.T) {
	srv, sessions := start(t)
	c := connect(t, "127.0.3.2:0")
	c.dial()
	s := <-sessions
	idle := connect(t, "127.0.3.3:0")
	idle.request()
	idle.tunnel = idle.hear(wire.SCCRP, wire.AttrTunnelID)
	idle.say(wire.SCCCN)
	srv.Drain()
	idle.hear(wire.StopCCN, wire.AttrTunnelID)
	idle.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))

	late := connect(t, "127.0.3.4:0")
	late.request()
	late.hear(wire.StopCCN, wire.AttrTunnelID)
	if r := late.result(); r.Code != 2 || r.Error != 4 {
		t.Errorf("a new tunnel is answered %v", r)
	}
	call := c.call
	c.call = 0
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(6)))
	c.hear(wire.CDN, wire.AttrResultCode)
	if r := c.result(); r.Message != "the server takes no more calls" {
		t.Errorf("a new call is answered %v", r)
	}
	c.call = call
	c.pass("one")

	if err := srv.Resume(); err != nil {
		t.Fatal(err)
	}
	late.dial()
	other := <-sessions
	srv.Drain()
	late.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))
	<-other.down
	c.pass("two")
	c.say(wire.CDN, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)), wire.AppendAVP(nil, true, wire.AttrResultCode, []byte{0, 3}))
	<-s.down
	c.hear(wire.StopCCN, wire.AttrTunnelID)
	c.call = 0
	c.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))
	ends(t, srv)
	free(t)
}

// The call of a half-open tunnel is not taken if the peer shows too late that it hears us.
func TestDrainHalfOpen(t *testing.T) {
	srv, sessions := start(t)
	c := connect(t, "127.0.3.2:0")
	c.request()
	c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.say(wire.SCCCN) // without our identifier
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	c.call = c.hear(wire.ICRP, wire.AttrSessionID)
	if st := srv.Stats(); st.HalfOpen != 1 || st.Calls != 1 {
		t.Errorf("got %+v, want a half-open tunnel with one call", st)
	}
	srv.Drain()
	c.say(wire.ICCN)
	c.hear(wire.CDN, wire.AttrResultCode)
	if len(sessions) != 0 {
		t.Error("the call is taken")
	}
	c.call = 0
	c.hear(wire.StopCCN, wire.AttrTunnelID)
	c.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))
	ends(t, srv)
}

// Without a tunnel, the port is closed at once.
func TestDrainWithoutCalls(t *testing.T) {
	srv, _ := start(t)
	srv.Drain()
	if err := srv.Resume(); !errors.Is(err, link.ErrEnded) {
		t.Errorf("got %v, want %v", err, link.ErrEnded)
	}
	free(t)
	start(t)
}

// Calls come and go while the server is drained and resumed. When Drain has returned, no call is
// taken.
func TestDrainRace(t *testing.T) {
	srv, sessions := startWith(t, server.Config{})
	keep := connect(t, "127.0.3.2:0")
	keep.dial()
	<-sessions
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, from := range []string{"127.0.3.3:0", "127.0.3.4:0"} {
		c := connect(t, from)
		clients.Go(func() {
			for n := uint16(10); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c.attempt(n)
			}
		})
	}
	for range 50 {
		srv.Drain()
		taken := len(sessions)
		time.Sleep(time.Millisecond) // time for a late call to show
		if n := len(sessions); n != taken {
			t.Errorf("%d calls are taken while the server is drained", n-taken)
		}
		if err := srv.Resume(); err != nil {
			t.Fatal(err)
		}
		for len(sessions) > 0 {
			(<-sessions).l.Close(reason.New(reason.Dropped, "next"))
		}
	}
	close(stop)
	clients.Wait()
	keep.pass("still there")
}

// pass is echo, but keeps the number of the next control message.
func (c *client) pass(frame string) {
	c.t.Helper()
	c.echo(frame, false)
	c.ns--
}

// attempt opens a tunnel and asks for a call. It does not wait for success.
func (c *client) attempt(id uint16) {
	c.tunnel, c.call, c.ns, c.nr = 0, 0, 0, 0
	c.say(wire.SCCRQ, wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0}), wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(id)))
	b := make([]byte, 2048)
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	n, err := c.conn.Read(b)
	if err != nil {
		return
	}
	_, body, err := wire.ParseHeader(b[:n])
	avps, parseErr := wire.ParseAVPs(body, "")
	if err != nil || parseErr != nil {
		return
	}
	for _, a := range avps {
		if a.Type == wire.AttrTunnelID {
			c.tunnel = uint16(a.Value[0])<<8 | uint16(a.Value[1])
		}
	}
	c.nr = 1
	c.say(wire.SCCCN)
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
}

// Drain waits for a call that is being taken.
func TestDrainWaits(t *testing.T) {
	entered, release, drained := make(chan struct{}), make(chan struct{}), make(chan struct{})
	srv, err := server.Listen(server.Config{Listen: []netip.Addr{at.Addr()}, Port: at.Port()}, func(link.Link) (link.Sink, error) {
		close(entered)
		<-release
		return nil, errors.New("no")
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve()
	c := connect(t, "127.0.3.2:0")
	c.request()
	c.tunnel = c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.say(wire.SCCCN)
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	<-entered
	go func() {
		srv.Drain()
		close(drained)
	}()
	select {
	case <-drained:
		t.Error("it does not")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-drained
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	srv.Shutdown(ctx)
}
