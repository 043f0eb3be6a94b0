// Package totp computes time-based one-time passwords of six digits that stand for 30 seconds, by
// HMAC-SHA-1, as authenticator apps do (RFC 6238). It reads no clock.
package totp

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"vpnd/auth/motp"

	"github.com/pquerna/otp/totp"
)

// period is for how many seconds a code stands.
const period = 30

const (
	minOctets, maxOctets = 10, 64
	newOctets            = 20 // as long as the output of SHA-1 (RFC 4226 section 4)
)

// ErrSecret is the error of Check.
var ErrSecret = errors.New("a TOTP secret has 16 to 103 letters A to Z and digits 2 to 7 (base32)")

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Token is what a user's authenticator app knows: the secret in base32 without padding.
type Token struct {
	Secret string
}

// Clean puts a secret as people write it into the form that Check takes.
func Clean(secret string) string {
	return strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(secret)), "=")
}

// Check holds a secret against the rules. The error is ErrSecret.
func Check(secret string) error {
	raw, err := encoding.DecodeString(secret)
	if err != nil || len(raw) < minOctets || len(raw) > maxOctets {
		return ErrSecret
	}
	return nil
}

// Stride is for how many steps of motp.StepSeconds a code stands.
func (t Token) Stride() int64 { return period / motp.StepSeconds }

// Code is the one-time password that begins with step; "" for a secret that Check does not take.
func (t Token) Code(step int64) string {
	code, err := totp.GenerateCode(t.Secret, time.Unix(step*motp.StepSeconds, 0))
	if err != nil {
		return ""
	}
	return code
}

// NewSecret draws a secret from random.
func NewSecret(random io.Reader) (string, error) {
	var raw [newOctets]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("drawing a TOTP secret: %w", err)
	}
	return encoding.EncodeToString(raw[:]), nil
}

// URL is the link that authenticator apps read, as text or as a QR code.
func (t Token) URL(issuer, user string) string {
	return (&url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + user,
		RawQuery: url.Values{"secret": {t.Secret}, "issuer": {issuer}}.Encode(),
	}).String()
}
