package ppp_test

import (
	"math/rand/v2"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// sequence joins frames, each after its length in one byte, as FuzzEngine reads them.
func sequence(frames ...[]byte) (data []byte) {
	for _, f := range frames {
		data = append(append(data, byte(len(f))), f...)
	}
	return data
}

// FuzzEngine sends a stranger's frames to a server or a client during a dial-in. to sets how far
// the dial-in has come. The seeds are frames that crashed other servers.
func FuzzEngine(f *testing.F) {
	lcp := frame(wire.LCP, wire.ConfigureRequest, 1, 5, 6, 1, 2, 3, 4)
	ipcp := frame(wire.IPCP, wire.ConfigureRequest, 1, 3, 6, 0, 0, 0, 0)
	mppe := frame(wire.CCP, wire.ConfigureRequest, 9, 18, 6, 1, 0, 0, 0x40)
	for name, seed := range map[string][]byte{
		"LCP again":        sequence(lcp, lcp),
		"PAP early":        sequence(papLogin(1), lcp, papLogin(1), papLogin(1)),
		"IPCP early":       sequence(ipcp, frame(wire.IPv4, 0x45, 0, 0, 20), ipcp),
		"EAP-TLS length":   sequence(frame(wire.EAP, 2, 7, 13, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF)),
		"EAP long name":    sequence(frame(wire.EAP, 1, 7, append([]byte{4, 16}, make([]byte, 240)...)...)),
		"short LCP":        sequence([]byte{0xC0, 0x21}, []byte{0xC0, 0x21, 1}, []byte{0xC0, 0x21, 1, 1, 0, 3}, []byte{0xFF}),
		"half an option":   sequence(frame(wire.LCP, wire.ConfigureRequest, 1, 1), frame(wire.LCP, wire.ConfigureRequest, 2, 1, 0)),
		"short echo":       sequence(frame(wire.LCP, wire.EchoRequest, 1)),
		"short rejects":    sequence(frame(wire.LCP, wire.ProtocolReject, 1, 0x80), frame(wire.LCP, wire.CodeReject, 1)),
		"rejects all":      sequence(frame(wire.LCP, wire.ProtocolReject, 1, 0x80, 0xFD), frame(wire.LCP, wire.ProtocolReject, 2, 0x80, 0x21)),
		"CCP when open":    sequence(mppe, mppe, frame(wire.CCP, wire.ConfigureRequest, 10, 18, 6, 1, 0, 0, 0x40)),
		"CCP without bits": sequence(frame(wire.CCP, wire.ConfigureRequest, 9, 18, 6, 0, 0, 0, 0), frame(wire.CCP, wire.TerminateRequest, 10, 0xFF, 0, 1)),
		"CHAP twice":       sequence(frame(wire.CHAP, wire.CHAPResponse, 1, append(append([]byte{49}, make([]byte, 49)...), "alice"...)...), frame(wire.CHAP, wire.CHAPResponse, 1, 49)),
		"leaves at once":   sequence(frame(wire.LCP, wire.TerminateRequest, 1), frame(wire.LCP, wire.TerminateRequest, 2), lcp),
		"small MRU":        sequence(frame(wire.LCP, wire.ConfigureRequest, 1, 1, 4, 0, 0), frame(wire.LCP, wire.ConfigureRequest, 2, 1, 4, 0, 128), frame(wire.LCP, 99, 3, make([]byte, 200)...)),
	} {
		if len(seed) == 0 {
			f.Fatal(name)
		}
		for to := range uint8(4) {
			f.Add(to, seed)
			f.Add(to|2<<2, seed)
			f.Add(to|0x80, seed)
			f.Add(to|0x40, seed)
			f.Add(to|0xC0, seed)
		}
	}
	f.Fuzz(func(t *testing.T, to uint8, data []byte) {
		cfg := ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEMode(to>>2&0xF) % 3}}
		if to&0x80 != 0 {
			cfg.Role, cfg.User, cfg.Password, cfg.Auth = ppp.Client, "alice", "geheim", []ppp.Method{ppp.MSCHAPv2, ppp.PAP}
		}
		client := clientConfig()
		if to&0x40 != 0 {
			cfg.Mutual, client.Mutual = vigor, vigor
		}
		client.Random, cfg.Random = rand.NewChaCha8([32]byte{1}), rand.NewChaCha8([32]byte{2})
		l := newLink(t, client, cfg)
		if to&0x80 != 0 { // the engine under test is the client
			l.a, l.b = &end{Engine: ppp.New(ppp.Config{Random: client.Random, Mutual: client.Mutual}), password: "geheim"}, &end{Engine: ppp.New(cfg)}
		}
		l.start()
		l.run(time.Duration(to&3) * 25 * time.Millisecond)
		for len(data) > 1 {
			n := min(int(data[0]), len(data)-1)
			l.b.Receive(l.now, data[1:1+n])
			data = data[1+n:]
			l.run(time.Millisecond)
		}
		l.run(5 * time.Minute)
		if l.b.up == nil && l.b.closed == nil {
			t.Errorf("stuck\n%s", l.tail())
		}
	})
}

// FuzzSequence drives a server with well-formed messages in any order: each byte is one. Some bytes
// are the owner's answers, the passing of time, and hang-ups.
func FuzzSequence(f *testing.F) {
	f.Add(uint8(0), []byte{0, 1, 20, 2, 3, 4})                      // a dial-in
	f.Add(uint8(1), []byte{0, 1, 21, 5, 6, 7, 8, 2, 3, 4, 5, 6, 9}) // the peer asks for CCP again
	f.Add(uint8(2), []byte{0, 1, 22, 5, 6, 7, 2, 4, 0, 1, 22})      // LCP begins again
	f.Add(uint8(0), []byte{0, 1, 20, 10, 11, 12})                   // leaves right after log-in
	f.Add(uint8(1), []byte{2, 5, 20, 23, 0, 2, 5, 1, 2, 5})         // too early
	f.Add(uint8(1), []byte{0, 1, 22, 24, 22, 23, 5, 6, 2, 4})       // a second try
	f.Add(uint8(2), []byte{13, 14, 15, 16, 17, 18, 19, 13, 14, 15})
	f.Add(uint8(0x80), []byte{27, 1, 28, 20, 28, 2, 3, 4}) // we authenticate ourselves
	f.Add(uint8(0x81), []byte{27, 1, 22, 23, 29, 28})      // and are refused
	f.Fuzz(func(t *testing.T, mode uint8, moves []byte) {
		var mutual ppp.Mutual
		if mode&0x80 != 0 {
			mutual = vigor
		}
		r := newRaw(t, ppp.Config{
			Mutual: mutual,
			MPPE:   ppp.MPPE{Mode: ppp.MPPEMode(mode&0x7F) % 3}, Rechallenge: 20 * time.Second, Random: rand.NewChaCha8([32]byte{3}),
		})
		for i, move := range moves[:min(len(moves), 200)] {
			id := uint8(i)
			answers := len(r.move(move, id))
			if answers > 4 {
				t.Fatalf("%d frames for one: %q", answers, r.out)
			}
			r.check()
		}
		for range 200 {
			if r.e.Deadline().IsZero() || r.up() != nil {
				break
			}
			r.now = r.e.Deadline()
			r.e.Tick(r.now)
			r.drain()
		}
		r.check()
		if _, closed := r.all[max(0, len(r.all)-1):][0].(ppp.Closed); !closed && r.up() == nil {
			t.Errorf("stuck: %v", r.all)
		}
	})
}

// move makes one move of FuzzSequence and returns the frames that it caused.
func (r *raw) move(move, id uint8) []string {
	frames := [][]byte{
		frame(wire.LCP, wire.ConfigureRequest, id, 5, 6, 9, 9, 9, 9),
		frame(wire.LCP, wire.ConfigureAck, r.ask[wire.LCP].ID, r.ask[wire.LCP].Body...),
		frame(wire.IPCP, wire.ConfigureRequest, id, 3, 6, 10, 99, 0, 10),
		frame(wire.IPCP, wire.ConfigureRequest, id, 3, 6, 0, 0, 0, 0),
		frame(wire.IPCP, wire.ConfigureAck, r.ask[wire.IPCP].ID, r.ask[wire.IPCP].Body...),
		frame(wire.CCP, wire.ConfigureRequest, id, 18, 6, 1, 0, 0, 0x40),
		frame(wire.CCP, wire.ConfigureAck, r.ask[wire.CCP].ID, r.ask[wire.CCP].Body...),
		frame(wire.CCP, wire.ConfigureNak, r.ask[wire.CCP].ID, 18, 6, 0, 0, 0, 0x20),
		frame(wire.CCP, wire.ResetRequest, id),
		frame(wire.CCP, wire.TerminateRequest, id),
		frame(wire.LCP, wire.TerminateRequest, id),
		frame(wire.LCP, wire.TerminateAck, id),
		frame(wire.LCP, wire.EchoRequest, id, 9, 9, 9, 9),
		frame(wire.LCP, wire.ConfigureNak, r.ask[wire.LCP].ID, 3, 4, 0xC0, 0x23),
		frame(wire.LCP, wire.ConfigureReject, r.ask[wire.LCP].ID, r.ask[wire.LCP].Body...),
		frame(wire.LCP, wire.ProtocolReject, id, 0x80, 0xFD),
		frame(wire.IPCP, wire.TerminateRequest, id),
		frame(wire.IPCP, wire.ConfigureReject, r.ask[wire.IPCP].ID, r.ask[wire.IPCP].Body...),
		frame(wire.LCP, wire.CodeReject, id, 99, 1, 0, 4),
		frame(wire.IPV6CP, wire.ConfigureRequest, id),
		papLogin(id),
	}
	if int(move) < len(frames) {
		return r.say(frames[move])
	}
	r.out, r.raw = nil, nil
	switch move {
	case 21: // answers the challenge, and is granted at once
		return r.respond("alice", id)
	case 22: // granted later
		return r.respond("bob", id)
	case 23:
		r.e.Grant(r.now, goodGrant)
	case 24:
		r.e.Refuse(r.now, ppp.Refusal{Reason: reason.New(reason.WrongPassword), Retry: true})
	case 25:
		r.e.Close(r.now, reason.New(reason.Dropped, "enough"))
	case 26:
		r.e.ResetRequest(r.now)
	case 27:
		return r.say(frame(wire.LCP, wire.ConfigureRequest, id, 3, 4, 0xC0, 0x23))
	case 28, 29:
		return r.say(frame(wire.PAP, wire.PAPAck+wire.Code(move-28), r.ask[wire.PAP].ID, 0))
	default:
		r.now = r.now.Add(time.Duration(move-29) * 100 * time.Millisecond)
		r.e.Tick(r.now)
	}
	r.drain()
	return r.out
}

// respond answers the last challenge. The answer is right if the challenge was MS-CHAP's.
func (r *raw) respond(user string, id uint8) []string {
	r.t.Helper()
	value, _, err := wire.ParseCHAP(r.ask[wire.CHAP].Body)
	switch {
	case err != nil:
		return r.say(papLogin(id))
	case len(value) == 8:
		return r.say(proof(r.t, ppp.MSCHAPv1, r.ask[wire.CHAP].ID, value, user, "geheim"))
	}
	return r.say(proof(r.t, ppp.MSCHAPv2, r.ask[wire.CHAP].ID, value, user, "geheim"))
}

// check checks that without authentication no network is open and no password was sent, and that
// nothing follows the end.
func (r *raw) check() {
	asked := false
	for i, event := range r.all {
		switch event.(type) {
		case ppp.Authenticate:
			asked = true
		case ppp.NetworkUp:
			if !asked {
				r.t.Fatalf("open without authentication: %v", r.all)
			}
		case ppp.Closed:
			if i != len(r.all)-1 {
				r.t.Fatalf("events after Closed: %v", r.all[i:])
			}
		}
	}
	if _, told := r.ask[wire.PAP]; told && !asked {
		r.t.Fatalf("a stranger is told our password: %v", r.all)
	}
}
