package https

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

// lockedLog can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve serves the API at an address, with the administrators of a gate.
func serve(t *testing.T, listen string) (*Server, *access.Gate, *lockedLog) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := new(lockedLog)
	log := slog.New(slog.NewTextHandler(text, nil))
	gate := access.New(access.Config{Store: store, Logger: log})
	api := mgmt.New(mgmt.Config{Users: store, History: store, Version: "1", Access: gate})
	s, err := New(Config{Listen: netip.MustParseAddrPort(listen), StateDir: t.TempDir(), Handler: api, Administrators: gate, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		_ = store.Close()
	})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, gate, text
}

// The server does not listen beyond loopback before there is an administrator, nor after the last
// one has gone.
func TestNotBeyondLoopback(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	s, gate, log := serve(t, fmt.Sprintf("0.0.0.0:%d", port))
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
	if err := gate.SetUp(t.Context(), link[:43], "anna", "a long password"); err != nil {
		t.Fatal(err)
	}
	s.Watch(t.Context())
	if !answers("127.0.0.1") || !answers("127.0.0.2") {
		t.Errorf("it does not listen everywhere:\n%s", log)
	}
	if err := gate.Remove(t.Context(), "anna", true); err != nil {
		t.Fatal(err)
	}
	s.Watch(t.Context())
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
	s, _, _ := serve(t, "127.0.0.1:0")
	err = s.listen(netip.MustParseAddrPort(other.Addr().String()))
	if err == nil || !strings.Contains(err.Error(), "management.listen: TCP port ") || !strings.Contains(err.Error(), " is in use: stop the other program there") {
		t.Errorf("%v", err)
	}
}

// A thousand silent connections are not kept, and do not keep others out.
func TestThousandSockets(t *testing.T) {
	s, _, _ := serve(t, "127.0.0.1:0")
	at := s.l.Addr().String()
	for range 1000 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	begin := time.Now()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
	}}
	resp, err := client.Get("https://" + at + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if took := time.Since(begin); resp.StatusCode != 200 || took > 5*time.Second {
		t.Errorf("%s after %v", resp.Status, took)
	}
	l := s.l.(*bounded)
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.by[netip.MustParsePrefix("127.0.0.1/32")]; held != maxOfSource {
		t.Errorf("%d connections of one address are held", held)
	}
}

// pipes is a listener within a process, whose clock a test moves. It is closed once.
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
	if err := WriteSelfSigned(cert, key, []string{"vpn.example"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c, err := openCertificate(cert, key, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server, l := newServer(handler, c, usual, log), make(pipes)
	go func() { _ = server.ServeTLS(l, "", "") }()
	ours, theirs := net.Pipe()
	l <- theirs
	t.Cleanup(func() {
		// Close this end first: the server says good-bye with its lock held, and nobody would read
		// that.
		_ = ours.Close()
		_ = server.Close()
		synctest.Wait()
	})
	return tls.Client(ours, &tls.Config{InsecureSkipVerify: true})
}

// A slow client is hung up: in the handshake, the header, the body, and between requests.
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
		"handshake": {nil, HeaderTime},
		"head":      {drip, HeaderTime},
		"body": {func(c *tls.Conn) {
			_, _ = io.WriteString(c, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			drip(c)
		}, usual.read},
		"between": {func(c *tls.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }, IdleTime},
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
				// A connection is closed five seconds after the last data, for clients that are
				// still sending.
				if took := time.Since(begin); took < c.after || took > c.after+6*time.Second {
					t.Errorf("hung up on after %v", took)
				}
				_ = conn.NetConn().Close()
				sending.Wait()
			})
		})
	}
}

// Events may last longer than any other answer.
func TestEventsOverHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := mgmt.New(mgmt.Config{})
		conn := patient(t, api)
		if _, err := io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		context.AfterFunc(ctx, func() { api.Publish(state.Entry{Event: state.EventConnected, User: "late"}) })
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

const idleCapture = 10 * time.Minute

// idle captures a word, and then nothing for a while.
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

// A capture may last longer than other answers, and ends completely even if no data pass.
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
