package mppe

import (
	"bytes"
	"crypto/rc4"
	"encoding/hex"
	"strings"
	"testing"
	"vpnd/ppp/chap"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRFC3079Section35 checks the sample derivations of RFC 3079 section 3.5. The RFC prints the
// last byte of the 56-bit message as 58; RC4 with the printed key gives B8 (crypto/rc4 as well).
func TestRFC3079Section35(t *testing.T) {
	hashHash := chap.HashHash(chap.NTHash("clientPass"))
	response := [24]byte(unhex(t, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"))
	_, server := StartKeysV2(hashHash, response)
	if want := unhex(t, "8B7CDC149B993A1BA118CB153F56DCCB"); !bytes.Equal(server[:], want) {
		t.Errorf("send start key is %x, want %x", server, want)
	}
	for _, v := range []struct {
		strength     Strength
		key, message string
	}{
		{Bits40, "D1269EC49FA62E3E", "929137917E5803D668D75898"},
		{Bits56, "D15C00C49FA62E3E", "3F106833FA448DA842BC57B8"},
		{Bits128, "405CB2247A7956E6E211007AE27B22D4", "81848317DF68846272FB5ABE"},
	} {
		k := newSessionKey(server, v.strength)
		if !bytes.Equal(k.bytes(), unhex(t, v.key)) {
			t.Errorf("%v: session key is %x, want %s", v.strength, k.bytes(), v.key)
		}
		message := []byte("test message")
		k.rc4.xor(message)
		c, err := rc4.NewCipher(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		standard := []byte("test message")
		c.XORKeyStream(standard, standard)
		if !bytes.Equal(message, standard) {
			t.Errorf("%v: message is %x, crypto/rc4 gives %x", v.strength, message, standard)
		}
		if !bytes.Equal(message, unhex(t, v.message)) {
			t.Errorf("%v: message is %x, want %s", v.strength, message, v.message)
		}
	}
}

// TestRFC3079Section25 checks the sample derivations of RFC 3079 section 2.5. The RFC prints the
// initial key of 2.5.3 with byte CA in step 3 and with C1 in its copy of step 4. C1 is right, since
// it gives the key of step 5.
func TestRFC3079Section25(t *testing.T) {
	const password = "clientPass"
	lm := chap.LMHash(password)
	if want := unhex(t, "76a152936096d7830e2390227404afd2"); !bytes.Equal(lm[:], want) {
		t.Fatalf("LMHash is %x, want %x", lm, want)
	}
	for strength, want := range map[Strength]string{Bits40: "d1269e538cec4a08", Bits56: "d10801538cec4a08"} {
		if k := newSessionKey(lm, strength); !bytes.Equal(k.bytes(), unhex(t, want)) {
			t.Errorf("%v: session key is %x, want %s", strength, k.bytes(), want)
		}
	}
	start := StartKeyV1(chap.HashHash(chap.NTHash(password)), [8]byte(unhex(t, "102db5df085d3041")))
	if want := unhex(t, "a8947850cfc0acc1d1789fb62ddcddb0"); !bytes.Equal(start[:], want) {
		t.Errorf("initial key is %x, want %x", start, want)
	}
	k := newSessionKey(start, Bits128)
	if want := unhex(t, "59d159bc09f76f1da2a86a28ffec0b1e"); !bytes.Equal(k.bytes(), want) {
		t.Errorf("session key is %x, want %x", k.bytes(), want)
	}
}
