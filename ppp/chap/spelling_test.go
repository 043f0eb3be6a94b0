package chap_test

import (
	"encoding/hex"
	"testing"
	"vpnd/ppp/chap"

	"golang.org/x/text/encoding/charmap"
)

// nonASCII is a password that each client writes in its own way, and the bytes of each.
const nonASCII = "Käse-2026 €"

var (
	inUTF8    = string(nonASCII)
	inCP1252  = "K\xE4se-2026 \x80"
	unrelated = []string{"", "Kase-2026 €", "KÄSE-2026 €", "Käse-2026", "K?se-2026 ?", "K\uFFFDse-2026 \uFFFD"}
)

// pppd hashes the bytes of its file, each with a zero byte after it. OpenSSL gives the same MD4 of
// these bytes.
func TestAsBytes(t *testing.T) {
	hash := chap.NTHash(chap.AsBytes("Käse-2026"))
	if got := hex.EncodeToString(hash[:]); got != "cdd3f176ea8768cc5d5b92c55f9f81dc" {
		t.Errorf("hash %s", got)
	}
}

// A proof verifies a password in each spelling that clients use, and returns the hashes of the
// spelling that it was made with.
func TestSpellings(t *testing.T) {
	c8, c16 := [8]byte{4, 5, 6}, [16]byte{1, 2, 3}
	for name, written := range map[string]string{ // RFC 2759 converts these to UTF-16
		"UTF-16": nonASCII, "bytes of UTF-8": chap.AsBytes(inUTF8), "bytes of Windows-1252": "K\u00E4se-2026 \u0080",
	} {
		v2 := chap.RespondV2("alice", written, c16, [16]byte{9})
		value := chap.V1Response(c8, written)
		v1, err := chap.NewV1(c8, value[:])
		if err != nil {
			t.Fatal(err)
		}
		nt, _ := v1.Hashes(nonASCII)
		if !v1.Verify(nonASCII) || !v2.Verify(nonASCII) || v2.Hash(nonASCII) != chap.NTHash(written) || nt != chap.NTHash(written) {
			t.Errorf("%s: not verified, or by another hash", name)
		}
		if v2.AuthenticatorResponse(nonASCII) != v2.AuthenticatorResponse(written) {
			t.Errorf("%s: the server proves another password", name)
		}
		wantRefused(t, name, v1, v2)
	}
	for name, written := range map[string]string{"UTF-8": inUTF8, "Windows-1252": inCP1252} {
		value := chap.MD5Response(7, c16[:], written)
		md5, err := chap.NewMD5(7, c16[:], value[:])
		if err != nil {
			t.Fatal(err)
		}
		pap := chap.PAP{Password: written}
		if !pap.Verify(nonASCII) || !md5.Verify(nonASCII) {
			t.Errorf("%s: not verified", name)
		}
		wantRefused(t, name, pap, md5)
	}
}

func wantRefused(t *testing.T, name string, proofs ...interface{ Verify(string) bool }) {
	t.Helper()
	for _, p := range proofs {
		for _, other := range unrelated {
			if p.Verify(other) {
				t.Errorf("%s: %T takes %q", name, p, other)
			}
		}
	}
}

// The code page is that of the country of the Windows edition.
func TestCodePages(t *testing.T) {
	for password, written := range map[string]string{
		"geheim": "geheim", "Käse": "K\xE4se", "żółw": "\xBF\xF3\xB3w", "пароль": "\xEF\xE0\xF0\xEE\xEB\xFC",
		"κωδικός": "\xEA\xF9\xE4\xE9\xEA\xFC\xF2", "ışık": "\xFD\xFE\xFDk", "日本": "日本",
	} {
		if got := chap.InCodePage(password); got != written {
			t.Errorf("%s is written as %q, want %q", password, got, written)
		}
		if !(chap.PAP{Password: written}).Verify(password) {
			t.Errorf("%s in its code page is refused", password)
		}
	}
}

// Each character, and each invalid one, is written as an Encoder writes it.
func TestCodePagesEncode(t *testing.T) {
	pages := []*charmap.Charmap{
		charmap.Windows1252, charmap.Windows1250, charmap.Windows1251, charmap.Windows1253, charmap.Windows1254,
		charmap.Windows1255, charmap.Windows1256, charmap.Windows1257, charmap.Windows1258, charmap.Windows874,
	}
	texts := []string{"", "a\xff", "\xe4", "\xed\xa0\x80", "\U0001F511", "a\u0434\u00e4"}
	for r := range rune(0x10000) {
		texts = append(texts, string(r))
	}
	for _, text := range texts {
		want := text
		for _, page := range pages {
			if written, err := page.NewEncoder().String(text); err == nil {
				want = written
				break
			}
		}
		if got := chap.InCodePage(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for written, want := range map[string]string{"alice": "alice", "käthe": "käthe", "k\xE4the": "käthe", "\x80": "€", "": ""} {
		if got := chap.Text([]byte(written)); got != want {
			t.Errorf("%q is %q, want %q", written, got, want)
		}
	}
}

// LAN Manager hashes: Windows writes the code page of DOS in upper case. pppd writes its bytes with
// ASCII letters in upper case.
func TestLANManagerSpellings(t *testing.T) {
	c8 := [8]byte{4, 5, 6}
	for written, same := range map[string]string{
		"ärger1":               "ÄRGER1", // Windows: case does not count
		chap.AsBytes("ärger1"): "",       // pppd
	} {
		value := chap.V1Response(c8, written)
		p, err := chap.NewV1(c8, value[:])
		if err != nil {
			t.Fatal(err)
		}
		_, lm := p.Hashes("ärger1")
		if got := lm == chap.LMHash("ÄRGER1"); got != (same != "") {
			t.Errorf("%q: like the hash of ÄRGER1 %v", written, got)
		}
	}
}

func TestParseFailure(t *testing.T) {
	const challenge = "00112233445566778899AABBCCDDEEFF"
	for _, c := range []struct {
		message string
		code    int
		text    string
	}{
		{"E=691 R=0 C=" + challenge + " V=3 M=Access denied", 691, "Access denied"},
		{"E=691 R=1 C=" + challenge + " V=3", 691, ""},
		{"E=691R=1C=" + challenge + "V=3M=Access denied\x00", 691, "Access denied"},
		{"E=649 R=0 M= M=E=691 ", 649, " M=E=691"},
		{"E=648", 648, ""},
		{"E=", 0, "E="},
		{"E=x", 0, "E=x"},
		{"E=99999999999999999999", 9999999999, ""},
		{"no E=691 for you", 0, "no E=691 for you"},
		{"", 0, ""},
	} {
		code, text := chap.ParseFailure(c.message)
		if code != c.code || text != c.text {
			t.Errorf("%q: %d %q, want %d %q", c.message, code, text, c.code, c.text)
		}
	}
}
