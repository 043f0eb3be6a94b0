package l2tp

import "vpnd/l2tp/wire"

// mine reports whether a message is for this tunnel. A peer that never used our identifier may leave it out of all its
// messages, as D-Link's DIR-300 does. One that did use it always will: what comes without it may be forged.
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
