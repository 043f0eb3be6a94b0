package ppp

import (
	"io"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/fsm"
	"vpnd/ppp/wire"
)

const (
	defaultMRU = 1500 // bytes (RFC 1661 section 6.1)
	minMRU     = 128  // with a smaller one, required messages do not fit
	noteLen    = 64
)

type phase uint8

// The phases of RFC 1661 section 3.2.
const (
	phaseDead phase = iota
	phaseEstablish
	phaseAuthenticate
	phaseNetwork
	phaseTerminate
	phaseClosed
)

// Engine is one end of a PPP link. It is not safe for concurrent use.
type Engine struct {
	cfg    Config
	phase  phase
	id     uint8
	lcp    lcp
	auth   authentication
	mutual mutual
	ccp    ccp
	ipcp   ipcp

	grant   Grant
	keys    *keys
	up      bool // the last event for the owner was NetworkUp
	wasUp   bool // there was a NetworkUp
	changed bool // the data of NetworkUp has changed
	failed  reason.Reason
	why     reason.Reason
	byPeer  bool

	setupBy, heard, echoAt time.Time
	mute                   bool // the peer has sent nothing yet
	resetAt                time.Time
	waiting                wire.Packet // of IPCP, held until packets are encrypted
	refused                [4]refusedProtocol
	events                 []Event
}

// New makes an engine. It does nothing before Start.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg.withDefaults()}
	e.lcp.init(e)
	e.ccp.init(e)
	e.ipcp.init(e)
	e.auth.e, e.mutual.e = e, e
	return e
}

// Start tells the engine that the lower layer is up. LCP begins.
func (e *Engine) Start(now time.Time) {
	if e.phase != phaseDead {
		return
	}
	e.phase = phaseEstablish
	e.heard, e.mute = now, true
	e.setupBy = now.Add(e.cfg.SetupTimeout)
	e.lcp.begin(now)
}

// Receive takes a frame of the peer, except data of an open link, which the owner handles itself.
// The engine does not keep the frame. It drops a frame that it cannot read.
func (e *Engine) Receive(now time.Time, frame []byte) {
	if e.phase == phaseDead || e.phase == phaseClosed {
		return
	}
	protocol, info, err := wire.ParseFrame(frame)
	if err != nil {
		return
	}
	first := e.mute
	e.heard, e.mute = now, false
	if protocol == wire.LCP {
		e.lcp.receiveFrame(now, info, first)
		e.settle(now)
		return
	}
	if !e.lcp.opened() {
		return
	}
	switch protocol {
	case wire.PAP, wire.CHAP:
		e.receiveAuth(now, protocol, info)
	case wire.CCP, wire.IPCP:
		e.receiveNetwork(now, protocol, info)
	case wire.IPv4, wire.Comp:
	default:
		e.refuseProtocol(now, protocol, info)
	}
	e.settle(now)
}

func (e *Engine) receiveAuth(now time.Time, protocol wire.Protocol, info []byte) {
	p, err := wire.ParsePacket(info)
	switch {
	case err != nil:
	case protocol == wire.PAP && e.mutual.takes(p.Code):
		e.mutual.receive(now, p)
	default:
		e.auth.receive(now, protocol, p)
	}
}

// Tick runs the timers that are due.
func (e *Engine) Tick(now time.Time) {
	switch e.phase {
	case phaseDead, phaseClosed:
		return
	case phaseEstablish, phaseAuthenticate, phaseNetwork:
		if !e.setupBy.IsZero() && !now.Before(e.setupBy) {
			e.setupBy = time.Time{}
			e.hangUp(now, e.notUp())
		}
	case phaseTerminate:
	}
	e.lcp.tick(now)
	if e.phase == phaseNetwork {
		e.ccp.tick(now)
		e.ipcp.tick(now)
	}
	if e.phase == phaseAuthenticate || e.phase == phaseNetwork {
		e.auth.tick(now)
		e.mutual.tick(now)
	}
	e.tickEcho(now)
	e.settle(now)
}

// notUp is the reason why a link did not come up. It names the step that the link was waiting for.
func (e *Engine) notUp() reason.Reason {
	limit := e.cfg.SetupTimeout
	switch {
	case e.mute:
		return reason.New(reason.NoLCPAnswer, limit)
	case e.phase == phaseEstablish:
		return reason.New(reason.LCPTimeout, limit)
	case e.phase == phaseAuthenticate && e.auth.done():
		return e.mutual.silence(limit)
	case e.phase == phaseAuthenticate:
		return reason.New(reason.AuthTimeout, limit)
	case e.cfg.MPPE.Mode == MPPERequired && e.held():
		return reason.New(reason.MPPENotAgreed, limit)
	case e.ccp.pending():
		return reason.New(reason.MPPETimeout, limit)
	}
	if e.ipcp.insists.IsValid() {
		return e.ipcp.disagreement()
	}
	return reason.New(reason.IPTimeout, limit)
}

// Deadline is when Tick is due. Zero means never.
func (e *Engine) Deadline() time.Time {
	if e.phase == phaseDead || e.phase == phaseClosed {
		return time.Time{}
	}
	next := earliest(e.lcp.deadline, e.echoAt)
	switch e.phase {
	case phaseEstablish, phaseAuthenticate, phaseNetwork:
		next = earliest(next, e.setupBy)
	case phaseDead, phaseTerminate, phaseClosed:
	}
	if e.phase == phaseNetwork {
		next = earliest(earliest(next, e.ccp.due()), e.ipcp.deadline)
	}
	if e.phase == phaseAuthenticate || e.phase == phaseNetwork {
		next = earliest(earliest(next, e.auth.deadline()), e.mutual.deadline())
	}
	return next
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// tickEcho sends an Echo-Request to a peer that has been silent for an interval, and gives it up
// after EchoFailures intervals. Any valid frame is a sign of life.
func (e *Engine) tickEcho(now time.Time) {
	if e.echoAt.IsZero() || now.Before(e.echoAt) {
		return
	}
	silent := now.Sub(e.heard)
	switch {
	case silent < e.cfg.EchoInterval:
		e.echoAt = e.heard.Add(e.cfg.EchoInterval)
	case e.cfg.EchoFailures > 0 && silent >= time.Duration(e.cfg.EchoFailures)*e.cfg.EchoInterval:
		e.finish(reason.New(reason.EchoTimeout, silent.Round(time.Second)), false)
	default:
		e.echoAt = now.Add(e.cfg.EchoInterval)
		e.send(wire.LCP, wire.Packet{Code: wire.EchoRequest, ID: e.nextID(), Body: e.lcp.magicBody()})
	}
}

// Activity tells the engine that the data path has received valid frames since the last call.
func (e *Engine) Activity(now time.Time) { e.heard = now }

// Close hangs the link up: Terminate-Request, then Closed.
func (e *Engine) Close(now time.Time, why reason.Reason) {
	switch e.phase {
	case phaseDead:
		e.finish(why, false)
	case phaseEstablish, phaseAuthenticate, phaseNetwork:
		e.hangUp(now, why)
	case phaseTerminate, phaseClosed:
	}
}

// hangUp ends the link. It tells the peer the reason, if the reason has a text for it.
func (e *Engine) hangUp(now time.Time, why reason.Reason) {
	if e.phase == phaseTerminate || e.phase == phaseClosed {
		return
	}
	e.why = why
	e.lcp.farewell = why.Peer()
	e.phase = phaseTerminate
	e.lcp.do(now, fsm.Close)
	e.settle(now)
}

// ended records that a layer which the link needs has ended. settle then hangs up, outside the
// automaton that noticed it.
func (e *Engine) ended(why reason.Reason) {
	if e.phase == phaseNetwork && e.failed.IsZero() {
		e.failed = why
	}
}

// Down tells the engine that the lower layer is gone. Closed follows at once.
func (e *Engine) Down(why reason.Reason) {
	switch {
	case e.mute:
		why = reason.New(reason.NothingCame, why)
	case e.phase == phaseEstablish && len(e.lcp.wishes) > 0:
		why = reason.New(reason.HungUpInLCP, why, e.lcp.wished())
	}
	e.finish(why, true)
}

// hungUp is the reason for the peer's Terminate-Request: the step that it interrupted, and the
// peer's own reason if it sends one.
func (e *Engine) hungUp(text []byte) reason.Reason {
	said := strconv.QuoteToASCII(string(text[:min(len(text), noteLen)]))
	if len(text) == 0 || len(said) != min(len(text), noteLen)+2 { // binary, as Windows sends it
		said = ""
	}
	code := reason.PeerHungUp
	switch {
	case e.ccp.renewing():
		code = reason.HungUpUndecryptable
	case e.cfg.Role == Client:
		code = reason.ServerHungUp
	case e.up:
	case e.phase == phaseAuthenticate:
		code = reason.HungUpInAuth
	case e.phase == phaseNetwork && e.ipcp.insists.IsValid():
		return e.ipcp.disagreement().And(said)
	case e.phase == phaseNetwork && !e.wasUp:
		code = reason.HungUpBeforeUp
	}
	return reason.New(code, said)
}

func (e *Engine) finish(why reason.Reason, byPeer bool) {
	if e.phase == phaseClosed {
		return
	}
	if e.why.IsZero() {
		e.why, e.byPeer = why, byPeer
	}
	e.phase = phaseClosed
	e.echoAt = time.Time{}
	e.networkDown()
	e.emit(Closed{Reason: e.why, Peer: e.byPeer})
}

// Next takes the next event off the queue. The caller must drain the events after each call.
func (e *Engine) Next() (Event, bool) {
	if len(e.events) == 0 {
		e.events = nil
		return nil, false
	}
	event := e.events[0]
	e.events = e.events[1:]
	return event, true
}

func (e *Engine) emit(event Event) { e.events = append(e.events, event) }

// ResetRequest asks the peer to restart its stateful encrypted stream, at most once a second (RFC
// 3078 section 7.4). The data path calls it as long as it cannot decrypt.
func (e *Engine) ResetRequest(now time.Time) {
	if e.phase != phaseNetwork || !e.ccp.opened() || now.Sub(e.resetAt) < time.Second {
		return
	}
	e.resetAt = now
	e.send(wire.CCP, wire.Packet{Code: wire.ResetRequest, ID: e.nextID()})
}

// Undecryptable tells the engine that the peer's packets do not decrypt and that no Reset-Request
// helps.
func (e *Engine) Undecryptable(now time.Time) {
	e.ccp.again(now)
	e.settle(now)
}

// settle tells the owner whether packets may pass, if that has changed.
func (e *Engine) settle(now time.Time) {
	if failed := e.failed; !failed.IsZero() {
		e.failed = reason.Reason{}
		e.hangUp(now, failed)
		return
	}
	ready := e.phase == phaseNetwork && e.ipcp.opened() && !e.ccp.pending()
	if !ready {
		e.networkDown()
		if e.phase == phaseNetwork {
			e.limitSetup(now)
		}
		return
	}
	if e.up && !e.changed {
		return
	}
	e.networkDown()
	e.up, e.wasUp, e.changed = true, true, false
	e.setupBy = time.Time{}
	up := NetworkUp{
		Local: e.ipcp.local, Peer: e.ipcp.peer, DNS: e.ipcp.learned(),
		PeerMRU: min(e.lcp.peerMRU, e.cfg.MRU), PFC: e.lcp.peerPFC, ACFC: e.lcp.peerACFC,
		Required: e.ccp.least.in != 0,
	}
	up.Encrypter, up.Decrypter, up.Encryption = e.ccp.streams()
	e.emit(up)
	e.heard = now
}

// limitSetup sets the time by which packets must pass. A peer that begins a phase again gets no new
// limit: it could do so for ever.
func (e *Engine) limitSetup(now time.Time) {
	if e.setupBy.IsZero() {
		e.setupBy = now.Add(e.cfg.SetupTimeout)
	}
}

func (e *Engine) networkDown() {
	if e.up {
		e.up = false
		e.emit(NetworkDown{})
	}
}

// authenticated follows the client's authentication, or LCP if none was agreed. Next the server
// authenticates itself, if the client asks for it.
func (e *Engine) authenticated(now time.Time) {
	if e.lcp.mutual && !e.mutual.done {
		e.mutual.begin(now)
		return
	}
	e.beginNetwork(now)
}

// beginNetwork enters the network phase with an authenticated peer.
func (e *Engine) beginNetwork(now time.Time) {
	e.phase = phaseNetwork
	if e.ccp.required() && e.keys == nil {
		e.hangUp(now, reason.New(reason.MPPEWithoutKeys))
		return
	}
	e.ccp.start(now)
	if !e.held() {
		e.ipcp.begin(now)
	}
	e.settle(now)
}

// endNetwork is called when LCP leaves its open state.
func (e *Engine) endNetwork(now time.Time) {
	e.networkDown()
	e.ccp.init(e)
	e.ipcp.init(e)
	e.auth.reset()
	e.mutual.reset()
	e.keys, e.failed, e.waiting = nil, reason.Reason{}, wire.Packet{}
	e.echoAt = time.Time{}
	if e.phase != phaseTerminate && e.phase != phaseClosed {
		e.phase = phaseEstablish
		e.limitSetup(now)
	}
}

func (e *Engine) nextID() uint8 {
	e.id++
	return e.id
}

func (e *Engine) send(protocol wire.Protocol, p wire.Packet) {
	frame := make([]byte, 0, 4+wire.HeaderLen+len(p.Body))
	e.emit(Transmit{Frame: p.Append(wire.AppendFrame(frame, protocol))})
}

func (e *Engine) peerMRU() uint16 {
	if !e.lcp.opened() {
		return defaultMRU
	}
	return min(e.lcp.peerMRU, defaultMRU)
}

// cut shortens the body of a packet to a length that the peer accepts.
func (e *Engine) cut(body []byte) []byte {
	return body[:min(len(body), int(e.peerMRU())-wire.HeaderLen)]
}

// draw fills b with random bytes. If it cannot, the link ends.
func (e *Engine) draw(b []byte) bool {
	if _, err := io.ReadFull(e.cfg.Random, b); err != nil {
		e.finish(reason.New(reason.NoRandomNumbers, err), false)
		return false
	}
	return true
}

// plain prepares text of the peer for a reason: it escapes and cuts it, and removes the domain of a
// user.
func plain(text string) string {
	if _, user, found := strings.Cut(text, `\`); found {
		text = user
	}
	return strings.Trim(strconv.QuoteToASCII(text[:min(len(text), noteLen)]), `"`)
}

// note passes on information from the peer about itself, escaped and cut.
func (e *Engine) note(what string, text []byte) {
	quoted := strconv.QuoteToASCII(string(text[:min(len(text), noteLen)]))
	e.emit(Note{Text: what + " " + strings.Trim(quoted, `"`)})
}
