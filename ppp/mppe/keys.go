package mppe

import (
	"crypto/sha1" //nolint:gosec // RFC 3079 derives keys by SHA-1
	"fmt"
)

// Strength is the effective length of the session key in bits: 40, 56 or 128.
type Strength int

// The strengths of RFC 3078 section 2.
const (
	Bits40  Strength = 40
	Bits56  Strength = 56
	Bits128 Strength = 128
)

// String is the strength as "MPPE-128".
func (s Strength) String() string { return fmt.Sprintf("MPPE-%d", int(s)) }

func (s Strength) octets() int {
	if s == Bits128 {
		return 16
	}
	return 8
}

// MasterKey is a start key of RFC 3079 from which session keys of any strength are made.
type MasterKey [16]byte

var (
	pad1 = [40]byte{}
	pad2 = func() (p [40]byte) {
		for i := range p {
			p[i] = 0xF2
		}
		return p
	}()
)

const (
	magicMaster     = "This is the MPPE Master Key"
	magicClientSend = "On the client side, this is the send key; on the server side, it is the receive key."
	magicServerSend = "On the client side, this is the receive key; on the server side, it is the send key."
)

// StartKeyV1 is the start key of both directions after MS-CHAP version 1 for 128 bits. It comes
// from MD4(MD4(password)) and the challenge (RFC 3079 section 2.4).
func StartKeyV1(passwordHashHash [16]byte, challenge [8]byte) MasterKey {
	h := sha1.New() //nolint:gosec // RFC 3079
	h.Write(passwordHashHash[:])
	h.Write(passwordHashHash[:])
	h.Write(challenge[:])
	return MasterKey(h.Sum(nil)[:16])
}

// StartKeysV2 are the start keys after MS-CHAPv2: one for the packets of the client and one for
// those of the server (RFC 3079 section 3.4).
func StartKeysV2(passwordHashHash [16]byte, ntResponse [24]byte) (client, server MasterKey) {
	h := sha1.New() //nolint:gosec // RFC 3079
	h.Write(passwordHashHash[:])
	h.Write(ntResponse[:])
	h.Write([]byte(magicMaster))
	master := h.Sum(nil)[:16]
	start := func(magic string) MasterKey {
		h := sha1.New() //nolint:gosec // RFC 3079
		h.Write(master)
		h.Write(pad1[:])
		h.Write([]byte(magic))
		h.Write(pad2[:])
		return MasterKey(h.Sum(nil)[:16])
	}
	return start(magicClientSend), start(magicServerSend)
}

// sessionKey is the changing key of one direction (RFC 3078 section 7.3).
type sessionKey struct {
	start, current [16]byte
	strength       Strength
	rc4            stream
}

func newSessionKey(start MasterKey, strength Strength) sessionKey {
	k := sessionKey{start: start, current: start, strength: strength}
	k.interim()
	k.reduce()
	k.rc4.setKey(k.bytes())
	return k
}

func (k *sessionKey) bytes() []byte { return k.current[:k.strength.octets()] }

// interim is GetNewKeyFromSHA.
func (k *sessionKey) interim() {
	n := k.strength.octets()
	var text [16 + 40 + 16 + 40]byte
	at := copy(text[:], k.start[:n])
	at += copy(text[at:], pad1[:])
	at += copy(text[at:], k.current[:n])
	at += copy(text[at:], pad2[:])
	sum := sha1.Sum(text[:at]) //nolint:gosec // RFC 3078
	copy(k.current[:n], sum[:n])
}

func (k *sessionKey) reduce() {
	switch k.strength {
	case Bits40:
		k.current[0], k.current[1], k.current[2] = 0xD1, 0x26, 0x9E
	case Bits56:
		k.current[0] = 0xD1
	case Bits128:
	}
}

// change moves on to the next key.
func (k *sessionKey) change() {
	k.interim()
	k.rc4.setKey(k.bytes())
	k.rc4.xor(k.bytes())
	k.reduce()
	k.rc4.setKey(k.bytes())
}
