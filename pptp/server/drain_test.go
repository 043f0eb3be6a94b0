package server_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
	"vpnd/testenv"
)

// refused checks that the TCP port is closed.
func refused(t *testing.T) {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", "127.0.1.1:17230", 5*time.Second)
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port is not closed: %v", err)
	}
}

// ends waits until the server has ended with its last connection.
func (c *concentrator) ends() {
	c.t.Helper()
	waitFor(c.t, func() bool { return c.Stats().Connections == 0 })
	if err := c.Resume(); !errors.Is(err, link.ErrEnded) {
		c.t.Errorf("got %v, want %v", err, link.ErrEnded)
	}
}

// A drained server takes no more calls, and keeps its present calls. It can be resumed. It ends
// with the last connection.
func TestDrain(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	c := dial(t)
	s := srv.session()
	idle := connect(t)
	idle.say(&wire.StartRequest{Version: wire.Version})
	idle.hear()
	srv.Drain()
	refused(t)
	if m, ok := idle.hear().(*wire.StopRequest); !ok {
		t.Errorf("a connection without a call hears %+v", m)
	}
	idle.say(&wire.StopReply{Result: 1})
	c.say(&wire.OutgoingCallRequest{CallID: 8})
	if r, ok := c.hear().(*wire.OutgoingCallReply); !ok || r.Result == 1 || r.PeerCallID != 8 {
		t.Errorf("a second call: %+v", r)
	}
	c.send(0, "one")
	if _, got := c.packet(); got != "one" {
		t.Errorf("the call is answered %q", got)
	}

	if err := srv.Resume(); err != nil {
		t.Fatal(err)
	}
	again := dial(t)
	srv.session()
	_ = again.tcp.Close()

	srv.Drain()
	refused(t)
	c.say(&wire.CallClearRequest{CallID: 7})
	if got := s.ended(t); got != "client cleared the call" {
		t.Errorf("the first call ends: %q", got)
	}
	if m, ok := c.hear().(*wire.CallDisconnectNotify); !ok {
		t.Errorf("got %+v, want a Call-Disconnect-Notify", m)
	}
	if m, ok := c.hear().(*wire.StopRequest); !ok {
		t.Errorf("got %+v, want a Stop-Control-Connection-Request", m)
	}
	c.say(&wire.StopReply{Result: 1})
	srv.ends()
	start(t, server.Config{}) // the port is free
}

// If another program has taken a port meanwhile, the error says so, and the calls go on.
func TestResumeFails(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	c := dial(t)
	srv.Drain()
	other, err := net.Listen("tcp4", "127.0.1.1:17230")
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Resume(); err == nil || errors.Is(err, link.ErrEnded) {
		t.Errorf("resumed: %v", err)
	}
	c.send(0, "one")
	if _, got := c.packet(); got != "one" {
		t.Errorf("the call is answered %q", got)
	}
	_ = other.Close()
	if err := srv.Resume(); err != nil {
		t.Error(err)
	}
	dial(t)
}

func TestDrainWithoutCalls(t *testing.T) {
	srv := start(t, server.Config{})
	srv.Drain()
	if err := srv.Resume(); !errors.Is(err, link.ErrEnded) {
		t.Errorf("got %v, want %v", err, link.ErrEnded)
	}
	start(t, server.Config{})
}

// Calls come and go while the server is drained and resumed. When Drain has returned, no call is
// taken.
func TestDrainRace(t *testing.T) {
	srv := start(t, server.Config{})
	keep := dial(t) // so that the server does not end
	srv.session()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 50 {
				tcp, err := net.DialTimeout("tcp4", "127.0.1.1:17230", 5*time.Second)
				if err != nil {
					continue
				}
				c := &client{t: t, tcp: tcp}
				_, _ = tcp.Write((&wire.StartRequest{Version: wire.Version}).Append(nil))
				_, _ = tcp.Write((&wire.OutgoingCallRequest{CallID: 7}).Append(nil))
				c.hear()
				c.hear()
				_ = tcp.Close()
			}
		})
	}
	for range 50 {
		srv.Drain()
		taken := len(srv.sessions)
		time.Sleep(time.Millisecond) // time for a late call to show
		if n := len(srv.sessions); n != taken {
			t.Errorf("%d calls are taken while the server is drained", n-taken)
		}
		if err := srv.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	clients.Wait()
	keep.say(&wire.EchoRequest{ID: 3})
	if m, ok := keep.hear().(*wire.EchoReply); !ok {
		t.Errorf("got %+v, want an Echo-Reply", m)
	}
}

// Drain waits for a call that is being taken.
func TestDrainWaits(t *testing.T) {
	testenv.NeedRoot(t)
	entered, release, drained := make(chan struct{}), make(chan struct{}), make(chan struct{})
	srv, err := server.Listen(server.Config{Listen: []netip.Addr{serverIP}, Port: 17230}, func(link.Link) (link.Sink, error) {
		close(entered)
		<-release
		return nil, errors.New("no")
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve()
	c := connect(t)
	c.say(&wire.StartRequest{Version: wire.Version})
	c.say(&wire.OutgoingCallRequest{CallID: 7})
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
	_ = c.tcp.Close()
	srv.Shutdown(t.Context())
}
