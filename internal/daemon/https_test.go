package daemon

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	mgmtclient "vpnd/mgmt/client"
	"vpnd/usermgmt"
)

// managedByWeb is as much of a daemon as HTTPS needs.
func managedByWeb(t *testing.T, listen string) (*daemon, *lockedLog) {
	t.Helper()
	store, err := usermgmt.Open(t.Context(), filepath.Join(t.TempDir(), "state"), usermgmt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := new(lockedLog)
	d := &daemon{cfg: config.Default(), store: store, log: slog.New(slog.NewTextHandler(log, nil))}
	d.cfg.StateDir, d.cfg.Management.Listen = t.TempDir(), listen
	d.gate = access.New(access.Config{Store: store, Logger: d.log})
	d.api = mgmt.New(mgmt.Config{Users: store, Clock: managedClock{timesync.New(timesync.Config{})}, Version: "1", Access: d.gate, Sessions: nobodyConnected{}})
	t.Cleanup(func() {
		d.undoAll()
		d.wg.Wait()
		_ = store.Close()
	})
	if err := d.manageByWeb(t.Context(), http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	return d, log
}

type nobodyConnected struct{}

func (nobodyConnected) Connections() []mgmt.Connection            { return nil }
func (nobodyConnected) Drop(context.Context, string, string) bool { return false }

// over makes a client by token.
func over(t *testing.T, d *daemon, token string) *mgmtclient.Client {
	t.Helper()
	c, err := mgmtclient.NewHTTPS("https://"+d.https.l.Addr().String(), token, mgmtclient.Trust{Fingerprint: fingerprint(d.https.cert.leaf())})
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
	d, _ := managedByWeb(t, "127.0.0.1:0")
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
	stranger, err := mgmtclient.NewHTTPS("https://"+d.https.l.Addr().String(), secret, mgmtclient.Trust{Fingerprint: strings.Repeat("00", 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Connections(ctx); !errors.Is(err, mgmtclient.ErrFingerprint) {
		t.Errorf("another certificate: %v", err)
	}
}

// insecure asks who ever is there.
func insecure() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestBadRequestsOverHTTPS(t *testing.T) {
	d, _ := managedByWeb(t, "127.0.0.1:0")
	secret, err := d.gate.NewToken(t.Context(), "tests", access.Administrator, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	at := d.https.l.Addr().String()
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

// Beyond loopback nobody is listened to before there is an administrator, nor when there is none any more.
func TestNotBeyondLoopback(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	d, log := managedByWeb(t, fmt.Sprintf("0.0.0.0:%d", port))
	answers := func(address string) bool {
		c, err := net.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(port)))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	if !answers("127.0.0.1") || answers("127.0.0.2") {
		t.Error("it listens beyond 127.0.0.1, or not there")
	}
	_, link, ok := strings.Cut(log.String(), fmt.Sprintf("https://127.0.0.1:%d/setup?link=", port))
	if !ok || !strings.Contains(log.String(), "there is no administrator") || !strings.Contains(log.String(), "fingerprint=") {
		t.Fatal(log.String())
	}
	if err := d.gate.SetUp(t.Context(), link[:43], "anna", "a long password"); err != nil {
		t.Fatal(err)
	}
	d.watchWeb(t.Context())
	if !answers("127.0.0.1") || !answers("127.0.0.2") {
		t.Errorf("it does not listen everywhere:\n%s", log)
	}
	if err := d.gate.Remove(t.Context(), "anna", true); err != nil {
		t.Fatal(err)
	}
	d.watchWeb(t.Context())
	if !answers("127.0.0.1") || answers("127.0.0.2") {
		t.Errorf("without an administrator it listens everywhere:\n%s", log)
	}
}

func TestPortInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	d, _ := managedByWeb(t, "127.0.0.1:0")
	err = d.listenWeb(netip.MustParseAddrPort(other.Addr().String()))
	if err == nil || !strings.Contains(err.Error(), "management.listen: TCP port ") || !strings.Contains(err.Error(), " is in use: stop the other program there") {
		t.Errorf("%v", err)
	}
}

// A thousand sockets that say nothing are not held, and keep nobody else out.
func TestThousandSockets(t *testing.T) {
	d, _ := managedByWeb(t, "127.0.0.1:0")
	at := d.https.l.Addr().String()
	for range 1000 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	begin := time.Now()
	client := insecure()
	client.Transport.(*http.Transport).DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext
	resp, err := client.Get("https://" + at + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if took := time.Since(begin); resp.StatusCode != 200 || took > 5*time.Second {
		t.Errorf("%s after %v", resp.Status, took)
	}
	l := d.https.l.(*bounded)
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.by[netip.MustParsePrefix("127.0.0.1/32")]; held != maxWebOfSource {
		t.Errorf("%d connections of one address are held", held)
	}
}

// pipes is a listener within a process, whose time a test moves. It is closed once.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// patient serves handler with the patience of HTTPS, in a bubble, and gives a connection to it.
func patient(t *testing.T, handler http.Handler) *tls.Conn {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	if err := makeCertificate(cert, key, []string{"vpn.example"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c, err := openCertificate(cert, key, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server, l := newWebServer(handler, c, webPatience, log), make(pipes)
	go func() { _ = server.ServeTLS(l, "", "") }()
	ours, theirs := net.Pipe()
	l <- theirs
	t.Cleanup(func() {
		_ = ours.Close() // first: the server says good-bye with its lock held, and nobody would hear it
		_ = server.Close()
		synctest.Wait()
	})
	return tls.Client(ours, &tls.Config{InsecureSkipVerify: true})
}

// Who is slow is hung up on: in the handshake, the head, the body, and between requests.
func TestSlowClients(t *testing.T) {
	bodies := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	drip := func(c *tls.Conn) {
		for {
			if _, err := io.WriteString(c, "X"); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	for name, c := range map[string]struct {
		send  func(c *tls.Conn)
		after time.Duration
	}{
		"handshake": {nil, headerTime},
		"head":      {drip, headerTime},
		"body": {func(c *tls.Conn) {
			_, _ = io.WriteString(c, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			drip(c)
		}, webPatience.read},
		"between": {func(c *tls.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }, idleTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, begin := patient(t, bodies), time.Now()
				var sending sync.WaitGroup
				if c.send != nil {
					sending.Go(func() { c.send(conn) })
					_, _ = io.Copy(io.Discard, conn)
				} else {
					_, _ = io.Copy(io.Discard, conn.NetConn())
				}
				// A connection is closed five seconds after the last word, for clients that are still sending.
				if took := time.Since(begin); took < c.after || took > c.after+6*time.Second {
					t.Errorf("hung up on after %v", took)
				}
				_ = conn.NetConn().Close()
				sending.Wait()
			})
		})
	}
}

// Events go on for longer than anything else may take.
func TestEventsOverHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := mgmt.New(mgmt.Config{})
		conn := patient(t, api)
		if _, err := io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		context.AfterFunc(ctx, func() { api.Publish(usermgmt.Entry{Event: usermgmt.EventConnected, User: "late"}) })
		lines, begin := bufio.NewScanner(conn), time.Now()
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"late"`) {
				if took := time.Since(begin); took < time.Hour {
					t.Errorf("after %v", took)
				}
				return
			}
		}
		t.Errorf("the events ended after %v: %v", time.Since(begin), lines.Err())
	})
}

func listenFinding(cfg config.Config) Finding {
	table, err := usermgmt.OpenCopy(context.Background(), cfg.StateDir)
	if err == nil {
		defer func() { _ = table.Close() }()
	}
	return managementListen(cfg, table, err, running{})
}

func TestCheckOfHTTPS(t *testing.T) {
	cfg := config.Default()
	cfg.StateDir = filepath.Join(t.TempDir(), "state")
	cfg.Management.Listen = "0.0.0.0:0"
	if f := listenFinding(cfg); f.Fatal || !strings.HasPrefix(f.String(), "warn  management.listen 0.0.0.0:0: there is no administrator yet: it listens on 127.0.0.1:0 alone until there is one; `vpnd admin add NAME` adds one") {
		t.Error(f)
	}
	if there(cfg.StateDir) {
		t.Error("it has made the state folder")
	}
	store, err := usermgmt.Open(t.Context(), cfg.StateDir, usermgmt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = store.AddAdministrator(t.Context(), usermgmt.Administrator{Name: "anna", Role: usermgmt.RoleAdministrator})
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
	dir := t.TempDir()
	cfg.Management.Certificate, cfg.Management.Key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for _, c := range []struct {
		made  time.Time
		wrong string
		fix   string
	}{
		{time.Time{}, "no such file", "put the file there, correct management.certificate and management.key, or leave both empty"},
		{time.Now(), "", ""},
		{time.Now().Add(10*24*time.Hour - certificateLife), "expires on", "put a new one there; the daemon takes it while it runs"},
		{time.Now().Add(-certificateLife - time.Hour), "expired on", "put a new one there; the daemon takes it while it runs"},
	} {
		if !c.made.IsZero() {
			if err := makeCertificate(cfg.Management.Certificate, cfg.Management.Key, []string{"vpn.example"}, c.made); err != nil {
				t.Fatal(err)
			}
		}
		if f := managementCertificate(cfg); !strings.Contains(f.Wrong, c.wrong) || (f.Wrong == "") != (c.wrong == "") || f.Fix != c.fix || f.Fatal {
			t.Errorf("got %+v, want %+v", f, c)
		}
	}
}

const idleCapture = 10 * time.Minute

// idle captures a word, and then nothing for a time.
type idle struct{}

func (idle) Begin(context.Context, mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	return func(ctx context.Context, w io.Writer) error {
		_, err := io.WriteString(w, "begin")
		select {
		case <-time.After(idleCapture):
		case <-ctx.Done():
			return ctx.Err()
		}
		return err
	}, nil
}

// A capture goes on for longer than an answer may take, and ends whole, though nothing passes.
func TestCaptureOverHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := mgmt.New(mgmt.Config{Captures: idle{}})
		conn, begin := patient(t, api), time.Now()
		if _, err := io.WriteString(conn, "POST /api/v1/captures?user=alice HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if took := time.Since(begin); err != nil || string(body) != "begin" || took < idleCapture {
			t.Errorf("%q after %v: %v", body, took, err)
		}
	})
}
