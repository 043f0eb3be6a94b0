package l2tp

import (
	"crypto/subtle"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// mine reports whether a message is for this tunnel. A peer that never uses our identifier may omit
// it in all its messages, as D-Link's DIR-300 does. A peer that has used it always will, so a
// message without it may be forged.
func (t *Tunnel) mine(h wire.Header) bool {
	if h.Tunnel == 0 {
		return !t.named
	}
	return h.Tunnel == t.ours
}

// mayBeNameless reports whether an unproven peer may send this message without our identifier. An
// SCCRQ has none, and D-Link's DIR-300 has none in its SCCCN either. Any other message without it
// may be forged, and changes nothing.
func mayBeNameless(avps []wire.AVP) bool {
	if len(avps) == 0 {
		return false
	}
	kind := kindOf(avps)
	return kind == wire.SCCRQ || kind == wire.SCCCN
}

// tooEarly reports whether a message comes before the peer's answer to our message, and so cannot
// be the peer's.
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

// harmful reports whether a message without our identifier would end a tunnel whose peer has not
// shown yet that it hears us. A forger needs only the address and port of a dialling client, so the
// message changes nothing.
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
	if kind == wire.SCCCN && !t.proves(avps) { // perhaps a client with a wrong secret: log it
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

// supersede goes back to the wait for the SCCCN. It does so if the tunnel took an SCCCN without our
// identifier, and the client's own SCCCN comes now. The earlier one was forged.
func (t *Tunnel) supersede(h wire.Header, avps []wire.AVP) {
	if !t.unproven() || h.Tunnel != t.ours || len(avps) == 0 || kindOf(avps) != wire.SCCCN || int16(h.Ns-t.ch.nr) >= 0 {
		return
	}
	t.clearAll(reason.New(reason.TunnelReopened))
	t.state, t.ch.nr, t.held = stateHandshake, h.Ns, nil
}
