package l2tp_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// peer plays a LAC by hand.
type peer struct {
	t        *testing.T
	c        *l2tp.Tunnel
	now      time.Time
	tunnel   uint16 // the tunnel that its messages name
	ns, nr   uint16
	said     []string // the server's messages as text
	raw      [][]byte
	ended    []string
	calls    []uint16
	refuse   bool
	numbered []uint16 // calls whose data messages need numbers
	made     []uint16 // calls that the LAC has confirmed
}

func newPeer(t *testing.T, cfg l2tp.Config) *peer {
	t.Helper()
	return &peer{t: t, c: l2tp.New(cfg, 77, start), now: start, tunnel: 77}
}

func (p *peer) drain() {
	for {
		event, ok := p.c.Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case l2tp.Transmit:
			h, body, err := wire.ParseHeader(v.Datagram)
			if err != nil || !h.Control {
				p.t.Fatalf("we wrote %x: %v", v.Datagram, err)
			}
			p.raw = append(p.raw, v.Datagram)
			if len(body) == 0 {
				p.said = append(p.said, "ZLB")
				continue
			}
			avps, err := wire.ParseAVPs(body, "")
			if err != nil {
				p.t.Fatalf("we wrote %x: %v", v.Datagram, err)
			}
			p.said = append(p.said, wire.MessageType(binary.BigEndian.Uint16(avps[0].Value)).String())
			if h.Ns == p.nr {
				p.nr++
			}
		case l2tp.Dialled:
			if p.refuse {
				p.c.Refuse(p.now, v.PeerSession, reason.New(reason.Dropped, "no room"))
				continue
			}
			if id := 1000 + v.PeerSession; p.c.Accept(p.now, v.PeerSession, id) {
				p.calls = append(p.calls, id)
			}
		case l2tp.Connected:
			p.made = append(p.made, v.Session)
		case l2tp.Sequencing:
			p.numbered = append(p.numbered, v.Session)
		case l2tp.Cleared:
			p.ended = append(p.ended, fmt.Sprintf("%d %s", v.Session, v.Reason.String()))
		case l2tp.Refused:
			p.ended = append(p.ended, "refused "+v.Reason.String())
		case l2tp.Closed:
			p.ended = append(p.ended, "closed "+v.Reason.String())
		}
	}
}

func message(kind wire.MessageType, avps ...[]byte) []byte {
	b := wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(kind)))
	for _, a := range avps {
		b = append(b, a...)
	}
	return b
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func avp(t wire.Attribute, value ...byte) []byte { return wire.AppendAVP(nil, true, t, value) }

func sccrq(avps ...[]byte) []byte {
	return message(wire.SCCRQ, append([][]byte{avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrHostName, 'm', 'a', 'c', 0), avp(wire.AttrTunnelID, 0, 9)}, avps...)...)
}

// say sends the next message in order, and acknowledges everything.
func (p *peer) say(session uint16, body []byte) string {
	p.said, p.raw = nil, nil
	p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Session: session, Ns: p.ns, Nr: p.nr}, body)
	if len(body) > 0 {
		p.ns++
	}
	p.drain()
	return strings.Join(p.said, " ")
}

func (p *peer) wait(d time.Duration) string {
	p.said = nil
	until := p.now.Add(d)
	for range 10000 {
		next := p.c.Deadline()
		if next.IsZero() || next.After(until) {
			break
		}
		p.now = next
		p.c.Tick(p.now)
		p.drain()
	}
	p.now = until
	return strings.Join(p.said, " ")
}

func (p *peer) open() {
	p.t.Helper()
	for _, m := range []struct {
		body []byte
		want string
	}{{sccrq(), "SCCRP"}, {message(wire.SCCCN), "ZLB"}, {message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5)), "ZLB ICRP"}} {
		if got := p.say(0, m.body); got != m.want {
			p.t.Fatalf("%s, want %s; %v", got, m.want, p.ended)
		}
	}
	if got := p.say(1005, message(wire.ICCN)); got != "ZLB" { // at once
		p.t.Fatalf("got %s, want ZLB", got)
	}
}

func TestDialIn(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.open()
	if p.c.Host() != "mac" || p.c.Peer() != 9 || p.c.HalfOpen() {
		t.Errorf("host %q, peer %d", p.c.Host(), p.c.Peer())
	}
	if got := p.say(1005, message(wire.CDN, avp(wire.AttrResultCode, 3, 0), avp(wire.AttrSessionID, 0, 5))); got != "ZLB" {
		t.Errorf("got %s, want ZLB", got)
	}
	if fmt.Sprint(p.ended) != "[1005 client disconnected the call (result 3)]" {
		t.Errorf("got %v, want [1005 client disconnected the call (result 3)]", p.ended)
	}
	if got := p.say(0, message(wire.StopCCN, avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrResultCode, 0, 1))); got != "ZLB" {
		t.Errorf("got %s, want ZLB", got)
	}
	p.wait(time.Minute)
	if got := p.ended[len(p.ended)-1]; got != "closed client closed the tunnel" {
		t.Errorf("got %s, want closed client closed the tunnel", got)
	}
}

func TestAnswers(t *testing.T) {
	unknown := []byte{0x80, 8, 0, 0, 0, 200, 1, 2}
	optional := []byte{0x00, 8, 0x01, 0x37, 0, 1, 1, 2} // Microsoft's
	for _, c := range []struct {
		name  string
		open  bool
		body  []byte
		want  string
		ended string
	}{
		{"SCCCN first", false, message(wire.SCCCN), "", "closed SCCRQ without a tunnel identifier"},
		{"version 2", false, message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 2, 0), avp(wire.AttrTunnelID, 0, 9)), "StopCCN", ""},
		{"unknown mandatory AVP", false, sccrq(unknown), "StopCCN", ""},
		{"vendor AVP", false, sccrq(optional), "SCCRP", ""},
		{"a secret that we have not", false, sccrq(avp(wire.AttrChallenge, 1, 2, 3)), "StopCCN", "refused client wants a tunnel secret, but l2tp.secret is empty"},
		{"Hello", true, message(wire.Hello), "ZLB", ""},
		{"WEN", true, message(wire.WEN), "ZLB", ""},
		{"SLI", true, message(wire.SLI), "ZLB", ""},
		{"OCRQ", true, message(wire.OCRQ, avp(wire.AttrSessionID, 0, 8)), "CDN", ""},
		{"the same call again", true, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5)), "CDN", ""},
		{"a call with an unknown mandatory AVP", true, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 6), unknown), "CDN", ""},
		{"a call with a vendor AVP", true, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 6), optional), "ZLB ICRP", ""},
		{"Hello with an unknown mandatory AVP", true, message(wire.Hello, unknown), "StopCCN", "1005 client sent an unknown mandatory AVP"},
		{"unknown type", true, message(99), "StopCCN", "1005 client sent an unknown message 99"},
		{"unknown type without M", true, wire.AppendAVP(nil, false, wire.AttrMessageType, u16(99)), "ZLB", ""},
		{"reserved bits", true, message(wire.Hello, []byte{0x04, 8, 0, 0, 0, 7, 'x', 'y'}), "ZLB", ""},
		{"reserved bits with M", true, message(wire.Hello, []byte{0x84, 8, 0, 0, 0, 7, 'x', 'y'}), "StopCCN", "1005 client sent an unknown mandatory AVP"},
		{"a hidden AVP that must be ignored", true, message(wire.Hello, []byte{0x40, 8, 0x01, 0x37, 0, 1, 1, 2}), "ZLB", ""},
		{"a hidden AVP without a secret", true, message(wire.Hello, []byte{0xC0, 8, 0, 0, 0, 7, 1, 2}), "StopCCN", "1005 cannot decode a hidden AVP: is the secret right?, refused cannot decode a hidden AVP: is the secret right?"},
		{"ICRQ without a session", true, message(wire.ICRQ), "ZLB", ""},
		{"ICRQ with a session of one octet", true, message(wire.ICRQ, avp(wire.AttrSessionID, 7)), "ZLB", ""},
		{"SCCRQ within a tunnel", true, sccrq(), "ZLB", ""},
		{"what only a server says", true, message(wire.ICRP, avp(wire.AttrSessionID, 0, 7)), "ZLB", ""},
		{"no message type", true, avp(wire.AttrHostName, 'x'), "", ""},
		{"a length that lies", true, []byte{0x80, 9, 0, 0, 0, 0, 0, 6}, "", ""},
		{"CDN of an unknown call", true, message(wire.CDN, avp(wire.AttrSessionID, 0, 99)), "ZLB", ""},
	} {
		p := newPeer(t, l2tp.Config{})
		if c.open {
			p.open()
		}
		got := p.say(0, c.body)
		if ended := strings.Join(p.ended, ", "); got != c.want || ended != c.ended {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, got, ended, c.want, c.ended)
		}
	}
}

func TestSecret(t *testing.T) {
	for _, right := range []bool{true, false} {
		p := newPeer(t, l2tp.Config{Secret: "s"})
		if got := p.say(0, sccrq(avp(wire.AttrChallenge, 1, 2, 3))); got != "SCCRP" {
			t.Fatalf("got %s, want SCCRP", got)
		}
		_, body, _ := wire.ParseHeader(p.raw[0])
		avps, _ := wire.ParseAVPs(body, "")
		var challenge, response []byte
		for _, a := range avps {
			switch a.Type {
			case wire.AttrChallenge:
				challenge = a.Value
			case wire.AttrChallengeResponse:
				response = a.Value
			default:
			}
		}
		if want := wire.ChallengeResponse(wire.SCCRP, "s", []byte{1, 2, 3}); string(response) != string(want[:]) {
			t.Errorf("our response %x, want %x", response, want)
		}
		secret := "s"
		if !right {
			secret = "t"
		}
		answer := wire.ChallengeResponse(wire.SCCCN, secret, challenge)
		got := p.say(0, message(wire.SCCCN, avp(wire.AttrChallengeResponse, answer[:]...)))
		if right && got != "ZLB" || !right && (got != "StopCCN" || strings.Join(p.ended, ", ") != "refused wrong tunnel secret") {
			t.Errorf("right %v: %s, %q", right, got, p.ended)
		}
	}
}

// A client that challenges us and has another secret stops the tunnel, as xl2tpd does.
func TestSecretOfServer(t *testing.T) {
	p := newPeer(t, l2tp.Config{Secret: "s"})
	p.say(0, sccrq(avp(wire.AttrChallenge, 1, 2, 3)))
	stop := wire.Result{Code: 4, Error: 6, Message: "Invalid challenge authentication"}
	if got := p.say(0, message(wire.StopCCN, avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrResultCode, stop.Append(nil)...))); got != "ZLB" {
		t.Errorf("answered by %s", got)
	}
	p.wait(time.Minute)
	if got := strings.Join(p.ended, ", "); got != "refused client does not accept our tunnel secret, closed client does not accept our tunnel secret" {
		t.Errorf("got %s, want refused client does not accept our tunnel secret, closed client does not accept our tunnel secret", got)
	}
}

// A repeated SCCRQ gets its answer again, but a peer that has sent nothing since gets nothing
// twice.
func TestHalfOpen(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.say(0, sccrq())
	if got := p.wait(15 * time.Second); got != "" {
		t.Errorf("repeated by itself: %s", got)
	}
	p.ns, p.nr = 0, 0
	if got := p.say(0, sccrq()); got != "SCCRP" {
		t.Errorf("repeated SCCRQ: %s", got)
	}
	p.wait(time.Minute)
	if fmt.Sprint(p.ended) != "[closed no SCCCN within 20s]" {
		t.Errorf("got %v, want [closed no SCCCN within 20s]", p.ended)
	}
}

func TestHelloAndSilence(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.open()
	if got := p.wait(61 * time.Second); got != "Hello Hello" {
		t.Errorf("got %s, want Hello Hello", got)
	}
	if got := p.wait(60 * time.Second); got != "Hello Hello Hello" {
		t.Errorf("got %s, want Hello Hello Hello", got)
	}
	if fmt.Sprint(p.ended) != "[1005 client no longer answers closed client no longer answers]" {
		t.Errorf("got %v, want [1005 client no longer answers closed client no longer answers]", p.ended)
	}
	// Android never acknowledges a Hello, but sends data.
	p = newPeer(t, l2tp.Config{})
	p.open()
	for range 600 {
		p.c.Heard(p.now)
		p.wait(time.Second)
	}
	for range 600 {
		if p.now.Second()%20 == 0 {
			p.c.Heard(p.now)
		}
		p.wait(time.Second)
	}
	if len(p.ended) != 0 {
		t.Errorf("got %v, want no end", p.ended)
	}
}

// A peer's window of 1 is obeyed: each message waits for the acknowledgement of the one before.
func TestWindowOfOne(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.say(0, sccrq(avp(wire.AttrReceiveWindow, 0, 1)))
	p.say(0, message(wire.SCCCN))
	for id := range byte(5) {
		p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Ns: p.ns, Nr: 1}, message(wire.ICRQ, avp(wire.AttrSessionID, 0, id+1)))
		p.ns++
	}
	p.said = nil
	p.drain()
	if got := strings.Count(strings.Join(p.said, " "), "ICRP"); got != 1 {
		t.Fatalf("%d ICRPs at once: %v", got, p.said)
	}
	for nr := range uint16(4) {
		p.nr = 2 + nr
		if got := p.say(0, nil); got != "ICRP" {
			t.Errorf("after an acknowledgement: %s", got)
		}
	}
}

// A line loses, doubles and swaps messages. All calls of a tunnel still come up and go down, and no
// message is taken twice.
func TestBadLine(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		p := newPeer(t, l2tp.Config{})
		p.open()
		for n := range uint16(300) {
			body := message(wire.ICRQ, avp(wire.AttrSessionID, u16(2000+n)...))
			for try := 0; ; try++ {
				if try > 100 {
					t.Fatalf("seed %d: it never gets through", seed)
				}
				if rnd.IntN(3) > 0 {
					for range 1 + rnd.IntN(2) {
						p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Ns: p.ns, Nr: p.nr}, body)
						p.drain()
					}
					break
				}
				p.wait(time.Second)
			}
			p.ns++
			if rnd.IntN(4) == 0 { // an old message, late
				p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Ns: p.ns - 1, Nr: p.nr}, body)
				p.drain()
			}
			p.say(0, message(wire.CDN, avp(wire.AttrResultCode, 0, 1), avp(wire.AttrSessionID, u16(2000+n)...)))
		}
		if len(p.calls) != 301 || len(p.ended) != 300 {
			t.Fatalf("seed %d: %d calls, %d ended: %v", seed, len(p.calls), len(p.ended), p.ended[max(0, len(p.ended)-3):])
		}
	}
}

func TestStop(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.open()
	p.c.Stop(p.now, reason.New(reason.Dropped, "shutting down"))
	p.said = nil
	p.drain()
	if got := strings.Join(p.said, " "); got != "StopCCN" {
		t.Errorf("got %s, want StopCCN", got)
	}
	p.say(0, nil)
	if fmt.Sprint(p.ended) != "[1005 shutting down closed shutting down]" {
		t.Errorf("got %v, want [1005 shutting down closed shutting down]", p.ended)
	}
}

func FuzzTunnel(f *testing.F) {
	f.Add(append([]byte{byte(len(sccrq()))}, sccrq()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPeer(t, l2tp.Config{Secret: "s", MaxSessions: 4})
		p.say(0, sccrq())
		for len(data) > 1 {
			n := min(int(data[0]), len(data)-1)
			p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Session: uint16(data[1]), Ns: p.ns, Nr: p.nr}, data[1:1+n])
			p.ns++
			p.drain()
			data = data[1+n:]
			p.wait(time.Second)
		}
		p.wait(10 * time.Minute)
		if n := len(p.ended); n == 0 || !strings.HasPrefix(p.ended[n-1], "closed") {
			t.Errorf("after ten minutes of silence: %v", p.ended)
		}
	})
}

// Data that came before the last control message does not set the sign of life back.
func TestHeardGoesForward(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.open()
	data := p.now
	p.now = p.now.Add(50 * time.Second)
	p.say(0, message(wire.Hello))
	p.c.Heard(data)
	if due := p.c.Deadline(); !due.Equal(p.now.Add(time.Minute)) {
		t.Errorf("the next Hello is due %v after the last message", due.Sub(p.now))
	}
	p.c.Heard(p.now.Add(5 * time.Second))
	if due := p.c.Deadline(); !due.Equal(p.now.Add(65 * time.Second)) {
		t.Errorf("the next Hello is due %v after the last message", due.Sub(p.now))
	}
}
