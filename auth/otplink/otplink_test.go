package otplink_test

import (
	"errors"
	"strings"
	"testing"
	"vpnd/auth/otplink"
)

func TestLabel(t *testing.T) {
	if got, want := otplink.Label("my: vpn", "anna+x@example.org"), "my%20vpn:anna%2Bx%40example.org"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := otplink.CheckIssuer("my: vpn"); !errors.Is(err, otplink.ErrIssuer) {
		t.Error(err)
	}
	if err := otplink.CheckIssuer("my vpn"); err != nil {
		t.Error(err)
	}
}

func TestClean(t *testing.T) {
	secretOf := func(link string) (string, error) {
		if link == "x://good" {
			return "ab cd", nil
		}
		return "", errors.New("bad")
	}
	for text, want := range map[string]string{
		"": "", "ab-cd ef:01\r\n": "abcdef01", "\ufeffab\u00a0cd\u2011ef\u200b": "abcdef", " x://good\n": "abcd", "\ufeffx://bad": "x://bad",
	} {
		if got := otplink.Clean(text, secretOf); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// FuzzParse checks that Parse answers any text, and that no error reveals a secret.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"otpauth://totp/E:a?secret=JBSW&issuer=E", "motp://x:y?secret=f3a1", "://?%", "a://b?secret=%zz#c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, link string) {
		_, _, parameters, err := otplink.Parse(link)
		if err == nil && parameters["secret"] == "" || err != nil && parameters != nil {
			t.Errorf("%v, %v", parameters, err)
		}
		if _, secret, ok := strings.Cut(link, "secret="); ok && len(secret) > 20 && err != nil && strings.Contains(err.Error(), secret) {
			t.Error(err)
		}
	})
}
