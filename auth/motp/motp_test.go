package motp_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"
)

// The vectors were published with the otpn900 library. privacyIDEA's tests use them, too.
func TestCodeVectors(t *testing.T) {
	for _, v := range []struct {
		step        int64
		secret, pin string
		want        string
	}{
		{129612120, "0123456789abcdef", "6666", "6ed4e4"},
		{129612130, "0123456789abcdef", "6666", "502a59"},
		{0, "0123456789abcdef", "1", "bd94a4"},
		{4, "0123456789abcdef", "1", "fb596e"},
		{129612244, "0123456789abcdef", "77777777", "7abf75"},
		{129612253, "0123456789abcdef", "77777777", "4d4ac4"},
	} {
		if got := (motp.Token{Secret: v.secret, PIN: v.pin}).Code(v.step); got != v.want {
			t.Errorf("step %d, PIN %s: got %s, want %s", v.step, v.pin, got, v.want)
		}
	}
}

func TestCodeByTheClock(t *testing.T) {
	for _, v := range []struct {
		unix      int64
		pin, want string
	}{
		{1464048000, "1234", "105899"},
		{1464048009, "1234", "105899"},
		{1464048000, "1234567", "c64913"},
		{1464048009, "1234567", "c64913"},
		{1464048010, "1234", "f9a6ec"},
		{1464048010, "1234567", "c89432"},
	} {
		token, err := motp.NewToken("F3A1C09D5BE2478890AA1B2C3D4E5F60", v.pin)
		if err != nil {
			t.Fatal(err)
		}
		if got := token.Code(motp.Step(time.Unix(v.unix, 0))); got != v.want {
			t.Errorf("%d, PIN %s: got %s, want %s", v.unix, v.pin, got, v.want)
		}
	}
}

func TestNewTokenRules(t *testing.T) {
	good := "0123456789abcdef"
	for _, c := range []struct {
		secret, pin string
		want        error
	}{
		{good, "1234", nil},
		{good + good, "1234567", nil},
		{good[1:], "1234", motp.ErrSecret},
		{good + good + "0", "1234", motp.ErrSecret},
		{good[1:] + "g", "1234", motp.ErrSecret},
		{good, "123", motp.ErrPIN},
		{good, "12345678", motp.ErrPIN},
		{good, "12a4", motp.ErrPIN},
		{"\ufeff0123 4567-89AB cd:ef\r\n", "1234", nil},
		{"motp://my%20vpn:anna%2Bx?secret=" + good, "1234", nil},
		{"motp://x:y?secret=0123", "1234", motp.ErrSecret},
	} {
		if _, err := motp.NewToken(c.secret, c.pin); !errors.Is(err, c.want) {
			t.Errorf("secret of %d digits, PIN of %d: got %v, want %v", len(c.secret), len(c.pin), err, c.want)
		}
	}
}

// TestLinks checks that the error says why a link is refused, and reveals no secret.
func TestLinks(t *testing.T) {
	for link, why := range map[string]string{
		"otpauth://totp/E:a?secret=GEZDGNBVGY3TQOJQ": "use it as the TOTP secret",
		"https://example.org/?secret=0123456789abcd": "not a motp link",
		"motp://x:y":                 "has no secret",
		"motp://x:y?secret=%zz01234": "is damaged",
	} {
		if _, err := motp.NewToken(link, "1234"); err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "GEZ") || strings.Contains(err.Error(), "0123") {
			t.Errorf("%s: %v, want %q", link, err, why)
		}
	}
}

func TestNewSecret(t *testing.T) {
	secret, err := motp.NewSecret(bytes.NewReader([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff")))
	if err != nil || secret != "000102030405060708090a0b0c0d0eff" {
		t.Errorf("got %q, %v", secret, err)
	}
	if _, err := motp.NewSecret(strings.NewReader("short")); err == nil {
		t.Error("a secret came out of a source that ran dry")
	}
}

func TestWeak(t *testing.T) {
	for secret, want := range map[string]bool{
		"00000000000000000000000000000000": true,
		"12341234123412341234":             true,
		"0123456789abcdef":                 true,
		"FEDCBA9876543210":                 true,
		"00112233445566778899aabbccddeeff": true,
		"aaaaaaaabbbbbbbb":                 true,
		"0110100110010110":                 true,
		"abcdefabcdefabcd":                 true,
		"f3a1c09d5be2478890aa1b2c3d4e5f60": false,
		"9b1f6c07d2e85a43":                 false,
	} {
		if got := motp.Weak(secret); got != want {
			t.Errorf("Weak(%s) = %v, want %v", secret, got, want)
		}
	}
}

func TestURL(t *testing.T) {
	token := motp.Token{Secret: "f3a1c09d5be2478890aa1b2c3d4e5f60", PIN: "1234"}
	if got, want := token.URL("my vpn", "anna+x@example.org"), "motp://my%20vpn:anna%2Bx%40example.org?secret=f3a1c09d5be2478890aa1b2c3d4e5f60"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
