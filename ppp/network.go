package ppp

import (
	"bytes"
	"encoding/binary"
	"time"
	"vpnd/ppp/wire"
)

// refusedProtocol records which protocol we answered with Protocol-Reject, and when.
type refusedProtocol struct {
	protocol wire.Protocol
	at       time.Time
}

// receiveNetwork takes a packet of CCP or IPCP.
func (e *Engine) receiveNetwork(now time.Time, protocol wire.Protocol, info []byte) {
	if e.phase != phaseNetwork {
		return
	}
	if protocol == wire.CCP && !e.ccp.possible() {
		e.refuseProtocol(now, protocol, info)
		return
	}
	p, err := wire.ParsePacket(info)
	if err != nil {
		return
	}
	switch {
	case protocol == wire.CCP:
		e.ccp.receivePacket(now, p)
		e.release(now)
	case e.held():
		e.hold(p)
	default:
		e.ipcp.receive(now, p)
	}
}

// hold keeps the peer's last Configure-Request of IPCP while IP waits for encryption. Windows sends
// it together with that of CCP, and would repeat it only after 3 s.
func (e *Engine) hold(p wire.Packet) {
	switch p.Code {
	case wire.ConfigureRequest:
		p.Body = bytes.Clone(p.Body)
		e.waiting = p
	case wire.TerminateRequest:
		e.waiting = wire.Packet{}
	default:
	}
}

// release answers the held request when IP may go on.
func (e *Engine) release(now time.Time) {
	if p := e.waiting; p.Code != 0 && e.phase == phaseNetwork && !e.held() {
		e.waiting = wire.Packet{}
		e.ipcp.receive(now, p)
	}
}

// held reports whether IPCP must wait for encryption.
func (e *Engine) held() bool { return e.ccp.required() && !e.ccp.encrypted() }

// refuseProtocol answers with Protocol-Reject (RFC 1661 section 5.7), at most once a second for
// each protocol.
func (e *Engine) refuseProtocol(now time.Time, protocol wire.Protocol, info []byte) {
	if e.phase != phaseNetwork {
		return
	}
	oldest := &e.refused[0]
	for i := range e.refused {
		r := &e.refused[i]
		if r.protocol == protocol && now.Sub(r.at) < time.Second {
			return
		}
		if r.protocol == protocol || r.at.Before(oldest.at) {
			oldest = r
		}
	}
	if !oldest.at.IsZero() && oldest.protocol != protocol && now.Sub(oldest.at) < time.Second {
		return
	}
	*oldest = refusedProtocol{protocol, now}
	body := append(binary.BigEndian.AppendUint16(nil, uint16(protocol)), info...)
	e.send(wire.LCP, wire.Packet{Code: wire.ProtocolReject, ID: e.nextID(), Body: e.cut(body)})
}
