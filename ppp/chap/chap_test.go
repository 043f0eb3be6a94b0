package chap_test

import (
	"encoding/hex"
	"errors"
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

// TestRFC2759 is the example of RFC 2759 section 9.2.
func TestRFC2759(t *testing.T) {
	challenge := [16]byte(unhex(t, "5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28"))
	peer := [16]byte(unhex(t, "21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E"))
	const password = "clientPass"

	hash := chap.NTHash(password)
	if got := hex.EncodeToString(hash[:]); got != "44ebba8d5312b8d611474411f56989ae" {
		t.Errorf("NTHash is %s", got)
	}
	hashHash := chap.HashHash(hash)
	if got := hex.EncodeToString(hashHash[:]); got != "41c00c584bd2d91c4017a2a12fa59f3f" {
		t.Errorf("HashHash is %s", got)
	}
	for _, user := range []string{"User", `DOMAIN\User`} {
		p := chap.RespondV2(user, password, challenge, peer)
		if got := hex.EncodeToString(p.NTResponse[:]); got != "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df" {
			t.Errorf("%s: NT response is %s", user, got)
		}
		const want = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
		if got := p.AuthenticatorResponse(password); got != want {
			t.Errorf("%s: authenticator response is %s, want %s", user, got, want)
		}
		for _, text := range []string{"", " M=welcome", "M=welcome", "\x00", "A"} {
			if !p.VerifySuccess(want+text, password) {
				t.Errorf("%s: the client refuses %q behind the proof", user, text)
			}
		}
		for i := range want {
			if p.VerifySuccess(want[:i], password) || p.VerifySuccess(want[:i]+"x"+want[i+1:], password) {
				t.Errorf("%s: the client takes a wrong Success, byte %d", user, i)
			}
		}
		if !p.VerifySuccess(want+" M=welcome", password) || p.VerifySuccess(want, "other") || p.VerifySuccess("", password) {
			t.Errorf("%s: the client takes a wrong Success or refuses the right one", user)
		}
		value := p.Value()
		again, err := chap.NewV2(user, challenge, value[:])
		if err != nil || again != p {
			t.Errorf("%s: value field: %+v, %v", user, again, err)
		}
	}
}

// TestRFC2433 is the example of RFC 2433 appendix B.2.
func TestRFC2433(t *testing.T) {
	value := chap.V1Response([8]byte(unhex(t, "102DB5DF085D3041")), "MyPw")
	const want = "4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61"
	if got := hex.EncodeToString(value[24:48]); got != want {
		t.Errorf("NT response is %s, want %s", got, want)
	}
}

func TestProofs(t *testing.T) {
	c16, c8 := [16]byte{1, 2, 3}, [8]byte{4, 5, 6}
	md5 := chap.MD5Response(7, c16[:], "right")
	v1 := chap.V1Response(c8, "right")
	v2 := chap.RespondV2("alice", "right", c16, [16]byte{9}).Value()
	noNT := v1
	noNT[48] = 0

	proofMD5, err1 := chap.NewMD5(7, c16[:], md5[:])
	proofV1, err2 := chap.NewV1(c8, v1[:])
	proofV2, err3 := chap.NewV2("alice", c16, v2[:])
	proofLM, err4 := chap.NewV1(c8, noNT[:])
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]interface{ Verify(string) bool }{
		"PAP": chap.PAP{Password: "right"}, "MD5": proofMD5, "MS-CHAP": proofV1, "MS-CHAPv2": proofV2,
	} {
		if !p.Verify("right") || p.Verify("wrong") || p.Verify("") || p.Verify("right ") {
			t.Errorf("%s verifies the wrong password or refuses the right one", name)
		}
	}
	if proofLM.Verify("right") {
		t.Error("MS-CHAP without an NT response is taken")
	}
}

func TestLengths(t *testing.T) {
	for n := range 64 {
		value := make([]byte, n)
		if _, err := chap.NewMD5(1, nil, value); errors.Is(err, chap.ErrLength) == (n == 16) {
			t.Errorf("MD5 of %d bytes: %v", n, err)
		}
		if _, err := chap.NewV1([8]byte{}, value); errors.Is(err, chap.ErrLength) == (n == 49) {
			t.Errorf("MS-CHAP of %d bytes: %v", n, err)
		}
		if _, err := chap.NewV2("", [16]byte{}, value); errors.Is(err, chap.ErrLength) == (n == 49) {
			t.Errorf("MS-CHAPv2 of %d bytes: %v", n, err)
		}
	}
}
