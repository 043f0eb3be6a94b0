package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/https"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
)

func listenFinding(cfg config.Config) Finding {
	table, err := sqlite.OpenCopy(context.Background(), cfg.StateDir)
	if err == nil {
		defer func() { _ = table.Close() }()
	}
	return managementListen(cfg, table, err, running{})
}

func TestCheckOfHTTPS(t *testing.T) {
	cfg := config.Default()
	cfg.StateDir = filepath.Join(t.TempDir(), "state")
	cfg.Management.Listen = "0.0.0.0:0"
	if f := listenFinding(cfg); f.Fatal || !strings.HasPrefix(f.String(), "warn  management.listen 0.0.0.0:0: there is no administrator yet: vpnd listens only on 127.0.0.1:0 until there is one; `vpnd admin add NAME` adds one") {
		t.Error(f)
	}
	if there(cfg.StateDir) {
		t.Error("it has made the state folder")
	}
	store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = store.AddAdministrator(t.Context(), state.Administrator{Name: "anna", Role: state.RoleAdministrator})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	if f := listenFinding(cfg); f.Wrong != "" {
		t.Error(f)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	cfg.Management.Listen = other.Addr().String()
	inUse := fmt.Sprintf("TCP port %d of 127.0.0.1 is in use by %s", other.Addr().(*net.TCPAddr).Port, programName(os.Getpid())) //nolint:forcetypeassert // it is one
	if f := listenFinding(cfg); !f.Fatal || f.Wrong != inUse || f.Fix != "stop the other program there, or set `management.listen` to another port" {
		t.Errorf("got %+v, want %q", f, inUse)
	}
	const day = 24 * time.Hour // a self-signed certificate has 820 of them
	dir := t.TempDir()
	cfg.Management.Certificate, cfg.Management.Key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for _, c := range []struct {
		made  time.Time
		wrong string
		fix   string
	}{
		{time.Time{}, "no such file", "put the file there, correct management.certificate and management.key, or leave both empty"},
		{time.Now(), "", ""},
		{time.Now().Add(-810 * day), "expires on", "replace it with a new one; the daemon reads it without a restart"},
		{time.Now().Add(-821 * day), "expired on", "replace it with a new one; the daemon reads it without a restart"},
	} {
		if !c.made.IsZero() {
			if err := https.WriteSelfSigned(cfg.Management.Certificate, cfg.Management.Key, []string{"vpn.example"}, c.made); err != nil {
				t.Fatal(err)
			}
		}
		if f := managementCertificate(cfg); !strings.Contains(f.Wrong, c.wrong) || (f.Wrong == "") != (c.wrong == "") || f.Fix != c.fix || f.Fatal {
			t.Errorf("got %+v, want %+v", f, c)
		}
	}
}
