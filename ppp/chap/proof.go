package chap

import (
	"bytes"
	"crypto/md5" //nolint:gosec // RFC 1994
	"crypto/subtle"
	"errors"
)

// ErrLength is a response value of the wrong length for its algorithm.
var ErrLength = errors.New("chap: response value of the wrong length")

const (
	// msResponseLen is the length of a response value of MS-CHAP (RFC 2433 section 4) and
	// MS-CHAPv2 (RFC 2759 section 4) in bytes.
	msResponseLen = 49
	// useNT is the flags byte of MS-CHAP that announces the NT response.
	useNT = 0x01
)

// PAP is the proof of RFC 1334: the password itself.
type PAP struct{ Password string }

// Verify reports whether candidate is the password that the peer sent.
func (p PAP) Verify(candidate string) bool {
	right := 0
	for _, written := range spellings(candidate) {
		right |= subtle.ConstantTimeCompare([]byte(p.Password), []byte(written))
	}
	return right == 1
}

// MD5 is the proof of RFC 1994: MD5 of identifier, password and challenge.
type MD5 struct {
	ID        byte
	Challenge []byte
	Response  [16]byte
}

// NewMD5 takes the value field of a Response. The error is ErrLength.
func NewMD5(id byte, challenge, value []byte) (MD5, error) {
	if len(value) != md5.Size {
		return MD5{}, ErrLength
	}
	return MD5{ID: id, Challenge: bytes.Clone(challenge), Response: [16]byte(value)}, nil
}

// MD5Response is the value field with which a client answers.
func MD5Response(id byte, challenge []byte, password string) [16]byte {
	text := make([]byte, 0, 1+len(password)+len(challenge))
	text = append(text, id)
	text = append(text, password...)
	return md5.Sum(append(text, challenge...)) //nolint:gosec // RFC 1994
}

// Verify reports whether the peer answered with candidate.
func (p MD5) Verify(candidate string) bool {
	right := 0
	for _, written := range spellings(candidate) {
		want := MD5Response(p.ID, p.Challenge, written)
		right |= subtle.ConstantTimeCompare(want[:], p.Response[:])
	}
	return right == 1
}

// V1 is the proof of MS-CHAP, RFC 2433, and checks only the NT response. It ignores the LAN Manager
// response, which gives the password away.
type V1 struct {
	Challenge  [8]byte
	NTResponse [24]byte
}

// NewV1 takes the value field of a Response: LAN Manager response, NT response, flags. A peer that
// sends no NT response fails like one with a wrong password. The error is ErrLength.
func NewV1(challenge [8]byte, value []byte) (V1, error) {
	if len(value) != msResponseLen {
		return V1{}, ErrLength
	}
	p := V1{Challenge: challenge}
	if value[msResponseLen-1] == useNT {
		p.NTResponse = [24]byte(value[24:48])
	}
	return p, nil
}

// V1Response is the value field with which a client answers.
func V1Response(challenge [8]byte, password string) (value [msResponseLen]byte) {
	nt := challengeResponse(challenge, NTHash(password))
	copy(value[24:], nt[:])
	value[msResponseLen-1] = useNT
	return value
}

// Verify reports whether the peer answered with candidate.
func (p V1) Verify(candidate string) bool {
	_, ok := match(p.Challenge, p.NTResponse, candidate)
	return ok
}

// Hashes are the NT hash and the LAN Manager hash of password as the peer wrote it.
func (p V1) Hashes(password string) (nt, lm [16]byte) {
	f, _ := match(p.Challenge, p.NTResponse, password)
	return md4sum(f.unicode), lmHash(f.oem)
}

// match finds the form of password that answers challenge with response. If no form does, it
// returns the RFC's. It tries all forms, so that its time reveals nothing.
func match(challenge [8]byte, response [24]byte, password string) (found form, ok bool) {
	list := forms(password)
	found = list[0]
	for _, f := range list {
		want := challengeResponse(challenge, md4sum(f.unicode))
		if subtle.ConstantTimeCompare(want[:], response[:]) == 1 && !ok {
			found, ok = f, true
		}
	}
	return found, ok
}

// V2 is the proof of MS-CHAPv2, RFC 2759.
type V2 struct {
	User          string // as the peer sent it; a DOMAIN\ prefix does not count
	Challenge     [16]byte
	PeerChallenge [16]byte
	NTResponse    [24]byte
}

// NewV2 takes the value field of a Response: peer challenge, eight reserved bytes, NT response,
// flags. The error is ErrLength.
func NewV2(user string, challenge [16]byte, value []byte) (V2, error) {
	if len(value) != msResponseLen {
		return V2{}, ErrLength
	}
	return V2{
		User: user, Challenge: challenge,
		PeerChallenge: [16]byte(value[:16]), NTResponse: [24]byte(value[24:48]),
	}, nil
}

// RespondV2 is the proof that a client gives for password; Value is what it sends.
func RespondV2(user, password string, challenge, peerChallenge [16]byte) V2 {
	return V2{
		User: user, Challenge: challenge, PeerChallenge: peerChallenge,
		NTResponse: challengeResponse(challengeHash(peerChallenge, challenge, user), NTHash(password)),
	}
}

// Value is the value field of the Response.
func (p V2) Value() (value [msResponseLen]byte) {
	copy(value[:], p.PeerChallenge[:])
	copy(value[24:], p.NTResponse[:])
	return value
}

// Verify reports whether the peer answered with candidate.
func (p V2) Verify(candidate string) bool {
	_, ok := match(p.hashed(), p.NTResponse, candidate)
	return ok
}

// hashed is the challenge that NTResponse answers.
func (p V2) hashed() [8]byte { return challengeHash(p.PeerChallenge, p.Challenge, p.User) }

// Hash is the NT hash of password as the peer wrote it.
func (p V2) Hash(password string) [16]byte {
	f, _ := match(p.hashed(), p.NTResponse, password)
	return md4sum(f.unicode)
}

// AuthenticatorResponse proves to the client that the server knows password too: "S=" and 40
// hexadecimal digits, the beginning of the Success message (RFC 2759 section 5).
func (p V2) AuthenticatorResponse(password string) string {
	return authenticatorResponse(HashHash(p.Hash(password)), p.NTResponse, p.hashed())
}

// VerifySuccess is the client's check of the message of a Success. It looks only at the first 42
// bytes, because Windows Server 2019 leaves out the space in front of M=.
func (p V2) VerifySuccess(message, password string) bool {
	want := p.AuthenticatorResponse(password)
	return len(message) >= len(want) && subtle.ConstantTimeCompare([]byte(message[:len(want)]), []byte(want)) == 1
}
