package ppp_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// raw is a server whose peer is the test itself.
type raw struct {
	t     *testing.T
	e     *ppp.Engine
	now   time.Time
	out   []string
	raw   [][]byte
	all   []ppp.Event
	ask   map[wire.Protocol]wire.Packet // last request of each protocol; of CHAP, the challenge
	grant ppp.Grant                     // of alice
}

func newRaw(t *testing.T, cfg ppp.Config) *raw {
	t.Helper()
	r := &raw{t: t, e: ppp.New(cfg), now: start, ask: map[wire.Protocol]wire.Packet{}, grant: goodGrant}
	r.e.Start(r.now)
	r.drain()
	return r
}

func (r *raw) drain() {
	for {
		event, ok := r.e.Next()
		if !ok {
			return
		}
		if tx, ok := event.(ppp.Transmit); ok {
			r.out = append(r.out, wire.Format(tx.Frame))
			r.raw = append(r.raw, tx.Frame)
			protocol, info, _ := wire.ParseFrame(tx.Frame)
			if p, err := wire.ParsePacket(info); err == nil && p.Code == wire.ConfigureRequest {
				r.ask[protocol] = p
			}
			continue
		}
		r.all = append(r.all, event)
		if a, ok := event.(ppp.Authenticate); ok && strings.HasSuffix(a.User, "alice") {
			r.e.Grant(r.now, r.grant)
		}
	}
}

// say gives the engine a frame and returns its answers, readable.
func (r *raw) say(f []byte) []string {
	r.t.Helper()
	r.out, r.raw = nil, nil
	r.e.Receive(r.now, f)
	r.drain()
	return r.out
}

func (r *raw) want(got []string, want ...string) {
	r.t.Helper()
	if len(got) != len(want) {
		r.t.Errorf("answers %q, want %q", got, want)
		return
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			r.t.Errorf("answer %q, want %q", got[i], want[i])
		}
	}
}

// ack acknowledges the last Configure-Request of the engine.
func (r *raw) ack(p wire.Protocol) []string {
	r.t.Helper()
	return r.say(frame(p, wire.ConfigureAck, r.ask[p].ID, r.ask[p].Body...))
}

// up is the last NetworkUp, or nil if a NetworkDown came after it.
func (r *raw) up() (up *ppp.NetworkUp) {
	for _, event := range r.all {
		switch v := event.(type) {
		case ppp.NetworkUp:
			up = &v
		case ppp.NetworkDown:
			up = nil
		}
	}
	return up
}

// openLCP makes the peer acknowledge our request and ask for no options.
func (r *raw) openLCP() {
	r.t.Helper()
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 1)), "LCP ConfAck id=0x1")
	r.ack(wire.LCP)
}

func (r *raw) openPAP() {
	r.t.Helper()
	r.openLCP()
	r.say(papLogin(1))
}

func papLogin(id uint8) []byte {
	return frame(wire.PAP, wire.PAPRequest, id, append([]byte("\x05alice\x06"), "geheim"...)...)
}

// openIPCP finishes a link without encryption.
func (r *raw) openIPCP() {
	r.t.Helper()
	r.say(frame(wire.IPCP, wire.ConfigureRequest, 9, append([]byte{3, 6}, given.AsSlice()...)...))
	if r.ack(wire.IPCP); r.up() == nil {
		r.t.Fatalf("the link is not up: %v %v", r.out, r.all)
	}
}

var papOnly = ppp.Config{Auth: []ppp.Method{ppp.PAP}}

// The engine answers or ignores every protocol in every phase as listed. Before the start and after
// the end, it ignores everything.
func TestPhasesAndProtocols(t *testing.T) {
	const silent, reject = "", "LCP ProtRej"
	probes := []struct {
		name                                  string
		frame                                 []byte
		establish, auth, net, open, terminate string
	}{
		{"LCP", frame(wire.LCP, wire.EchoRequest, 7, 0, 0, 0, 0), silent, "LCP EchoRep", "LCP EchoRep", "LCP EchoRep", silent},
		{"LCP unknown code", frame(wire.LCP, 99, 7), "LCP CodeRej", "LCP CodeRej", "LCP CodeRej", "LCP CodeRej", "LCP CodeRej"},
		{"LCP request", frame(wire.LCP, wire.ConfigureRequest, 7), "LCP ConfAck", "LCP ConfReq", "LCP ConfReq", "LCP ConfReq", silent},
		{"LCP terminate", frame(wire.LCP, wire.TerminateRequest, 7), "LCP TermAck", "LCP TermAck", "LCP TermAck", "LCP TermAck", "LCP TermAck"},
		{"LCP identification", frame(wire.LCP, wire.Identification, 7, 0, 0, 0, 0, 'x'), silent, silent, silent, silent, silent},
		{"LCP time remaining", frame(wire.LCP, wire.TimeRemaining, 7, 0, 0, 0, 0, 0, 0, 0, 9), silent, silent, silent, silent, silent},
		{"LCP reset", frame(wire.LCP, wire.ResetRequest, 7), "LCP CodeRej", "LCP CodeRej", "LCP CodeRej", "LCP CodeRej", "LCP CodeRej"},
		{"PAP", papLogin(7), silent, "PAP AuthAck id=0x7", "PAP AuthAck id=0x7", "PAP AuthAck id=0x7", silent},
		{"PAP success", frame(wire.PAP, wire.PAPAck, 7, 0), silent, silent, silent, silent, silent},
		{"CHAP", frame(wire.CHAP, wire.CHAPResponse, 7, 0), silent, silent, silent, silent, silent},
		{"CHAP challenge", frame(wire.CHAP, wire.CHAPChallenge, 7, 1, 2, 'x'), silent, silent, silent, silent, silent},
		{"CHAP success", frame(wire.CHAP, wire.CHAPSuccess, 7), silent, silent, silent, silent, silent},
		{"EAP", frame(wire.EAP, 2, 7, 1), silent, silent, reject, reject, silent},
		{"EAP with a huge length", frame(wire.EAP, 2, 7, 13, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF), silent, silent, reject, reject, silent},
		{"CCP", frame(wire.CCP, wire.ConfigureRequest, 7, 18, 6, 1, 0, 0, 0x40), silent, silent, reject, reject, silent},
		{"IPCP", frame(wire.IPCP, wire.ConfigureRequest, 7), silent, silent, "IPCP ConfNak", "IPCP Conf", silent},
		{"IPCP unknown code", frame(wire.IPCP, 8, 7), silent, silent, "IPCP CodeRej", "IPCP CodeRej", silent},
		{"IPV6CP", frame(wire.IPV6CP, wire.ConfigureRequest, 7), silent, silent, reject, reject, silent},
		{"IPV6CP terminate", frame(wire.IPV6CP, wire.TerminateRequest, 7), silent, silent, reject, reject, silent},
		{"IPv6", frame(wire.IPv6, 0x60, 7), silent, silent, reject, reject, silent},
		{"VJ", frame(wire.VJTCP, 0x60, 7), silent, silent, reject, reject, silent},
		{"unknown", frame(0x1235, 1, 7), silent, silent, reject, reject, silent},
		{"IPv4", frame(wire.IPv4, 0x45, 7), silent, silent, silent, silent, silent},
		{"MPPE", frame(wire.Comp, 0x90, 0), silent, silent, silent, silent, silent},
	}
	for _, p := range probes {
		for phase, want := range map[string]string{
			"dead": silent, "establish": p.establish, "authenticate": p.auth, "network": p.net, "open": p.open,
			"terminate": p.terminate, "closed": silent,
		} {
			r := inPhase(t, phase)
			events := len(r.all)
			got := r.say(p.frame)
			if want == silent && len(got) > 0 || want != silent && (len(got) == 0 || !strings.Contains(got[0], want)) {
				t.Errorf("%s in %s: %q, want %q", p.name, phase, got, want)
			}
			for _, event := range r.all[events:] {
				switch event.(type) {
				case ppp.NetworkUp:
					t.Errorf("%s in %s opens the link", p.name, phase)
				case ppp.Authenticate:
					if phase != "authenticate" {
						t.Errorf("%s in %s is a proof", p.name, phase)
					}
				}
			}
		}
	}
}

// inPhase is a link in a phase of RFC 1661 section 3.2; in "open" IP passes.
func inPhase(t *testing.T, phase string) *raw {
	t.Helper()
	if phase == "dead" {
		return &raw{t: t, e: ppp.New(papOnly), now: start}
	}
	r := newRaw(t, papOnly)
	switch phase {
	case "authenticate":
		r.openLCP()
	case "network":
		r.openPAP()
	case "open", "terminate", "closed":
		r.openPAP()
		r.openIPCP()
	}
	switch phase {
	case "terminate":
		r.e.Close(r.now, reason.New(reason.Dropped, "enough"))
	case "closed":
		r.e.Down(reason.New(reason.Dropped, "gone"))
	}
	r.drain()
	return r
}

// A proof of another protocol than the agreed one is ignored.
func TestAgreedAuthentication(t *testing.T) {
	for _, agreed := range methods {
		for _, other := range methods {
			r, id, challenge := openAuth(t, agreed, ppp.Config{})
			value := append([]byte(nil), challenge...)
			for len(value) < 16 {
				value = append(value, 0)
			}
			if other == ppp.MSCHAPv1 {
				value = value[:8]
			}
			r.say(proof(t, other, id, value, "bob", "x"))
			// Responses of MS-CHAP and MS-CHAPv2 have the same form.
			same := agreed == other || agreed >= ppp.MSCHAPv1 && other >= ppp.MSCHAPv1
			if got := r.asked() == 1; got != same {
				t.Errorf("%v agreed, %v sent: asked %v", agreed, other, got)
			}
		}
	}
}

func TestLCPOptions(t *testing.T) {
	r := newRaw(t, papOnly)
	// Windows sends callback, MRRU and endpoint, with known options before, between and after.
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 0,
		1, 4, 5, 120, 13, 3, 6, 5, 6, 0, 0, 0, 0, 17, 4, 6, 64, 7, 2, 19, 3, 0)),
		"LCP ConfRej id=0x0 <13 06> <17 06 40> <19 00>")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 5, 6, 0, 0, 0, 0, 1, 4, 0, 10)), "LCP ConfNak id=0x1 <magic")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 2, 1, 4, 15, 251, 2, 6, 0, 0, 0, 0, 7, 2, 8, 2)),
		"LCP ConfAck id=0x2 <mru 4091> <asyncmap 0x0> <pcomp> <accomp>")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 3)), "LCP ConfAck id=0x3")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 3, 1))) // half an option
}

// A peer that insists on its own name server gets ours at most Max-Failure times, and then a Reject
// (RFC 1661 section 4.6).
func TestMaxFailure(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openPAP()
	insist := func(id uint8) []byte {
		return frame(wire.IPCP, wire.ConfigureRequest, id, 3, 6, 10, 99, 0, 10, 129, 6, 8, 8, 8, 8)
	}
	for id := range uint8(5) {
		r.want(r.say(insist(id)), "IPCP ConfNak id=0x"+string('0'+rune(id))+" <ms-dns1 10.99.0.53>")
	}
	r.want(r.say(insist(5)), "IPCP ConfRej id=0x5 <ms-dns1 8.8.8.8>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 6, 3, 6, 10, 99, 0, 10)), "IPCP ConfAck id=0x6")
}

// A reply is never longer than the peer's MRU allows.
func TestRepliesAreCut(t *testing.T) {
	r := newRaw(t, papOnly)
	ours, _ := wire.ParsePacket(r.raw[0][4:])
	r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 1, 4, 0, 128))
	r.say(frame(wire.LCP, wire.ConfigureAck, ours.ID, ours.Body...))
	r.say(papLogin(1))
	big := bytes.Repeat([]byte{1}, 1400)
	options := bytes.Repeat([]byte{99, 6, 8, 8, 8, 8}, 32)
	wrong := bytes.Repeat([]byte{129, 6, 8, 8, 8, 8}, 32) // without an address: one is appended
	for name, f := range map[string][]byte{
		"Echo-Reply": frame(wire.LCP, wire.EchoRequest, 7, big...), "Code-Reject": frame(wire.LCP, 99, 7, big...),
		"Protocol-Reject": frame(0x1235, 1, 7, big...), "Configure-Reject": frame(wire.IPCP, wire.ConfigureRequest, 7, options...),
		"Configure-Nak": frame(wire.IPCP, wire.ConfigureRequest, 7, wrong...),
	} {
		r.say(f)
		if len(r.raw) != 1 || len(r.raw[0]) > 4+128 || len(r.raw[0]) < 4+100 {
			t.Errorf("%s: %d frames, the first has %d bytes", name, len(r.raw), len(r.raw[0]))
		}
	}
}

func TestProtocolRejectIsRare(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openPAP()
	count := 0
	for i := range 1000 {
		count += len(r.say(frame(wire.Protocol(0x4001+2*(i%100)), 1, 1)))
	}
	if count == 0 || count > 4 {
		t.Errorf("%d answers within one second", count)
	}
	r.now = r.now.Add(time.Second)
	r.want(r.say(frame(0x4001, 1, 1)), "LCP ProtRej")
}

func TestIdentificationIsCleaned(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openLCP()
	for _, text := range []string{"MSRASV5.20", "MSRAS-0-COMPUTER", "\x00\x01\xff\x1b[2J" + strings.Repeat("x", 1000)} {
		r.want(r.say(frame(wire.LCP, wire.Identification, 2, append([]byte{1, 2, 3, 4}, text...)...)))
	}
	var notes []string
	for _, event := range r.all {
		if n, ok := event.(ppp.Note); ok {
			notes = append(notes, n.Text)
		}
	}
	if len(notes) != 3 || notes[0] != "identification MSRASV5.20" || !strings.HasPrefix(notes[2], `identification \x00\x01\xff\x1b[2J`) || len(notes[2]) > 300 {
		t.Errorf("got %q, want three notes, the first and the last identifications without control characters", notes)
	}
}

func TestPeerHangsUp(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openPAP()
	r.openIPCP()
	r.want(r.say(frame(wire.LCP, wire.TerminateRequest, 5, []byte("bye")...)), "LCP TermAck id=0x5")
	closed, ok := r.all[len(r.all)-1].(ppp.Closed)
	if !ok || closed.Reason.String() != `peer hung up: it says "bye"` || !closed.Peer {
		t.Errorf(`got %v, want an end by the peer: peer hung up: it says "bye"`, r.all)
	}
	r.want(r.say(papLogin(9)))
}

// The reason distinguishes a silent server from one that does not agree.
func TestSilentServer(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.a.Start(l.now) // with no peer at the other end
	l.run(5 * time.Minute)
	if l.a.closed == nil || l.a.closed.Reason.Row().Exit != reason.ExitNoAnswer {
		t.Errorf("in LCP: %v", l.a.closed)
	}
	l = newLink(t, clientConfig(), ppp.Config{})
	l.a.Start(l.now)
	l.a.Down(reason.New(reason.ServerHungUp))
	l.run(time.Second)
	if l.a.closed == nil || l.a.closed.Reason.Row().Exit != reason.ExitNoAnswer {
		t.Errorf("hung up without a word: %v", l.a.closed)
	}
	l = newLink(t, clientConfig(), ppp.Config{AuthTimeout: time.Hour, SetupTimeout: time.Hour})
	l.b.password = ""
	l.start()
	l.run(5 * time.Minute)
	if l.a.closed == nil || l.a.closed.Reason.Row().Exit != reason.ExitNoAnswer {
		t.Errorf("in authentication: %v", l.a.closed)
	}
	l = newLink(t, clientConfig(ppp.CHAPMD5), ppp.Config{Auth: []ppp.Method{ppp.PAP}})
	l.start()
	l.run(5 * time.Minute)
	if l.a.closed == nil || l.a.closed.Reason.Row().Exit != reason.ExitProtocol {
		t.Errorf("no method: %v", l.a.closed)
	}
}

func TestLoopedBack(t *testing.T) {
	e := ppp.New(ppp.Config{Role: ppp.Client})
	e.Start(start)
	now := start
	for range 1000 {
		event, ok := e.Next()
		if !ok {
			if next := e.Deadline(); !next.IsZero() {
				now = next
				e.Tick(now)
				continue
			}
			break
		}
		switch v := event.(type) {
		case ppp.Transmit:
			e.Receive(now, v.Frame)
		case ppp.Closed:
			if v.Reason.Code != reason.LoopedBack {
				t.Errorf("closed: %q", v.Reason.String())
			}
			return
		}
	}
	t.Error("a looped line never ends")
}

// A request that went out before the peer was there goes out again with the peer's first frame,
// before the answer to that frame, and only then. The first answer counts, to either request.
func TestRequestIsRepeatedForALatePeer(t *testing.T) {
	request := frame(wire.LCP, wire.ConfigureRequest, 1)
	late := newRaw(t, papOnly)
	late.now = late.now.Add(50 * time.Millisecond)
	late.want(late.say(request), "LCP ConfReq id=0x1", "LCP ConfAck id=0x1")
	late.want(late.say(request), "LCP ConfAck")
	if late.ack(wire.LCP); late.e.Deadline().IsZero() {
		t.Error("nothing is waited for")
	}
	late.want(late.ack(wire.LCP))
	late.want(late.say(papLogin(1)), "PAP AuthAck", "IPCP ConfReq")

	there := newRaw(t, papOnly)
	there.now = there.now.Add(50 * time.Millisecond)
	there.want(there.ack(wire.LCP))
	there.want(there.say(request), "LCP ConfAck")
	atOnce := newRaw(t, papOnly)
	atOnce.want(atOnce.say(request), "LCP ConfAck")
}
