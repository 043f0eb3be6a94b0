// Package chap has the proofs by which a peer shows that it knows a password: PAP (RFC 1334),
// CHAP with MD5 (RFC 1994), MS-CHAP (RFC 2433) and MS-CHAPv2 (RFC 2759). A proof verifies candidate
// passwords from any source. Comparisons take constant time. These protocols require DES, MD4, MD5
// and SHA-1.
package chap

import (
	"crypto/des"  //nolint:gosec // MS-CHAP is made of DES
	"crypto/sha1" //nolint:gosec // MS-CHAPv2 is made of SHA-1
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/md4" //nolint:gosec,staticcheck // MS-CHAP is made of MD4
)

// NTHash is NtPasswordHash of RFC 2759 section 8.3: MD4 of the password in UTF-16LE.
func NTHash(password string) [16]byte { return md4sum(utf16le(password)) }

// HashHash is HashNtPasswordHash of RFC 2759 section 8.4.
func HashHash(hash [16]byte) [16]byte { return md4sum(hash[:]) }

func md4sum(text []byte) (sum [16]byte) {
	h := md4.New() //nolint:gosec // MS-CHAP is made of MD4
	h.Write(text)
	h.Sum(sum[:0])
	return sum
}

// challengeResponse is ChallengeResponse of RFC 2759 section 8.5: three DES encryptions of the
// challenge under the 16 bytes of hash, padded with zeros to 21.
func challengeResponse(challenge [8]byte, hash [16]byte) (response [24]byte) {
	var keys [21]byte
	copy(keys[:], hash[:])
	for i := range 3 {
		desEncrypt(response[8*i:], keys[7*i:7*i+7], challenge[:])
	}
	return response
}

// desEncrypt encrypts one block with the 56 bits of key. The parity bits stay zero.
func desEncrypt(dst, key, block []byte) {
	var k [8]byte
	var bits uint64
	for _, b := range key[:7] {
		bits = bits<<8 | uint64(b)
	}
	for i := range k {
		k[i] = byte(bits>>(49-7*i)) << 1
	}
	c, err := des.NewCipher(k[:]) //nolint:gosec // MS-CHAP is made of DES
	if err != nil {
		return // impossible: the key has eight bytes
	}
	c.Encrypt(dst, block)
}

// challengeHash is ChallengeHash of RFC 2759 section 8.2. It leaves out a Windows domain in front
// of the user's name.
func challengeHash(peer, authenticator [16]byte, user string) [8]byte {
	if _, name, found := strings.Cut(user, `\`); found {
		user = name
	}
	h := sha1.New() //nolint:gosec // RFC 2759
	h.Write(peer[:])
	h.Write(authenticator[:])
	h.Write([]byte(user))
	return [8]byte(h.Sum(nil)[:8])
}

const (
	signingMagic = "Magic server to client signing constant"
	padMagic     = "Pad to make it do more than one iteration"
)

// authenticatorResponse is GenerateAuthenticatorResponse of RFC 2759 section 8.7: "S=" and 40
// hexadecimal digits in upper case.
func authenticatorResponse(hashHash [16]byte, ntResponse [24]byte, challenge [8]byte) string {
	h := sha1.New() //nolint:gosec // RFC 2759
	h.Write(hashHash[:])
	h.Write(ntResponse[:])
	h.Write([]byte(signingMagic))
	digest := h.Sum(nil)
	h.Reset()
	h.Write(digest)
	h.Write(challenge[:])
	h.Write([]byte(padMagic))
	return "S=" + strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
}

// LMHash is LmPasswordHash of RFC 2433 section A.2. After MS-CHAP, MPPE of 40 and 56 bits takes its
// keys from it. Bytes after the fourteenth do not count.
func LMHash(password string) (hash [16]byte) { return lmHash(oem(password)) }

func lmHash(upper []byte) (hash [16]byte) {
	var keys [14]byte
	copy(keys[:], upper)
	const constant = "KGS!@#$%"
	desEncrypt(hash[:8], keys[:7], []byte(constant))
	desEncrypt(hash[8:], keys[7:], []byte(constant))
	return hash
}
