package client_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/linktest"
	"vpnd/internal/reason"
	"vpnd/pptp/client"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
	"vpnd/testenv"
	"vpnd/testenv/recording"
)

var (
	at       = netip.MustParseAddrPort("127.0.5.1:17231")
	clientIP = netip.MustParseAddr("127.0.5.2")
)

// start makes a server on loopback. Its ends of the calls come through calls. Each error in refuse
// refuses one call instead.
func start(t *testing.T) (s *server.Server, calls chan *linktest.End, refuse chan error) {
	t.Helper()
	testenv.NeedRoot(t)
	calls, refuse = make(chan *linktest.End, 10), make(chan error, 1)
	s, err := server.Listen(server.Config{Listen: []netip.Addr{at.Addr()}, Port: at.Port()}, func(l link.Link) (link.Sink, error) {
		select {
		case err := <-refuse:
			return nil, err
		default:
		}
		e := linktest.NewEnd(t, l)
		calls <- e
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		s.Serve()
		close(served)
	}()
	t.Cleanup(func() {
		stop(s)
		<-served
	})
	return s, calls, refuse
}

func stop(s *server.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.Shutdown(ctx)
}

func newDialer(t *testing.T) *client.Dialer {
	t.Helper()
	testenv.NeedRoot(t)
	d, err := client.New(clientIP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// dial dials. It takes limit at most.
func dial(t *testing.T, d *client.Dialer, limit time.Duration) (*linktest.End, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var e *linktest.End
	_, err := d.Dial(ctx, at, func(l link.Link) (link.Sink, error) {
		e = linktest.NewEnd(t, l)
		return e, nil
	})
	return e, err
}

// Frames pass both ways on two calls at once, either end hangs up, and the same Dialer dials again.
func TestCall(t *testing.T) {
	_, calls, _ := start(t)
	d := newDialer(t)
	beside, err := dial(t, d, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	besides := <-calls
	for _, hangUp := range []string{"client", "server", "nobody"} {
		ours, err := dial(t, d, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		theirs := <-calls
		if info := ours.Link.Info(); info.Type != "PPTP" || info.Remote != at || info.Local != clientIP || theirs.Link.Info().Remote.Addr() != clientIP {
			t.Errorf("%+v, %+v, want PPTP from %v to %v", info, theirs.Link.Info(), clientIP, at)
		}
		ours.Say("\xff\x03to the server")
		theirs.Want(theirs.Frames, "to the server")
		theirs.Say("\xff\x03to the client")
		ours.Want(ours.Frames, "to the client")
		switch hangUp {
		case "client":
			ours.Link.Close(reason.New(reason.Dropped, "enough"))
			theirs.Want(theirs.Reasons, "client cleared the call")
			ours.Want(ours.Reasons, "server hung up")
		case "server":
			theirs.Link.Close(reason.New(reason.Dropped, "enough"))
			theirs.Want(theirs.Reasons, "enough")
			ours.Want(ours.Reasons, "server hung up")
		default:
			ours.Link.(interface{ Forsake() }).Forsake()
			ours.Want(ours.Reasons, "server closed the control connection")
			theirs.Want(theirs.Reasons, "control connection")
		}
		beside.Say("\xff\x03and on")
		besides.Want(besides.Frames, "and on")
	}
	beside.Link.Close(reason.Reason{})
	beside.Want(beside.Reasons, "server hung up")
}

// When a server ends, its calls end.
func TestServerStops(t *testing.T) {
	srv, _, _ := start(t)
	ours, err := dial(t, newDialer(t), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	stop(srv)
	ours.Want(ours.Reasons, "server hung up")
}

// A refused call returns the reason, and the next one is taken.
func TestRefused(t *testing.T) {
	_, calls, refuse := start(t)
	d := newDialer(t)
	refuse <- errors.New("no room")
	if _, err := dial(t, d, 10*time.Second); reason.Of(err).Code != reason.ServerRefusesCall || !strings.Contains(err.Error(), "busy, 4 in its Outgoing-Call-Reply") {
		t.Errorf("got %v, want %s: busy, 4 in its Outgoing-Call-Reply", err, reason.ServerRefusesCall)
	}
	ours, err := dial(t, d, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	theirs := <-calls
	ours.Link.Close(reason.Reason{})
	theirs.Want(theirs.Reasons, "client")
	ours.Want(ours.Reasons, "server hung up")
}

// serve lets answer serve the connections to the server's port.
func serve(t *testing.T, answer func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp4", at.String()) //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answer(c)
			_ = c.Close()
		}
	}()
}

// Each failure without a PPTP server has its own error.
func TestNoServer(t *testing.T) {
	d := newDialer(t)
	if _, err := dial(t, d, 10*time.Second); reason.Of(err).Code != reason.ServerNoAnswer || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody there: %v", err)
	}
	mode := make(chan string, 1)
	serve(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, wire.MaxLen)
		switch _, _ = c.Read(b); <-mode {
		case "silent":
			_, _ = c.Read(b)
		case "another protocol":
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
		}
	})
	for name, want := range map[string]reason.Code{"silent": reason.ServerNoAnswer, "another protocol": reason.ServerNotPPTP, "closes": reason.ServerClosedControl} {
		mode <- name
		limit := 10 * time.Second
		if name == "silent" {
			limit = 100 * time.Millisecond
		}
		if _, err := dial(t, d, limit); reason.Of(err).Code != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// Our client gets pptpd's side of the recorded dial-ins, byte for byte. It takes the call and its
// identifier, which is 0 in most of them.
func TestRecordedServers(t *testing.T) {
	names, err := filepath.Glob("../../ppp/*/testdata/pptp-*.pcap")
	if err != nil || len(names) < 12 {
		t.Fatalf("captures: %v, %v", names, err)
	}
	replies := make(chan [2][]byte, 1)
	said := make(chan []wire.Type, 1)
	serve(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		var heard []wire.Type
		b := make([]byte, wire.MaxLen)
		for _, reply := range <-replies {
			n, err := c.Read(b)
			m, _, parseErr := wire.Parse(b[:n])
			if err != nil || parseErr != nil {
				break
			}
			heard = append(heard, m.Type())
			_, _ = c.Write(reply)
		}
		if n, err := c.Read(b); err == nil {
			if m, _, err := wire.Parse(b[:n]); err == nil {
				heard = append(heard, m.Type())
			}
		}
		said <- heard
	})
	d := newDialer(t)
	for _, name := range names {
		var reply [2][]byte
		for _, p := range recording.Packets(t, name) {
			m, _, err := wire.Parse(p.TCP())
			if err != nil {
				continue
			}
			switch m.(type) {
			case *wire.StartReply:
				reply[0] = p.TCP()
			case *wire.OutgoingCallReply:
				reply[1] = p.TCP()
			}
		}
		replies <- reply
		ours, err := dial(t, d, 10*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ours.Link.Close(reason.Reason{})
		ours.Want(ours.Reasons, "server closed the control connection")
		heard := <-said
		if want := []wire.Type{wire.TypeStartRequest, wire.TypeOutgoingCallRequest, wire.TypeCallClearRequest}; !slices.Equal(heard, want) {
			t.Errorf("%s: the client says %v, want %v", name, heard, want)
		}
	}
}
