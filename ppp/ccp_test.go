package ppp_test

import (
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// A server that prefers stateful streams asks a client for them once. A client that rejects them
// and continues, as pppd does, gets stateless ones. The server asks again when the client
// negotiates CCP again.
func TestStatefulPreferred(t *testing.T) {
	const on, off = "<mppe +H -M +S -L -D -C>", "<mppe -H -M +S -L -D -C>"
	stateless, stateful := []byte{18, 6, 1, 0, 0, 0x40}, []byte{18, 6, 0, 0, 0, 0x40}
	cfg := ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{mppe.Bits128}, Stateful: true}}
	r, id, challenge := openAuth(t, ppp.MSCHAPv2, cfg)
	r.say(proof(t, ppp.MSCHAPv2, id, challenge, "alice", "geheim"))
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 1, stateless...)), "CCP ConfReq", "CCP ConfNak")
	r.want(r.out, off, off)
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 2, stateless...)), "CCP ConfAck")
	r.want(r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, stateful...)), on)
	r.ack(wire.CCP)
	r.openIPCP()
	if up := r.up(); up == nil || up.Encryption != "MPPE-128 stateless" {
		t.Fatalf("up: %+v", up)
	}
	// The client has rejected the other.
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 3, stateless...)), on, off)
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 4, stateful...)), "CCP ConfAck")
	r.ack(wire.CCP)
	if up := r.up(); up == nil || up.Encryption != "MPPE-128 stateful" {
		t.Errorf("up: %+v", up)
	}
	r.want(r.say(frame(wire.CCP, wire.ResetRequest, 0x4d)), "CCP ResetAck id=0x4d")
	if _, ok := r.all[len(r.all)-1].(ppp.CryptoReset); !ok {
		t.Errorf("no reset: %T", r.all[len(r.all)-1])
	}

	// A client that rejects MPPE altogether is not asked for ever.
	r, id, challenge = openAuth(t, ppp.MSCHAPv2, cfg)
	r.say(proof(t, ppp.MSCHAPv2, id, challenge, "alice", "geheim"))
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 1)), "CCP ConfReq", "CCP ConfNak")
	r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, stateful...))
	r.want(r.out, on)
	r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, stateless...))
	r.wantClosed(reason.New(reason.MPPERefused))
}

// A client that ends CCP before any agreement continues in clear at once, and is not asked again.
// It may change its mind.
func TestCCPEndedBeforeItIsAgreed(t *testing.T) {
	for name, begun := range map[string]bool{"begun": true, "not begun": false} {
		t.Run(name, func(t *testing.T) {
			r := newRaw(t, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
			r.logIn()
			if begun {
				r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, 1, 0, 0, 1)), "CCP ConfReq", "CCP ConfNak")
			}
			r.want(r.say(frame(wire.CCP, wire.TerminateRequest, 7, 0x3C, 0xCD, 0x74)), "CCP TermAck id=0x7")
			r.openIPCP()
			r.out = nil
			r.pass(10 * time.Second)
			if len(r.out) > 0 || r.up() == nil || r.up().Encryption != "none" {
				t.Errorf("%q, up: %+v", r.out, r.up())
			}
			r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 8, 18, 6, 1, 0, 0, 0x40)), "CCP ConfReq", "CCP ConfAck")
			if r.up() != nil {
				t.Error("packets pass in clear while the client agrees about encryption after all")
			}
			r.ack(wire.CCP)
			if up := r.up(); up == nil || up.Encryption != "MPPE-128 stateless" {
				t.Errorf("up: %+v", up)
			}
		})
	}
}
