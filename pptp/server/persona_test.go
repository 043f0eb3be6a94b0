package server_test

import (
	"fmt"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/pptp"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
)

// open opens a control connection and a call, with a real client's two messages.
func (c *client) open(start *wire.StartRequest, call *wire.OutgoingCallRequest) {
	c.t.Helper()
	c.say(start)
	if r, ok := c.hear().(*wire.StartReply); !ok || r.Result != 1 || r.Version != wire.Version {
		c.t.Fatalf("got %+v, want a Start-Control-Connection-Reply with result 1 and version 1.0", r)
	}
	c.say(call)
	r, ok := c.hear().(*wire.OutgoingCallReply)
	if !ok || r.Result != 1 || r.PeerCallID != call.CallID || r.CallID == 0 {
		c.t.Fatalf("got %+v, want an Outgoing-Call-Reply with result 1 for call %d", r, call.CallID)
	}
	c.call = r.CallID
}

// Windows sends Set-Link-Info three times and counts from 0. Its packets are swapped on the way. It
// clears the call and closes the connection.
func TestPersonaWindows(t *testing.T) {
	srv := start(t, server.Config{})
	c := connect(t)
	c.open(&wire.StartRequest{Version: wire.Version, Framing: 1, Bearer: 1, Vendor: "Microsoft Windows NT"},
		&wire.OutgoingCallRequest{CallID: 0x6E1F, Serial: 3, MinBPS: 300, MaxBPS: 100_000_000, Bearer: 3, Framing: 3, Window: 64})
	s := srv.session()
	standard := &wire.SetLinkInfo{PeerCallID: c.call, SendACCM: 0xFFFFFFFF, ReceiveACCM: 0xFFFFFFFF}
	c.say(standard)
	for seq := range uint32(25) {
		switch seq {
		case 9, 18: // comes after the next one
			continue
		case 12:
			c.say(&wire.SetLinkInfo{PeerCallID: c.call, ReceiveACCM: 0xFFFFFFFF})
		}
		c.send(seq, fmt.Sprint(seq))
		if seq == 10 || seq == 19 {
			c.send(seq-1, fmt.Sprint(seq-1))
		}
	}
	for seq := range 25 {
		if got := s.frame(t); got != fmt.Sprint(seq) {
			t.Errorf("%q, want %d", got, seq)
		}
	}
	c.say(standard)
	c.say(&wire.CallClearRequest{CallID: 0x6E1F})
	if m, ok := c.hear().(*wire.CallDisconnectNotify); !ok || m.CallID != c.call {
		t.Errorf("got %+v, want a Call-Disconnect-Notify of call %d", m, c.call)
	}
	if got := s.ended(t); got != "client cleared the call" {
		t.Errorf(`got %q, want "client cleared the call"`, got)
	}
	_ = c.tcp.Close()
	waitFor(t, func() bool { st := srv.Stats(); return st.Calls == 0 && st.Connections == 0 })
}

// Android calls itself anonymous and asks for a window of 8192. It answers Echo-Requests and sends
// none. It closes the connection without a message.
func TestPersonaAndroid(t *testing.T) {
	srv := start(t, server.Config{Control: pptp.Config{EchoInterval: 200 * time.Millisecond}})
	c := connect(t)
	c.open(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3, MaxChannels: 1, Host: "anonymous"},
		&wire.OutgoingCallRequest{CallID: 0x4321, MinBPS: 1000, MaxBPS: 100_000_000, Bearer: 3, Framing: 3, Window: 8192})
	s := srv.session()
	for range 5 {
		m, ok := c.hear().(*wire.EchoRequest)
		if !ok {
			t.Fatalf("%+v, want an Echo-Request", m)
		}
		c.say(&wire.EchoReply{ID: m.ID, Result: 1})
	}
	c.send(0, "still there")
	if got := s.frame(t); got != "still there" {
		t.Errorf(`got %q, want "still there"`, got)
	}
	_ = c.tcp.Close()
	if got := s.ended(t); got != "client closed the control connection" {
		t.Errorf(`got %q, want "client closed the control connection"`, got)
	}
	waitFor(t, func() bool { st := srv.Stats(); return st.Calls == 0 && st.Connections == 0 })
}

// A window of 0 has no effect. No packet waits for an acknowledgement, because Windows sends
// acknowledgements at any time.
func TestPersonaNoWindow(t *testing.T) {
	srv := start(t, server.Config{})
	c := connect(t)
	c.open(&wire.StartRequest{Version: wire.Version}, &wire.OutgoingCallRequest{CallID: 1, Window: 0})
	s := srv.session()
	var out link.Batch
	for seq := range uint32(3 * pptp.Window) {
		b := pktbuf.Get()
		b.Append(fmt.Append(nil, seq))
		s.l.Send(b, &out)
		out.Flush()
		if h, payload := c.packet(); h.Seq != seq || payload != fmt.Sprint(seq) {
			t.Fatalf("%+v %q, want %d", h, payload, seq)
		}
	}
}

// Two clients behind one address have the same identifier for their calls. Only our identifier
// tells them apart.
func TestPersonaTwoBehindOneAddress(t *testing.T) {
	srv := start(t, server.Config{})
	a, b := dial(t), dial(t)
	ofA, ofB := srv.session(), srv.session()
	if ofA.l.Info().CallID != a.call {
		ofA, ofB = ofB, ofA
	}
	if a.call == b.call || ofB.l.Info().CallID != b.call {
		t.Fatalf("calls %d and %d", a.call, b.call)
	}
	a.send(0, "a's")
	b.send(0, "b's")
	if got := ofA.frame(t) + ofB.frame(t); got != "a'sb's" {
		t.Errorf(`got %q, want "a'sb's"`, got)
	}
	a.say(&wire.CallClearRequest{CallID: 7})
	ofA.ended(t)
	b.send(1, "b is untouched")
	if got := ofB.frame(t); got != "b is untouched" {
		t.Errorf(`got %q, want "b is untouched"`, got)
	}
}

// If a session ends before its call is answered, the call ends too.
func TestSessionEndsEarly(t *testing.T) {
	srv := start(t, server.Config{})
	srv.early = true
	c := dial(t)
	if m, ok := c.hear().(*wire.CallDisconnectNotify); !ok || m.CallID != c.call {
		t.Errorf("got %+v, want a Call-Disconnect-Notify of call %d", m, c.call)
	}
	if got := srv.session().ended(t); got != "early" {
		t.Errorf(`got %q, want "early"`, got)
	}
	waitFor(t, func() bool { return srv.Stats().Calls == 0 })
}
