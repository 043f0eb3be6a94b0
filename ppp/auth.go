package ppp

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// welcome is the message of a success.
const welcome = "Welcome"

// keys are the start keys of MPPE that an authentication has yielded.
type keys struct {
	server           bool
	toServer, toPeer mppe.MasterKey // of 128 bits, and of all after MS-CHAPv2
	lm               *mppe.MasterKey
}

func (k *keys) send(s mppe.Strength) mppe.MasterKey {
	if k.lm != nil && s != mppe.Bits128 {
		return *k.lm
	}
	if k.server {
		return k.toPeer
	}
	return k.toServer
}

func (k *keys) receive(s mppe.Strength) mppe.MasterKey {
	other := *k
	other.server = !k.server
	return other.send(s)
}

// keysOf derives the start keys from the password that proof has verified (RFC 3079). nil means
// that the protocol yields none.
func keysOf(role Role, proof Proof, password string) *keys {
	k := &keys{server: role == Server}
	switch p := proof.(type) {
	case chap.V2:
		k.toServer, k.toPeer = mppe.StartKeysV2(chap.HashHash(p.Hash(password)), p.NTResponse)
	case chap.V1:
		nt, lm := p.Hashes(password)
		k.toServer = mppe.StartKeyV1(chap.HashHash(nt), p.Challenge)
		k.toPeer = k.toServer
		k.lm = (*mppe.MasterKey)(&lm)
	default:
		return nil
	}
	return k
}

type authState uint8

const (
	authIdle    authState = iota
	authAsking            // server: awaits the peer's proof; client: awaits the server's verdict
	authWaiting           // server: awaits the owner's verdict
	authDone
	authAgain // server: we have challenged the peer of an open link again
)

// authentication is the authentication phase of either role.
type authentication struct {
	e         *Engine
	state     authState
	method    Method
	protocol  wire.Protocol
	id        uint8
	retried   bool // the peer has one more try
	challenge [16]byte
	proof     Proof
	user      string // server: the admitted user; for later challenges, like password
	password  string
	asked     [sha256.Size]byte // digest of the message that we answered last
	answer    wire.Packet       // the last answer; a retransmitted question gets it again
	request   wire.Packet       // repeated until it is answered
	sends     int
	repeatAt  time.Time // in authDone: when to challenge again
	endAt     time.Time
}

// done reports whether the agreed authentication has succeeded. It is also true if none was agreed.
func (a *authentication) done() bool { return a.e.lcp.method == 0 || a.state >= authDone }

func (a *authentication) reset() { *a = authentication{e: a.e} }

func (a *authentication) deadline() time.Time { return earliest(a.repeatAt, a.endAt) }

func (a *authentication) begin(now time.Time, method Method) {
	a.reset()
	a.method = method
	a.state = authAsking
	a.endAt = now.Add(a.e.cfg.AuthTimeout)
	a.protocol = wire.CHAP
	if method == PAP {
		a.protocol = wire.PAP
	}
	switch {
	case a.e.cfg.Role == Server && method != PAP:
		a.sendChallenge(now)
	case a.e.cfg.Role == Client && method == PAP:
		a.sendPassword(now)
	}
}

func (a *authentication) tick(now time.Time) {
	switch {
	case !a.endAt.IsZero() && !now.Before(a.endAt):
		a.endAt = time.Time{}
		a.e.hangUp(now, reason.New(reason.AuthTimeout, a.e.cfg.AuthTimeout))
	case !a.repeatAt.IsZero() && !now.Before(a.repeatAt):
		if a.state == authDone {
			a.state, a.sends, a.retried = authAgain, 0, false
			a.sendChallenge(now)
			return
		}
		if a.sends >= a.e.cfg.MaxConfigure {
			a.repeatAt = time.Time{}
			a.e.hangUp(now, reason.New(reason.NoAuthAnswer))
			return
		}
		a.repeat(now)
	}
}

func (a *authentication) repeat(now time.Time) {
	a.sends++
	a.repeatAt = now.Add(a.e.cfg.RestartTimer)
	a.e.send(a.protocol, a.request)
}

func (a *authentication) receive(now time.Time, protocol wire.Protocol, p wire.Packet) {
	if protocol != a.protocol || a.state == authIdle {
		return
	}
	switch {
	case a.e.cfg.Role == Client:
		a.receiveClient(now, p)
	case protocol == wire.PAP && p.Code == wire.PAPRequest, protocol == wire.CHAP && p.Code == wire.CHAPResponse:
		a.receiveProof(now, p)
	}
}

func (a *authentication) challengeValue() []byte {
	if a.method == MSCHAPv1 {
		return a.challenge[:8]
	}
	return a.challenge[:]
}

func (a *authentication) sendChallenge(now time.Time) {
	if !a.e.draw(a.challenge[:]) {
		return
	}
	a.id = a.e.nextID()
	value := a.challengeValue()
	body := append([]byte{byte(len(value))}, value...)
	a.request = wire.Packet{Code: wire.CHAPChallenge, ID: a.id, Body: append(body, a.e.cfg.Name...)}
	a.repeat(now)
}

// receiveProof takes a peer's Authenticate-Request or Response. A retransmission gets the same
// answer as before and no second verification.
func (a *authentication) receiveProof(now time.Time, p wire.Packet) {
	digest := sha256.Sum256(append([]byte{p.ID}, p.Body...))
	if a.method == PAP {
		digest = sha256.Sum256(p.Body) // a retransmission may have a new identifier
	}
	if a.answer.Code != 0 && digest == a.asked {
		a.answer.ID = p.ID
		a.e.send(a.protocol, a.answer)
		return
	}
	if a.state != authAsking && a.state != authAgain {
		return
	}
	user, proof, err := a.parseProof(p)
	if err != nil {
		return
	}
	a.asked, a.id = digest, p.ID
	if a.state == authAgain {
		a.proveAgain(now, user, proof)
		return
	}
	a.state, a.proof, a.user = authWaiting, proof, user
	a.repeatAt = time.Time{}
	a.e.emit(Authenticate{User: user, Method: a.method, Proof: proof})
}

func (a *authentication) parseProof(p wire.Packet) (user string, proof Proof, err error) {
	if a.method == PAP {
		name, password, err := wire.ParsePAP(p.Body)
		return chap.Text(name), chap.PAP{Password: string(password)}, err
	}
	value, name, err := wire.ParseCHAP(p.Body)
	if err != nil {
		return "", nil, err
	}
	user = chap.Text(name)
	// RFC 2759 section 6: a try after a Failure has the next identifier.
	another := a.retried && p.ID == a.id+1
	if p.ID != a.id && !another {
		return "", nil, wire.ErrNumber
	}
	switch a.method {
	case MSCHAPv2:
		proof, err = chap.NewV2(string(name), a.challenge, value)
	case MSCHAPv1:
		proof, err = chap.NewV1([8]byte(a.challenge[:8]), value)
	default:
		proof, err = chap.NewMD5(p.ID, a.challenge[:], value)
	}
	return user, proof, err
}

// proveAgain judges the answer to a later challenge by the password that let the peer in. As with
// pppd, MPPE uses the new keys from the next CCP on.
func (a *authentication) proveAgain(now time.Time, user string, proof Proof) {
	if user != a.user || !proof.Verify(a.password) {
		why := reason.New(reason.FailedAgain)
		a.fail(why, false)
		a.e.hangUp(now, why)
		return
	}
	a.e.keys = keysOf(Server, proof, a.password)
	a.reply(wire.CHAPSuccess, []byte(success(proof, a.password)))
	a.state, a.repeatAt = authDone, now.Add(a.e.cfg.Rechallenge)
}

// success is the message of a success. After MS-CHAPv2 it also proves that we know the password.
func success(proof Proof, password string) string {
	if v2, ok := proof.(chap.V2); ok {
		return v2.AuthenticatorResponse(password) + " M=" + welcome
	}
	return welcome
}

// Grant answers Authenticate and lets the peer in. It does nothing if the engine no longer waits
// for an answer.
func (e *Engine) Grant(now time.Time, g Grant) {
	a := &e.auth
	if e.phase != phaseAuthenticate || a.state != authWaiting {
		return
	}
	e.grant = g
	e.keys = keysOf(e.cfg.Role, a.proof, g.Password)
	e.grant.Password = ""
	e.ipcp.give(g)
	message := success(a.proof, g.Password)
	if a.method == PAP {
		a.reply(wire.PAPAck, prefixed(message))
	} else {
		a.reply(wire.CHAPSuccess, []byte(message))
	}
	a.state, a.proof, a.endAt = authDone, nil, time.Time{}
	if e.cfg.Rechallenge > 0 && !g.OneTime && a.method != PAP {
		a.password, a.repeatAt = g.Password, now.Add(e.cfg.Rechallenge)
	}
	e.authenticated(now)
}

func (a *authentication) reply(code wire.Code, body []byte) {
	a.answer = wire.Packet{Code: code, ID: a.id, Body: body}
	a.e.send(a.protocol, a.answer)
}

func prefixed(message string) []byte {
	message = message[:min(len(message), 255)]
	return append([]byte{byte(len(message))}, message...)
}

// Refuse answers Authenticate: it tells the peer the reason, if r has a text for it, and hangs up.
// It does not hang up if r allows another try and the protocol supports one.
func (e *Engine) Refuse(now time.Time, r Refusal) {
	a := &e.auth
	if e.phase != phaseAuthenticate || a.state != authWaiting {
		return
	}
	a.proof = nil
	retry := r.Retry && !a.retried && (a.method == MSCHAPv1 || a.method == MSCHAPv2)
	if retry {
		a.retried = true
		if !e.draw(a.challenge[:]) {
			return
		}
	}
	a.fail(r.Reason, retry)
	if retry {
		a.state, a.endAt = authAsking, now.Add(e.cfg.AuthTimeout)
		return
	}
	a.state = authDone
	e.hangUp(now, r.Reason)
}

func (a *authentication) fail(why reason.Reason, retry bool) {
	switch a.method {
	case PAP:
		a.reply(wire.PAPNak, prefixed(why.Peer()))
	case MSCHAPv1, MSCHAPv2:
		a.reply(wire.CHAPFailure, []byte(a.failure(why, retry)))
	default:
		a.reply(wire.CHAPFailure, []byte(why.Peer()))
	}
}

// failure is the message of a Failure (RFC 2433 section 6, RFC 2759 section 6).
func (a *authentication) failure(why reason.Reason, retry bool) string {
	again, version := 0, 2
	if retry {
		again = 1
	}
	if a.method == MSCHAPv2 {
		version = 3
	}
	challenge := strings.ToUpper(hex.EncodeToString(a.challengeValue()))
	return fmt.Sprintf("E=%d R=%d C=%s V=%d M=%s", cmp.Or(why.Row().MSCHAP, reason.MSCHAPDenied), again, challenge, version, why.Peer())
}
