package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/linktest"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/client"
	"vpnd/l2tp/server"
)

var at = netip.MustParseAddrPort("127.0.4.1:17011")

// concentrator is a server on loopback. Its ends of the calls come through calls, unless it refuses
// them.
type concentrator struct {
	*server.Server
	t      *testing.T
	calls  chan *linktest.End
	refuse chan error // one error for each call
}

func start(t *testing.T, tunnel l2tp.Config) *concentrator {
	t.Helper()
	c := &concentrator{t: t, calls: make(chan *linktest.End, 10), refuse: make(chan error, 1)}
	s, err := server.Listen(server.Config{Listen: []netip.Addr{at.Addr()}, Port: at.Port(), Tunnel: tunnel}, func(l link.Link) (link.Sink, error) {
		select {
		case err := <-c.refuse:
			return nil, err
		default:
		}
		e := linktest.NewEnd(t, l)
		c.calls <- e
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Server = s
	served := make(chan struct{})
	go func() {
		s.Serve()
		close(served)
	}()
	t.Cleanup(func() {
		c.stop()
		<-served
	})
	return c
}

func (c *concentrator) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Shutdown(ctx)
}

// empty waits until no call is left on the server. A tunnel that its client has stopped stays for
// seconds.
func (c *concentrator) empty() {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if c.Stats().Calls == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("left over: %+v", c.Stats())
		}
	}
}

// dial dials. It takes ten seconds at most.
func dial(t *testing.T, d *client.Dialer) (*linktest.End, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var e *linktest.End
	_, err := d.Dial(ctx, at, func(l link.Link) (link.Sink, error) {
		e = linktest.NewEnd(t, l)
		return e, nil
	})
	return e, err
}

// Frames pass both ways, and either end hangs up. The same Dialer then dials again.
func TestCall(t *testing.T) {
	for _, d := range []*client.Dialer{
		{}, {Secret: "tunnel"}, {Secret: "tunnel", Hide: true}, {Sequencing: true}, {Local: netip.MustParseAddrPort("127.0.4.2:0")},
	} {
		t.Run(fmt.Sprintf("%+v", *d), func(t *testing.T) {
			srv := start(t, l2tp.Config{Secret: d.Secret, Hide: d.Hide})
			for _, hangUp := range []string{"client", "server"} {
				ours, err := dial(t, d)
				if err != nil {
					t.Fatal(err)
				}
				theirs := <-srv.calls
				if info := ours.Link.Info(); info.Type != "L2TP" || info.Remote != at {
					t.Errorf("got %+v, want the type L2TP and the remote end %v", info, at)
				}
				if from := theirs.Link.Info().Remote; d.Local.IsValid() && from.Addr() != d.Local.Addr() {
					t.Errorf("it dials from %v, want %v", from, d.Local.Addr())
				}
				ours.Say("\xff\x03to the server")
				theirs.Want(theirs.Frames, "to the server")
				theirs.Say("\xff\x03to the client")
				ours.Want(ours.Frames, "to the client")
				if hangUp == "client" {
					ours.Link.Close(reason.New(reason.Dropped, "enough"))
					ours.Want(ours.Reasons, "enough")
					theirs.Want(theirs.Reasons, "client disconnected the call")
				} else {
					theirs.Link.Close(reason.New(reason.Dropped, "enough"))
					theirs.Want(theirs.Reasons, "enough")
					ours.Want(ours.Reasons, "server disconnected the call")
				}
				srv.empty()
			}
		})
	}
}

// When a server ends, its calls end.
func TestServerStops(t *testing.T) {
	srv := start(t, l2tp.Config{})
	ours, err := dial(t, &client.Dialer{})
	if err != nil {
		t.Fatal(err)
	}
	srv.stop()
	ours.Want(ours.Reasons, "server closed the tunnel")
}

// A forsaken server gets no message. The same client can dial again at once.
func TestForsake(t *testing.T) {
	srv := start(t, l2tp.Config{})
	d := &client.Dialer{Local: netip.MustParseAddrPort("127.0.4.2:17012")}
	for range 3 {
		ours, err := dial(t, d)
		if err != nil {
			t.Fatal(err)
		}
		theirs := <-srv.calls
		ours.Link.(interface{ Forsake() }).Forsake()
		ours.Want(ours.Reasons, "dialling was given up")
		if len(theirs.Reasons) > 0 {
			t.Error("the server knows")
		}
	}
}

// A client that the server refuses, or that has a wrong secret, learns that. Nothing is left.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs string // secrets
		refuse       error
		want         string
	}{
		{"call", "", "", reason.New(reason.NobodyWithout), "no user may use"},
		{"wrong secret", "other", "tunnel", nil, "secret"},
		{"no secret", "", "tunnel", nil, "server wants a tunnel secret"},
		{"secret that the server does not have", "tunnel", "", nil, "no tunnel secret here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := start(t, l2tp.Config{Secret: c.theirs})
			if c.refuse != nil {
				srv.refuse <- c.refuse
			}
			if _, err := dial(t, &client.Dialer{Secret: c.ours}); reason.Of(err).Row().Exit != reason.ExitRefused || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := dial(t, &client.Dialer{Secret: c.theirs}); err != nil {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// The client refuses the sink itself. Nothing is left on the server.
func TestNoSink(t *testing.T) {
	srv := start(t, l2tp.Config{})
	full := errors.New("full")
	if _, err := (&client.Dialer{}).Dial(t.Context(), at, func(link.Link) (link.Sink, error) { return nil, full }); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	srv.empty()
}

// Dialling a silent server ends with its context, and frees the port.
func TestSilence(t *testing.T) {
	silent, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	d := &client.Dialer{Local: netip.MustParseAddrPort("127.0.4.2:17012")}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := d.Dial(ctx, at, func(link.Link) (link.Sink, error) { return nil, errors.New("no call") })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		_ = silent.SetReadDeadline(time.Now().Add(time.Second))
		if n, _, err := silent.ReadFrom(make([]byte, 200)); err != nil || n < 50 {
			t.Errorf("an SCCRQ of %d bytes, %v", n, err)
		}
	}
}
