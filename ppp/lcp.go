package ppp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/fsm"
	"vpnd/ppp/wire"
)

// Options of LCP (RFC 1661 section 6, RFC 1662 section 7.1).
const (
	optMRU      = 1
	optAsyncmap = 2
	optAuth     = 3
	optMagic    = 5
	optPFC      = 7
	optACFC     = 8
)

// authData is the data of the authentication option for each method.
var authData = map[Method][]byte{
	PAP: {0xC0, 0x23}, CHAPMD5: {0xC2, 0x23, 5}, MSCHAPv1: {0xC2, 0x23, 0x80}, MSCHAPv2: {0xC2, 0x23, 0x81},
}

func methodOf(data []byte) Method {
	for m, d := range authData {
		if bytes.Equal(d, data) {
			return m
		}
	}
	return 0
}

// lcp is the Link Control Protocol, RFC 1661.
type lcp struct {
	control
	now    time.Time // of the packet or timer that is being handled
	mru    uint16    // the MRU that we ask for; 0: none
	magic  uint32    // ours; 0: the peer rejects it
	method Method    // server: the method that we ask for; client: the one that the peer asked for
	asked  bool      // client: the peer asked for a method that is not allowed
	mutual bool      // the server authenticates itself: a client asks for it, a server agreed
	naks   int       // of our authentication option
	wishes []string  // server: names of the authentications asked for that are not allowed
	loops  int       // equal magic numbers

	peerMRU           uint16
	peerPFC, peerACFC bool
}

func (l *lcp) init(e *Engine) {
	*l = lcp{control: control{e: e, protocol: wire.LCP}, peerMRU: defaultMRU}
	l.n = l
	if e.cfg.MRU != defaultMRU {
		l.mru = e.cfg.MRU
	}
	if e.cfg.Role == Server && len(e.cfg.Auth) > 0 {
		l.method = e.cfg.Auth[0]
	}
	l.mutual = e.cfg.Role == Client && e.cfg.Mutual.User != ""
}

func (l *lcp) begin(now time.Time) {
	l.now = now
	if e := l.e; e.cfg.Role == Server && len(e.cfg.Auth) == 0 {
		e.finish(reason.New(reason.MPPENoKeyMethod), false)
		return
	}
	if l.newMagic() {
		l.control.begin(now)
	}
}

func (l *lcp) newMagic() bool {
	var b [4]byte
	for binary.BigEndian.Uint32(b[:]) == 0 {
		if !l.e.draw(b[:]) {
			return false
		}
	}
	l.magic = binary.BigEndian.Uint32(b[:])
	return true
}

func (l *lcp) magicBody() []byte { return binary.BigEndian.AppendUint32(nil, l.magic) }

func (l *lcp) tick(now time.Time) {
	l.now = now
	l.control.tick(now)
}

// repeat sends our request again when the peer's first frame is its own request: most likely, the
// peer was not there yet when ours went out. We repeat it before our Ack. After the Ack the peer
// may open its end, and would take the repetition for a renegotiation.
func (l *lcp) repeat(now time.Time) {
	if l.e.cfg.Role == Server && l.waiting && l.deadline.Before(now.Add(l.e.cfg.RestartTimer)) {
		l.sendRequest(now)
	}
}

// receiveFrame takes the information field of an LCP frame. first is true for the first frame of
// the peer.
func (l *lcp) receiveFrame(now time.Time, info []byte, first bool) {
	p, err := wire.ParsePacket(info)
	if err != nil {
		return
	}
	l.now = now
	if first && p.Code == wire.ConfigureRequest {
		l.repeat(now)
	}
	switch p.Code {
	case wire.TerminateRequest:
		why, opened := l.e.hungUp(p.Body), l.opened()
		l.receive(now, p)
		if opened {
			l.e.finish(why, true)
		}
	case wire.CodeReject:
		l.codeRejected(now, p.Body)
	case wire.ProtocolReject:
		l.protocolRejected(now, p.Body)
	case wire.EchoRequest:
		l.echo(now, p)
	case wire.EchoReply, wire.DiscardRequest:
	case wire.Identification:
		if len(p.Body) >= 4 {
			l.e.note("identification", p.Body[4:])
		}
	case wire.TimeRemaining:
		if len(p.Body) >= 8 {
			l.e.note("time remaining", p.Body[8:])
		}
	default:
		l.receive(now, p)
	}
}

func (l *lcp) echo(now time.Time, p wire.Packet) {
	if !l.opened() || len(p.Body) < 4 {
		return
	}
	if l.magic != 0 && binary.BigEndian.Uint32(p.Body) == l.magic {
		return // our own, looped back
	}
	body := l.e.cut(append(l.magicBody(), p.Body[4:]...))
	l.reply = wire.Packet{Code: wire.EchoReply, ID: p.ID, Body: body}
	l.do(now, fsm.RXR)
}

// codeRejected ends the link if the peer rejects a code that LCP needs.
func (l *lcp) codeRejected(now time.Time, body []byte) {
	if len(body) == 0 || wire.Code(body[0]) > wire.CodeReject {
		l.do(now, fsm.RXJPlus)
		return
	}
	l.e.why = reason.New(reason.LCPRejected)
	l.do(now, fsm.RXJMinus)
}

func (l *lcp) protocolRejected(now time.Time, body []byte) {
	if len(body) < 2 || !l.opened() {
		return
	}
	switch protocol := wire.Protocol(binary.BigEndian.Uint16(body)); protocol {
	case wire.CCP:
		l.e.ccp.do(now, fsm.RXJMinus)
	case wire.IPCP:
		l.e.hangUp(now, reason.New(reason.NoIP, "it rejects IPCP"))
	case wire.LCP, wire.PAP, wire.CHAP:
		l.e.hangUp(now, reason.New(reason.ProtocolRejected, protocol))
	case wire.IPv4, wire.Comp:
	default: // we have sent no such protocol: the peer decrypts with the wrong key
		l.e.ccp.complain(now)
	}
}

func (l *lcp) request() []wire.Option {
	var options []wire.Option
	if l.mru != 0 {
		options = append(options, wire.Option{Type: optMRU, Data: binary.BigEndian.AppendUint16(nil, l.mru)})
	}
	switch {
	case l.e.cfg.Role == Server:
		options = append(options, wire.Option{Type: optAuth, Data: authData[l.method]})
	case l.mutual:
		options = append(options, wire.Option{Type: optAuth, Data: authData[PAP]})
	}
	if l.magic != 0 {
		options = append(options, wire.Option{Type: optMagic, Data: l.magicBody()})
	}
	return options
}

func (l *lcp) check(options []wire.Option) (nak, reject []wire.Option) {
	l.peerMRU, l.peerPFC, l.peerACFC = defaultMRU, false, false
	if l.e.cfg.Role == Client {
		l.method = 0
	} else {
		l.mutual = false
	}
	for _, o := range options {
		value, ok := l.judge(o)
		switch {
		case !ok:
			reject = append(reject, o)
		case value != nil:
			nak = append(nak, wire.Option{Type: o.Type, Data: value})
		}
	}
	return nak, reject
}

// fixedLengths are the lengths of the options that have one, in bytes without the header.
var fixedLengths = map[uint8]int{optMRU: 2, optAsyncmap: 4, optMagic: 4, optPFC: 0, optACFC: 0}

// judge checks one option of the peer. If ok is false, it is rejected. A value asks for a Nak with
// this value.
func (l *lcp) judge(o wire.Option) (value []byte, ok bool) {
	if n, known := fixedLengths[o.Type]; known && len(o.Data) != n {
		return nil, false
	}
	switch o.Type {
	case optMRU:
		l.peerMRU = binary.BigEndian.Uint16(o.Data)
		if l.peerMRU < minMRU {
			return binary.BigEndian.AppendUint16(nil, minMRU), true
		}
	case optAsyncmap:
	case optAuth:
		return l.judgeAuth(o.Data)
	case optMagic:
		magic := binary.BigEndian.Uint32(o.Data)
		if magic == 0 || magic == l.magic {
			return l.otherMagic()
		}
	case optPFC:
		l.peerPFC = true
	case optACFC:
		l.peerACFC = true
	default:
		return nil, false
	}
	return nil, true
}

// allowed are the methods that may be agreed. If a client requires encryption, the other methods
// would give its password away for a link that must end without keys.
func (l *lcp) allowed() []Method {
	if l.e.cfg.Role == Client && l.e.ccp.required() {
		return withKeys(l.e.cfg.Auth)
	}
	return l.e.cfg.Auth
}

// judgeAuth checks the method that the peer asks for. The peer is a server, or a client that wants
// the server to authenticate itself.
func (l *lcp) judgeAuth(data []byte) (value []byte, ok bool) {
	switch {
	case l.e.cfg.Role == Client:
		return l.choose(data)
	case l.e.cfg.Mutual.User == "":
		return nil, false
	case methodOf(data) != PAP:
		return authData[PAP], true
	}
	l.mutual = true
	return nil, true
}

// choose accepts the method that a server asks for, or names another.
func (l *lcp) choose(data []byte) (value []byte, ok bool) {
	m, allowed := methodOf(data), l.allowed()
	if slices.Contains(allowed, m) {
		l.method = m
		return nil, true
	}
	l.asked = true
	if len(allowed) == 0 {
		return nil, false
	}
	l.wish(data)
	return authData[allowed[0]], true
}

func (l *lcp) otherMagic() ([]byte, bool) {
	var b [4]byte
	l.e.draw(b[:])
	b[0] |= 1
	return b[:], true
}

func (l *lcp) nakked(options []wire.Option) bool {
	for _, o := range options {
		switch {
		case o.Type == optMRU && len(o.Data) == 2:
			if mru := binary.BigEndian.Uint16(o.Data); mru >= minMRU && mru <= defaultMRU && l.mru != 0 {
				l.mru = mru
			}
		case o.Type == optMagic && l.magic != 0:
			if l.loops++; l.loops >= l.e.cfg.MaxFailure {
				return l.giveUp(reason.New(reason.LoopedBack))
			}
			if !l.newMagic() {
				return false
			}
		case o.Type == optAuth:
			l.wish(o.Data)
			if l.naks++; l.naks >= l.e.cfg.MaxFailure {
				return l.giveUp(l.noCommonAuth())
			}
			if l.e.cfg.Role == Server {
				l.method = l.otherMethod(methodOf(o.Data))
			}
		}
	}
	return true
}

// wish records an authentication that the peer asks for, if it is not allowed.
func (l *lcp) wish(data []byte) {
	method := methodOf(data)
	name := method.String()
	switch {
	case slices.Contains(l.allowed(), method):
		return
	case len(data) >= 2 && wire.Protocol(binary.BigEndian.Uint16(data)) == wire.EAP:
		name = "EAP"
	case name == "":
		name = "another"
	}
	if !slices.Contains(l.wishes, name) {
		l.wishes = append(l.wishes, name)
	}
}

// wished lists the authentications that the peer asked for and did not get.
func (l *lcp) wished() string { return strings.Join(l.wishes, ", ") }

func (l *lcp) noCommonAuth() reason.Reason {
	if wished := l.wished(); wished != PAP.String() {
		return reason.New(reason.NoCommonAuth, wished)
	}
	return reason.New(reason.OnlyPAP)
}

// otherMethod answers a Nak of our method. It takes the method that the peer wishes, if that is
// allowed. Otherwise it takes ours once more, and then each of the others in turn: a peer that
// prefers an unknown method may still accept the next one.
func (l *lcp) otherMethod(wish Method) Method {
	at := 0
	for i, m := range l.e.cfg.Auth {
		if m == wish {
			return m
		}
		if m == l.method {
			at = i
		}
	}
	if l.naks > 1 {
		at++
	}
	return l.e.cfg.Auth[at%len(l.e.cfg.Auth)]
}

func (l *lcp) rejected(options []wire.Option) bool {
	for _, o := range options {
		switch o.Type {
		case optMRU:
			l.mru = 0
		case optMagic:
			l.magic = 0
		case optAuth:
			// The peer has sent as many Naks as it wants to (RFC 1661 section 4.6).
			if l.naks > 0 {
				return l.giveUp(l.noCommonAuth())
			}
			return l.giveUp(reason.New(reason.AuthRefused))
		}
	}
	return true
}

func (l *lcp) giveUp(why reason.Reason) bool {
	l.e.why = why
	l.farewell = why.Peer()
	l.e.phase = phaseTerminate
	return false
}

func (l *lcp) up() {
	e := l.e
	l.naks, l.wishes, l.loops = 0, nil, 0
	if e.cfg.EchoInterval > 0 {
		e.echoAt = l.now.Add(e.cfg.EchoInterval)
	}
	e.phase = phaseAuthenticate
	if l.method == 0 && e.cfg.MustProve && l.asked {
		e.failed = reason.New(reason.ServerAsksOtherAuth)
		return
	}
	if l.method == 0 && e.cfg.MustProve {
		e.failed = reason.New(reason.ServerAsksNoAuth)
		return
	}
	if l.method == 0 {
		e.authenticated(l.now)
		return
	}
	e.auth.begin(l.now, l.method)
}

func (l *lcp) down() { l.e.endNetwork(l.now) }

func (l *lcp) finished() {
	if l.e.mute {
		l.e.finish(reason.New(reason.NoLCPAnswer), false)
		return
	}
	l.e.finish(reason.New(reason.LCPNotAgreed), false)
}

func (l *lcp) do(now time.Time, event fsm.Event) {
	l.now = now
	l.control.do(now, event)
}
