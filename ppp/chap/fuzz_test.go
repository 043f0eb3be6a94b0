package chap_test

import (
	"strings"
	"testing"
	"unicode/utf8"
	"vpnd/ppp/chap"
)

// Any refusal of a server can be read.
func FuzzParseFailure(f *testing.F) {
	for _, message := range []string{"", "E=691 R=0 C=00112233 V=3 M=no", "E=", "E=691", "M=E=691", "E=99999999999 M=\x00"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		code, text := chap.ParseFailure(message)
		if code < 0 || code > 9_999_999_999 || !strings.Contains(message, text) || code == 0 && text != message && !strings.HasPrefix(message, "E=0") {
			t.Errorf("%q: %d %q, want a code of at most ten digits, and a text out of the message", message, code, text)
		}
	})
}

// Values of any length are read or refused. A proof accepts the password that it was made of, in
// each spelling.
func FuzzProofs(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), "Käse-2026")
	f.Add(make([]byte, 49), "")
	f.Add([]byte(nil), "\xE4\x80\xFF")
	f.Fuzz(func(t *testing.T, value []byte, password string) {
		md5, _ := chap.NewMD5(1, value, value)
		v1, _ := chap.NewV1([8]byte{1}, value)
		v2, _ := chap.NewV2(password, [16]byte{1}, value)
		for _, p := range []interface{ Verify(string) bool }{md5, v1, v2} {
			p.Verify(password)
		}
		if text := chap.Text(value); !utf8.ValidString(text) {
			t.Errorf("%q is no text", text)
		}
		for _, written := range []string{password, chap.AsBytes(password)} {
			if p := chap.RespondV2("alice", written, [16]byte{1}, [16]byte{2}); !p.Verify(password) || !p.VerifySuccess(p.AuthenticatorResponse(password), password) {
				t.Errorf("%q as %q is refused", password, written)
			}
		}
		if !(chap.PAP{Password: chap.InCodePage(password)}).Verify(password) {
			t.Errorf("%q is refused in its code page", password)
		}
	})
}
