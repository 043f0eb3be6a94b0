package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Trust identifies a daemon over HTTPS. The zero value trusts the certificate authorities of the
// system.
type Trust struct {
	Roots *x509.CertPool // nil: the system's
	// Fingerprint is the SHA-256 of the daemon's certificate, as the daemon's log has it; "": Roots
	// decide.
	Fingerprint string
}

// ErrFingerprint means that the daemon's certificate does not have the fingerprint of Trust.
var ErrFingerprint = errors.New("the certificate has another fingerprint: it was renewed, or somebody intercepts the connection")

// NewHTTPS makes a client with an API token for the daemon at an address such as
// https://vpn.example.net:8443.
func NewHTTPS(address, token string, trust Trust) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not an address such as https://vpn.example.net:8443", address)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust.Roots}
	if trust.Fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(trust.Fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, fmt.Errorf("%q is not a fingerprint: 32 bytes in hexadecimal", trust.Fingerprint)
		}
		cfg.InsecureSkipVerify = true // the fingerprint proves more than a name
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); subtle.ConstantTimeCompare(sum[:], want) != 1 {
				return ErrFingerprint
			}
			return nil
		}
	}
	c := &Client{base: "https://" + u.Host, token: token}
	c.http.Transport = &http.Transport{TLSClientConfig: cfg}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}
