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

// The times and codes of RFC 6238 appendix B for SHA-1, whose secret is the text
// 12345678901234567890, cut to six digits.
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
	for _, bad := range []string{"", "GEZDGNBVGY3TQOJ", "GEZDGNBVGY3TQOJ1", "gezdgnbvgy3tqojq", strings.Repeat("A", 104)} {
		if !errors.Is(totp.Check(bad), totp.ErrSecret) {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Another implementation reads the link.
func TestURL(t *testing.T) {
	link := totp.Token{Secret: "GEZDGNBVGY3TQOJQ"}.URL("vpn.example.net", "alice@office")
	key, err := otp.NewKeyFromURL(link)
	if err != nil {
		t.Fatal(err)
	}
	if key.Type() != "totp" || key.Issuer() != "vpn.example.net" || key.AccountName() != "alice@office" || key.Secret() != "GEZDGNBVGY3TQOJQ" ||
		key.Period() != 30 || key.Digits() != otp.DigitsSix {
		t.Errorf("%s reads as %v", link, key)
	}
}
