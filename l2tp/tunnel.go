package l2tp

import (
	"encoding/binary"
	"io"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// Result codes of StopCCN and CDN (RFC 2661 section 4.4.2).
const (
	stopGeneral     = 2
	stopNoRight     = 4
	stopVersion     = 5
	stopShutDown    = 6
	cdnAdmin        = 3
	cdnTemporary    = 4
	cdnPermanent    = 5
	cdnGeneral      = 2
	errorNoResource = 4
	errorUnknownAVP = 8
)

type state uint8

const (
	stateIdle      state = iota // waits for the SCCRQ
	stateDialling               // client: waits for the SCCRP
	stateHandshake              // waits for the SCCCN
	stateOpen
	stateStopping // our StopCCN is unanswered, or the peer may repeat its own
	stateClosed
)

// linger is how long a tunnel that the peer has stopped answers its repetitions. RFC 2661 section
// 5.7 asks for a full cycle of retransmissions. This is shorter and costs little.
const linger = 5 * time.Second

// Tunnel is one end of a tunnel: the LAC's if Dial made it, or else the LNS's. It is not safe for
// concurrent use.
type Tunnel struct {
	cfg       Config
	state     state
	client    bool // we have dialled the peer
	ours      uint16
	ch        channel
	sessions  []session
	challenge []byte // ours
	shown     bool   // the peer has shown that it hears us
	named     bool   // it has put our identifier into a message
	host      string
	held      []held        // the next messages, until there is room in ch
	heard     time.Time     // when the peer last sent anything, data included
	endAt     time.Time     // when the present state ends; zero: never
	sent      int           // messages sent: each one acknowledges
	stopped   reason.Reason // why it is stopping
	theirs    bool          // the peer has stopped it
	events    []Event
}

// New makes a Tunnel whose identifier is ours. The caller then gives the SCCRQ to Receive.
func New(cfg Config, ours uint16, now time.Time) *Tunnel {
	t := &Tunnel{cfg: cfg.withDefaults(), ours: ours, heard: now}
	t.ch.init(func(datagram []byte) {
		t.sent++
		t.events = append(t.events, Transmit{datagram})
	})
	return t
}

// Peer is the peer's tunnel identifier, which our data messages carry.
func (t *Tunnel) Peer() uint16 { return t.ch.peer }

// Host is the name that the peer has sent, without the NUL of Apple's clients.
func (t *Tunnel) Host() string { return t.host }

// Dialling reports whether the dialled server has not answered yet.
func (t *Tunnel) Dialling() bool { return t.state == stateDialling }

// Handshake is how long the peer has for its SCCCN. A later SCCRQ is not a repetition of the first
// one.
func (t *Tunnel) Handshake() time.Duration { return t.cfg.HandshakeTimeout }

// HalfOpen reports whether the peer has not shown yet that it hears us. A tunnel that ends before
// that stays half-open.
func (t *Tunnel) HalfOpen() bool { return !t.shown }

// unproven reports whether the tunnel is open, but the peer has not shown yet that it hears us.
func (t *Tunnel) unproven() bool { return t.state == stateOpen && !t.shown }

// Next takes the next event off the queue. The caller must drain the events after each call.
func (t *Tunnel) Next() (Event, bool) {
	if len(t.events) == 0 {
		t.events = nil
		return nil, false
	}
	event := t.events[0]
	t.events = t.events[1:]
	return event, true
}

// Heard says when the peer sent data. The time may be in the past.
func (t *Tunnel) Heard(at time.Time) {
	if at.After(t.heard) {
		t.heard = at
	}
}

// peerStopped takes the StopCCN.
func (t *Tunnel) peerStopped(now time.Time, avps []wire.AVP) {
	why := t.because(reason.TunnelClosed, reason.ServerClosedTunnel)
	r := wire.ParseResult(find(avps, wire.AttrResultCode))
	switch {
	case r.Code == stopNoRight && t.state != stateDialling:
		why = t.because(reason.TunnelSecretRefused, reason.ServerRefusesSecret)
		t.events = append(t.events, Refused{why})
	case t.state == stateDialling:
		why = reason.New(reason.ServerRefusesTunnel, r)
		if id := find(avps, wire.AttrTunnelID); len(id) == 2 {
			t.ch.peer = binary.BigEndian.Uint16(id)
		}
	}
	t.clearAll(why)
	t.state, t.stopped, t.theirs, t.endAt = stateStopping, why, true, now.Add(linger)
}

// sccrpRest is the length of an SCCRP with challenge and response, but without our name.
const sccrpRest = 104

// request takes the SCCRQ. The answer has at most limit bytes, so a long name of ours is cut.
func (t *Tunnel) request(now time.Time, avps []wire.AVP, limit int) {
	t.host = strings.TrimRight(string(find(avps, wire.AttrHostName)), "\x00")
	if w := find(avps, wire.AttrReceiveWindow); len(w) == 2 {
		t.ch.setWindow(int(binary.BigEndian.Uint16(w)))
	}
	t.state = stateHandshake
	t.ch.lazy = true
	t.endAt = now.Add(t.cfg.HandshakeTimeout)
	challenge := find(avps, wire.AttrChallenge)
	switch v := find(avps, wire.AttrProtocolVersion); {
	case unknownMandatory(avps):
		t.stop(now, t.unknownAVP())
		return
	case len(v) != 2 || v[0] != 1:
		t.stop(now, reason.New(reason.OtherVersion, "L2TP"))
		return
	case len(challenge) > 0 && t.cfg.Secret == "":
		t.stop(now, reason.New(reason.NoTunnelSecret))
		return
	}
	b := t.introduce(wire.SCCRP, t.cfg.Host[:min(len(t.cfg.Host), limit-sccrpRest)])
	if len(challenge) > 0 {
		r := wire.ChallengeResponse(wire.SCCRP, t.cfg.Secret, challenge)
		b = wire.AppendAVP(b, true, wire.AttrChallengeResponse, r[:])
	}
	t.ch.push(now, 0, b)
}

// introduce begins an SCCRQ or SCCRP with the AVPs of both, our challenge included.
func (t *Tunnel) introduce(kind wire.MessageType, name string) []byte {
	b := begin(kind)
	b = wire.AppendAVP(b, true, wire.AttrProtocolVersion, []byte{1, 0})
	b = wire.AppendAVP(b, true, wire.AttrFraming, []byte{0, 0, 0, 3})
	b = wire.AppendAVP(b, true, wire.AttrHostName, []byte(name))
	b = wire.AppendAVP(b, true, wire.AttrTunnelID, u16(t.ours))
	b = wire.AppendAVP(b, true, wire.AttrReceiveWindow, u16(ourWindow))
	if t.cfg.Secret == "" {
		return b
	}
	t.challenge = t.random()
	return wire.AppendAVP(b, true, wire.AttrChallenge, t.challenge)
}

// random draws bytes that nobody can foresee.
func (t *Tunnel) random() []byte {
	b := make([]byte, 16)
	if _, err := io.ReadFull(t.cfg.Random, b); err != nil {
		t.close(reason.New(reason.NoRandomNumbers, err))
	}
	return b
}

func begin(kind wire.MessageType) []byte {
	return wire.AppendAVP(nil, true, wire.AttrMessageType, u16(uint16(kind)))
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

// connected takes the SCCCN. It proves that the peer has received our SCCRP, by our identifier or
// by the response to our challenge. Without a proof the tunnel opens, because D-Link's DIR-300
// needs that, but it counts as half-open: it has the same time limit, repeats nothing by itself and
// gets one call. The identifier of this call is the proof when the peer uses it.
func (t *Tunnel) connected(now time.Time, h wire.Header, avps []wire.AVP) {
	proof := h.Tunnel == t.ours || t.challenge != nil
	if !t.proves(avps) {
		t.stop(now, reason.New(reason.WrongTunnelSecret))
		return
	}
	t.state, t.challenge = stateOpen, nil
	if proof {
		t.proven(now)
	}
}

// proven notes that the peer hears us.
func (t *Tunnel) proven(now time.Time) {
	t.shown = true
	t.ch.resume(now)
	t.endAt = time.Time{}
	if len(t.sessions) == 0 {
		t.endAt = now.Add(t.cfg.IdleTimeout)
	}
}

// Stop ends all sessions and the tunnel. Closed follows when the peer has acknowledged that, or
// after a while.
func (t *Tunnel) Stop(now time.Time, why reason.Reason) {
	switch t.state {
	case stateIdle, stateDialling:
		t.close(why)
	case stateHandshake, stateOpen:
		t.stop(now, why)
		t.settle()
	case stateStopping:
		if t.theirs { // it only waits for repetitions
			t.close(t.stopped)
		}
	case stateClosed:
	}
}

func (t *Tunnel) stop(now time.Time, why reason.Reason) {
	t.clearAll(why)
	r := result(why.Row().StopCCN, wire.Result{Code: stopShutDown}, why)
	if r.Code == stopNoRight {
		t.events = append(t.events, Refused{why})
	}
	t.state, t.stopped = stateStopping, why
	t.endAt = now.Add(linger)
	t.ch.push(now, 0, stopCCN(t.ours, r))
}

// result is the result that the peer gets for a reason: the row's result, or else usual.
func result(row reason.Result, usual wire.Result, why reason.Reason) wire.Result {
	if row == (reason.Result{}) {
		return usual
	}
	return wire.Result{Code: row.Code, Error: row.Error, Message: why.Peer()}
}

// because makes a reason that the peer has caused. The reason has one code for a client and one for
// a server.
func (t *Tunnel) because(client, server reason.Code, args ...any) reason.Reason {
	if t.client {
		return reason.New(server, args...)
	}
	return reason.New(client, args...)
}

// unknownAVP is the reason for the end of a call or tunnel after an unknown AVP with the M bit.
func (t *Tunnel) unknownAVP() reason.Reason {
	return t.because(reason.UnknownAVP, reason.ServerUnknownAVP)
}

func stopCCN(ours uint16, r wire.Result) []byte {
	b := wire.AppendAVP(begin(wire.StopCCN), true, wire.AttrTunnelID, u16(ours))
	return wire.AppendAVP(b, true, wire.AttrResultCode, r.Append(nil))
}

// Busy is the answer to an SCCRQ when there is no room for its tunnel: a StopCCN, "insufficient
// resources now". ours is any identifier.
func Busy(peer, ours uint16) []byte {
	return wire.AppendControl(nil, wire.Header{Tunnel: peer, Nr: 1}, stopCCN(ours, wire.Result{Code: stopGeneral, Error: errorNoResource}))
}

func (t *Tunnel) clearAll(why reason.Reason) {
	for _, s := range t.sessions {
		if s.ours != 0 {
			t.events = append(t.events, Cleared{Session: s.ours, Reason: why})
		}
	}
	t.sessions = nil
}

func (t *Tunnel) close(why reason.Reason) {
	if t.state == stateClosed {
		return
	}
	t.clearAll(why)
	silent := t.state == stateDialling && t.ch.nr == 0
	t.state = stateClosed
	t.events = append(t.events, Closed{Reason: why, Silent: silent})
}

// settle closes the tunnel if the peer has acknowledged our StopCCN.
func (t *Tunnel) settle() {
	if t.state == stateStopping && len(t.ch.queue) == 0 && !t.theirs {
		t.close(t.stopped)
	}
}

// Deadline is when Tick is due. Zero means never.
func (t *Tunnel) Deadline() time.Time {
	if t.state == stateClosed {
		return time.Time{}
	}
	next := t.ch.deadline
	for _, d := range []time.Time{t.endAt, t.hello()} {
		if !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	return next
}

// hello is when a Hello is due.
func (t *Tunnel) hello() time.Time {
	if t.state != stateOpen || !t.shown || len(t.ch.queue) > 0 {
		return time.Time{}
	}
	return t.heard.Add(t.cfg.HelloInterval)
}

// Tick runs the timers that are due.
func (t *Tunnel) Tick(now time.Time) {
	if t.state == stateClosed {
		return
	}
	if !t.endAt.IsZero() && !now.Before(t.endAt) {
		t.end(now)
		return
	}
	if !t.ch.tick(now, func() bool { return t.alive(now) }) {
		t.close(t.silent())
		return
	}
	if due := t.hello(); !due.IsZero() && !now.Before(due) {
		t.ch.push(now, 0, begin(wire.Hello))
	}
}

// alive reports whether a peer that acknowledges nothing has sent anything at all in the meantime.
// Android never acknowledges a Hello. It counts as alive while its data comes more often than our
// Hellos.
func (t *Tunnel) alive(now time.Time) bool {
	oldest := wire.MessageType(binary.BigEndian.Uint16(t.ch.queue[0].body[6:]))
	return t.heard.After(t.ch.since) || oldest == wire.Hello && now.Sub(t.heard) < t.cfg.HelloInterval
}

func (t *Tunnel) silent() reason.Reason { return t.because(reason.TunnelSilent, reason.ServerNoAnswer) }

func (t *Tunnel) end(now time.Time) {
	t.endAt = time.Time{}
	switch t.state {
	case stateDialling:
		t.close(t.silent())
	case stateHandshake:
		t.close(reason.New(reason.NoSCCCN, t.cfg.HandshakeTimeout))
	case stateOpen:
		if !t.shown {
			t.close(reason.New(reason.ClientDeaf, t.cfg.HandshakeTimeout))
			return
		}
		t.Stop(now, reason.New(reason.NoCall, t.cfg.IdleTimeout))
	default:
		t.close(t.stopped)
	}
}

// Forget ends the tunnel without a message to the peer. Cleared follows for every session, then
// Closed.
func (t *Tunnel) Forget(why reason.Reason) { t.close(why) }
