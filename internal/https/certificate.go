package https

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/internal/atomicfile"
)

const (
	certificateFile, certificateKeyFile = "management.crt", "management.key"

	certificateLife  = 820 * 24 * time.Hour // Apple's clients accept at most 825 days
	certificateCheck = time.Second          // between two looks at the files
)

// RenewBefore is how long before its end a certificate should be replaced.
const RenewBefore = 30 * 24 * time.Hour

// certificate is a certificate in files. It is read again when they change.
type certificate struct {
	cert, key string // paths
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string // of the files at the last try
	looked  time.Time
}

// openCertificate reads a certificate from its files.
func openCertificate(cert, key string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, now: now, looked: now(), stamp: stampOf(cert, key)}
	pair, err := LoadCertificate(cert, key)
	if err != nil {
		return nil, err
	}
	c.current = &pair
	return c, nil
}

// LoadCertificate reads a certificate and its key.
func LoadCertificate(cert, key string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s, %s: %w", cert, key, err)
	}
	return pair, nil
}

// watch makes c use other files from now on.
func (c *certificate) watch(cert, key string) {
	c.cert, c.key, c.stamp = cert, key, stampOf(cert, key)
}

// get implements tls.Config.GetCertificate. If the files cannot be read, it keeps the old
// certificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.looked); since >= 0 && since < certificateCheck {
		return c.current, nil
	}
	c.looked = now
	stamp := stampOf(c.cert, c.key)
	if stamp == c.stamp {
		return c.current, nil
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.log.Warn("the new certificate cannot be used; vpnd keeps the old one", "file", c.cert, "error", err)
		return c.current, nil
	}
	c.current = &pair
	c.log.Info("certificate read", "file", c.cert, "fingerprint", fingerprint(pair.Leaf))
	return c.current, nil
}

// leaf is the current certificate.
func (c *certificate) leaf() *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.Leaf
}

// stampOf changes when one of the files changes.
func stampOf(paths ...string) string {
	var stamp strings.Builder
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&stamp, "%d %d;", info.ModTime().UnixNano(), info.Size())
		} else {
			fmt.Fprintf(&stamp, "%v;", err)
		}
	}
	return stamp.String()
}

// fingerprint is the SHA-256 of a certificate, as browsers show it.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// selfSigned makes sure that the state folder has a certificate for names that stays valid for a
// while, and gives its path and the path of its key. It replaces a pair that cannot be read or does
// not match, as after a crash.
func selfSigned(dir string, names []string, now time.Time) (cert, key string, err error) {
	cert, key = filepath.Join(dir, certificateFile), filepath.Join(dir, certificateKeyFile)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err == nil && now.Before(pair.Leaf.NotAfter.Add(-RenewBefore)) && now.After(pair.Leaf.NotBefore) && covers(pair.Leaf, names) {
		return cert, key, nil
	}
	return cert, key, WriteSelfSigned(cert, key, names, now)
}

func covers(c *x509.Certificate, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return c.VerifyHostname(name) != nil })
}

// WriteSelfSigned makes a self-signed certificate for names, and writes it and its key.
func WriteSelfSigned(cert, key string, names []string, now time.Time) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "vpnd " + names[0]}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, a.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(key, "PRIVATE KEY", secret, 0o600),
		writePEM(cert, "CERTIFICATE", der, 0o644),
	)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return atomicfile.Write(path, mode, func(f *os.File) error { return pem.Encode(f, &pem.Block{Type: kind, Bytes: der}) })
}

// namesOf are the names that a certificate is for: those of this host, and the addresses on which
// it listens.
func namesOf(listen netip.AddrPort) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && validHost(host) && !slices.Contains(names, host) {
		names = append([]string{strings.ToLower(host)}, names...)
	}
	addresses := []netip.Addr{listen.Addr()}
	if listen.Addr().IsUnspecified() {
		addresses = hostAddresses()
	}
	for _, a := range addresses {
		if name := a.Unmap().WithZone("").String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func validHost(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// hostAddresses are this machine's addresses that reach further than one link, at most 32.
func hostAddresses() []netip.Addr {
	found, _ := net.InterfaceAddrs() // without them the certificate has fewer names
	var all []netip.Addr
	for _, f := range found {
		n, ok := f.(*net.IPNet)
		if !ok || len(all) == 32 {
			continue
		}
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap().IsGlobalUnicast() {
			all = append(all, a.Unmap())
		}
	}
	return all
}
