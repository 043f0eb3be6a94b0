package server_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

// A sender without a tunnel gets no answer, except to an SCCRQ.
func TestNoAnswer(t *testing.T) {
	srv, _ := start(t)
	c := connect(t, "127.0.3.2:0")
	stop := wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(wire.StopCCN)))
	hello := wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(wire.Hello)))
	sccrq := wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(wire.SCCRQ)))
	bad := [][]byte{
		{0x80, 0x02, 0, 0, 0, 0, 0},
		{},
		[]byte("\xc8\x01\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"),                   // L2F
		append([]byte("\xc8\x03\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00"), sccrq...), // L2TPv3
		[]byte("\x00\x00\x00\x00\x00\x03\x00\x00"),                                   // L2TPv3 over UDP
		wire.AppendControl(nil, wire.Header{Tunnel: 4711}, nil),
		wire.AppendControl(nil, wire.Header{Tunnel: 4711}, stop),
		wire.AppendControl(nil, wire.Header{}, nil),
		wire.AppendControl(nil, wire.Header{}, hello),
		wire.AppendControl(nil, wire.Header{}, sccrq), // without an identifier
		wire.AppendControl(nil, wire.Header{}, wire.AppendAVP(sccrq, true, wire.AttrTunnelID, u16(0))),
		wire.AppendControl(nil, wire.Header{}, wire.AppendAVP(sccrq, true, wire.AttrTunnelID, []byte{9})),
		wire.AppendControl(nil, wire.Header{}, append(bytes.Clone(sccrq), 0x80, 5, 0, 0, 0, 9, 0, 9)),
		wire.AppendControl(nil, wire.Header{Ns: 1}, wire.AppendAVP(sccrq, true, wire.AttrTunnelID, u16(8))),
		[]byte("\x00\x02\x12\x67\x00\x01\xff\x03\xc0\x21"),
	}
	for _, b := range bad {
		if _, err := c.conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	c.request()
	if h, body := c.read(); h.Nr != 1 || len(body) == 0 || wire.MessageType(body[7]) != wire.SCCRP {
		t.Errorf("another answer comes first: %+v %x", h, body)
	}
	d := srv.Stats().Dropped
	if d["malformed"] != 5+4 || d["unknown tunnel or call"] != 5 || srv.Stats().Tunnels != 1 {
		t.Errorf("%v, %d tunnels", d, srv.Stats().Tunnels)
	}
}

// Tunnels above the limit are refused by a StopCCN, and calls by a CDN. Both give this reason.
func TestLimits(t *testing.T) {
	srv, sessions := startWith(t, server.Config{MaxTunnels: 2, MaxCalls: 1})
	a := connect(t, "127.0.3.2:0")
	a.dial()
	<-sessions
	b := connect(t, "127.0.3.2:0")
	b.request()
	b.tunnel = b.hear(wire.SCCRP, wire.AttrTunnelID)
	b.say(wire.SCCCN)
	b.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	b.hear(wire.CDN, wire.AttrSessionID)
	if r := b.result(); r.Code != 4 {
		t.Errorf("CDN with %v", r)
	}
	c := connect(t, "127.0.3.2:0")
	for range 3 {
		c.request()
		if id := c.hear(wire.StopCCN, wire.AttrTunnelID); id == 0 {
			t.Error("StopCCN without an identifier")
		}
		if r := c.result(); r.Code != 2 || r.Error != 4 {
			t.Errorf("StopCCN with %v", r)
		}
	}
	if n := srv.Stats().Tunnels; n != 2 {
		t.Errorf("%d tunnels", n)
	}
}

// A client with a wrong tunnel secret, or without one, is refused and logged. Refused decides how
// many lines are logged at level info. The secret is in none of them.
func TestWrongSecret(t *testing.T) {
	log := new(lockedLog)
	var told atomic.Int64
	srv, _ := startWith(t, server.Config{
		Tunnel: l2tp.Config{Secret: "tunnel-Secret7"},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		Refused: func(peer netip.Addr, why reason.Reason) bool {
			return peer == netip.MustParseAddr("127.0.3.2") && why.Code == reason.WrongTunnelSecret && told.Add(1) <= 20
		},
	})
	const tries = 100
	for i := range tries {
		c := connect(t, "127.0.3.2:0")
		c.request()
		c.tunnel = c.hear(wire.SCCRP, wire.AttrTunnelID)
		if i%2 == 0 {
			c.say(wire.SCCCN)
		} else {
			c.say(wire.SCCCN, wire.AppendAVP(nil, true, wire.AttrChallengeResponse, make([]byte, 16)))
		}
		if c.hear(wire.StopCCN, wire.AttrTunnelID); c.result().Code != 4 {
			t.Fatalf("try %d: StopCCN with %v", i, c.result())
		}
	}
	// Refused is called after the answer.
	waitFor(t, srv, func(server.Stats) bool { return told.Load() == tries })
	line := regexp.MustCompile(`level=INFO msg=refused type=L2TP peer=127\.0\.3\.2:\d+ cause=wrong_tunnel_secret `)
	if n := len(line.FindAllString(log.String(), -1)); n != 20 || strings.Count(log.String(), "\n") != n {
		t.Errorf("%d lines, %d told, for %d tries: %s", n, told.Load(), tries, log)
	}
	if strings.Contains(log.String(), "Secret7") {
		t.Error("the secret is in the log")
	}
}

// A repeated SCCRQ makes no second tunnel. A client that has lost its tunnel, and opens it again
// from the same port under the same identifier, gets a second one. Then the first one is over.
func TestReopen(t *testing.T) {
	log := new(lockedLog)
	srv, sessions := startWith(t, server.Config{
		Tunnel: l2tp.Config{HandshakeTimeout: time.Second},
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	c := connect(t, "127.0.3.2:0")
	c.request(wire.AppendAVP(nil, true, wire.AttrHostName, []byte(strings.Repeat("<\x1b\n", 339))))
	first := c.hear(wire.SCCRP, wire.AttrTunnelID)
	c.request()
	if again := c.hear(wire.SCCRP, wire.AttrTunnelID); again != first || srv.Stats().Tunnels != 1 {
		t.Errorf("repeated: tunnel %d, then %d, %d tunnels", first, again, srv.Stats().Tunnels)
	}
	c.dial()
	old := <-sessions
	tunnel, call := c.tunnel, c.call
	c.ns = 7
	c.echo("hello", false)
	ns := uint16(4)
	for range 1_000_000 { // until it cannot be a repetition
		c.request()
		h, body := c.read()
		if len(body) > 0 && wire.MessageType(body[7]) == wire.SCCRP && h.Nr == 1 {
			avps, _ := wire.ParseAVPs(body, "")
			for _, a := range avps {
				if a.Type == wire.AttrTunnelID {
					c.tunnel = uint16(a.Value[0])<<8 | uint16(a.Value[1])
				}
			}
			break
		}
		if h.Nr != ns {
			t.Fatalf("%+v %x, want Nr %d", h, body, ns)
		}
	}
	if c.tunnel == 0 || c.tunnel == tunnel {
		t.Fatalf("no second tunnel: %d", c.tunnel)
	}
	second := c.tunnel
	c.tunnel, c.call = tunnel, call
	c.echo("the first one is still there", false) // the sender of the SCCRQ may not be the client
	c.tunnel, c.ns, c.nr = second, 1, 1
	c.say(wire.SCCCN)
	if why := <-old.down; why != "client opened its tunnel again" {
		t.Errorf(`got %q, want "client opened its tunnel again"`, why)
	}
	c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
	c.call = c.hear(wire.ICRP, wire.AttrSessionID)
	c.say(wire.ICCN)
	<-sessions
	c.echo("hello", false)
	if n := srv.Stats(); n.Tunnels != 1 || n.Calls != 1 {
		t.Errorf("got %+v, want one tunnel with one call", n)
	}
	if want := `host=` + strings.Repeat(`<\x1b\n`, 21) + "<\n"; !strings.Contains(log.String(), want) {
		t.Errorf("the log has no %s: %s", want, log)
	}
}

type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Time-outs come at the same time as data, a StopCCN and our hang-up. Everything ends once, and
// nothing is left.
func TestEndsAtOnce(t *testing.T) {
	srv, sessions := startWith(t, server.Config{Tunnel: l2tp.Config{HelloInterval: time.Millisecond}})
	var all sync.WaitGroup
	for n := range 50 {
		c := connect(t, "127.0.3.2:0")
		c.dial()
		s := <-sessions
		all.Go(func() {
			h := wire.Header{Tunnel: c.tunnel, Session: c.call}
			b := make([]byte, h.DataLen(), 100)
			h.PutData(b)
			for range 50 {
				if _, err := c.conn.Write(append(b, 'x')); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			if n%2 == 0 {
				s.l.Close(reason.New(reason.Dropped, "dropped"))
			}
		})
		c.say(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrTunnelID, u16(9)))
		all.Go(func() { <-s.down })
		all.Wait()
		if len(s.down) > 0 {
			t.Fatal("the session hears twice that it is over")
		}
	}
	if n := srv.Stats().Calls; n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

// An SCCRQ with a hidden AVP that does not decode gets no answer. It leaves a line in the log, but
// cannot fill the log.
func TestHiddenAVPInTheFirstMessage(t *testing.T) {
	log := new(lockedLog)
	var told atomic.Int64
	srv, _ := startWith(t, server.Config{
		Tunnel: l2tp.Config{Secret: "tunnel-Secret7"}, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Refused: func(netip.Addr, reason.Reason) bool { return told.Add(1) <= 20 },
	})
	c := connect(t, "127.0.3.2:0")
	vector := make([]byte, 16)
	hidden := wire.AppendHidden(wire.AppendAVP(nil, true, wire.AttrRandomVector, vector), true, wire.AttrHostName, []byte("mac"), "another secret", vector)
	const tries = 100
	for range tries {
		c.request(hidden)
	}
	waitFor(t, srv, func(st server.Stats) bool { return st.Dropped["malformed"] == tries && told.Load() == tries })
	line := regexp.MustCompile(`level=INFO msg=refused type=L2TP peer=127\.0\.3\.2:\d+ cause=hidden_avp `)
	if n := len(line.FindAllString(log.String(), -1)); n != 20 {
		t.Errorf("%d lines, %d told: %s", n, told.Load(), log)
	}
	if st := srv.Stats(); st.Tunnels != 0 {
		t.Errorf("got %+v, want no tunnel", st)
	}
}
