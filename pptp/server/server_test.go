package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
	"vpnd/testenv"
)

var (
	serverIP = netip.MustParseAddr("127.0.1.1")
	clientIP = netip.MustParseAddr("127.0.1.2")
	otherIP  = netip.MustParseAddr("127.0.1.3")
)

// session is a sink that keeps its frames.
type session struct {
	l      link.Link
	frames chan []byte
	down   chan string
	echo   bool
}

func (s *session) Frame(b *pktbuf.Buf) {
	select {
	case s.frames <- append([]byte(nil), b.Bytes()...):
	default:
	}
	if s.echo {
		var out link.Batch
		s.l.Send(b, &out)
		out.Flush()
		return
	}
	b.Release()
}

func (s *session) Down(why reason.Reason) { s.down <- why.String() }

// concentrator is a server on loopback with its sessions.
type concentrator struct {
	t *testing.T
	*server.Server
	sessions chan *session
	refuse   error
	echo     bool
	early    bool // sessions hang up before the server accepts them
}

func start(t *testing.T, cfg server.Config) *concentrator {
	t.Helper()
	testenv.NeedRoot(t)
	c := &concentrator{t: t, sessions: make(chan *session, 4096)}
	cfg.Listen = []netip.Addr{serverIP}
	cfg.Port = 17230
	s, err := server.Listen(cfg, func(l link.Link) (link.Sink, error) {
		if c.refuse != nil {
			return nil, c.refuse
		}
		s := &session{l: l, frames: make(chan []byte, 1000), down: make(chan string, 2), echo: c.echo}
		if c.early {
			l.Close(reason.New(reason.Dropped, "early"))
		}
		c.sessions <- s
		return s, nil
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
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
		<-served
	})
	return c
}

func (c *concentrator) session() *session {
	c.t.Helper()
	select {
	case s := <-c.sessions:
		return s
	case <-time.After(20 * time.Second):
		c.t.Fatal("no session")
		return nil
	}
}

func (s *session) frame(t *testing.T) string {
	t.Helper()
	select {
	case f := <-s.frames:
		return string(f)
	case <-time.After(20 * time.Second):
		t.Fatal("no frame")
		return ""
	}
}

func (s *session) ended(t *testing.T) string {
	t.Helper()
	select {
	case why := <-s.down:
		return why
	case <-time.After(20 * time.Second):
		t.Fatal("the session is not told that the call is over")
		return ""
	}
}

// client is a client at the level of messages and packets.
type client struct {
	t    *testing.T
	tcp  net.Conn
	gre  net.PacketConn
	buf  []byte
	call uint16 // the server's
}

func connect(t *testing.T) *client {
	t.Helper()
	return connectFrom(t, clientIP)
}

func connectFrom(t *testing.T, from netip.Addr) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: 5 * time.Second}
	tcp, err := d.Dial("tcp4", "127.0.1.1:17230")
	if err != nil {
		t.Fatal(err)
	}
	gre, err := net.ListenPacket("ip4:47", from.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close(); _ = gre.Close() })
	return &client{t: t, tcp: tcp, gre: gre}
}

func (c *client) say(m wire.Message) {
	c.t.Helper()
	if _, err := c.tcp.Write(m.Append(nil)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear() wire.Message {
	c.t.Helper()
	_ = c.tcp.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		if m, n, err := wire.Parse(c.buf); err == nil {
			c.buf = c.buf[n:]
			return m
		}
		var b [512]byte
		n, err := c.tcp.Read(b[:])
		if err != nil {
			return nil
		}
		c.buf = append(c.buf, b[:n]...)
	}
}

func dial(t *testing.T) *client {
	t.Helper()
	c := connect(t)
	c.say(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3})
	if _, ok := c.hear().(*wire.StartReply); !ok {
		t.Fatal("no Start-Control-Connection-Reply")
	}
	c.dial(7)
	return c
}

func (c *client) dial(id uint16) {
	c.t.Helper()
	c.say(&wire.OutgoingCallRequest{CallID: id})
	r, ok := c.hear().(*wire.OutgoingCallReply)
	if !ok || r.Result != 1 || r.PeerCallID != id {
		c.t.Fatalf("got %+v, want an Outgoing-Call-Reply with result 1 for call %d", r, id)
	}
	c.call = r.CallID
}

func (c *client) send(seq uint32, frame string) { c.sendFrom(c.gre, c.call, seq, frame) }

func (c *client) sendFrom(from net.PacketConn, call uint16, seq uint32, frame string) {
	h := wire.GRE{CallID: call, HasSeq: true, Seq: seq}
	b := make([]byte, h.Len(), h.Len()+len(frame))
	h.Put(b, len(frame))
	if _, err := from.WriteTo(append(b, frame...), &net.IPAddr{IP: serverIP.AsSlice()}); err != nil {
		c.t.Error(err)
	}
}

func (c *client) packet() (wire.GRE, string) {
	c.t.Helper()
	var b [2048]byte
	_ = c.gre.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, _, err := c.gre.ReadFrom(b[:])
	if err != nil {
		c.t.Fatal(err)
	}
	h, payload, err := wire.ParseGRE(b[:n])
	if err != nil {
		c.t.Fatal(err)
	}
	return h, string(payload)
}

func TestCall(t *testing.T) {
	srv := start(t, server.Config{})
	c := dial(t)
	s := srv.session()
	info := s.l.Info()
	if info.Type != "PPTP" || info.Remote.Addr() != clientIP || info.Local != serverIP || info.CallID != c.call {
		t.Errorf("got %+v, want PPTP from %v to %v, call %d", info, clientIP, serverIP, c.call)
	}
	for _, seq := range []uint32{1, 0, 2, 2, 4, 3} { // swapped, doubled
		c.send(seq, fmt.Sprintf("frame %d", seq))
	}
	for seq := range 5 {
		if got := s.frame(t); got != fmt.Sprintf("frame %d", seq) {
			t.Errorf("%q, want frame %d", got, seq)
		}
	}
	var out link.Batch
	for i := range 3 {
		b := pktbuf.Get()
		b.Append(fmt.Appendf(nil, "answer %d", i))
		s.l.Send(b, &out)
	}
	out.Flush()
	for i := range uint32(3) {
		h, payload := c.packet()
		if payload != fmt.Sprintf("answer %d", i) || h.CallID != 7 || !h.HasSeq || h.Seq != i {
			t.Errorf(`%+v %q, want call 7, number %d, "answer %d"`, h, payload, i, i)
		}
		if h.HasAck != (i == 0) || i == 0 && h.Ack != 4 {
			t.Errorf("acknowledgement: %+v", h)
		}
	}
	c.send(6, "after a loss") // 5 never comes, and nobody waits for it
	if got := s.frame(t); got != "after a loss" {
		t.Errorf(`got %q, want "after a loss"`, got)
	}
	if h, payload := c.packet(); h.HasSeq || !h.HasAck || h.Ack != 6 || payload != "" {
		t.Errorf("a bare acknowledgement: %+v %q", h, payload)
	}
	s.l.Close(reason.New(reason.Dropped, "dropped"))
	if m, ok := c.hear().(*wire.CallDisconnectNotify); !ok || m.CallID != c.call {
		t.Errorf("got %+v, want a Call-Disconnect-Notify of call %d", m, c.call)
	}
	if got := s.ended(t); got != "dropped" {
		t.Errorf(`got %q, want "dropped"`, got)
	}
	b := pktbuf.Get()
	s.l.Send(b, &out) // b is released
	s.l.Close(reason.New(reason.Dropped, "again"))
	c.dial(8)
	srv.session()
}

func TestStrangersPackets(t *testing.T) {
	srv := start(t, server.Config{})
	c := dial(t)
	s := srv.session()
	other, err := net.ListenPacket("ip4:47", otherIP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	c.sendFrom(other, c.call, 0, "spoofed")
	c.sendFrom(c.gre, c.call+1, 0, "unknown")
	for _, raw := range [][]byte{{0x30}, {0x30, 1, 0x88, 0x0B, 0xFF, 0xFF, byte(c.call >> 8), byte(c.call), 0, 0, 0, 0}, make([]byte, 8)} {
		if _, err := c.gre.WriteTo(raw, &net.IPAddr{IP: serverIP.AsSlice()}); err != nil {
			t.Fatal(err)
		}
	}
	c.send(0, "mine")
	if got := s.frame(t); got != "mine" {
		t.Errorf(`got %q, want "mine"`, got)
	}
	d := srv.Stats().Dropped
	if d["wrong source address"] != 1 || d["unknown call"] != 1 || d["malformed"] == 0 {
		t.Errorf("got %v, want 1 from a wrong source address, 1 of an unknown call, and malformed ones", d)
	}
}

func TestClientVanishes(t *testing.T) {
	srv := start(t, server.Config{})
	c := dial(t)
	first := srv.session()
	c.dial(8)
	second := srv.session()
	if srv.Stats().Calls != 2 {
		t.Errorf("got %+v, want 2 calls", srv.Stats())
	}
	_ = c.tcp.Close()
	for _, s := range []*session{first, second} {
		if got := s.ended(t); got != "client closed the control connection" {
			t.Errorf(`got %q, want "client closed the control connection"`, got)
		}
	}
	waitFor(t, func() bool { st := srv.Stats(); return st.Calls == 0 && st.Connections == 0 })
}

// waitFor waits until done is true.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("it does not happen\n%s", stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

func TestRefusedCall(t *testing.T) {
	srv := start(t, server.Config{MaxCalls: 1})
	srv.refuse = errors.New("no")
	c := connect(t)
	c.say(&wire.StartRequest{Version: wire.Version})
	c.hear()
	c.say(&wire.OutgoingCallRequest{CallID: 1})
	if r, ok := c.hear().(*wire.OutgoingCallReply); !ok || r.Result == 1 {
		t.Errorf("got %+v, want an Outgoing-Call-Reply that refuses", r)
	}
	srv.refuse = nil
	c.dial(2)
	c.say(&wire.OutgoingCallRequest{CallID: 3})
	if r, ok := c.hear().(*wire.OutgoingCallReply); !ok || r.Result != 4 {
		t.Errorf("over the limit: %+v", r)
	}
}

func TestShutdownHangsUp(t *testing.T) {
	srv := start(t, server.Config{})
	c := dial(t)
	s := srv.session()
	done := make(chan struct{})
	go func() {
		srv.Shutdown(t.Context())
		close(done)
	}()
	if m, ok := c.hear().(*wire.CallDisconnectNotify); !ok {
		t.Errorf("got %+v, want a Call-Disconnect-Notify", m)
	}
	if m, ok := c.hear().(*wire.StopRequest); !ok {
		t.Errorf("got %+v, want a Stop-Control-Connection-Request", m)
	}
	c.say(&wire.StopReply{Result: 1})
	if got := s.ended(t); got != "server is shutting down" {
		t.Errorf(`got %q, want "server is shutting down"`, got)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("Shutdown does not return")
	}
	start(t, server.Config{}) // the port is free again; the first server's clean-up does no harm
}

// A peer that does not read is cut off, and delays nobody.
func TestPeerThatDoesNotRead(t *testing.T) {
	srv := start(t, server.Config{WriteTimeout: time.Second})
	user := dial(t)
	s := srv.session()
	deaf := connect(t)
	if err := deaf.tcp.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	flood := (&wire.StartRequest{Version: wire.Version}).Append(nil)
	flood = append(flood, bytes.Repeat((&wire.StartRequest{Version: wire.Version}).Append(nil), 2000)...)
	_ = deaf.tcp.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for seq := range uint32(1000) {
		user.send(seq, "meanwhile")
		if got := s.frame(t); got != "meanwhile" {
			t.Fatalf(`got %q, want "meanwhile"`, got)
		}
		if _, err := deaf.tcp.Write(flood); err != nil {
			break
		}
	}
	waitFor(t, func() bool { return srv.Stats().Connections == 1 })
	user.say(&wire.EchoRequest{ID: 1})
	if m, ok := user.hear().(*wire.EchoReply); !ok || m.ID != 1 {
		t.Errorf("got %+v, want an Echo-Reply to request 1", m)
	}
}

func TestSilentAndGarbageConnections(t *testing.T) {
	srv := start(t, server.Config{Strangers: strangers.Limits{PerSource: 300}, Control: pptp.Config{HandshakeTimeout: 300 * time.Millisecond}})
	var conns []net.Conn
	for i := range 400 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: otherIP.AsSlice()}}
		conn, err := d.Dial("tcp4", "127.0.1.1:17230")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		if i%3 == 0 {
			_, _ = conn.Write([]byte(strings.Repeat("garbage", i)))
		}
	}
	c := dial(t) // from another address: there is room
	s := srv.session()
	c.send(0, "hello")
	s.frame(t)
	waitFor(t, func() bool { return srv.Stats().Connections == 1 })
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// Calls are made, cleared and reset while packets for them come. Nothing is left.
func TestLifeCycleRace(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	_ = dial(t).tcp.Close() // all goroutines of the server are running now
	srv.session().ended(t)
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				c := dial(t)
				for seq := range uint32(5) {
					c.send(seq, "data")
				}
				switch (i + w) % 3 {
				case 0:
					c.say(&wire.CallClearRequest{CallID: 7})
				case 1:
					_ = c.tcp.(*net.TCPConn).SetLinger(0)
				}
				_ = c.tcp.Close()
				c.send(9, "late")
				_ = c.gre.Close()
			}
		})
	}
	wg.Wait()
	waitFor(t, func() bool { st := srv.Stats(); return st.Calls == 0 && st.Connections == 0 })
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
	for range 200 {
		srv.session().ended(t)
	}
}

func TestListenErrors(t *testing.T) {
	start(t, server.Config{})
	_, err := server.Listen(server.Config{Listen: []netip.Addr{serverIP}, Port: 17230}, nil)
	if err == nil || !strings.Contains(err.Error(), "TCP port 17230 of 127.0.1.1 is in use") {
		t.Errorf("got %v, want TCP port 17230 of 127.0.1.1 to be in use", err)
	}
	_, err = server.Listen(server.Config{Listen: []netip.Addr{netip.MustParseAddr("203.0.113.1")}}, nil)
	if err == nil || !strings.Contains(err.Error(), "203.0.113.1 is not an address of this machine") {
		t.Errorf("got %v, want 203.0.113.1 to be no address of this machine", err)
	}
}
