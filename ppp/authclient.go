package ppp

import (
	"cmp"
	"strconv"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/chap"
	"vpnd/ppp/wire"
)

// sendPassword is PAP's request.
func (a *authentication) sendPassword(now time.Time) {
	a.id = a.e.nextID()
	a.request = papRequest(a.id, a.e.cfg.User, a.e.cfg.written(PAP))
	a.repeat(now)
}

func papRequest(id uint8, user, password string) wire.Packet {
	return wire.Packet{Code: wire.PAPRequest, ID: id, Body: append(prefixed(user), prefixed(password)...)}
}

// receiveClient takes the packets that a server sends to the client during authentication.
func (a *authentication) receiveClient(now time.Time, p wire.Packet) {
	success, failure := wire.CHAPSuccess, wire.CHAPFailure
	message := string(p.Body)
	if a.method == PAP {
		success, failure = wire.PAPAck, wire.PAPNak
		message = string(wire.ParseMessage(p.Body))
	}
	switch {
	case p.Code == wire.CHAPChallenge && a.method != PAP:
		a.respond(now, p)
	case p.ID != a.id || a.request.Code == 0:
	case p.Code == failure:
		a.refused(now, message)
	case p.Code == success && a.state == authAsking:
		if a.proven(now, message) {
			a.succeed(now)
		}
	case p.Code == success && a.state == authDone: // answers a later challenge
		a.proven(now, message)
	}
}

// refused ends the link with the server's message.
func (a *authentication) refused(now time.Time, message string) {
	code, text := 0, message
	if a.method == MSCHAPv1 || a.method == MSCHAPv2 {
		code, text = chap.ParseFailure(message)
	}
	if text == reason.NoAddressFree {
		a.e.hangUp(now, reason.New(reason.ServerNoAddress))
		return
	}
	refusal := reason.ServerForbidsLogIn
	if code == 0 || code == reason.MSCHAPDenied {
		refusal = reason.ServerRefusesLogIn
	}
	a.e.hangUp(now, reason.New(refusal, cmp.Or(reason.Denial(code), strconv.QuoteToASCII(message))))
}

// respond answers a challenge. The same challenge again gets the same answer. A challenge on the
// open link changes nothing else: the server repeats it until we answer.
func (a *authentication) respond(now time.Time, p wire.Packet) {
	if a.request.Code != 0 && p.ID == a.id {
		a.say(now)
		return
	}
	value, _, err := wire.ParseCHAP(p.Body)
	if err != nil {
		return
	}
	response, ok := a.response(p.ID, value)
	if !ok {
		return
	}
	a.id = p.ID
	body := append([]byte{byte(len(response))}, response...)
	a.request = wire.Packet{Code: wire.CHAPResponse, ID: p.ID, Body: append(body, a.e.cfg.User...)}
	a.sends = 0
	a.say(now)
}

// say sends the answer to a challenge and repeats it until the server lets us in.
func (a *authentication) say(now time.Time) {
	if a.state == authDone {
		a.e.send(a.protocol, a.request)
		return
	}
	a.repeat(now)
}

func (a *authentication) response(id uint8, challenge []byte) ([]byte, bool) {
	password := a.e.cfg.written(a.method)
	switch a.method {
	case MSCHAPv2:
		var ours [16]byte
		if len(challenge) != len(ours) || !a.e.draw(ours[:]) {
			return nil, false
		}
		proof := chap.RespondV2(a.e.cfg.User, password, [16]byte(challenge), ours)
		a.proof = proof
		value := proof.Value()
		return value[:], true
	case MSCHAPv1:
		if len(challenge) != 8 {
			return nil, false
		}
		value := chap.V1Response([8]byte(challenge), password)
		a.proof, _ = chap.NewV1([8]byte(challenge), value[:])
		return value[:], true
	default:
		value := chap.MD5Response(id, challenge, password)
		return value[:], true
	}
}

// proven takes the keys of a success. It refuses a server that cannot prove that it knows the
// password.
func (a *authentication) proven(now time.Time, message string) bool {
	if v2, ok := a.proof.(chap.V2); ok && !v2.VerifySuccess(message, a.e.cfg.Password) {
		a.e.hangUp(now, reason.New(reason.ServerUnproven))
		return false
	}
	a.e.keys = keysOf(Client, a.proof, a.e.cfg.Password)
	return true
}

// succeed enters the network phase.
func (a *authentication) succeed(now time.Time) {
	a.state = authDone
	a.repeatAt, a.endAt = time.Time{}, time.Time{}
	a.e.authenticated(now)
}
