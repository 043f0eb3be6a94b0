package session_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/dataplane"
	"vpnd/internal/dhcp"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	l2tpclient "vpnd/l2tp/client"
	l2tpserver "vpnd/l2tp/server"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/pptp"
	"vpnd/pptp/client"
	"vpnd/pptp/server"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

var (
	serverIP = netip.MustParseAddr("127.0.2.1")
	clientIP = netip.MustParseAddr("127.0.2.9")
	inner    = netip.MustParseAddr("10.99.0.1")
	token    = motp.Token{Secret: "0123456789abcdef0123456789abcdef", PIN: "1234"}
)

// device is a TUN device without a system behind it.
type device struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	out    [][]byte
}

func newDevice() *device {
	return &device{in: make(chan []byte, 100), closed: make(chan struct{})}
}

func (d *device) ReadBatch(bufs []*pktbuf.Buf) (int, error) {
	select {
	case p := <-d.in:
		bufs[0].Append(p)
		return 1, nil
	case <-d.closed:
		return 0, fs.ErrClosed
	}
}

func (d *device) WritePacket(p []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.out) < 1000 {
		d.out = append(d.out, bytes.Clone(p))
	}
	return nil
}

func (d *device) MTU() int { return 1400 }

func (d *device) packets() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out
}

// logBook is a log that a test reads.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// The addresses of the servers.
var (
	pptpAt = netip.AddrPortFrom(serverIP, 17231)
	l2tpAt = netip.AddrPortFrom(serverIP, 17011)
)

// stack is everything except the TUN device, in this process, on loopback.
type stack struct {
	tb     testing.TB
	m      *session.Manager
	srv    *server.Server
	store  *sqlite.Store
	dev    *device
	pool   *ippool.Pool
	log    *logBook
	dialer *client.Dialer
	at     netip.AddrPort
	l2tp   *l2tpserver.Server
	l2tpAt netip.AddrPort
}

func newStack(tb testing.TB, change func(*session.Config)) *stack {
	tb.Helper()
	return newStackWith(tb, server.Config{}, change)
}

// newPatientStack makes a stack that waits for late packets of PPTP, on a busy machine too.
func newPatientStack(tb testing.TB, change func(*session.Config)) *stack {
	tb.Helper()
	return newStackWith(tb, server.Config{ReorderTimeout: time.Hour}, change)
}

func newStackWith(tb testing.TB, carrier server.Config, change func(*session.Config)) *stack {
	tb.Helper()
	testenv.NeedRoot(tb)
	s := &stack{tb: tb, dev: newDevice(), log: new(logBook), at: pptpAt, l2tpAt: l2tpAt}
	var err error
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	s.store, err = sqlite.Open(context.Background(), tb.TempDir(), state.Options{})
	must(err)
	services := []auth.Service{auth.PPTP, auth.L2TP}
	must(s.store.Add(context.Background(), usermgmt.Profile{Name: "alice", Enabled: true, Password: "geheim", Services: services, IPsec: usermgmt.IPsecNone}))
	must(s.store.Add(context.Background(), usermgmt.Profile{Name: "otto", Enabled: true, MOTPSecret: token.Secret, MOTPPIN: token.PIN, Services: services, IPsec: usermgmt.IPsecNone}))
	pool, err := ippool.New([]ippool.Range{ippool.Prefix(netip.MustParsePrefix("10.99.0.0/16"))}, inner)
	must(err)
	s.pool = pool
	authenticator := auth.New(auth.Config{MaxFailures: 1000}, s.store, s.store)
	cfg := session.Config{
		Local: inner, Auth: authenticator, Pools: map[string]session.Pool{"": {Addresses: pool, DHCP: dhcp.Config{Server: inner, Domain: "example.net"}.Answer}}, Leases: s.store,
		Plane:  dataplane.New(s.dev, dataplane.Config{Local: inner}),
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		LogIns: 1_000_000,
		PPP:    ppp.Config{MRU: 1400, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}},
	}
	if change != nil {
		change(&cfg)
	}
	s.m = session.NewManager(cfg)
	carrier.Listen, carrier.Port, carrier.Control = []netip.Addr{serverIP}, s.at.Port(), pptp.Config{Host: "vpnd"}
	s.srv, err = server.Listen(carrier, s.m.Accept)
	must(err)
	s.l2tp, err = l2tpserver.Listen(l2tpserver.Config{Listen: []netip.Addr{serverIP}, Port: s.l2tpAt.Port()}, s.m.Accept)
	must(err)
	s.dialer, err = client.New(clientIP)
	must(err)
	var wg sync.WaitGroup
	wg.Go(s.srv.Serve)
	wg.Go(s.l2tp.Serve)
	wg.Go(func() { _ = cfg.Plane.Run() })
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.m.Shutdown(ctx, reason.New(reason.Dropped, "the test is over"))
		s.srv.Shutdown(ctx)
		s.l2tp.Shutdown(ctx)
		s.dev.once.Do(func() { close(s.dev.closed) })
		wg.Wait()
		s.dialer.Close()
		authenticator.Close()
		must(s.store.Close())
	})
	return s
}

// newCrowd makes a stack that can only dial. The servers are in another process.
func newCrowd(tb testing.TB) *stack {
	tb.Helper()
	d, err := client.New(clientIP)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Close)
	return &stack{tb: tb, dialer: d, at: pptpAt, l2tpAt: l2tpAt}
}

// config is the configuration of a client that gets in.
func config(methods ...ppp.Method) ppp.Config {
	if len(methods) == 0 {
		methods = []ppp.Method{ppp.MSCHAPv2}
	}
	return ppp.Config{User: "alice", Password: "geheim", Auth: methods}
}

func (s *stack) dial(cfg ppp.Config) (*testenv.Client, error) {
	c := new(testenv.Client)
	return c, s.dialWith(c, cfg)
}

func (s *stack) dialWith(c *testenv.Client, cfg ppp.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.Dial(ctx, s.dialer, s.at, cfg)
}

// dialL2TP dials by L2TP.
func (s *stack) dialL2TP(d *l2tpclient.Dialer, cfg ppp.Config) (*testenv.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := new(testenv.Client)
	return c, c.Dial(ctx, d, s.l2tpAt, cfg)
}

// wait waits until other goroutines have done something.
func (s *stack) wait(what string, done func() bool) {
	s.tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			s.tb.Fatalf("%s: it does not happen\n%s", what, s.log)
		}
	}
}

// empty fails the test unless nothing is left of any connection.
func (s *stack) empty() {
	s.tb.Helper()
	s.wait("no session, no call, no connection is left", func() bool {
		st := s.srv.Stats()
		return s.m.Count() == 0 && st.Calls == 0 && st.Connections == 0
	})
}

// frame builds a control frame.
func frame(p wire.Protocol, code wire.Code, id uint8, body ...byte) []byte {
	return wire.Packet{Code: code, ID: id, Body: body}.Append(wire.AppendFrame(nil, p))
}

// ping is an ICMP echo request as the client sends it.
func ping(from netip.Addr, to netip.Addr) []byte {
	p := make([]byte, 28)
	p[0], p[3], p[8], p[9] = 0x45, 28, 64, 1
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	p[20] = 8
	return p
}

// passes sends a packet in each direction.
func (s *stack) passes(c *testenv.Client) {
	s.tb.Helper()
	network, _ := c.Network()
	var out link.Batch
	before := len(s.dev.packets())
	request := ping(network.Local, inner)
	c.SendIP(&out, request)
	s.wait("a packet reaches the server", func() bool { return len(s.dev.packets()) > before })
	if got := s.dev.packets()[before]; !bytes.Equal(got, request) {
		s.tb.Errorf("%x, want %x", got, request)
	}
	n, _ := c.Packets()
	reply := ping(inner, network.Local)
	s.dev.in <- reply
	s.wait("a packet reaches the client", func() bool { now, _ := c.Packets(); return now > n })
	if _, got := c.Packets(); !bytes.Equal(got, reply) {
		s.tb.Errorf("%x, want %x", got, reply)
	}
}

// silent opens n control connections from another address, which send nothing or garbage.
func (s *stack) silent(n int) []net.Conn {
	s.tb.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, 77)}}
		conn, err := d.Dial("tcp4", s.at.String())
		if err != nil {
			s.tb.Fatal(err)
		}
		if i%2 == 0 {
			_, _ = conn.Write(bytes.Repeat([]byte{0, 16, byte(i)}, i))
		}
		conns[i] = conn
	}
	return conns
}
