package totp_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"vpnd/auth/motp"
	"vpnd/auth/totp"

	"github.com/pquerna/otp"
)

// The times and codes are those of RFC 6238 appendix B for SHA-1, cut to six digits. The secret is
// the text 12345678901234567890.
func TestVectors(t *testing.T) {
	token := totp.Token{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}
	if err := totp.Check(token.Secret); err != nil {
		t.Fatal(err)
	}
	for unix, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step := unix / motp.StepSeconds
		if got := token.Code(step - step%token.Stride()); got != want {
			t.Errorf("%d: %s, want %s", unix, got, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	secret, err := totp.NewSecret(bytes.NewReader([]byte("12345678901234567890")))
	if err != nil || secret != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Errorf("%q, %v", secret, err)
	}
	if _, err := totp.NewSecret(strings.NewReader("short")); err == nil {
		t.Error("too little chance is taken")
	}
	if got := totp.Clean(" gezd-gnbv gy3t qojq===="); got != "GEZDGNBVGY3TQOJQ" || totp.Check(got) != nil {
		t.Errorf("%q", got)
	}
	for pasted, want := range map[string]string{
		"\ufeffgezd gnbv-gy3t:qojq\r\n":                                                                              "GEZDGNBVGY3TQOJQ",
		"otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQ&issuer=Example":                                        "GEZDGNBVGY3TQOJQ",
		" otpauth://TOTP/ACME%20VPN?Secret=gezd%20gnbvgy3tqojq%3D%3D&algorithm=HMAC-SHA1&digits=6&period=30&image=x": "GEZDGNBVGY3TQOJQ",
	} {
		if got := totp.Clean(pasted); got != want || totp.Check(got) != nil {
			t.Errorf("%q becomes %q, want %q", pasted, got, want)
		}
	}
	const query = "?secret=GEZDGNBVGY3TQOJQ"
	for link, why := range map[string]string{
		"otpauth://totp/E:a" + query + "&algorithm=SHA256&digits=8&period=60": `codes with "SHA256", with "8" digits, for "60" seconds: vpnd supports only codes with SHA1`,
		"otpauth://totp/E:a" + query + "&period=60":                           `codes for "60" seconds`,
		"otpauth://hotp/E:a" + query + "&counter=1":                           `of type "hotp": vpnd supports only time-based codes`,
		"otpauth://totp/E:a?issuer=E":                                         "has no secret",
		"otpauth://totp/E:a?secret=%zz":                                       "is damaged",
		"otpauth-migration://offline?data=x&secret=y":                         "several accounts",
		"motp://E:a?secret=f3a1c09d5be24788":                                  "use it as the mOTP secret",
		"https://example.org/" + query:                                        "not an otpauth link",
	} {
		if err := totp.Check(totp.Clean(link)); err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "GEZ") {
			t.Errorf("%s: %v, want %q", link, err, why)
		}
	}
	for _, bad := range []string{"", "GEZDGNBVGY3TQOJ", "GEZDGNBVGY3TQOJ1", "gezdgnbvgy3tqojq", strings.Repeat("A", 104)} {
		if !errors.Is(totp.Check(bad), totp.ErrSecret) {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Another implementation reads the link, and so does this package.
func TestURL(t *testing.T) {
	for issuer, want := range map[string]string{"vpn.example.net": "vpn.example.net", "ACME VPN": "ACME VPN", "A+B & C: 50 %": "A+B & C 50 %"} {
		link := totp.Token{Secret: "GEZDGNBVGY3TQOJQ"}.URL(issuer, "alice@office")
		key, err := otp.NewKeyFromURL(link)
		if err != nil {
			t.Fatal(err)
		}
		if key.Type() != "totp" || key.Issuer() != want || key.AccountName() != "alice@office" || key.Secret() != "GEZDGNBVGY3TQOJQ" ||
			key.Period() != 30 || key.Digits() != otp.DigitsSix {
			t.Errorf("%s reads as %v", link, key)
		}
		if strings.Contains(link, "+") || strings.Count(link, ":") != 2 {
			t.Errorf("%s: apps show a plus sign, or take the name of the server for the user", link)
		}
		if got := totp.Clean(link); got != "GEZDGNBVGY3TQOJQ" {
			t.Errorf("%s reads as %s", link, got)
		}
	}
}
