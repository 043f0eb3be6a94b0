package l2tp

import (
	"encoding/binary"
	"slices"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

type session struct {
	peers, ours uint16
	wanted      bool // we have asked for it and wait for the ICRP
}

// call takes the ICRQ.
func (t *Tunnel) call(now time.Time, avps []wire.AVP) {
	id := find(avps, wire.AttrSessionID)
	if len(id) != 2 {
		return
	}
	peers := binary.BigEndian.Uint16(id)
	switch {
	case unknownMandatory(avps):
		t.cdn(now, peers, wire.Result{Code: cdnGeneral, Error: errorUnknownAVP, Message: "unknown mandatory AVP"})
	case peers == 0 || t.find(peers) >= 0 || len(t.sessions) >= t.cfg.MaxSessions || !t.shown && len(t.sessions) > 0:
		t.cdn(now, peers, wire.Result{Code: cdnTemporary, Error: errorNoResource})
	default:
		t.sessions = append(t.sessions, session{peers: peers})
		t.events = append(t.events, Dialled{PeerSession: peers})
	}
}

// find returns the place of the session with the peer's identifier.
func (t *Tunnel) find(peers uint16) int {
	return slices.IndexFunc(t.sessions, func(s session) bool { return s.peers == peers })
}

func (t *Tunnel) findOurs(ours uint16) int {
	return slices.IndexFunc(t.sessions, func(s session) bool { return s.ours == ours && ours != 0 })
}

// Accept answers Dialled. The peer's data messages will have the identifier ours. Accept returns
// false if the peer has hung up already.
func (t *Tunnel) Accept(now time.Time, peers, ours uint16) bool {
	i := t.find(peers)
	if i < 0 || t.sessions[i].ours != 0 || t.state != stateOpen {
		return false
	}
	t.sessions[i].ours = ours
	if t.shown {
		t.endAt = time.Time{}
	}
	t.ch.push(now, peers, t.appendSession(begin(wire.ICRP), ours))
	t.settle()
	return true
}

// Refuse answers Dialled: it refuses the call and tells the peer the reason.
func (t *Tunnel) Refuse(now time.Time, peers uint16, why reason.Reason) {
	if i := t.find(peers); i >= 0 && t.sessions[i].ours == 0 {
		t.remove(now, i)
		t.cdn(now, peers, wire.Result{Code: cdnTemporary, Error: errorNoResource, Message: why.Peer()})
		t.settle()
	}
}

func (t *Tunnel) remove(now time.Time, i int) {
	t.sessions = slices.Delete(t.sessions, i, i+1)
	if len(t.sessions) == 0 && t.state == stateOpen && t.shown {
		t.endAt = now.Add(t.cfg.IdleTimeout)
	}
}

func (t *Tunnel) callConnected(now time.Time, id uint16, avps []wire.AVP) {
	if !t.callUnderstood(now, id, avps) {
		return
	}
	if slices.ContainsFunc(avps, func(a wire.AVP) bool { return a.Known && a.Type == wire.AttrSequencingRequired }) {
		t.events = append(t.events, Sequencing{Session: id})
	}
	t.events = append(t.events, Connected{Session: id})
}

// callUnderstood finds the session of a message. If the message has an unknown mandatory AVP, it
// hangs the session up and returns false.
func (t *Tunnel) callUnderstood(now time.Time, ours uint16, avps []wire.AVP) bool {
	i := t.findOurs(ours)
	if i >= 0 && unknownMandatory(avps) {
		t.hangUp(now, i, t.unknownAVP())
		return false
	}
	return i >= 0
}

// disconnected takes the CDN. The CDN names the session by our identifier in its header, or else by
// the peer's identifier.
func (t *Tunnel) disconnected(now time.Time, id uint16, avps []wire.AVP) {
	i := t.findOurs(id)
	if peers := find(avps, wire.AttrSessionID); i < 0 && len(peers) == 2 {
		i = t.find(binary.BigEndian.Uint16(peers))
	}
	if i < 0 {
		return
	}
	ours := t.sessions[i].ours
	t.remove(now, i)
	if ours != 0 {
		r := wire.ParseResult(find(avps, wire.AttrResultCode))
		t.events = append(t.events, Cleared{Session: ours, Reason: t.because(reason.CallDisconnected, reason.ServerEndsCall, r)})
	}
}

func (t *Tunnel) hangUp(now time.Time, i int, why reason.Reason) {
	s := t.sessions[i]
	t.remove(now, i)
	t.ch.push(now, s.peers, t.disconnect(s.ours, result(why.Row().CDN, wire.Result{Code: cdnAdmin}, why)))
	t.events = append(t.events, Cleared{Session: s.ours, Reason: why})
}

// cdn refuses a call.
func (t *Tunnel) cdn(now time.Time, peers uint16, r wire.Result) {
	t.ch.push(now, peers, t.disconnect(0, r))
}

func (t *Tunnel) disconnect(ours uint16, r wire.Result) []byte {
	return t.appendSession(wire.AppendAVP(begin(wire.CDN), true, wire.AttrResultCode, r.Append(nil)), ours)
}

// Disconnect hangs up our session ours. Cleared follows.
func (t *Tunnel) Disconnect(now time.Time, ours uint16, why reason.Reason) {
	if i := t.findOurs(ours); i >= 0 && t.state == stateOpen {
		t.hangUp(now, i, why)
		t.settle()
	}
}

// appendSession appends the identifier of a session, hidden if the configuration says so. The
// identifier of the tunnel is never hidden: xl2tpd finds the secret only after it has read the
// message with that identifier.
func (t *Tunnel) appendSession(b []byte, id uint16) []byte {
	if !t.cfg.Hide || t.cfg.Secret == "" {
		return wire.AppendAVP(b, true, wire.AttrSessionID, u16(id))
	}
	vector := t.random()
	b = wire.AppendAVP(b, true, wire.AttrRandomVector, vector)
	return wire.AppendHidden(b, true, wire.AttrSessionID, u16(id), t.cfg.Secret, vector)
}
