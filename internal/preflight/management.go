package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/https"
	"vpnd/internal/peercred"
	"vpnd/internal/state/sqlite"
)

// managementCertificate checks the configured certificate.
func managementCertificate(cfg config.Config) Finding {
	m := cfg.Management
	if m.Listen == "" || m.Certificate == "" {
		return Finding{}
	}
	f := Finding{What: "management.certificate " + m.Certificate}
	pair, err := https.LoadCertificate(m.Certificate, m.Key)
	if err != nil {
		f = f.because(err, certificateFix(err, m))
		f.Wrong += "; the daemon uses a self-signed certificate until it is fixed"
		return f
	}
	switch end := pair.Leaf.NotAfter; {
	case time.Now().After(end):
		f.Wrong, f.Fix = "expired on "+end.Format(time.DateOnly), "replace it with a new one; the daemon reads it without a restart"
	case time.Now().Add(https.RenewBefore).After(end):
		f.Wrong, f.Fix = "expires on "+end.Format(time.DateOnly), "replace it with a new one; the daemon reads it without a restart"
	}
	if info, err := os.Stat(m.Key); f.Wrong == "" && err == nil && info.Mode().Perm()&0o004 != 0 {
		f.Wrong, f.Fix = fmt.Sprintf("everybody can read its key, %s", m.Key), "chmod o-r "+m.Key
	}
	return f
}

// certificateFix says how to fix a certificate that cannot be read.
func certificateFix(err error, m config.Management) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "put the file there, correct management.certificate and management.key, or leave both empty"
	case errors.Is(err, fs.ErrPermission):
		return "run as root, or let the user of the daemon read the file"
	default:
		return fmt.Sprintf("put a certificate in %s and its key in %s, both in PEM", m.Certificate, m.Key)
	}
}

// managementListen checks whether HTTPS can listen, and whether it will do so on the configured
// address.
func managementListen(cfg config.Config, table *sqlite.Store, tableErr error, r running) Finding {
	listen, err := netip.ParseAddrPort(cfg.Management.Listen)
	if err != nil {
		return Finding{} // off
	}
	f := Finding{What: "management.listen " + listen.String(), Fatal: true}
	if tableErr != nil && !errors.Is(tableErr, sqlite.ErrNoTable) {
		return Finding{} // the user table has a finding of its own
	}
	anybody := false
	if tableErr == nil {
		if anybody, err = table.AnyAdministrator(context.Background()); err != nil {
			return Finding{}
		}
	}
	at := https.ListenAt(listen, anybody)
	if !r.has("tcp", at) {
		l, err := https.ListenTCP(at)
		if err != nil {
			return f.because(err, "correct management.listen").owned("tcp", at, err)
		}
		_ = l.Close()
	}
	if !anybody {
		f.Fatal, f.Wrong, f.Fix = false, "there is no administrator yet", "`vpnd admin add NAME` adds one, or open the set-up link that the daemon logs when it starts"
		if at != listen {
			f.Wrong += fmt.Sprintf(": vpnd listens only on %v until there is one", at)
		}
	}
	return f
}

func managementSocket(cfg config.Config, r running) Finding {
	if cfg.Management.Socket == "" {
		return Finding{}
	}
	f := Finding{What: "management.socket " + cfg.Management.Socket, Fatal: true}
	if r.hasSocket(cfg.Management.Socket) {
		return f
	}
	if err := peercred.CheckFree(cfg.Management.Socket); err != nil {
		return f.because(err, "correct management.socket")
	}
	return f
}
