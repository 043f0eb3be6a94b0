package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	mgmtclient "vpnd/mgmt/client"
)

// managedByHTTPS is the part of a daemon that HTTPS needs.
func managedByHTTPS(t *testing.T) *daemon {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{cfg: config.Default(), store: store, log: slog.New(slog.DiscardHandler)}
	d.cfg.StateDir, d.cfg.Management.Listen = t.TempDir(), "127.0.0.1:0"
	d.gate = access.New(access.Config{Store: store, Logger: d.log})
	d.api = mgmt.New(mgmt.Config{Users: store, History: store, Clock: managedClock{timesync.New(timesync.Config{})}, Version: "1", Access: d.gate, Sessions: nobodyConnected{}})
	t.Cleanup(func() {
		d.undoAll()
		_ = store.Close()
	})
	if err := d.manageByHTTPS(t.Context(), http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	return d
}

type nobodyConnected struct{}

func (nobodyConnected) Connections() []mgmt.Connection            { return nil }
func (nobodyConnected) Drop(context.Context, string, string) bool { return false }

// over makes a client with a token.
func over(t *testing.T, d *daemon, token string) *mgmtclient.Client {
	t.Helper()
	c, err := mgmtclient.NewHTTPS("https://"+d.https.Addr().String(), token, mgmtclient.Trust{Fingerprint: d.https.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func status(t *testing.T, err error, want int) {
	t.Helper()
	var p *mgmtclient.ProblemError
	if !errors.As(err, &p) || p.Status != want {
		t.Errorf("%v, want %d", err, want)
	}
}

func TestTokensOverHTTPS(t *testing.T) {
	d := managedByHTTPS(t)
	ctx := t.Context()
	secret, err := d.gate.NewToken(ctx, "tests", access.Administrator, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	root := over(t, d, secret)
	if err := root.AddAdministrator(ctx, "anna", "administrator", "a long password"); err != nil {
		t.Fatal(err)
	}
	viewing, err := root.AddToken(ctx, mgmt.TokenInput{Name: "viewing", Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := root.Administrators(ctx); err != nil || len(list) != 1 || list[0].Name != "anna" || list[0].LastLogIn != nil {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := root.Tokens(ctx); err != nil || len(list) != 2 || list[1].By != "token tests" || list[1].Role != "viewer" {
		t.Errorf("%+v, %v", list, err)
	}
	short, role := "short", "viewer"
	err = root.ChangeAdministrator(ctx, "anna", mgmt.AdministratorInput{Password: &short})
	status(t, err, http.StatusUnprocessableEntity)
	if !strings.Contains(fmt.Sprint(err), "password: must have at least 10 characters") {
		t.Errorf("%v", err)
	}
	status(t, root.ChangeAdministrator(ctx, "anna", mgmt.AdministratorInput{Role: &role}), http.StatusConflict)
	status(t, root.RemoveAdministrator(ctx, "anna", false), http.StatusConflict)
	status(t, root.RemoveAdministrator(ctx, "ben", false), http.StatusNotFound)
	status(t, root.AddAdministrator(ctx, "ANNA", "viewer", "a long password"), http.StatusConflict)

	viewer := over(t, d, viewing)
	if _, err := viewer.Connections(ctx); err != nil {
		t.Error(err)
	}
	_, err = viewer.Administrators(ctx)
	status(t, err, http.StatusForbidden)
	_, err = viewer.AddToken(ctx, mgmt.TokenInput{Name: "more", Role: "administrator"})
	status(t, err, http.StatusForbidden)
	status(t, viewer.Drop(ctx, "x", ""), http.StatusForbidden)
	if err := root.RemoveToken(ctx, "viewing"); err != nil {
		t.Error(err)
	}
	_, err = viewer.Connections(ctx)
	status(t, err, http.StatusUnauthorized)
	_, err = over(t, d, "").Connections(ctx)
	status(t, err, http.StatusUnauthorized)
	if err := root.RemoveAdministrator(ctx, "anna", true); err != nil {
		t.Error(err)
	}
	stranger, err := mgmtclient.NewHTTPS("https://"+d.https.Addr().String(), secret, mgmtclient.Trust{Fingerprint: strings.Repeat("00", 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Connections(ctx); !errors.Is(err, mgmtclient.ErrFingerprint) {
		t.Errorf("another certificate: %v", err)
	}
}

// insecure is a client that accepts any certificate.
func insecure() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestBadRequestsOverHTTPS(t *testing.T) {
	d := managedByHTTPS(t)
	secret, err := d.gate.NewToken(t.Context(), "tests", access.Administrator, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	at := d.https.Addr().String()
	for _, c := range []struct {
		method, path, token string
		body                io.Reader
		want                []int
	}{
		{"GET", "/api/v1/users", "", nil, []int{401}},
		{"GET", "/healthz", "", nil, []int{200}},
		{"GET", "/static/../api/v1/users", "", nil, []int{303}},
		{"GET", "/static/%2e%2e/api/v1/users", "", nil, []int{303}},
		{"GET", "/api/v1/../../etc/passwd", secret, nil, []int{301, 307, 404}},
		{"GET", "/api/v1/users/..%2f..%2fetc%2fpasswd", secret, nil, []int{404, 422}},
		{"POST", "/api/v1/users", secret, strings.NewReader(`{"name": "` + strings.Repeat("x", 100_000) + `"}`), []int{413}},
		{"GET", "/api/v1/users", strings.Repeat("x", 10_000), nil, []int{401}},
		{"GET", "/api/v1/users?q=" + strings.Repeat("x", 30_000), secret, nil, []int{431}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+at+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := insecure().Do(req)
		if err != nil {
			t.Errorf("%s %.60s: %v", c.method, c.path, err)
			continue
		}
		_ = resp.Body.Close()
		if !strings.Contains(fmt.Sprint(c.want), fmt.Sprint(resp.StatusCode)) || resp.ProtoMajor != 1 {
			t.Errorf("%s %.60s: %s %s, want %v", c.method, c.path, resp.Proto, resp.Status, c.want)
		}
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", at, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
