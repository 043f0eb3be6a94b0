package ppp

import (
	"crypto/subtle"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/wire"
)

// mutual is the server's authentication to the client by PAP (RFC 1334 section 2), in either role.
// The server sends its password only after the client's own proof was granted.
type mutual struct {
	e        *Engine
	done     bool        // the client has accepted the server
	request  wire.Packet // server: repeated until the client answers
	repeatAt time.Time
	endAt    time.Time
}

func (m *mutual) reset() { *m = mutual{e: m.e} }

func (m *mutual) deadline() time.Time { return earliest(m.repeatAt, m.endAt) }

// begin follows the client's own authentication.
func (m *mutual) begin(now time.Time) {
	m.endAt = now.Add(m.e.cfg.AuthTimeout)
	if m.e.cfg.Role == Server {
		m.request = papRequest(m.e.nextID(), m.e.cfg.Mutual.User, m.e.cfg.Mutual.Password)
		m.repeat(now)
	}
}

func (m *mutual) repeat(now time.Time) {
	m.repeatAt = now.Add(m.e.cfg.RestartTimer)
	m.e.send(wire.PAP, m.request)
}

func (m *mutual) tick(now time.Time) {
	switch {
	case !m.endAt.IsZero() && !now.Before(m.endAt):
		m.endAt = time.Time{}
		m.e.hangUp(now, m.silence(m.e.cfg.AuthTimeout))
	case !m.repeatAt.IsZero() && !now.Before(m.repeatAt):
		m.repeat(now)
	}
}

// silence is the reason when the other end does not answer within limit.
func (m *mutual) silence(limit time.Duration) reason.Reason {
	if m.e.cfg.Role == Client {
		return reason.New(reason.ServerSilent, limit)
	}
	return reason.New(reason.MutualTimeout, limit)
}

// takes reports whether a packet of PAP belongs to the server's authentication. Its codes go in the
// opposite direction to those of the client's.
func (m *mutual) takes(code wire.Code) bool {
	return m.e.lcp.mutual && (code == wire.PAPRequest) == (m.e.cfg.Role == Client)
}

func (m *mutual) receive(now time.Time, p wire.Packet) {
	switch {
	case m.e.cfg.Role == Client:
		m.judge(now, p)
	case m.done || m.request.Code == 0 || p.ID != m.request.ID:
	case p.Code == wire.PAPNak:
		m.e.hangUp(now, reason.New(reason.MutualRefused))
	case p.Code == wire.PAPAck:
		m.succeed(now)
	}
}

// judge answers the server's request. If it comes again, our Ack was lost.
func (m *mutual) judge(now time.Time, p wire.Packet) {
	user, password, err := wire.ParsePAP(p.Body)
	if err != nil {
		return
	}
	want := m.e.cfg.Mutual
	right := subtle.ConstantTimeCompare(user, []byte(want.User)) & subtle.ConstantTimeCompare(password, []byte(want.Password))
	switch {
	case right == 1:
		m.e.send(wire.PAP, wire.Packet{Code: wire.PAPAck, ID: p.ID, Body: prefixed(welcome)})
		if !m.done {
			m.succeed(now)
		}
	case !m.done:
		why := reason.New(reason.ServerWrongPassword)
		m.e.send(wire.PAP, wire.Packet{Code: wire.PAPNak, ID: p.ID, Body: prefixed(why.Peer())})
		m.e.hangUp(now, why)
	}
}

func (m *mutual) succeed(now time.Time) {
	m.done, m.repeatAt, m.endAt = true, time.Time{}, time.Time{}
	if m.e.auth.done() {
		m.e.beginNetwork(now)
	}
}
