package l2tp

import (
	"encoding/binary"
	"slices"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// Receive takes a control message. It drops an unreadable one without an answer.
func (t *Tunnel) Receive(now time.Time, h wire.Header, body []byte) {
	if t.state == stateClosed {
		return
	}
	if !t.mine(h) {
		t.repeated(h, body)
		return
	}
	t.heard = now
	t.named = t.named || h.Tunnel != 0 && t.state != stateIdle
	avps, ok, err := t.read(h, body)
	if !ok || t.tooEarly(h, avps) || t.harmful(h, avps, err) {
		return
	}
	t.supersede(h, avps)
	if t.unproven() && (h.Tunnel == t.ours || t.findOurs(h.Session) >= 0) {
		t.proven(now)
	}
	if t.ch.acknowledge(now, h.Nr) {
		t.catchUp(now)
		if !t.hold(h, avps, body) {
			t.take(now, h, avps, err, len(body))
		}
	}
	t.settle()
}

// repeated acknowledges an SCCRQ that was sent again before our answer came.
func (t *Tunnel) repeated(h wire.Header, body []byte) {
	if h.Tunnel == 0 && wire.IsSCCRQ(body) {
		t.ch.ack()
	}
}

// read returns the AVPs of a message. It returns false if the message must be dropped. The error
// says that another secret hides an AVP.
func (t *Tunnel) read(h wire.Header, body []byte) (avps []wire.AVP, ok bool, err error) {
	if t.state == stateIdle && (h.Ns != 0 || h.Nr != 0 || len(body) == 0) {
		t.close(reason.New(reason.BadMessage, "SCCRQ with a wrong number"))
		return nil, false, nil
	}
	avps, err = wire.ParseAVPs(body, t.cfg.Secret)
	switch {
	case err == nil && len(body) > 0 && !beginsWithType(avps):
		return nil, false, nil
	case t.state == stateIdle:
		return avps, t.learnPeer(avps, err), err
	default:
		return avps, err == nil || err == wire.ErrHidden, err //nolint:errorlint // ParseAVPs returns it bare
	}
}

// beginsWithType reports whether the first AVP is the type of the message.
func beginsWithType(avps []wire.AVP) bool {
	return len(avps) > 0 && avps[0].Type == wire.AttrMessageType && avps[0].Vendor == 0 && len(avps[0].Value) == 2
}

// learnPeer takes the peer's identifier from the first message. Our answer needs it. Without it,
// the tunnel closes.
func (t *Tunnel) learnPeer(avps []wire.AVP, err error) bool {
	if err != nil {
		t.close(reason.New(reason.BadMessage, err))
		return false
	}
	if id := find(avps, wire.AttrTunnelID); len(id) == 2 {
		t.ch.peer = binary.BigEndian.Uint16(id)
	}
	if t.ch.peer == 0 {
		t.close(reason.New(reason.BadMessage, "SCCRQ without a tunnel identifier"))
		return false
	}
	return true
}

func find(avps []wire.AVP, t wire.Attribute) []byte {
	for _, a := range avps {
		if a.Known && a.Type == t {
			return a.Value
		}
	}
	return nil
}

// unknownMandatory reports whether an unknown AVP has the M bit.
func unknownMandatory(avps []wire.AVP) bool {
	return slices.ContainsFunc(avps, func(a wire.AVP) bool { return a.Mandatory && !a.Known })
}

func kindOf(avps []wire.AVP) wire.MessageType {
	return wire.MessageType(binary.BigEndian.Uint16(avps[0].Value))
}

// message takes the next message, whose body had n bytes.
func (t *Tunnel) message(now time.Time, h wire.Header, avps []wire.AVP, n int) {
	kind := kindOf(avps)
	switch {
	case kind == wire.SCCRQ:
		if t.state == stateIdle {
			t.request(now, avps, maxAnswer(n))
		}
	case kind == wire.StopCCN:
		t.peerStopped(now, avps)
	case t.state == stateIdle:
		t.close(reason.New(reason.NotStarted, kind, "SCCRQ"))
	case t.state == stateStopping:
	case t.state == stateDialling:
		if kind == wire.SCCRP {
			t.replied(now, avps)
		}
	case !kind.Known() && avps[0].Mandatory:
		t.stop(now, t.because(reason.UnknownMessage, reason.ServerUnknownKind, kind))
	case unknownMandatory(avps) && !kind.OfCall():
		t.stop(now, t.unknownAVP())
	case t.state == stateHandshake:
		if kind == wire.SCCCN {
			t.connected(now, h, avps)
		}
	default:
		t.messageOfCall(now, h.Session, kind, avps)
	}
}

// messageOfCall takes a message in a tunnel that is open.
func (t *Tunnel) messageOfCall(now time.Time, id uint16, kind wire.MessageType, avps []wire.AVP) {
	switch kind {
	case wire.ICRQ:
		t.call(now, avps)
	case wire.ICRP:
		t.answered(now, id, avps)
	case wire.WEN, wire.SLI: // if we understand them, we only acknowledge them
		t.callUnderstood(now, id, avps)
	case wire.ICCN:
		t.callConnected(now, id, avps)
	case wire.CDN:
		t.disconnected(now, id, avps)
	case wire.OCRQ:
		if peers := find(avps, wire.AttrSessionID); len(peers) == 2 {
			t.cdn(now, binary.BigEndian.Uint16(peers), wire.Result{Code: cdnPermanent, Message: "no outgoing calls"})
		}
	default: // Hello and unrequested messages: we only acknowledge them
	}
}
