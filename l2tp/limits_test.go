package l2tp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// A peer may have forged its address. So no answer to it is longer than three times the question,
// whatever our name and secret are. A repeated question gets an answer again, and nothing is
// repeated by itself.
func TestAnswersAreBounded(t *testing.T) {
	short := message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrTunnelID, 0, 9))
	for _, secret := range []string{"", "s"} {
		for name, body := range map[string][]byte{
			"the shortest":               short,
			"with a challenge":           append(bytes.Clone(short), avp(wire.AttrChallenge, 1)...),
			"with an unknown AVP":        append(bytes.Clone(short), 0x80, 6, 0, 0, 0, 200),
			"of another version":         message(wire.SCCRQ, avp(wire.AttrTunnelID, 0, 9)),
			"with all that RFC 2661 has": sccrq(avp(wire.AttrFraming, 0, 0, 0, 3)),
		} {
			p := newPeer(t, l2tp.Config{Host: strings.Repeat("h", 64), Secret: secret})
			for _, again := range [][]byte{body, body, message(wire.SCCRQ), message(wire.Hello), message(wire.ICRQ), nil} {
				p.ns, p.nr = 0, 0
				p.say(0, again)
				answer := bytes.Join(p.raw, nil)
				if len(answer) > 3*(wire.MaxHeader+len(again)) || len(p.raw) > 1 {
					t.Errorf("%s, secret %q: %d bytes answer %d", name, secret, len(answer), wire.MaxHeader+len(again))
				}
			}
			if said := p.wait(19 * time.Second); said != "" {
				t.Errorf("%s, secret %q: by itself: %s", name, secret, said)
			}
		}
	}
	p := newPeer(t, l2tp.Config{Host: strings.Repeat("h", 64)})
	p.say(0, sccrq(avp(wire.AttrHostName, bytes.Repeat([]byte{'c'}, 40)...)))
	if !bytes.Contains(p.raw[0], bytes.Repeat([]byte{'h'}, 64)) {
		t.Errorf("our name is cut without need: %q", p.raw)
	}
	if busy := l2tp.Busy(9, 77); len(busy) > 3*(wire.MaxHeader+len(short)) || len(busy) < 12 {
		t.Errorf("%d bytes", len(busy))
	}
}

// A peer whose SCCCN came without our identifier gets one call and the time of a half-open tunnel.
// Then it is forgotten without a message. It is open when it names the tunnel or the call.
func TestUnproven(t *testing.T) {
	for _, c := range []struct {
		name            string
		tunnel, session uint16
		open            bool
	}{{"nothing", 0, 0, false}, {"another call", 0, 1004, false}, {"the tunnel", 77, 0, true}, {"the call", 0, 1003, true}} {
		p := newPeer(t, l2tp.Config{})
		p.say(0, sccrq())
		p.tunnel = 0
		for _, m := range []struct {
			body []byte
			want string
		}{
			{message(wire.SCCCN), "ZLB"},
			{message(wire.ICRQ, avp(wire.AttrSessionID, 0, 3)), "ZLB ICRP"},
			{message(wire.ICRQ, avp(wire.AttrSessionID, 0, 4)), "CDN"},
			{message(wire.OCRQ, avp(wire.AttrSessionID, 0, 5)), "CDN"},
		} {
			p.want(0, m.body, m.want)
			if n := len(bytes.Join(p.raw, nil)); n > 3*(wire.MaxHeader+len(m.body)) {
				t.Errorf("%d bytes answer %d", n, wire.MaxHeader+len(m.body))
			}
		}
		if said := p.wait(15 * time.Second); said != "" || !p.c.HalfOpen() {
			t.Errorf("by itself: %s", said)
		}
		p.tunnel = c.tunnel
		p.say(c.session, message(wire.ICCN))
		if p.c.HalfOpen() == c.open {
			t.Errorf("%s: half-open %v", c.name, p.c.HalfOpen())
		}
		said := p.wait(10 * time.Second)
		if closed := len(p.ended) > 0; closed == c.open || said != "" {
			t.Errorf("%s: %v, %q, want closed %v, and no answer", c.name, p.ended, said, !c.open)
		}
	}
}

// A thousand calls in one tunnel: each ends by itself, and timers run beside them. The next one is
// over the limit and refused. All of them can be hung up at once.
func TestThousandCalls(t *testing.T) {
	const n = 1000
	p := newPeer(t, l2tp.Config{MaxSessions: n})
	p.say(0, sccrq(avp(wire.AttrReceiveWindow, 0, 8)))
	p.say(0, message(wire.SCCCN))
	for id := range uint16(n) {
		p.say(0, message(wire.ICRQ, avp(wire.AttrSessionID, u16(id+1)...)))
		p.say(1001+id, message(wire.ICCN))
		if id%100 == 0 {
			p.wait(61 * time.Second)
			if !strings.Contains(strings.Join(p.said, " "), "Hello") {
				t.Fatalf("with %d calls no Hello: %v", id+1, p.said)
			}
			p.say(0, nil)
		}
	}
	if got := p.say(0, message(wire.ICRQ, avp(wire.AttrSessionID, u16(n+1)...))); got != "CDN" {
		t.Errorf("one too many: %s", got)
	}
	if r := result(t, p.raw[0]); r.Code != 4 {
		t.Errorf("refused with %v", r)
	}
	if len(p.calls) != n || len(p.ended) != 0 {
		t.Fatalf("%d calls, %v", len(p.calls), p.ended)
	}
	for id := range uint16(n / 2) {
		p.say(1001+id, message(wire.CDN, avp(wire.AttrResultCode, 0, 3), avp(wire.AttrSessionID, u16(id+1)...)))
	}
	for id := uint16(n / 2); id < n; id++ {
		p.c.Disconnect(p.now, 1001+id, reason.New(reason.Dropped, "all at once"))
	}
	p.drain()
	for range n {
		p.say(0, nil)
	}
	if got := p.say(0, message(wire.Hello)); got != "ZLB" {
		t.Errorf("got %s, want ZLB", got)
	}
	if len(p.ended) != n || p.ended[n-1] != "2000 all at once" || int(p.nr) < n+n/2 {
		t.Errorf("%d ended, the last one %s; %d messages", len(p.ended), p.ended[len(p.ended)-1], p.nr)
	}
}

// result is the result of a StopCCN or CDN from us.
func result(t *testing.T, datagram []byte) wire.Result {
	t.Helper()
	_, body, err := wire.ParseHeader(datagram)
	if err != nil {
		t.Fatal(err)
	}
	avps, err := wire.ParseAVPs(body, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range avps {
		if a.Type == wire.AttrResultCode {
			return wire.ParseResult(a.Value)
		}
	}
	t.Fatalf("no result in %x", datagram)
	return wire.Result{}
}

// An AVP with a value of any length, in any message, does no harm. Afterwards the tunnel is open,
// or was closed in an orderly way.
func TestAVPsOfAnyLength(t *testing.T) {
	for kind := range wire.Attribute(40) {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 26, 253, 254, 255, 1017} {
			odd := wire.AppendAVP(nil, false, kind, bytes.Repeat([]byte{0xFF}, n))
			p := newPeer(t, l2tp.Config{})
			// the second one of its kind is passed over
			if got := p.say(0, message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrTunnelID, 0, 9), odd)); got != "SCCRP" && (got != "StopCCN" || kind != wire.AttrChallenge) {
				t.Fatalf("attribute %d of %d bytes in an SCCRQ: %q", kind, n, got)
			}
			if len(p.c.Host()) > 1017 {
				t.Errorf("host of %d bytes", len(p.c.Host()))
			}
			p = newPeer(t, l2tp.Config{})
			p.open()
			for _, m := range []wire.MessageType{wire.ICRQ, wire.ICCN, wire.WEN, wire.SLI, wire.Hello, wire.OCRQ, wire.CDN, wire.StopCCN} {
				if got := p.say(1005, message(m, odd)); !strings.Contains(got, "ZLB") && !strings.Contains(got, "CDN") {
					t.Fatalf("attribute %d of %d bytes in an %v: %q", kind, n, m, got)
				}
			}
			p.wait(time.Minute)
			if last := p.ended[len(p.ended)-1]; last != "closed client closed the tunnel" {
				t.Errorf("attribute %d of %d bytes: %s", kind, n, last)
			}
		}
	}
}

// The AVPs of a real LAC about the call, its own LCP and its authentication are ignored. An unknown
// AVP with the M bit in a message of a call ends only this call.
func TestCallAVPs(t *testing.T) {
	unknown := []byte{0x80, 8, 0x01, 0x37, 0, 1, 1, 2}
	icrq := func(id byte, more ...[]byte) []byte {
		return message(wire.ICRQ, append([][]byte{
			avp(wire.AttrSessionID, 0, id), avp(wire.AttrSerial, 0, 0, 0, 1), avp(18, 0, 0, 0, 2), avp(21, bytes.Repeat([]byte{'1'}, 1017)...),
			avp(22, bytes.Repeat([]byte{'2'}, 1017)...), avp(23, bytes.Repeat([]byte{0}, 1017)...), wire.AppendAVP(nil, false, 25, []byte{0, 0, 0, 1}),
		}, more...)...)
	}
	iccn := message(wire.ICCN, avp(wire.AttrSpeed, 0, 0, 0, 1), avp(wire.AttrFramingType, 0, 0, 0, 1),
		wire.AppendAVP(nil, false, 26, []byte{1, 4, 5, 0xDC}), wire.AppendAVP(nil, false, 27, []byte{1, 4, 5, 0xDC}), wire.AppendAVP(nil, false, 28, nil),
		wire.AppendAVP(nil, false, 29, []byte{0, 2}), wire.AppendAVP(nil, false, 30, []byte("root")), wire.AppendAVP(nil, false, 31, []byte{1}),
		wire.AppendAVP(nil, false, 32, []byte{0, 1}), wire.AppendAVP(nil, false, 33, []byte{2}), wire.AppendAVP(nil, false, 37, []byte("g")), wire.AppendAVP(nil, false, 38, []byte{0, 0, 0, 1}))
	for _, kind := range []wire.MessageType{wire.ICCN, wire.WEN, wire.SLI, wire.CDN} {
		p := newPeer(t, l2tp.Config{})
		p.open()
		p.want(0, icrq(6), "ZLB ICRP")
		p.want(1006, iccn, "ZLB")
		want := "CDN"
		if kind == wire.CDN {
			want = "ZLB"
		}
		p.want(1006, message(kind, unknown), want)
		if len(p.ended) != 1 || !strings.HasPrefix(p.ended[0], "1006 client ") {
			t.Errorf("%v: %v, want one end, of call 1006 by the client", kind, p.ended)
		}
		if want == "CDN" {
			if r := result(t, p.raw[0]); r.Code != 2 || r.Error != 8 {
				t.Errorf("%v: %v, want the codes 2 and 8", kind, r)
			}
		}
		p.want(0, icrq(7, unknown), "CDN")
	}
}

// Only AVP 39 in the ICCN requires numbers in data messages.
func TestSequencingRequired(t *testing.T) {
	for _, required := range []bool{false, true} {
		p := newPeer(t, l2tp.Config{})
		p.say(0, sccrq())
		p.say(0, message(wire.SCCCN))
		p.say(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5)))
		iccn := message(wire.ICCN)
		if required {
			iccn = message(wire.ICCN, avp(wire.AttrSequencingRequired))
		}
		p.say(1005, iccn)
		if want := map[bool]string{false: "[]", true: "[1005]"}[required]; fmt.Sprint(p.numbered) != want {
			t.Errorf("required %v: %v", required, p.numbered)
		}
	}
}

// Only its ICCN confirms a call. A call that is hung up for its ICCN, or has none, is not
// confirmed.
func TestConnected(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.say(0, sccrq())
	p.say(0, message(wire.SCCCN))
	for _, c := range []struct {
		session uint16
		body    []byte
		made    string
	}{
		{0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5)), "[]"},
		{0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 6)), "[]"},
		{1005, nil, "[]"},
		{1005, message(wire.SLI), "[]"},
		{1007, message(wire.ICCN), "[]"},
		{1006, message(wire.ICCN, wire.AppendAVP(nil, true, 99, nil)), "[]"},
		{1005, message(wire.ICCN), "[1005]"},
	} {
		p.say(c.session, c.body)
		if got := fmt.Sprint(p.made); got != c.made {
			t.Errorf("session %d, %x: %s are confirmed, want %s", c.session, c.body, got, c.made)
		}
	}
}

// If a message other than Hello is given up, the tunnel ends only if nothing came meanwhile, data
// included.
func TestGivenUpDuringData(t *testing.T) {
	for _, data := range []bool{false, true} {
		p := newPeer(t, l2tp.Config{})
		p.open()
		p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Ns: p.ns, Nr: p.nr}, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 6)))
		p.drain() // the peer never acknowledges the ICRP
		for range 60 {
			p.wait(2 * time.Second)
			if data {
				p.c.Heard(p.now)
			}
		}
		if (len(p.ended) == 0) != data {
			t.Errorf("data %v: %v", data, p.ended)
		}
	}
}

// A StopCCN or CDN acts only in its turn: it has the next number and acknowledges a sent number.
func TestForgedEnds(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.open()
	stop := message(wire.StopCCN, avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrResultCode, 0, 1))
	cdn := message(wire.CDN, avp(wire.AttrResultCode, 0, 1), avp(wire.AttrSessionID, 0, 5))
	for _, body := range [][]byte{stop, cdn} {
		for ns := uint16(0); ns < 65000; ns += 13 {
			for _, nr := range []uint16{p.nr, p.nr + 1, p.nr + 100, ns} {
				if ns == p.ns && nr <= p.nr {
					continue
				}
				p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Session: 1005, Ns: ns, Nr: nr}, body)
			}
		}
		p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Session: 1005, Ns: p.ns, Nr: p.nr + 1}, body)
	}
	p.drain()
	if len(p.ended) != 0 {
		t.Errorf("got %v, want no end", p.ended)
	}
	p.want(1005, cdn, "ZLB")
	p.want(0, stop, "ZLB")
	if len(p.ended) != 1 {
		t.Errorf("got %v, want one end", p.ended)
	}
}

// The server sends any messages to a client.
func FuzzDial(f *testing.F) {
	f.Add(append([]byte{byte(len(sccrq()))}, sccrq()...))
	f.Add(append([]byte{8}, message(wire.StopCCN)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		now, closed := start, 0
		c := l2tp.Dial(l2tp.Config{Secret: "s"}, 55, now)
		drain := func() {
			for {
				event, ok := c.Next()
				if !ok {
					return
				}
				switch v := event.(type) {
				case l2tp.Opened:
					c.Call(now, 5)
				case l2tp.Dialled:
					c.Refuse(now, v.PeerSession, reason.Reason{})
				case l2tp.Closed:
					closed++
				}
			}
		}
		for ns := uint16(0); len(data) > 2; ns++ {
			n := min(int(data[0]), len(data)-2)
			c.Receive(now, wire.Header{Control: true, HasSeq: true, Tunnel: 55, Session: uint16(data[1] & 7), Ns: ns, Nr: uint16(data[1] >> 3)}, data[2:2+n])
			drain()
			data = data[2+n:]
		}
		for range 10000 {
			next := c.Deadline()
			if next.IsZero() {
				break
			}
			now = next
			c.Tick(now)
			drain()
		}
		if closed != 1 {
			t.Errorf("closed %d times", closed)
		}
	})
}
