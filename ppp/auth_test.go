package ppp_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	"vpnd/ppp/wire"
)

func TestNakOfAuthentication(t *testing.T) {
	nak := func(r *raw, data ...byte) []string {
		ours, _ := wire.ParsePacket(r.raw[len(r.raw)-1][4:])
		return r.say(frame(wire.LCP, wire.ConfigureNak, ours.ID, append([]byte{3, uint8(2 + len(data))}, data...)...))
	}
	t.Run("a method that is allowed", func(t *testing.T) {
		r := newRaw(t, ppp.Config{})
		r.drainFirst()
		r.want(nak(r, 0xC0, 0x23), "<auth pap>")
	})
	t.Run("refused", func(t *testing.T) {
		r := newRaw(t, ppp.Config{})
		r.drainFirst()
		ours, _ := wire.ParsePacket(r.raw[0][4:])
		r.want(r.say(frame(wire.LCP, wire.ConfigureReject, ours.ID, 3, 5, 0xC2, 0x23, 0x81)), "LCP TermReq")
		r.wantClosed(reason.New(reason.AuthRefused))
	})
	t.Run("EAP", func(t *testing.T) {
		r := newRaw(t, ppp.Config{})
		r.drainFirst()
		r.want(nak(r, 0xC2, 0x27), "<auth chap MS-v2>")
		r.want(nak(r, 0xC2, 0x27), "<auth chap MS>")
		r.want(nak(r, 0xC2, 0x27), "<auth chap MD5>")
		r.want(nak(r, 0xC2, 0x27), "<auth pap>")
		nak(r, 0xC2, 0x27)
		r.wantClosed(reason.New(reason.NoCommonAuth))
	})
}

// A client that is asked for EAP names the method that it accepts.
func TestClientNaksEAP(t *testing.T) {
	client := clientConfig(ppp.MSCHAPv2, ppp.PAP)
	client.Role = ppp.Client
	r := newRaw(t, client)
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 3, 4, 0xC2, 0x27)), "LCP ConfNak id=0x1 <auth chap MS-v2>")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 2, 3, 4, 0xC0, 0x23)), "LCP ConfAck id=0x2 <auth pap>")
}

// drainFirst stores the first request, sent at Start, as the last frame seen.
func (r *raw) drainFirst() {
	r.t.Helper()
	if len(r.raw) != 1 {
		r.t.Fatalf("%d frames at the start", len(r.raw))
	}
}

// wantClosed lets the timers run out and checks that the link ends for that reason. It compares
// arguments only if want has some.
func (r *raw) wantClosed(want reason.Reason) {
	r.t.Helper()
	for range 20 {
		r.now = r.now.Add(5 * time.Second)
		r.e.Tick(r.now)
	}
	r.drain()
	if closed, ok := r.all[len(r.all)-1].(ppp.Closed); !ok || closed.Reason.Code != want.Code || want.Args[0] != "" && closed.Reason.String() != want.String() {
		r.t.Errorf("%v, want the link closed: %s", r.all, want)
	}
}

// asked is how many proofs the owner has been asked to judge.
func (r *raw) asked() (n int) {
	for _, event := range r.all {
		if _, ok := event.(ppp.Authenticate); ok {
			n++
		}
	}
	return n
}

// proof is the answer to a challenge from a client that knows password. PAP needs no challenge.
func proof(t *testing.T, m ppp.Method, id uint8, challenge []byte, user, password string) []byte {
	t.Helper()
	var value []byte
	switch m {
	case ppp.MSCHAPv2:
		v := chap.RespondV2(user, password, [16]byte(challenge), [16]byte{1, 2, 3}).Value()
		value = v[:]
	case ppp.MSCHAPv1:
		v := chap.V1Response([8]byte(challenge), password)
		value = v[:]
	case ppp.CHAPMD5:
		v := chap.MD5Response(id, challenge, password)
		value = v[:]
	default:
		body := fmt.Sprintf("%c%s%c%s", len(user), user, len(password), password)
		return frame(wire.PAP, wire.PAPRequest, id, []byte(body)...)
	}
	return frame(wire.CHAP, wire.CHAPResponse, id, append(append([]byte{byte(len(value))}, value...), user...)...)
}

// challenged returns the identifier and the value of the last challenge.
func (r *raw) challenged() (id uint8, value []byte) {
	r.t.Helper()
	p, ok := r.ask[wire.CHAP]
	value, name, err := wire.ParseCHAP(p.Body)
	if !ok || err != nil || len(name) == 0 {
		r.t.Fatalf("challenge %v: %v among %q", p, err, r.out)
	}
	return p.ID, value
}

// openAuth opens LCP with m agreed and returns the identifier and the value of the challenge.
func openAuth(t *testing.T, m ppp.Method, cfg ppp.Config) (r *raw, id uint8, challenge []byte) {
	t.Helper()
	cfg.Auth = []ppp.Method{m}
	r = newRaw(t, cfg)
	r.openLCP()
	if m == ppp.PAP {
		return r, 3, nil
	}
	id, challenge = r.challenged()
	return r, id, challenge
}

var methods = []ppp.Method{ppp.PAP, ppp.CHAPMD5, ppp.MSCHAPv1, ppp.MSCHAPv2}

// A repeated proof gets the first answer, without another verification.
func TestRetransmittedProof(t *testing.T) {
	for _, m := range methods {
		t.Run(m.String(), func(t *testing.T) {
			r, id, challenge := openAuth(t, m, ppp.Config{})
			right := proof(t, m, id, challenge, "alice", "geheim")
			first := r.say(right)[0]
			if !strings.Contains(first, "Success") && !strings.Contains(first, "AuthAck") {
				t.Fatalf("answered by %s", first)
			}
			r.want(r.say(right), first)
			r.openIPCP()
			r.want(r.say(right), first)
			r.say(proof(t, m, id, challenge, "bob", "x"))
			r.want(r.out)
			if r.asked() != 1 {
				t.Errorf("verified %d times", r.asked())
			}
		})
	}
	r, _, _ := openAuth(t, ppp.PAP, ppp.Config{})
	r.say(papLogin(3))
	r.want(r.say(papLogin(4)), "PAP AuthAck id=0x4")
}

// A second try answers the challenge of the Failure, with the same identifier or the next one.
func TestSecondTry(t *testing.T) {
	for _, m := range []ppp.Method{ppp.MSCHAPv1, ppp.MSCHAPv2} {
		for _, bump := range []uint8{0, 1} {
			r, id, challenge := openAuth(t, m, ppp.Config{})
			wrong := proof(t, m, id, challenge, "bob", "x")
			r.say(wrong)
			r.e.Refuse(r.now, ppp.Refusal{Reason: reason.New(reason.WrongPassword), Retry: true})
			r.out = nil
			r.drain()
			r.want(r.out, "E=691 R=1 C=")
			_, text, _ := strings.Cut(r.out[0], "C=")
			text, _, _ = strings.Cut(text, " ")
			fresh, err := hex.DecodeString(text)
			if err != nil || len(fresh) != len(challenge) || bytes.Equal(fresh, challenge) || text != strings.ToUpper(text) {
				t.Fatalf("%v: challenge %q of the Failure: %v", m, text, err)
			}
			r.want(r.say(wrong), "CHAP Failure") // a retransmission
			if r.asked() != 1 {
				t.Fatalf("%v: verified %d times", m, r.asked())
			}
			r.say(proof(t, m, id+bump, fresh, "bob", "geheim"))
			question, ok := r.all[len(r.all)-1].(ppp.Authenticate)
			if !ok || !question.Proof.Verify("geheim") || question.Proof.Verify("x") {
				t.Fatalf("%v, id+%d: the second try is not asked about: %v", m, bump, r.all)
			}
			r.e.Refuse(r.now, ppp.Refusal{Reason: reason.New(reason.OutsideSchedule), Retry: true})
			r.out = nil
			r.drain()
			r.want(r.out, "E=646 R=0", "LCP TermReq")
		}
	}
}

// A proof belongs to the owner: later events on the link do not change it.
func TestProofStays(t *testing.T) {
	for _, m := range methods[1:] {
		r, id, challenge := openAuth(t, m, ppp.Config{})
		r.say(proof(t, m, id, challenge, "bob", "geheim"))
		question, ok := r.all[len(r.all)-1].(ppp.Authenticate)
		r.say(frame(wire.LCP, wire.ConfigureRequest, 77))
		if !ok || !question.Proof.Verify("geheim") {
			t.Errorf("%v: the proof is gone with the link's negotiation", m)
		}
	}
}

func TestRechallenge(t *testing.T) {
	for _, m := range methods {
		for _, oneTime := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v one-time %v", m, oneTime), func(t *testing.T) {
				mppe := ppp.MPPE{Mode: ppp.MPPEOptional}
				client := clientConfig(m)
				client.MPPE = mppe
				l := newLink(t, client, ppp.Config{MPPE: mppe, Rechallenge: time.Minute})
				l.b.oneTime = oneTime
				l.start()
				l.run(10*time.Minute + 30*time.Second)
				l.wantUp()
				want := 11
				switch {
				case m == ppp.PAP:
					want = 0
				case oneTime:
					want = 1
				}
				challenges, successes := 0, 0
				for _, f := range l.frames {
					challenges += strings.Count(f, "< CHAP Challenge")
					successes += strings.Count(f, "< CHAP Success")
				}
				if challenges != want || successes != want || l.b.asked != 1 || l.a.ups > 2 || l.b.ups > 2 {
					t.Errorf("%d challenges, %d successes, want %d; asked %d times, up %d and %d times",
						challenges, successes, want, l.b.asked, l.a.ups, l.b.ups)
				}
			})
		}
	}
}

// A peer that gives no answer, or a wrong one, to a later challenge is hung up.
func TestRechallengeFails(t *testing.T) {
	for _, m := range methods[1:] {
		for name, answer := range map[string][2]string{
			"wrong password": {"alice", "x"}, "other user": {"bob", "geheim"}, "none": {},
		} {
			t.Run(m.String()+" "+name, func(t *testing.T) {
				r, id, challenge := openAuth(t, m, ppp.Config{Rechallenge: time.Minute})
				r.say(proof(t, m, id, challenge, "alice", "geheim"))
				r.openIPCP()
				r.out, r.raw = nil, nil
				r.now = r.now.Add(time.Minute)
				r.e.Tick(r.now)
				r.drain()
				again, fresh := r.challenged()
				if again == id || bytes.Equal(fresh, challenge) {
					t.Error("the challenge is the old one")
				}
				// This is late, and no answer.
				r.want(r.say(proof(t, m, id, challenge, "alice", "geheim")), "CHAP Success")
				want := reason.New(reason.NoAuthAnswer)
				if name != "none" {
					want = reason.New(reason.FailedAgain)
					r.want(r.say(proof(t, m, again, fresh, answer[0], answer[1])), "CHAP Failure", "LCP TermReq")
				}
				r.wantClosed(want)
				if r.asked() != 1 {
					t.Errorf("the owner was asked %d times", r.asked())
				}
			})
		}
	}
}

// The client refuses a server that does not know the password.
func TestFalseServer(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{})
	l.b.password = ""
	l.start()
	l.run(time.Second)
	l.b.Grant(l.now, ppp.Grant{Password: "something else", Local: inner, Peer: given})
	l.run(20 * time.Second)
	if l.a.closed == nil || l.a.closed.Reason.Code != reason.ServerUnproven {
		t.Errorf("got %v, want the code %s", l.a.closed, reason.ServerUnproven)
	}
}

// A client distinguishes a server without a free address from one that refuses it, with any
// authentication.
func TestRefusedWithoutAFreeAddress(t *testing.T) {
	for _, method := range []ppp.Method{ppp.PAP, ppp.CHAPMD5, ppp.MSCHAPv1, ppp.MSCHAPv2} {
		for code, want := range map[reason.Code]reason.Code{reason.PoolEmpty: reason.ServerNoAddress, reason.TypeNotAllowed: reason.ServerForbidsLogIn} {
			client := clientConfig()
			client.Auth, client.Password = []ppp.Method{method}, "falsch"
			l := newLink(t, client, ppp.Config{Auth: []ppp.Method{method}})
			l.b.refusal = ppp.Refusal{Reason: reason.New(code)}
			l.start()
			l.run(10 * time.Second)
			if want == reason.ServerForbidsLogIn && (method == ppp.PAP || method == ppp.CHAPMD5) {
				want = reason.ServerRefusesLogIn // no code says more
			}
			if l.a.closed == nil || l.a.closed.Reason.Code != want {
				t.Errorf("%v, %s: %+v, want the code %s", method, code, l.a.closed, want)
			}
		}
	}
}

// So does a client whose server lets it in, and then rejects its request for an address.
func TestNoAddressAtIPCP(t *testing.T) {
	r := newRaw(t, ppp.Config{Role: ppp.Client, User: "alice", Password: "geheim"})
	r.ack(wire.LCP)
	r.say(frame(wire.LCP, wire.ConfigureRequest, 1))
	ask, ok := r.ask[wire.IPCP]
	if !ok {
		t.Fatalf("no IPCP: %q", r.out)
	}
	r.say(frame(wire.IPCP, wire.ConfigureReject, ask.ID, ask.Body...))
	r.say(frame(wire.IPCP, wire.ConfigureRequest, 1, 3, 6, 10, 88, 0, 1))
	r.ack(wire.IPCP)
	r.wantClosed(reason.New(reason.ServerGaveNone))
}
