package dial_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/dial"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp/server"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
)

// moody is a server's end of a call. It negotiates again when the test asks for it, and may then
// give other addresses.
type moody struct {
	link    link.Link
	up      chan struct{} // one token each time the link is up
	packets chan struct{} // holds a token after a packet of the user

	mu          sync.Mutex
	engine      *ppp.Engine
	server, you netip.Addr
}

// negotiate restarts LCP. The link gets these addresses.
func (m *moody) negotiate(serverAddr, you netip.Addr) {
	m.do(func(now time.Time) {
		m.server, m.you = serverAddr, you
		m.engine = ppp.New(ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}})
		m.engine.Start(now)
	})
}

func (m *moody) do(f func(now time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	f(now)
	out := link.TakeBatch()
	defer out.Done()
	for event, ok := m.engine.Next(); ok; event, ok = m.engine.Next() {
		switch v := event.(type) {
		case ppp.Transmit:
			b := pktbuf.Get()
			b.Append(v.Frame)
			m.link.Send(b, out)
		case ppp.Authenticate:
			m.engine.Grant(now, ppp.Grant{Password: "geheim", Local: m.server, Peer: m.you})
		case ppp.NetworkUp:
			m.up <- struct{}{}
		case ppp.Closed:
			out.Flush()
			m.link.Close(v.Reason)
		}
	}
}

// Frame implements link.Sink.
func (m *moody) Frame(b *pktbuf.Buf) {
	defer b.Release()
	if protocol, _, err := wire.ParseFrame(b.Bytes()); err == nil && protocol == wire.IPv4 {
		select {
		case m.packets <- struct{}{}:
		default:
		}
		return
	}
	m.do(func(now time.Time) { m.engine.Receive(now, b.Bytes()) })
}

// Down implements link.Sink.
func (m *moody) Down(reason.Reason) {}

// serve makes m take the calls by L2TP in a lab.
func (m *moody) serve(t *testing.T, lab *testenv.Lab, serverAddr, you netip.Addr) {
	t.Helper()
	var s *server.Server
	err := testenv.InNamespace(lab.Namespace, func() (err error) {
		s, err = server.Listen(server.Config{Listen: []netip.Addr{netip.MustParseAddr(testenv.ServerAddress)}}, func(l link.Link) (link.Sink, error) {
			m.link = l
			m.negotiate(serverAddr, you)
			return m, nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(s.Serve)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		wg.Wait()
	})
}

// A server may negotiate again on an open connection. If the addresses stay the same, the
// connection continues. Otherwise it is lost, because the interface has the old ones.
func TestServerNegotiatesAgain(t *testing.T) {
	t.Parallel()
	ours, client, other := netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
	begin := func(t *testing.T) (*moody, *testenv.Host, *testenv.DialIn) {
		t.Helper()
		lab := testenv.New(t)
		m := &moody{up: make(chan struct{}, 1), packets: make(chan struct{}, 1)}
		m.serve(t, lab, ours, client)
		host := lab.Host(t)
		d := host.Dial(t, testenv.ServerAddress, "--type", "l2tp", "--user", "alice", "--password", "geheim")
		d.Connected()
		<-m.up
		return m, host, d
	}
	t.Run("same addresses", func(t *testing.T) {
		t.Parallel()
		m, host, d := begin(t)
		m.negotiate(ours, client)
		<-m.up
		for deadline := time.Now().Add(30 * time.Second); len(m.packets) == 0 && time.Now().Before(deadline); {
			_ = host.Command("ping", "-c", "1", "-W", "1", ours.String()).Run()
		}
		if len(m.packets) == 0 {
			t.Errorf("no packet comes: %s", d.Said())
		}
		if status := d.Interrupt(); status != 0 {
			t.Errorf("status %d: %s", status, d.Said())
		}
	})
	for name, now := range map[string][2]netip.Addr{"other client": {ours, other}, "other server": {other, client}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, d := begin(t)
			m.negotiate(now[0], now[1])
			if status := d.Wait(); status != reason.ExitLost {
				t.Errorf("status %d: %s", status, d.Said())
			}
			want := "client 10.99.0.10 and server 10.99.0.1 are now " + now[1].String() + " and " + now[0].String()
			if e, ok := d.Event(dial.Disconnected); !ok || e.Cause != reason.ServerMoves || !strings.HasSuffix(e.Reason, want) {
				t.Errorf("%+v, want %q", e, want)
			}
		})
	}
}
