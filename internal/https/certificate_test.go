package https

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/testenv/crash"
)

func TestSelfSigned(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	read := func(names []string, now time.Time) string {
		t.Helper()
		cert, key, err := selfSigned(dir, names, now)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		c, err := openCertificate(cert, key, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := c.leaf().VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		return fingerprint(c.leaf())
	}
	names := namesOf(netip.MustParseAddrPort("192.0.2.1:8443"))
	first := read(names, now)
	if len(strings.Split(first, ":")) != 32 {
		t.Errorf("fingerprint %s", first)
	}
	if again := read(names, now.Add(700*24*time.Hour)); again != first {
		t.Error("it is replaced without need")
	}
	if other := read(namesOf(netip.MustParseAddrPort("192.0.2.2:8443")), now); other == first {
		t.Error("it is not replaced for another address")
	}
	second := read(names, now)
	if late := read(names, now.Add(800*24*time.Hour)); late == second {
		t.Error("it is not replaced before it expires")
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
}

// After a kill at any step of making the certificate, the next start can serve. The same holds for
// a pair that does not match, or is empty.
func TestSelfSignedAfterCrash(t *testing.T) {
	names := namesOf(netip.MustParseAddrPort("192.0.2.1:8443"))
	sign := func(dir string, now time.Time) {
		cert, key, err := selfSigned(dir, names, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openCertificate(cert, key, slog.New(slog.DiscardHandler), time.Now); err != nil {
			t.Error(err)
		}
	}
	now := time.Now()
	crash.AtEachStep(t, func(dir string) {
		sign(dir, now)
	}, func(dir string) {
		sign(dir, now.Add(800*24*time.Hour)) // late enough for a new one
	}, func(dir string) {
		sign(dir, now)
	})
	for _, spoilt := range []string{certificateFile, certificateKeyFile} {
		for _, data := range []string{"", "broken"} {
			dir := t.TempDir()
			sign(dir, now)
			if err := os.WriteFile(filepath.Join(dir, spoilt), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			sign(dir, now)
		}
	}
}

// A configured certificate that cannot be used does not keep users from dialling in: our own is
// served until it can be used.
func TestUnusableCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	var log bytes.Buffer
	c, err := chooseCertificate(Config{
		Listen: netip.MustParseAddrPort("127.0.0.1:8443"), Certificate: cert, Key: key, StateDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.leaf().VerifyHostname("localhost"); err != nil || !strings.Contains(log.String(), "until the files are correct") {
		t.Errorf("%v\n%s", err, &log)
	}
	if err := WriteSelfSigned(cert, key, []string{"vpn.example"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return time.Now().Add(time.Minute) }
	got, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Leaf.VerifyHostname("vpn.example"); err != nil {
		t.Error(err)
	}
}

// A changed certificate is read again within a second. A broken one leaves the old one in force.
func TestCertificateChanges(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	write := func() {
		t.Helper()
		if err := WriteSelfSigned(cert, key, []string{"vpn.example"}, now); err != nil {
			t.Fatal(err)
		}
	}
	write()
	var log bytes.Buffer
	c, err := openCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	served := func() string {
		t.Helper()
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return fingerprint(got.Leaf)
	}
	first := served()
	write()
	if served() != first {
		t.Error("the files are looked at with each handshake")
	}
	now = now.Add(time.Second)
	second := served()
	if second == first {
		t.Error("the new one is not served")
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(time.Second)
		if served() != second {
			t.Error("the broken one has an effect")
		}
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
	write()
	now = now.Add(time.Second)
	if third := served(); third == second || third == first {
		t.Error("after the broken one, the good one is not served")
	}
}
