// Package otplink reads and writes the links that bring a secret into apps for one-time passwords.
// It also reads pasted secrets: in groups, or as the whole link.
package otplink

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// ErrIssuer is the error of CheckIssuer.
var ErrIssuer = errors.New("the name of the server in the app must not contain a colon: apps read the text after it as the user")

// CheckIssuer checks the name of a server in an app.
func CheckIssuer(issuer string) error {
	if strings.Contains(issuer, ":") {
		return ErrIssuer
	}
	return nil
}

// Label is the part of a link that names a user at a server. It omits colons of the issuer.
func Label(issuer, user string) string {
	return Quote(strings.ReplaceAll(issuer, ":", "")) + ":" + Quote(user)
}

// Quote writes a space as %20, also in a query, because not all apps read a plus sign as a space.
func Quote(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Clean is a secret without the characters between its groups: spaces, dashes, colons, and
// invisible characters, such as a byte order mark. It replaces a link by its secret, if secretOf
// gives one.
func Clean(text string, secretOf func(link string) (string, error)) string {
	text = strings.TrimFunc(text, unseen)
	if Is(text) {
		secret, err := secretOf(text)
		if err != nil {
			return text // not a secret: the check says why
		}
		text = secret
	}
	return strings.Map(func(r rune) rune {
		if unseen(r) || unicode.Is(unicode.Dash, r) || r == ':' {
			return -1
		}
		return r
	}, text)
}

func unseen(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// Is reports whether a text is a link.
func Is(text string) bool { return strings.Contains(text, "://") }

// Parse splits a link into its scheme and kind, such as otpauth and totp, and its parameters, by
// their names in lower case. An error does not reveal the secret.
func Parse(link string) (scheme, kind string, parameters map[string]string, err error) {
	scheme, rest, _ := strings.Cut(link, "://")
	label, query, _ := strings.Cut(rest, "?")
	kind, _, _ = strings.Cut(label, "/")
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", nil, errors.New("the link is damaged: copy it again, or copy only its secret")
	}
	parameters = map[string]string{}
	for name, list := range values {
		parameters[strings.ToLower(name)] = list[0]
	}
	if parameters["secret"] == "" {
		return "", "", nil, fmt.Errorf("the link %.16s:// has no secret", scheme)
	}
	return strings.ToLower(scheme), strings.ToLower(kind), parameters, nil
}
