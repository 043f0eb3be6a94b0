package ppp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

var (
	start     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	inner     = netip.MustParseAddr("10.99.0.1")
	given     = netip.MustParseAddr("10.99.0.10")
	dns       = netip.MustParseAddr("10.99.0.53")
	goodGrant = ppp.Grant{Password: "geheim", Local: inner, Peer: given, DNS: []netip.Addr{dns}}
)

// end is one engine and its output.
type end struct {
	*ppp.Engine
	up       *ppp.NetworkUp
	ups      int
	clear    int // of them without encryption in either direction
	closed   *ppp.Closed
	asked    int // Authenticate events
	resets   int
	method   ppp.Method
	notes    []string
	oneTime  bool
	password string // a server's; empty: it does not answer at once
	refusal  ppp.Refusal
}

// wireLink carries frames between two ends. It may lose, double and delay them.
type wireLink struct {
	t      testing.TB
	now    time.Time
	a, b   *end
	rnd    *rand.Rand
	loss   float64
	queue  []inFlight
	frames []string // all sent frames, readable
}

type inFlight struct {
	at    time.Time
	to    *end
	frame []byte
}

func newLink(t testing.TB, client, server ppp.Config) *wireLink {
	t.Helper()
	client.Role, server.Role = ppp.Client, ppp.Server
	return &wireLink{
		t: t, now: start,
		a: &end{Engine: ppp.New(client)},
		b: &end{Engine: ppp.New(server), password: "geheim", refusal: ppp.Refusal{Reason: reason.New(reason.WrongPassword)}},
	}
}

func (l *wireLink) other(e *end) *end {
	if e == l.a {
		return l.b
	}
	return l.a
}

func (l *wireLink) drain(e *end) {
	for {
		event, ok := e.Next()
		if !ok {
			return
		}
		if e.closed != nil {
			l.t.Fatalf("%T after Closed", event)
		}
		switch v := event.(type) {
		case ppp.Transmit:
			l.carry(e, v.Frame)
		case ppp.Authenticate:
			e.asked++
			e.method = v.Method
			switch {
			case e.password == "":
			case v.User == "alice" && v.Proof.Verify(e.password):
				grant := goodGrant
				grant.OneTime, grant.Password = e.oneTime, e.password
				e.Grant(l.now, grant)
			default:
				e.Refuse(l.now, e.refusal)
			}
		case ppp.NetworkUp:
			e.up = &v
			e.ups++
			if v.Encrypter == nil || v.Decrypter == nil {
				e.clear++
			}
		case ppp.NetworkDown:
			e.up = nil
		case ppp.CryptoReset:
			e.resets++
		case ppp.Closed:
			e.closed = &v
		case ppp.Note:
			e.notes = append(e.notes, v.Text)
		}
	}
}

func (l *wireLink) carry(from *end, frame []byte) {
	l.frames = append(l.frames, map[bool]string{true: "> ", false: "< "}[from == l.a]+wire.Format(frame))
	copies := 1
	delay := 10 * time.Millisecond
	if l.rnd != nil {
		switch r := l.rnd.Float64(); {
		case r < l.loss:
			copies = 0
		case r < 1.5*l.loss:
			copies = 2
		}
	}
	for range copies {
		if l.rnd != nil {
			delay += time.Duration(l.rnd.IntN(20)) * time.Millisecond
		}
		l.queue = append(l.queue, inFlight{l.now.Add(delay), l.other(from), frame})
	}
}

// run advances the time to until, or until nothing is left to do.
func (l *wireLink) run(d time.Duration) {
	until := l.now.Add(d)
	for range 20000 {
		l.drain(l.a)
		l.drain(l.b)
		next, at := until, -1
		for i, f := range l.queue {
			if f.at.Before(next) {
				next, at = f.at, i
			}
		}
		var timer *end
		for _, e := range []*end{l.a, l.b} {
			if d := e.Deadline(); !d.IsZero() && d.Before(next) {
				next, timer = d, e
			}
		}
		if next.After(l.now) {
			l.now = next
		}
		switch {
		case timer != nil:
			timer.Tick(l.now)
		case at >= 0:
			f := l.queue[at]
			l.queue = append(l.queue[:at], l.queue[at+1:]...)
			f.to.Receive(l.now, f.frame)
		default:
			l.now = until
			l.drain(l.a)
			l.drain(l.b)
			return
		}
	}
	l.t.Fatalf("no end of frames:\n%s", l.tail())
}

func (l *wireLink) tail() string {
	text := ""
	for _, f := range l.frames[max(0, len(l.frames)-40):] {
		text += f + "\n"
	}
	return text
}

func (l *wireLink) start() {
	l.a.Start(l.now)
	l.b.Start(l.now)
}

// wantUp asserts that both ends are up and have the same state.
func (l *wireLink) wantUp() {
	l.t.Helper()
	if l.a.up == nil || l.b.up == nil {
		l.t.Fatalf("not up: client %v %v, server %v %v\n%s", l.a.up, l.a.closed, l.b.up, l.b.closed, l.tail())
	}
	if l.a.up.Local != given || l.a.up.Peer != inner || l.b.up.Local != inner || l.b.up.Peer != given {
		l.t.Errorf("addresses: client %v, server %v", l.a.up, l.b.up)
	}
	l.wantSameKeys()
}

// wantSameKeys sends a packet each way through the ciphers.
func (l *wireLink) wantSameKeys() {
	l.t.Helper()
	for name, dir := range map[string][2]*end{"to the server": {l.a, l.b}, "to the client": {l.b, l.a}} {
		out, in := dir[0].up.Encrypter, dir[1].up.Decrypter
		if (out == nil) != (in == nil) {
			l.t.Errorf("%s: one end encrypts (%v), the other does not (%v)", name, out != nil, in != nil)
			continue
		}
		if out == nil {
			continue
		}
		packet := []byte{0x00, 0x21, 'h', 'e', 'l', 'l', 'o'}
		header := out.Seal(packet)
		if err := in.Open(header, packet); err != nil || string(packet[2:]) != "hello" {
			l.t.Errorf(`%s: %v, %q, want nil, "hello" behind the protocol number`, name, err, packet)
		}
	}
}

func clientConfig(methods ...ppp.Method) ppp.Config {
	if len(methods) == 0 {
		methods = []ppp.Method{ppp.MSCHAPv2}
	}
	return ppp.Config{User: "alice", Password: "geheim", Auth: methods}
}

// frame builds a control frame.
func frame(p wire.Protocol, code wire.Code, id uint8, body ...byte) []byte {
	return wire.Packet{Code: code, ID: id, Body: body}.Append(wire.AppendFrame(nil, p))
}

func TestLinkHarnessKeepsOrder(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.start()
	l.run(time.Second)
	if fmt.Sprint(l.frames[0][:13]) != "> LCP ConfReq" {
		t.Errorf("first frame: %s", l.frames[0])
	}
}

// If IPCP is negotiated again while CCP stays open, the encrypted streams continue, as they do at
// the peer. If CCP is negotiated again, they restart.
func TestStreamsLastAsLongAsCCP(t *testing.T) {
	client := clientConfig()
	client.MPPE.Mode = ppp.MPPERequired
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
	l.start()
	l.run(10 * time.Second)
	l.wantUp()
	a, b := l.a.up, l.b.up
	l.b.Receive(l.now, frame(wire.IPCP, wire.ConfigureRequest, 200, append([]byte{3, 6}, goodGrant.Peer.AsSlice()...)...))
	l.run(10 * time.Second)
	l.wantUp()
	if l.a.up == a || l.b.up == b {
		t.Fatal("nothing was negotiated")
	}
	if l.a.up.Encrypter != a.Encrypter || l.a.up.Decrypter != a.Decrypter || l.b.up.Encrypter != b.Encrypter || l.b.up.Decrypter != b.Decrypter {
		t.Error("the streams restart with IPCP")
	}
	l.b.Receive(l.now, frame(wire.CCP, wire.ConfigureRequest, 201, 18, 6, 1, 0, 0, 0x40))
	l.run(10 * time.Second)
	l.wantUp()
	if l.a.up.Encrypter == a.Encrypter || l.a.up.Decrypter == a.Decrypter || l.b.up.Encrypter == b.Encrypter || l.b.up.Decrypter == b.Decrypter {
		t.Error("CCP that starts again keeps the old streams")
	}
}
