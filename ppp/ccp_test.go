package ppp_test

import (
	"testing"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// A server that prefers stateful streams asks a client for them once. One that rejects them, as pppd does that
// goes on all the same, gets stateless ones, and is told again when it negotiates CCP anew.
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
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 3, stateless...)), on, off) // it has rejected the other
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 4, stateful...)), "CCP ConfAck")
	r.ack(wire.CCP)
	if up := r.up(); up == nil || up.Encryption != "MPPE-128 stateful" {
		t.Errorf("up: %+v", up)
	}
	r.want(r.say(frame(wire.CCP, wire.ResetRequest, 0x4d)), "CCP ResetAck id=0x4d")
	if _, ok := r.all[len(r.all)-1].(ppp.CryptoReset); !ok {
		t.Errorf("no reset: %T", r.all[len(r.all)-1])
	}

	// Who rejects MPPE altogether is not asked for ever.
	r, id, challenge = openAuth(t, ppp.MSCHAPv2, cfg)
	r.say(proof(t, ppp.MSCHAPv2, id, challenge, "alice", "geheim"))
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 1)), "CCP ConfReq", "CCP ConfNak")
	r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, stateful...))
	r.want(r.out, on)
	r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, stateless...))
	r.wantClosed(reason.New(reason.MPPERefused))
}
