package l2tp

import (
	"crypto/subtle"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// mine reports whether a message is for this tunnel. A peer that never used our identifier may leave it out of all its
// messages, as D-Link's DIR-300 does. One that did use it always will: a message without it may be forged.
func (t *Tunnel) mine(h wire.Header) bool {
	if h.Tunnel == 0 {
		return !t.named
	}
	return h.Tunnel == t.ours
}

// mayBeNameless reports whether a message is one of those that a peer of whom nothing is known yet may send without
// our identifier: an SCCRQ has none, and D-Link's DIR-300 has none in its SCCCN either. Whatever else comes so is not
// the peer's for sure, and changes nothing.
func mayBeNameless(avps []wire.AVP) bool {
	if len(avps) == 0 {
		return false
	}
	kind := kindOf(avps)
	return kind == wire.SCCRQ || kind == wire.SCCCN
}

// tooEarly reports whether a message cannot be the peer's yet, as it has to answer ours first.
func (t *Tunnel) tooEarly(h wire.Header, avps []wire.AVP) bool {
	switch t.state {
	case stateHandshake:
		return h.Tunnel == 0 && !mayBeNameless(avps)
	case stateDialling:
		return len(avps) > 0 && kindOf(avps) != wire.SCCRP && kindOf(avps) != wire.StopCCN
	default:
		return false
	}
}

// harmful reports whether a message without our identifier would end a tunnel whose peer has not shown yet that it hears
// us. A forger needs only the address and port of a client that dials, so the message changes nothing.
func (t *Tunnel) harmful(h wire.Header, avps []wire.AVP, err error) bool {
	switch {
	case h.Tunnel != 0, t.state != stateHandshake && !t.unproven():
		return false
	case err != nil:
		return true
	case len(avps) == 0:
		return false
	}
	kind := kindOf(avps)
	if kind == wire.SCCCN && !t.proves(avps) { // a client with a wrong secret, perhaps: the log tells
		t.events = append(t.events, Refused{reason.New(reason.WrongTunnelSecret)})
		return true
	}
	return kind == wire.StopCCN || !kind.Known() || unknownMandatory(avps) && !kind.OfCall()
}

// proves reports whether an SCCCN answers our challenge, if there is one.
func (t *Tunnel) proves(avps []wire.AVP) bool {
	if t.challenge == nil {
		return true
	}
	want := wire.ChallengeResponse(wire.SCCCN, t.cfg.Secret, t.challenge)
	return subtle.ConstantTimeCompare(want[:], find(avps, wire.AttrChallengeResponse)) == 1
}

// supersede goes back to where the SCCCN is awaited, if one without our identifier was taken for it and the client's own
// comes now: what came before was forged.
func (t *Tunnel) supersede(h wire.Header, avps []wire.AVP) {
	if !t.unproven() || h.Tunnel != t.ours || len(avps) == 0 || kindOf(avps) != wire.SCCCN || int16(h.Ns-t.ch.nr) >= 0 {
		return
	}
	t.clearAll(reason.New(reason.TunnelReopened))
	t.state, t.ch.nr, t.held = stateHandshake, h.Ns, nil
}
