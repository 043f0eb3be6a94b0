package session_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
)

// A persona is a client that does on the wire what a real one does: our engine, with frames put in,
// held back and sent twice.

// frame builds a control frame.
func frame(p wire.Protocol, code wire.Code, id uint8, body ...byte) []byte {
	return wire.Packet{Code: code, ID: id, Body: body}.Append(wire.AppendFrame(nil, p))
}

// heard gathers the server's frames in readable form.
type heard struct {
	mu     sync.Mutex
	frames []string
}

func (h *heard) watch(f []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames = append(h.frames, wire.Format(f))
	return true
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(strings.Join(h.frames, "\n"), text)
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.frames, "\n")
}

// The first packets of a Windows client arrive swapped, and so do others later on.
func TestPersonaSwappedPackets(t *testing.T) {
	s := newStack(t, nil)
	c := &testenv.Client{Swap: true}
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPERequired
	if err := s.dialWith(c, cfg); err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	var out link.Batch
	const n = 100
	for range n / 2 {
		c.SendIP(&out, ping(network.Local, inner), ping(network.Local, inner))
	}
	s.wait("all packets arrive", func() bool { return len(s.dev.packets()) == n })
}

func TestPersonaLCPOptions(t *testing.T) {
	s := newStack(t, nil)
	h := &heard{}
	c := &testenv.Client{Watch: h.watch}
	if err := s.dialWith(c, config(ppp.MSCHAPv2)); err != nil {
		t.Fatal(err)
	}
	// Options as Windows, Windows 7 and multilink clients ask for them, on a link that is up: the whole
	// link is negotiated anew, and the user has to prove again who he is.
	c.Send(frame(wire.LCP, wire.ConfigureRequest, 77, 1, 4, 5, 120, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2, 13, 3, 6, 17, 4, 6, 64, 19, 3, 0))
	s.wait("the odd options are rejected, in their order", func() bool { return h.has("LCP ConfRej id=0x4d <13 06> <17 06 40> <19 00>") })
	c.Send(frame(wire.LCP, wire.ConfigureRequest, 78))
	s.wait("an empty request gets an empty acknowledgement", func() bool {
		return h.has("LCP ConfAck id=0x4e\n") || strings.HasSuffix(h.all(), "LCP ConfAck id=0x4e")
	})
	c.Hangup()
	s.empty()
	// Our own client negotiates a link anew that is up: its user is the same, and keeps the address.
	again := new(testenv.Client)
	if err := s.dialWith(again, config()); err != nil {
		t.Fatal(err)
	}
	addr := s.m.Connections()[0].Virtual
	asked := strings.Count(s.log.String(), "msg=connected")
	again.Renegotiate()
	s.wait("the link is up again", func() bool { _, up := again.Network(); return up })
	s.passes(again)
	if list := s.m.Connections(); len(list) != 1 || list[0].Virtual != addr {
		t.Errorf("%+v, want %v", list, addr)
	}
	if n := s.pool.InUse(); n != 1 {
		t.Errorf("%d addresses are in use", n)
	}
	if n := strings.Count(s.log.String(), "msg=connected"); n != asked {
		t.Errorf("connected %d times", n)
	}
}

// Android closes the TCP connection and says nothing else.
func TestPersonaAndroid(t *testing.T) {
	s := newStack(t, nil)
	cfg := config(ppp.PAP, ppp.CHAPMD5, ppp.MSCHAPv1, ppp.MSCHAPv2)
	cfg.MRU = 1270
	c, err := s.dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.passes(c)
	s.dev.in <- append(ping(inner, s.m.Connections()[0].Virtual), make([]byte, 10)...)
	c.Forsake()
	s.empty()
	if !strings.Contains(s.log.String(), "cause=control_connection_closed ") {
		t.Errorf("%s", s.log)
	}
}

// TP-Link's Archer C9 asks for no encryption at all, for ever.
func TestPersonaArcher(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint8(60) {
		c.Send(frame(wire.CCP, wire.ConfigureRequest, 100+id, 18, 6, 0, 0, 0, 0))
	}
	s.passes(c)
	if list := s.m.Connections(); len(list) != 1 || list[0].Encryption != "none" {
		t.Errorf("%+v", list)
	}
}

// Broken equipment opens IPV6CP, terminates it, and stays on IPv4; a client tries CCP with compression
// and terminates it with octets of any kind.
func TestPersonaBrokenProtocols(t *testing.T) {
	s := newStack(t, nil)
	h := &heard{}
	c := &testenv.Client{Watch: h.watch}
	if err := s.dialWith(c, config()); err != nil {
		t.Fatal(err)
	}
	c.Send(frame(wire.IPV6CP, wire.ConfigureRequest, 8, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8))
	s.wait("IPV6CP is rejected", func() bool { return h.has("LCP ProtRej") })
	c.Send(frame(wire.IPV6CP, wire.TerminateRequest, 9))
	c.Send(frame(wire.CCP, wire.ConfigureRequest, 10, 18, 6, 1, 0, 0, 1, 26, 4, 120, 0))
	s.wait("compression is rejected", func() bool { return h.has("CCP ConfRej id=0xa <") })
	c.Send(frame(wire.CCP, wire.TerminateRequest, 11, []byte("\x4f\x00\x00\x02\xdc\x00\x00\x00")...))
	s.wait("and its end acknowledged", func() bool { return h.has("CCP TermAck id=0xb") })
	s.passes(c)
}

// first is a link whose first Configure-Request of a protocol has another body than the engine's.
type first struct {
	link.Link
	protocol wire.Protocol
	body     func(body []byte) []byte
	done     bool
}

func (f *first) Send(b *pktbuf.Buf, out *link.Batch) {
	protocol, info, err := wire.ParseFrame(b.Bytes())
	if p, bad := wire.ParsePacket(info); err == nil && bad == nil && !f.done && protocol == f.protocol && p.Code == wire.ConfigureRequest {
		f.done = true
		p = wire.Packet{Code: p.Code, ID: p.ID, Body: f.body(p.Body)}
		b.Reset()
		b.Append(p.Append(wire.AppendFrame(nil, protocol)))
	}
	f.Link.Send(b, out)
}

// Clients that begin with an empty LCP request, or ask for no address.
func TestPersonaEmptyRequests(t *testing.T) {
	s := newStack(t, nil)
	for _, p := range []struct {
		protocol wire.Protocol
		body     func(body []byte) []byte
		answer   string
	}{
		{wire.LCP, func([]byte) []byte { return nil }, "LCP ConfAck id=0x1\n"},
		{wire.IPCP, func(body []byte) []byte { return body[6:] }, "IPCP ConfRej id=0x2 <ms-dns1 0.0.0.0> <ms-dns2 0.0.0.0>\n"}, // rejects come first
		{wire.IPCP, func([]byte) []byte { return nil }, "IPCP ConfNak id=0x2 <addr 10.99."},
	} {
		h := &heard{}
		c := &testenv.Client{Watch: h.watch, Wrap: func(l link.Link) link.Link {
			return &first{Link: l, protocol: p.protocol, body: p.body}
		}}
		cfg := config()
		cfg.RestartTimer = 200 * time.Millisecond // an engine does not take an answer to what it has not asked
		if err := s.dialWith(c, cfg); err != nil {
			t.Fatalf("%v\n%s", err, h.all())
		}
		if !h.has(p.answer) {
			t.Errorf("no %q in\n%s", p.answer, h.all())
		}
		s.passes(c)
		c.Hangup()
		s.empty()
	}
}

// Garbage, and 1,000 connections that say nothing, do not disturb a user.
func TestBadNeighbours(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	conns := s.silent(1000)
	s.passes(c)
	for _, raw := range [][]byte{{}, {0xFF}, {0xFF, 0x03}, {0xC0, 0x21}, {0xC0, 0x21, 1, 1, 255, 255}, {0xC0, 0x21, 1, 1, 0, 3}, bytes.Repeat([]byte{0}, 1400), {0x80, 0x21, 1, 1, 0, 5, 3}} {
		c.Send(raw)
	}
	s.passes(c)
	if n := s.m.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
}
