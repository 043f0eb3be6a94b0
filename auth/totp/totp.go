// Package totp computes time-based one-time passwords of six digits that are valid for 30 seconds,
// by HMAC-SHA-1, as authenticator apps do (RFC 6238). It reads no clock.
package totp

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"vpnd/auth/motp"
	"vpnd/auth/otplink"

	"github.com/pquerna/otp/totp"
)

// period is how long a code is valid, in seconds.
const period = 30

const (
	minOctets, maxOctets = 10, 64
	newOctets            = 20 // as long as the output of SHA-1 (RFC 4226 section 4)
)

// ErrSecret is the error of Check.
var ErrSecret = errors.New("a TOTP secret has 16 to 103 letters A to Z and digits 2 to 7 (base32)")

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Token is the data in a user's authenticator app: the secret in base32 without padding.
type Token struct {
	Secret string
}

// Clean converts a pasted secret to the form that Check accepts. People paste it in groups or as an
// otpauth link. Clean leaves a wrong secret for Check to report.
func Clean(secret string) string {
	if secret = otplink.Clean(secret, secretOf); otplink.Is(secret) {
		return secret
	}
	return strings.TrimRight(strings.ToUpper(secret), "=")
}

// Check checks a secret. The error is ErrSecret, or says why the secret of a link cannot be used.
func Check(secret string) error {
	if otplink.Is(secret) {
		if _, err := secretOf(secret); err != nil {
			return err
		}
	}
	raw, err := encoding.DecodeString(secret)
	if err != nil || len(raw) < minOctets || len(raw) > maxOctets {
		return ErrSecret
	}
	return nil
}

// secretOf is the secret of a link, if this package can compute the link's codes.
func secretOf(link string) (string, error) {
	scheme, kind, p, err := otplink.Parse(link)
	switch {
	case err != nil:
		return "", err
	case scheme == "motp":
		return "", errors.New("the link is of a mOTP token: use it as the mOTP secret")
	case scheme == "otpauth-migration":
		return "", errors.New("the link has several accounts, as Google's app exports them: use the secret of this account")
	case scheme != "otpauth":
		return "", fmt.Errorf("the link %.16s:// is not an otpauth link", scheme)
	case kind != "totp":
		return "", fmt.Errorf("the link is of type %.16q: vpnd supports only time-based codes (totp)", kind)
	}
	if others := otherThan(p); len(others) > 0 {
		return "", fmt.Errorf("the link has codes %s: vpnd supports only codes with SHA1, 6 digits and 30 seconds", strings.Join(others, ", "))
	}
	return p["secret"], nil
}

// otherThan describes how the codes of a link differ from those of this package.
func otherThan(parameters map[string]string) (others []string) {
	algorithm := strings.NewReplacer("-", "", "HMAC", "").Replace(strings.ToUpper(parameters["algorithm"]))
	if algorithm != "" && algorithm != "SHA1" {
		others = append(others, fmt.Sprintf("with %.16q", parameters["algorithm"]))
	}
	if digits := parameters["digits"]; digits != "" && digits != "6" {
		others = append(others, fmt.Sprintf("with %.16q digits", digits))
	}
	if seconds := parameters["period"]; seconds != "" && seconds != "30" {
		others = append(others, fmt.Sprintf("for %.16q seconds", seconds))
	}
	return others
}

// Stride is the number of steps of motp.StepSeconds for which a code is valid.
func (t Token) Stride() int64 { return period / motp.StepSeconds }

// Code is the one-time password that is valid from step; "" for a secret that Check refuses.
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
		return "", fmt.Errorf("generating a TOTP secret: %w", err)
	}
	return encoding.EncodeToString(raw[:]), nil
}

// URL is the link that authenticator apps read, as text or as a QR code.
func (t Token) URL(issuer, user string) string {
	return "otpauth://totp/" + otplink.Label(issuer, user) + "?issuer=" + otplink.Quote(strings.ReplaceAll(issuer, ":", "")) + "&secret=" + t.Secret
}
