// Package motp computes Mobile-OTP one-time passwords: six hexadecimal digits that a token makes
// from the time, a secret and a PIN. It reads no clock; the caller passes the time.
package motp

import (
	"crypto/md5" //nolint:gosec // the algorithm of Mobile-OTP is MD5
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"vpnd/auth/otplink"
)

const (
	// StepSeconds is how long one code is valid, in seconds.
	StepSeconds = 10
	// CodeLen is the length of a code in hexadecimal digits.
	CodeLen = 6

	minSecret, maxSecret = 16, 32
	minPIN, maxPIN       = 4, 7
	newSecretOctets      = 16
)

// Errors of NewToken.
var (
	ErrSecret = errors.New("a mOTP secret has 16 to 32 hexadecimal digits")
	ErrPIN    = errors.New("a mOTP PIN has 4 to 7 decimal digits")
)

// Token is the data in a user's token: the secret in lower-case hexadecimal digits, and the PIN.
type Token struct {
	Secret, PIN string
}

// NewToken checks a secret and a PIN against the rules of the user table. It accepts the secret in
// each form that Clean accepts. The error is ErrSecret or ErrPIN, or says why the secret of a link
// cannot be used.
func NewToken(secret, pin string) (Token, error) {
	secret = Clean(secret)
	if otplink.Is(secret) {
		_, err := secretOf(secret)
		return Token{}, err
	}
	if len(secret) < minSecret || len(secret) > maxSecret || strings.Trim(secret, "0123456789abcdef") != "" {
		return Token{}, ErrSecret
	}
	if len(pin) < minPIN || len(pin) > maxPIN || strings.Trim(pin, "0123456789") != "" {
		return Token{}, ErrPIN
	}
	return Token{Secret: secret, PIN: pin}, nil
}

// Clean converts a pasted secret to the form of a Token. People paste it in either case, in groups,
// or as a motp link. Clean leaves a wrong secret for NewToken to report.
func Clean(secret string) string {
	if secret = otplink.Clean(secret, secretOf); otplink.Is(secret) {
		return secret
	}
	return strings.ToLower(secret)
}

func secretOf(link string) (string, error) {
	scheme, kind, parameters, err := otplink.Parse(link)
	switch {
	case err != nil:
		return "", err
	case scheme == "otpauth" && kind == "totp":
		return "", errors.New("the link is of an authenticator app, not of a mOTP token: use it as the TOTP secret")
	case scheme != "motp":
		return "", fmt.Errorf("the link %.16s:// is not a motp link", scheme)
	}
	return parameters["secret"], nil
}

// Step is the number of the 10-second step of t, counted from 1970 (UTC).
func Step(t time.Time) int64 { return t.Unix() / StepSeconds }

// Code is the one-time password of step in lower case: the first six hexadecimal digits of
// MD5(step || secret || PIN), all three as text.
func (t Token) Code(step int64) string {
	text := make([]byte, 0, 20+maxSecret+maxPIN)
	text = strconv.AppendInt(text, step, 10)
	text = append(text, t.Secret...)
	text = append(text, t.PIN...)
	sum := md5.Sum(text) //nolint:gosec // the algorithm of Mobile-OTP is MD5
	return hex.EncodeToString(sum[:CodeLen/2])
}

// Stride is the number of steps for which a code is valid: one.
func (t Token) Stride() int64 { return 1 }

// URL is the link that token apps read, as text or as a QR code. It does not contain the PIN: the
// user types it.
func (t Token) URL(issuer, user string) string {
	return "motp://" + otplink.Label(issuer, user) + "?secret=" + t.Secret
}

// NewSecret draws a secret of 32 hexadecimal digits from random, as the Smart VPN Client's
// generator does.
func NewSecret(random io.Reader) (string, error) {
	var raw [newSecretOctets]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("generating a mOTP secret: %w", err)
	}
	return hex.EncodeToString(raw[:]), nil
}

// Weak reports whether a secret was obviously typed by hand: few different digits, a repeated
// pattern, doubled digits, or a run such as 0123456789abcdef.
func Weak(secret string) bool {
	const digits, few = "0123456789abcdef", 4
	secret = strings.ToLower(secret)
	for period := 1; period <= len(secret)/2; period++ {
		if secret[period:] == secret[:len(secret)-period] {
			return true
		}
	}
	different, same, up, down := map[byte]bool{}, 0, 0, 0
	for i := range len(secret) {
		different[secret[i]] = true
		if i == 0 {
			continue
		}
		switch strings.IndexByte(digits, secret[i]) - strings.IndexByte(digits, secret[i-1]) {
		case 0:
			same++
		case 1, 1 - len(digits):
			up++
		case -1, len(digits) - 1:
			down++
		}
	}
	return len(different) <= few || max(same, up, down) >= len(secret)/2
}
