package pptp_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/wire"
)

// peer plays a client's end by hand.
type peer struct {
	t      *testing.T
	c      *pptp.Control
	now    time.Time
	nextID uint16
	refuse bool
	calls  []uint16 // ours
	said   []wire.Message
	ended  []string // Cleared and Closed
}

func newPeer(t *testing.T, cfg pptp.Config) *peer {
	t.Helper()
	return &peer{t: t, c: pptp.New(cfg, start), now: start, nextID: 1000}
}

func (p *peer) drain() {
	for {
		event, ok := p.c.Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case pptp.Write:
			m, n, err := wire.Parse(v.Data)
			if err != nil || n != len(v.Data) {
				p.t.Fatalf("we wrote %x: %v", v.Data, err)
			}
			p.said = append(p.said, m)
		case pptp.Dialled:
			if p.refuse {
				p.c.Refuse(v.PeerCall)
				continue
			}
			p.nextID++
			if p.c.Accept(v.PeerCall, p.nextID) {
				p.calls = append(p.calls, p.nextID)
			}
		case pptp.Cleared:
			p.ended = append(p.ended, fmt.Sprintf("%d %s", v.Call, v.Reason.String()))
		case pptp.Closed:
			p.ended = append(p.ended, "closed "+v.Reason.String())
		}
	}
}

// say sends messages in one piece.
func (p *peer) say(messages ...wire.Message) []wire.Message {
	var b []byte
	for _, m := range messages {
		b = m.Append(b)
	}
	return p.raw(b)
}

func (p *peer) raw(b []byte) []wire.Message {
	p.said = nil
	p.c.Receive(p.now, b)
	p.drain()
	return p.said
}

func (p *peer) wait(d time.Duration) []wire.Message {
	p.said = nil
	until := p.now.Add(d)
	for range 1000 {
		next := p.c.Deadline()
		if next.IsZero() || next.After(until) {
			break
		}
		p.now = next
		p.c.Tick(p.now)
		p.drain()
	}
	p.now = until
	return p.said
}

var (
	hello = &wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3, Host: "anonymous"}
	dial  = &wire.OutgoingCallRequest{CallID: 7, Window: 8192}
)

func types(messages []wire.Message) string {
	var names []string
	for _, m := range messages {
		names = append(names, m.Type().String())
	}
	return strings.Join(names, " ")
}

func TestDialIn(t *testing.T) {
	for _, piece := range []int{1, 3, 100, 1000} {
		p := newPeer(t, pptp.Config{Host: "hub"})
		b := dial.Append(hello.Append(nil))
		var said []wire.Message
		for at := 0; at < len(b); at += piece {
			said = append(said, p.raw(b[at:min(at+piece, len(b))])...)
		}
		if types(said) != "Start-Control-Connection-Reply Outgoing-Call-Reply" {
			t.Fatalf("in pieces of %d: %s", piece, types(said))
		}
		if r := said[0].(*wire.StartReply); r.Result != 1 || r.Host != "hub" || r.Version != 0x0100 {
			t.Errorf("got %+v, want result 1, host hub, version 1.0", r)
		}
		if r := said[1].(*wire.OutgoingCallReply); r.Result != 1 || r.PeerCallID != 7 || r.CallID != 1001 || r.Window == 0 {
			t.Errorf("got %+v, want result 1, the calls 7 and 1001, a window", r)
		}
		if p.c.Peer() != "anonymous" {
			t.Errorf("peer %q", p.c.Peer())
		}
		said = p.say(&wire.CallClearRequest{CallID: 7})
		if types(said) != "Call-Disconnect-Notify" || said[0].(*wire.CallDisconnectNotify).CallID != 1001 {
			t.Errorf("got %v, want a Call-Disconnect-Notify of call 1001", said)
		}
		if fmt.Sprint(p.ended) != "[1001 client cleared the call]" {
			t.Errorf("got %v, want [1001 client cleared the call]", p.ended)
		}
		said = p.say(&wire.StopRequest{Reason: 1})
		if types(said) != "Stop-Control-Connection-Reply" || p.ended[1] != "closed client closed the control connection" {
			t.Errorf("%v, %v, want a Stop-Control-Connection-Reply, and the end: client closed the control connection", said, p.ended)
		}
	}
}

func TestAnswers(t *testing.T) {
	open := []wire.Message{hello, dial}
	for _, c := range []struct {
		name   string
		before []wire.Message
		say    wire.Message
		want   string
		ended  string
	}{
		{"dial before the start", nil, dial, "", "closed Outgoing-Call-Request before Start-Control-Connection-Request"},
		{"echo before the start", nil, &wire.EchoRequest{}, "", "closed Echo-Request before"},
		{"another version", nil, &wire.StartRequest{Version: 0x0200}, "Start-Control-Connection-Reply", "closed client speaks another version"},
		{"a second start", open, hello, "Start-Control-Connection-Reply", ""},
		{"echo", open, &wire.EchoRequest{ID: 5}, "Echo-Reply", ""},
		{"the same call twice", open, dial, "Outgoing-Call-Reply", ""},
		{"incoming call", open, &wire.IncomingCallRequest{CallID: 3}, "Incoming-Call-Reply", ""},
		{"connected, out of the blue", open, &wire.IncomingCallConnected{PeerCallID: 3}, "", ""},
		{"clear of an unknown call", open, &wire.CallClearRequest{CallID: 99}, "", ""},
		{"clear by our identifier", open, &wire.CallClearRequest{CallID: 1001}, "Call-Disconnect-Notify", "1001 client cleared"},
		{"disconnect from a PNS", open, &wire.CallDisconnectNotify{CallID: 7}, "Call-Disconnect-Notify", "1001 client disconnected"},
		{"Set-Link-Info", open, &wire.SetLinkInfo{PeerCallID: 1001, SendACCM: 0xFFFFFFFF}, "", ""},
		{"Set-Link-Info for an unknown call", open, &wire.SetLinkInfo{PeerCallID: 1}, "", ""},
		{"WAN-Error-Notify", open, &wire.WANErrorNotify{PeerCallID: 1001}, "", ""},
		{"unknown type", open, &wire.Raw{MessageType: 1, ControlType: 99}, "", ""},
		{"no control message", open, &wire.Raw{MessageType: 2, ControlType: 1}, "", ""},
		{"a reply that nobody asked for", open, &wire.StopReply{Result: 1}, "", ""},
	} {
		p := newPeer(t, pptp.Config{})
		p.say(c.before...)
		said := types(p.say(c.say))
		ended := strings.Join(p.ended, ", ")
		if said != c.want || !strings.HasPrefix(ended, c.ended) || c.ended == "" && ended != "" {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, said, ended, c.want, c.ended)
		}
	}
}

func TestSeveralCalls(t *testing.T) {
	p := newPeer(t, pptp.Config{MaxCalls: 2})
	p.say(hello)
	for id, result := range []uint8{1, 1, 4} {
		said := p.say(&wire.OutgoingCallRequest{CallID: uint16(id + 1)})
		if r, ok := said[0].(*wire.OutgoingCallReply); !ok || r.Result != result {
			t.Errorf("call %d: %+v", id+1, said[0])
		}
	}
	p.c.Disconnect(p.now, 1001, reason.New(reason.Dropped, "dropped"))
	p.c.Disconnect(p.now, 1001, reason.New(reason.Dropped, "dropped"))
	p.said = nil
	p.drain()
	if fmt.Sprint(p.ended) != "[1001 dropped]" {
		t.Errorf("got %v, want [1001 dropped]", p.ended)
	}
	p.refuse = true
	if r := p.say(&wire.OutgoingCallRequest{CallID: 9})[0].(*wire.OutgoingCallReply); r.Result != 4 || r.CallID != 0 {
		t.Errorf("got %+v, want result 4 without a call", r)
	}
	p.c.Down(reason.New(reason.Dropped, "connection reset"))
	p.drain()
	if fmt.Sprint(p.ended[1:]) != "[1002 connection reset closed connection reset]" {
		t.Errorf("got %v, want [1002 connection reset closed connection reset]", p.ended)
	}
}

func TestBadStreams(t *testing.T) {
	good := hello.Append(nil)
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		reason string
	}{
		"wrong cookie":                 {func(b []byte) []byte { b[4]++; return b }, "wrong magic cookie"},
		"length 0":                     {func(b []byte) []byte { b[0], b[1] = 0, 0; return b }, "length does not fit"},
		"length 11":                    {func(b []byte) []byte { b[0], b[1] = 0, 11; return b }, "length does not fit"},
		"shorter than its type":        {func(b []byte) []byte { b[1] = 20; return b }, "length does not fit"},
		"65535":                        {func(b []byte) []byte { b[0], b[1] = 255, 255; return b }, "length does not fit"},
		"an unknown type of length 0":  {func(b []byte) []byte { b[0], b[1], b[8], b[9] = 0, 0, 255, 255; return b }, "length does not fit"},
		"a web browser":                {func([]byte) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }, "length does not fit"},
		"an endless half of a message": {func(b []byte) []byte { return b[:155] }, ""},
	} {
		p := newPeer(t, pptp.Config{})
		p.raw(c.change(append([]byte(nil), good...)))
		got := strings.Join(p.ended, ", ")
		if c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
			t.Errorf("%s: %q, want %q", name, got, c.reason)
		}
		p.wait(time.Minute)
		if len(p.ended) != 1 {
			t.Errorf("%s: after a minute: %v", name, p.ended)
		}
	}
}

func TestTimers(t *testing.T) {
	t.Run("silence from the start", func(t *testing.T) {
		p := newPeer(t, pptp.Config{})
		p.wait(10 * time.Second)
		if fmt.Sprint(p.ended) != "[closed no Start-Control-Connection-Request within 10s]" {
			t.Errorf("got %v, want [closed no Start-Control-Connection-Request within 10s]", p.ended)
		}
	})
	t.Run("no call", func(t *testing.T) {
		p := newPeer(t, pptp.Config{})
		p.say(hello)
		if got := types(p.wait(2 * time.Minute)); got != "Stop-Control-Connection-Request" {
			t.Errorf("got %s, want Stop-Control-Connection-Request", got)
		}
		if fmt.Sprint(p.ended) != "[closed client did not answer Stop-Control-Connection-Request]" {
			t.Errorf("got %v, want [closed client did not answer Stop-Control-Connection-Request]", p.ended)
		}
	})
	t.Run("echo", func(t *testing.T) {
		p := newPeer(t, pptp.Config{})
		p.say(hello, dial)
		for range 10 {
			said := p.wait(time.Minute)
			if types(said) != "Echo-Request" {
				t.Fatalf("got %s, want Echo-Request", types(said))
			}
			p.say(&wire.EchoReply{ID: said[0].(*wire.EchoRequest).ID, Result: 1})
		}
		p.wait(2 * time.Minute)
		if fmt.Sprint(p.ended) != "[1001 client does not answer Echo-Request closed client does not answer Echo-Request]" {
			t.Errorf("got %v, want [1001 client does not answer Echo-Request closed client does not answer Echo-Request]", p.ended)
		}
	})
	t.Run("echo off", func(t *testing.T) {
		p := newPeer(t, pptp.Config{EchoInterval: -1})
		p.say(hello, dial)
		if said := p.wait(24 * time.Hour); len(said) != 0 || len(p.ended) != 0 {
			t.Errorf("%v, %v, want nothing said and no end", said, p.ended)
		}
	})
	t.Run("we stop", func(t *testing.T) {
		p := newPeer(t, pptp.Config{})
		p.say(hello, dial)
		p.c.Stop(p.now, reason.New(reason.Dropped, "shutting down"))
		p.said = nil
		p.drain()
		if types(p.said) != "Call-Disconnect-Notify Stop-Control-Connection-Request" {
			t.Errorf("got %s, want Call-Disconnect-Notify Stop-Control-Connection-Request", types(p.said))
		}
		p.say(&wire.StopReply{Result: 1})
		if fmt.Sprint(p.ended) != "[1001 shutting down closed stopped]" {
			t.Errorf("got %v, want [1001 shutting down closed stopped]", p.ended)
		}
	})
}

// A call that is cleared before its answer still gets the answer, and then its end.
func TestClearedAtOnce(t *testing.T) {
	p := newPeer(t, pptp.Config{})
	p.say(hello)
	said := p.say(dial, &wire.CallClearRequest{CallID: 7}, &wire.CallClearRequest{CallID: 7})
	if types(said) != "Outgoing-Call-Reply Call-Disconnect-Notify" || said[1].(*wire.CallDisconnectNotify).CallID != 1001 {
		t.Errorf("got %s, want an Outgoing-Call-Reply and a Call-Disconnect-Notify of call 1001", types(said))
	}
	if fmt.Sprint(p.ended) != "[1001 client hung up at once]" {
		t.Errorf("got %v, want [1001 client hung up at once]", p.ended)
	}
	p.refuse = true
	if said := p.say(dial, &wire.CallClearRequest{CallID: 7}); types(said) != "Outgoing-Call-Reply" {
		t.Errorf("got %s, want Outgoing-Call-Reply", types(said))
	}
	p.refuse = false
	if said := p.say(dial); types(said) != "Outgoing-Call-Reply" || said[0].(*wire.OutgoingCallReply).Result != 1 {
		t.Errorf("the identifier is not free again: %s", types(said))
	}
}

// every makes one message of each of the fifteen types, with the identifiers of the calls.
func every(mine, yours uint16) []wire.Message {
	return []wire.Message{
		&wire.StartRequest{Version: wire.Version}, &wire.StartReply{Version: wire.Version, Result: 1},
		&wire.StopRequest{Reason: 1}, &wire.StopReply{Result: 1},
		&wire.EchoRequest{ID: 1}, &wire.EchoReply{ID: 1, Result: 1},
		&wire.OutgoingCallRequest{CallID: mine}, &wire.OutgoingCallReply{CallID: mine, PeerCallID: yours, Result: 1},
		&wire.IncomingCallRequest{CallID: mine}, &wire.IncomingCallReply{CallID: mine, PeerCallID: yours, Result: 1},
		&wire.IncomingCallConnected{PeerCallID: yours}, &wire.CallClearRequest{CallID: mine},
		&wire.CallDisconnectNotify{CallID: mine}, &wire.WANErrorNotify{PeerCallID: yours}, &wire.SetLinkInfo{PeerCallID: yours},
	}
}

// play sends the messages that the script selects, with two bytes for each. It checks the rules for
// any order: a message gets at most two answers, each accepted call ends once, and nothing follows
// the end.
func play(t *testing.T, script []byte) {
	p := newPeer(t, pptp.Config{MaxCalls: 4})
	for ; len(script) > 1; script = script[2:] {
		ids := []uint16{0, 1, 2, 7, 1001, 1002, 1003, 0xFFFF}
		messages := every(ids[script[1]&7], ids[script[1]>>3&7])
		over := len(p.ended) > 0 && strings.HasPrefix(p.ended[len(p.ended)-1], "closed")
		m := messages[int(script[0])%len(messages)]
		if said := p.say(m); len(said) > 2 || over && len(said) > 0 {
			t.Fatalf("%v is answered by %s", m.Type(), types(said))
		}
		if script[0] >= 240 {
			p.wait(time.Duration(script[1]) * time.Second)
		}
		if len(p.calls) > len(p.ended)+4 {
			t.Fatalf("%d calls, %d ended", len(p.calls), len(p.ended))
		}
	}
	p.wait(time.Hour)
	ends := map[string]int{}
	for _, e := range p.ended {
		what, _, _ := strings.Cut(e, " ")
		ends[what]++
	}
	for _, id := range p.calls {
		if ends[fmt.Sprint(id)] != 1 {
			t.Errorf("call %d ended %d times: %v", id, ends[fmt.Sprint(id)], p.ended)
		}
	}
	if len(ends) != len(p.calls)+1 || ends["closed"] != 1 || !strings.HasPrefix(p.ended[len(p.ended)-1], "closed") {
		t.Errorf("got %v, want an end of each call, and then of the connection", p.ended)
	}
}

// Microsoft's driver once crashed at messages in an order that no client sends (CVE-2022-23253).
func TestAnyOrder(t *testing.T) {
	for a := range 15 {
		for b := range 15 {
			for ids := range 64 {
				play(t, []byte{0, 0, byte(a), byte(ids), byte(b), byte(ids), byte(a), byte(ids)})
				play(t, []byte{0, 0, 6, 1, byte(a), byte(ids), byte(b), byte(ids)})
			}
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		script := []byte{0, 0}
		for range rnd.IntN(100) {
			kind := byte(rnd.Uint32())
			if k := kind % 15; (k == 2 || k == 3) && rnd.IntN(20) > 0 {
				kind = 6 // more calls than ends
			}
			script = append(script, kind, byte(rnd.Uint32()))
		}
		play(t, script)
	}
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte{14, 0, 0, 0})                     // Set-Link-Info first
	f.Add([]byte{0, 0, 0, 0, 6, 1, 14, 32, 11, 1}) // a second start; a call
	f.Add([]byte{0, 0, 6, 1, 6, 1, 11, 4, 12, 1, 2, 0, 6, 2})
	f.Add([]byte{0, 0, 6, 1, 244, 130, 5, 0, 244, 130})
	f.Fuzz(play)
}

func FuzzControl(f *testing.F) {
	f.Add(dial.Append(hello.Append(nil)), uint8(3))
	f.Add((&wire.SetLinkInfo{PeerCallID: 9}).Append(hello.Append(nil)), uint8(100))
	f.Add((&wire.CallClearRequest{CallID: 7}).Append(dial.Append(hello.Append(nil))), uint8(255))
	f.Add([]byte{0, 0, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0xFF, 0xFF, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		p := newPeer(t, pptp.Config{MaxCalls: 8})
		for len(data) > 0 {
			n := min(len(data), int(piece)+1)
			p.raw(data[:n])
			data = data[n:]
		}
		p.wait(time.Hour)
		if n := len(p.ended); n == 0 || !strings.HasPrefix(p.ended[n-1], "closed") {
			t.Errorf("after an hour of silence: %v", p.ended)
		}
		cleared := 0
		for _, e := range p.ended[:len(p.ended)-1] {
			if strings.HasPrefix(e, "closed") {
				t.Error("closed twice")
			}
			cleared++
		}
		if cleared != len(p.calls) {
			t.Errorf("%d calls, %d cleared", len(p.calls), cleared)
		}
	})
}
