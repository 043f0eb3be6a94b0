package l2tp

import (
	"crypto/subtle"
	"encoding/binary"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// callSpeed is the speed of our line in an ICCN, in bits per second.
const callSpeed = 100_000_000

// Dial makes the LAC's end of a tunnel whose identifier is ours, and asks the server for the
// tunnel. Opened or Closed follows.
func Dial(cfg Config, ours uint16, now time.Time) *Tunnel {
	t := New(cfg, ours, now)
	t.client, t.state, t.shown = true, stateDialling, true
	t.endAt = now.Add(t.cfg.HandshakeTimeout)
	t.ch.push(now, 0, t.introduce(wire.SCCRQ, t.cfg.Host))
	return t
}

// replied takes the SCCRP.
func (t *Tunnel) replied(now time.Time, avps []wire.AVP) {
	id := find(avps, wire.AttrTunnelID)
	if len(id) != 2 || binary.BigEndian.Uint16(id) == 0 {
		t.close(reason.New(reason.ServerBadMessage, "gives no tunnel identifier"))
		return
	}
	t.ch.peer = binary.BigEndian.Uint16(id)
	if w := find(avps, wire.AttrReceiveWindow); len(w) == 2 {
		t.ch.setWindow(int(binary.BigEndian.Uint16(w)))
	}
	challenge := find(avps, wire.AttrChallenge)
	switch {
	case unknownMandatory(avps):
		t.stop(now, reason.New(reason.ServerUnknownAVP))
		return
	case t.challenge != nil:
		want := wire.ChallengeResponse(wire.SCCRP, t.cfg.Secret, t.challenge)
		if subtle.ConstantTimeCompare(want[:], find(avps, wire.AttrChallengeResponse)) != 1 {
			t.stop(now, reason.New(reason.ServerTunnelSecret))
			return
		}
	case len(challenge) > 0:
		t.stop(now, reason.New(reason.ServerWantsSecret))
		return
	}
	b := begin(wire.SCCCN)
	if len(challenge) > 0 {
		r := wire.ChallengeResponse(wire.SCCCN, t.cfg.Secret, challenge)
		b = wire.AppendAVP(b, true, wire.AttrChallengeResponse, r[:])
	}
	t.state, t.challenge = stateOpen, nil
	t.endAt = now.Add(t.cfg.IdleTimeout)
	t.ch.push(now, 0, b)
	t.events = append(t.events, Opened{})
}

// Call asks for a call whose identifier is ours. Answered or Cleared follows.
func (t *Tunnel) Call(now time.Time, ours uint16) {
	t.sessions = append(t.sessions, session{ours: ours, wanted: true})
	t.endAt = time.Time{}
	b := t.appendSession(begin(wire.ICRQ), ours)
	t.ch.push(now, 0, wire.AppendAVP(b, true, wire.AttrSerial, []byte{0, 0, 0, 1}))
	t.settle()
}

// answered takes the ICRP.
func (t *Tunnel) answered(now time.Time, ours uint16, avps []wire.AVP) {
	i, id := t.findOurs(ours), find(avps, wire.AttrSessionID)
	if i < 0 || !t.sessions[i].wanted {
		return
	}
	if len(id) != 2 || binary.BigEndian.Uint16(id) == 0 {
		t.hangUp(now, i, reason.New(reason.ServerBadMessage, "gives no session identifier"))
		return
	}
	s := &t.sessions[i]
	s.peers, s.wanted = binary.BigEndian.Uint16(id), false
	if !t.callUnderstood(now, ours, avps) {
		return
	}
	b := wire.AppendAVP(begin(wire.ICCN), true, wire.AttrSpeed, binary.BigEndian.AppendUint32(nil, callSpeed))
	b = wire.AppendAVP(b, true, wire.AttrFramingType, []byte{0, 0, 0, 1})
	if t.cfg.Sequencing {
		b = wire.AppendAVP(b, true, wire.AttrSequencingRequired, nil)
	}
	t.ch.push(now, s.peers, b)
	t.events = append(t.events, Answered{Session: ours, PeerSession: s.peers})
}
