package ppp_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// logIn opens LCP and logs alice in by MS-CHAPv2.
func (r *raw) logIn() {
	r.t.Helper()
	r.openLCP()
	r.prove()
}

// prove answers the last challenge.
func (r *raw) prove() chap.V2 {
	r.t.Helper()
	id, challenge := r.challenged()
	response := chap.RespondV2("alice", goodGrant.Password, [16]byte(challenge), [16]byte{9})
	value := response.Value()
	r.say(frame(wire.CHAP, wire.CHAPResponse, id, append(append([]byte{49}, value[:]...), "alice"...)...))
	return response
}

// answers returns one kind of answer to each request that an engine may have sent.
func answers(code wire.Code, body ...byte) (frames [][]byte) {
	for id := range 256 {
		frames = append(frames, frame(wire.CCP, code, uint8(id), body...))
	}
	return frames
}

// forgeries are frames in clear that anybody can send who sees a link. None of them may end its
// encryption.
func forgeries() map[string][][]byte {
	ask := func(body ...byte) []byte { return frame(wire.CCP, wire.ConfigureRequest, 177, body...) }
	lcp := frame(wire.LCP, wire.ConfigureRequest, 177, 1, 4, 5, 120)
	return map[string][][]byte{
		"CCP Terminate-Request":           {frame(wire.CCP, wire.TerminateRequest, 177)},
		"CCP Terminate-Ack":               {frame(wire.CCP, wire.TerminateAck, 177)},
		"CCP Code-Reject":                 {frame(wire.CCP, wire.CodeReject, 177, 1)},
		"LCP Protocol-Reject of CCP":      {frame(wire.LCP, wire.ProtocolReject, 177, 0x80, 0xFD)},
		"LCP Protocol-Reject of MPPE":     {frame(wire.LCP, wire.ProtocolReject, 177, 0x00, 0xFD)},
		"CCP without options":             {ask()},
		"CCP without a strength":          {ask(18, 6, 0, 0, 0, 0)},
		"CCP with compression alone":      {ask(26, 4, 0x78, 0)},
		"CCP with a weaker strength":      {ask(18, 6, 1, 0, 0, 0x20)},
		"CCP without options, and an Ack": append([][]byte{ask()}, answers(wire.ConfigureAck)...),
		"CCP, and a weaker Nak":           append([][]byte{ask()}, answers(wire.ConfigureNak, 18, 6, 1, 0, 0, 0x20)...),
		"CCP, and a Reject":               append([][]byte{ask()}, answers(wire.ConfigureReject, 18, 6, 1, 0, 0, 0x40)...),
		"LCP":                             {lcp},
		"LCP, and CCP without options":    {lcp, ask()},
		"LCP, and CCP's Protocol-Reject":  {lcp, frame(wire.LCP, wire.ProtocolReject, 177, 0x80, 0xFD)},
	}
}

// Agreed encryption holds until the link is down, whatever frames are forged at either end: packets
// pass with its full strength, or not at all.
func TestAgreedEncryptionHolds(t *testing.T) {
	for name, frames := range forgeries() {
		for _, role := range []ppp.Role{ppp.Server, ppp.Client} {
			t.Run(fmt.Sprintf("%s, role %d", name, role), func(t *testing.T) {
				client, optional := clientConfig(), ppp.MPPE{Mode: ppp.MPPEOptional}
				client.MPPE = optional
				l := newLink(t, client, ppp.Config{MPPE: optional})
				l.start()
				l.run(10 * time.Second)
				l.wantUp()
				victim := map[ppp.Role]*end{ppp.Server: l.b, ppp.Client: l.a}[role]
				for range 15 { // at once, and between the later frames
					for _, f := range frames {
						victim.Receive(l.now, f)
						l.drain(victim)
					}
					l.run(35 * time.Millisecond)
				}
				l.run(2 * time.Minute)
				for _, e := range []*end{l.a, l.b} {
					if e.clear > 0 || e.up == nil && e.closed == nil {
						t.Errorf("%d times up in clear, now %v, closed %v\n%s", e.clear, e.up, e.closed, l.tail())
					}
					if e.up != nil && e.up.Encryption != "MPPE-128 stateless" {
						t.Errorf("encryption is %q now", e.up.Encryption)
					}
				}
				if l.a.up != nil && l.b.up != nil {
					l.wantUp()
				}
			})
		}
	}
}

// A client that negotiates LCP again after encryption was agreed encrypts again, or does not get
// in.
func TestAgreedEncryptionOutlivesLCP(t *testing.T) {
	again := func() *raw {
		r := newRaw(t, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
		r.logIn()
		r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, 1, 0, 0, 0x40))
		r.ack(wire.CCP)
		r.openIPCP()
		if up := r.up(); up.Encryption != "MPPE-128 stateless" || !up.Required {
			t.Fatalf("up: %+v", up)
		}
		r.say(frame(wire.LCP, wire.ConfigureRequest, 20, 1, 4, 5, 100))
		if r.up() != nil {
			t.Error("packets may pass while LCP is negotiated")
		}
		return r
	}
	r := again()
	r.ack(wire.LCP)
	r.prove()
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 21, 3, 6, 0, 0, 0, 0)))
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 22)), "CCP ConfReq", "CCP ConfNak id=0x16 <mppe +H -M +S -L -D -C>")
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 23, 18, 6, 1, 0, 0, 0x60)), "CCP ConfNak id=0x17 <mppe +H -M +S -L -D -C>")
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 24, 18, 6, 1, 0, 0, 0x40)), "CCP ConfAck")
	r.ack(wire.CCP)
	r.openIPCP()
	if up := r.up(); up.Encryption != "MPPE-128 stateless" {
		t.Errorf("up: %+v", up)
	}

	r = again()
	r.ack(wire.LCP)
	r.prove()
	r.say(frame(wire.LCP, wire.ProtocolReject, 22, 0x80, 0xFD))
	r.wantClosed(reason.New(reason.EncryptionEnded))

	r = again()
	r.say(frame(wire.LCP, wire.ConfigureNak, r.ask[wire.LCP].ID, 3, 4, 0xC0, 0x23))
	r.ack(wire.LCP)
	r.say(papLogin(23))
	r.wantClosed(reason.New(reason.MPPEWithoutKeys))
}

// If encryption is optional, IP waits only for a client that has begun to negotiate it, and not for
// ever.
func TestIPWaitsForCCP(t *testing.T) {
	for name, c := range map[string]struct {
		asks  []string // options of the client's requests
		waits bool
	}{
		"asks to be asked":   {[]string{"\x12\x06\x01\x00\x00\x00"}, true},
		"asks for 128 bits":  {[]string{"\x12\x06\x01\x00\x00\x40"}, true},
		"asks for too much":  {[]string{"\x12\x06\x01\x00\x00\xE1"}, true},
		"asks, then no more": {[]string{"\x12\x06\x01\x00\x00\x00", ""}, true},
		"asks for nothing":   {[]string{"\x12\x06\x00\x00\x00\x00"}, false},
		"compression":        {[]string{"\x1A\x04\x78\x00"}, false},
		"nothing":            {[]string{""}, false},
		"no CCP":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRaw(t, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
			r.logIn()
			r.ack(wire.IPCP)
			for i, options := range c.asks {
				r.say(frame(wire.CCP, wire.ConfigureRequest, uint8(50+i), []byte(options)...))
			}
			r.say(frame(wire.IPCP, wire.ConfigureRequest, 9, append([]byte{3, 6}, given.AsSlice()...)...))
			if up := r.up(); (up == nil) != c.waits {
				t.Fatalf("up: %+v", up)
			}
			for range 20 { // the client sends nothing more
				r.now = r.now.Add(3 * time.Second)
				r.e.Tick(r.now)
				r.drain()
			}
			if up := r.up(); up == nil || up.Encryption != "none" {
				t.Fatalf("after a minute: %+v", up)
			}
			r.say(frame(wire.CCP, wire.ConfigureRequest, 80, 18, 6, 1, 0, 0, 0x40))
			if r.up() != nil {
				t.Error("packets pass in clear while the client agrees about encryption after all")
			}
			r.ack(wire.CCP)
			if up := r.up(); up == nil || up.Encryption != "MPPE-128 stateless" {
				t.Errorf("agreed after all: %+v", up)
			}
		})
	}
}

// A client that begins with CCP also waits until CCP is settled. Here all of CCP is lost at first,
// so that IPCP opens long before.
func TestClientWaitsForCCP(t *testing.T) {
	client := clientConfig()
	client.MPPE.Mode = ppp.MPPEOptional
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	l.start()
	isCCP := func(f inFlight) bool { return bytes.HasPrefix(f.frame, []byte{0xFF, 0x03, 0x80, 0xFD}) }
	for range 300 {
		l.run(time.Millisecond)
		l.queue = slices.DeleteFunc(l.queue, isCCP)
	}
	l.run(10 * time.Second)
	l.wantUp()
	if l.a.clear > 0 {
		t.Errorf("%d times up in clear", l.a.clear)
	}
}

// The initiator asks for all strengths that it accepts (RFC 3078 section 2.1), and then for the one
// that the responder names.
func TestInitiatorAsksForAll(t *testing.T) {
	for _, c := range []struct {
		strengths []mppe.Strength
		all       string
	}{
		{nil, "<mppe +H +M +S +L -D -C>"},
		{[]mppe.Strength{mppe.Bits128, mppe.Bits40}, "<mppe +H -M +S +L -D -C>"},
		{[]mppe.Strength{mppe.Bits128}, "<mppe +H -M +S -L -D -C>"},
	} {
		cfg := ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPERequired, Strengths: c.strengths}}
		r := newRaw(t, cfg)
		r.logIn()
		r.out = nil
		r.now = r.now.Add(time.Second) // the client has had its turn
		r.e.Tick(r.now)
		r.drain()
		r.want(r.out, c.all)
		r.want(r.say(frame(wire.CCP, wire.ConfigureNak, r.ask[wire.CCP].ID, 18, 6, 1, 0, 0, 0x40)), "<mppe +H -M +S -L -D -C>")
	}
	for strength, server := range map[mppe.Strength]ppp.Config{
		mppe.Bits40:  {MPPE: ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{mppe.Bits40}}},
		mppe.Bits56:  {MPPE: ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{mppe.Bits56, mppe.Bits40}}},
		mppe.Bits128: {MPPE: ppp.MPPE{Mode: ppp.MPPERequired}},
	} {
		client := clientConfig()
		client.MPPE.Mode = ppp.MPPERequired
		l := newLink(t, client, server)
		l.start()
		l.run(10 * time.Second)
		l.wantUp()
		if want := strength.String() + " stateless"; l.a.up.Encryption != want || l.b.up.Encryption != want {
			t.Errorf("client %s, server %s, want %s", l.a.up.Encryption, l.b.up.Encryption, want)
		}
	}
}

// A client that requires encryption never gives its password to a method without keys: neither at
// first, nor when somebody in between restarts the link.
func TestNoPasswordWithoutKeys(t *testing.T) {
	keyless := []ppp.Method{ppp.PAP, ppp.CHAPMD5}
	client := clientConfig()
	client.Auth = append([]ppp.Method{ppp.MSCHAPv2}, keyless...)
	client.MPPE.Mode = ppp.MPPERequired
	l := newLink(t, client, ppp.Config{Auth: keyless})
	l.start()
	l.run(10 * time.Second)
	l.a.Down(reason.New(reason.ServerHungUp))
	l.drain(l.a)
	if l.b.asked != 0 || l.a.closed == nil || l.a.closed.Reason.String() != "server hung up: it asks for PAP, CHAP" {
		t.Errorf("asked %d times, %+v\n%s", l.b.asked, l.a.closed, l.tail())
	}

	client.MPPE.Mode = ppp.MPPEOptional
	l = newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	l.start()
	l.run(10 * time.Second)
	l.wantUp()
	for _, data := range [][]byte{{0xC0, 0x23}, {0xC2, 0x23, 5}} {
		l.a.Receive(l.now, frame(wire.LCP, wire.ConfigureRequest, 177, append([]byte{3, byte(2 + len(data))}, data...)...))
		for {
			event, ok := l.a.Next()
			if !ok {
				break
			}
			tx, _ := event.(ppp.Transmit)
			if text := wire.Format(tx.Frame); strings.HasPrefix(text, "PAP ") || strings.Contains(text, "ConfAck") {
				t.Errorf("%x: %s, want no PAP and no Configure-Ack", data, text)
			}
		}
	}
}
