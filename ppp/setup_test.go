package ppp_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	"vpnd/ppp/wire"
)

// A peer that restarts a phase again and again gets no more time than any other until packets pass.
func TestSetupEndsDespiteRestarts(t *testing.T) {
	lcp := func(r *raw, id uint8) {
		r.say(frame(wire.LCP, wire.ConfigureRequest, id, 2, 6, 0, 0, 0, id))
		r.ack(wire.LCP)
	}
	ms := []ppp.Method{ppp.MSCHAPv2}
	for name, c := range map[string]struct {
		cfg     ppp.Config
		begin   func(r *raw)
		restart func(r *raw, id uint8)
	}{
		"LCP, never opened": {papOnly, func(*raw) {}, func(r *raw, id uint8) {
			r.say(frame(wire.LCP, wire.ConfigureRequest, id, 2, 6, 0, 0, 0, id))
		}},
		"LCP, open":           {papOnly, (*raw).openLCP, lcp},
		"LCP, Nak'ed":         {papOnly, func(*raw) {}, func(r *raw, _ uint8) { r.say(frame(wire.LCP, wire.ConfigureNak, r.ask[wire.LCP].ID, 1, 4, 5, 0)) }},
		"LCP, authenticated":  {papOnly, (*raw).openPAP, func(r *raw, id uint8) { lcp(r, id); r.say(papLogin(id)) }},
		"LCP after it was up": {papOnly, func(r *raw) { r.openPAP(); r.openIPCP() }, lcp},
		"authentication, unanswered challenges": {ppp.Config{Auth: ms}, (*raw).openLCP, func(r *raw, id uint8) {
			lcp(r, id)
			r.say(frame(wire.CHAP, wire.CHAPResponse, id, 1, 2, 'x'))
		}},
		"IPCP": {papOnly, (*raw).openPAP, func(r *raw, id uint8) {
			r.say(frame(wire.IPCP, wire.ConfigureRequest, id, append([]byte{3, 6}, given.AsSlice()...)...))
			r.say(frame(wire.IPCP, wire.TerminateRequest, id))
		}},
		"CCP": {ppp.Config{Auth: ms, MPPE: ppp.MPPE{Mode: ppp.MPPERequired}}, func(r *raw) { r.openLCP(); r.openMSCHAPv2() }, func(r *raw, id uint8) {
			r.say(frame(wire.CCP, wire.ConfigureRequest, id, 18, 6, 1, 0, 0, 0x40))
		}},
	} {
		r := newRaw(t, c.cfg)
		c.begin(r)
		begun := r.now
		for id := uint8(10); !r.closed() && id < 100; id++ {
			c.restart(r, id)
			r.pass(5 * time.Second)
		}
		if took := r.now.Sub(begun); !r.closed() || took > 75*time.Second {
			t.Errorf("%s: over %v after %v, want a minute and the good-bye", name, r.closed(), took)
		}
	}
}

func (r *raw) closed() bool {
	if len(r.all) == 0 {
		return false
	}
	_, over := r.all[len(r.all)-1].(ppp.Closed)
	return over
}

// openMSCHAPv2 answers the challenge as alice.
func (r *raw) openMSCHAPv2() {
	r.t.Helper()
	id, challenge := r.challenged()
	value := chap.RespondV2("alice", goodGrant.Password, [16]byte(challenge), [16]byte{9}).Value()
	r.say(frame(wire.CHAP, wire.CHAPResponse, id, append(append([]byte{49}, value[:]...), "alice"...)...))
}

// While encryption is negotiated, the engine keeps the peer's last request of IPCP, and answers it
// as soon as packets are encrypted.
func TestIPCPWaitsForEncryption(t *testing.T) {
	zero, right := []byte{3, 6, 0, 0, 0, 0}, append([]byte{3, 6}, given.AsSlice()...)
	for name, c := range map[string]struct {
		held [][]byte
		want string
	}{
		"one":                {[][]byte{frame(wire.IPCP, wire.ConfigureRequest, 7, zero...)}, "IPCP ConfNak id=0x7 "},
		"the last of two":    {[][]byte{frame(wire.IPCP, wire.ConfigureRequest, 7, zero...), frame(wire.IPCP, wire.ConfigureRequest, 8, right...)}, "IPCP ConfAck id=0x8 "},
		"taken back":         {[][]byte{frame(wire.IPCP, wire.ConfigureRequest, 7, zero...), frame(wire.IPCP, wire.TerminateRequest, 8)}, ""},
		"none":               {nil, ""},
		"not a request":      {[][]byte{frame(wire.IPCP, wire.ConfigureAck, 7, zero...)}, ""},
		"one that is broken": {[][]byte{frame(wire.IPCP, wire.ConfigureRequest, 7, 3, 60)}, ""},
	} {
		r := newRaw(t, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
		r.openLCP()
		r.openMSCHAPv2()
		r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, 1, 0, 0, 0))
		for _, f := range c.held {
			r.want(r.say(f))
			clear(f) // the engine must have a copy
		}
		r.say(frame(wire.CCP, wire.ConfigureRequest, 9, 18, 6, 1, 0, 0, 0x40))
		got := r.ack(wire.CCP)
		want := []string{"IPCP ConfReq"}
		if c.want != "" {
			want = append(want, c.want)
		}
		r.want(got, want...)
		if again := r.say(frame(wire.CCP, wire.ConfigureRequest, 9, 18, 6, 1, 0, 0, 0x40)); strings.Contains(strings.Join(again, " "), "IPCP") {
			t.Errorf("%s: answered twice: %q", name, again)
		}
	}
}

// A held request does not survive its link.
func TestHeldRequestEndsWithLCP(t *testing.T) {
	r := newRaw(t, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
	r.openLCP()
	r.openMSCHAPv2()
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 7, 3, 6, 0, 0, 0, 0)))
	r.say(frame(wire.LCP, wire.ConfigureRequest, 8))
	r.ack(wire.LCP)
	r.openMSCHAPv2()
	r.say(frame(wire.CCP, wire.ConfigureRequest, 9, 18, 6, 1, 0, 0, 0x40))
	r.want(r.ack(wire.CCP), "IPCP ConfReq")
}
