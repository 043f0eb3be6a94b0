package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/mgmt"
)

// managed is a daemon that accepts settings and does nothing.
type managed struct {
	mgmt.Settings // methods that no test calls

	mu      sync.Mutex
	on      mgmt.ServiceSet
	dropped bool
	state   mgmt.ShutdownState
	within  time.Duration
}

func (m *managed) Connections() []mgmt.Connection            { return nil }
func (m *managed) Drop(context.Context, string, string) bool { return false }
func (m *managed) Overridden() []string                      { return []string{"services.l2tp"} }

func (m *managed) Services() mgmt.ServiceSet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *managed) SetServices(_ context.Context, to mgmt.ServiceSet, drop bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.dropped = to, drop
	return nil
}

func (m *managed) ShutDown(_ context.Context, within time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.within, m.state = within, mgmt.ShutdownState{Pending: true, Connections: 2}
	return nil
}

func (m *managed) CancelShutdown(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.Pending {
		return &mgmt.ConflictError{Text: "no shutdown is pending"}
	}
	m.state = mgmt.ShutdownState{}
	return nil
}

func (m *managed) ShutdownState() mgmt.ShutdownState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Begin begins a capture of nothing.
func (m *managed) Begin(context.Context, mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	return func(context.Context, io.Writer) error { return nil }, nil
}

func (h house) socket() string { return filepath.Join(filepath.Dir(h.config), "s") }

// manage has a daemon listen on the house's management socket.
func (h house) manage() *managed {
	h.t.Helper()
	m := &managed{on: mgmt.ServiceSet{PPTP: true, L2TP: true}}
	l, err := net.Listen("unix", h.socket())
	if err != nil {
		h.t.Fatal(err)
	}
	server := &http.Server{Handler: mgmt.New(mgmt.Config{Sessions: m, Settings: m, Captures: m, Version: "1"}), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		_ = server.Serve(l)
		close(done)
	}()
	h.t.Cleanup(func() { _ = server.Close(); <-done })
	return m
}

func TestServices(t *testing.T) {
	h := newHouse(t)
	h.configure("management: {socket: " + h.socket() + "}\n")
	for _, args := range [][]string{{"services"}, {"services", "off", "pptp"}, {"shutdown"}, {"shutdown", "--cancel"}} {
		if r := h.run("", args...); r.status != 13 || r.stdout != "" || !strings.HasPrefix(r.stderr, "vpnd: the daemon is not running: nothing listens on ") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	m := h.manage()
	const note = "  (overrides services.l2tp in the configuration file)\n"
	if got := h.ok("", "services"); got != "PPTP  on\nL2TP  on"+note {
		t.Errorf("%q", got)
	}
	if got := h.ok("", "services", "off", "PPTP"); got != "PPTP  off\nL2TP  on"+note || m.dropped {
		t.Errorf("%q", got)
	}
	if got := h.ok("", "services", "off", "l2tp", "--drop", "--json"); !strings.Contains(got, `"l2tp": false`) || !m.dropped {
		t.Errorf("%q", got)
	}
	for _, changed := range []string{"true", "false"} {
		if got := h.ok("", "services", "on", "l2tp", "--json"); !strings.Contains(got, `"changed": `+changed) {
			t.Errorf("%q, want changed %s", got, changed)
		}
	}
	h.ok("", "services", "off", "l2tp")
	if got := h.ok("", "services", "on", "pptp"); got != "PPTP  on\nL2TP  off"+note || m.dropped {
		t.Errorf("%q", got)
	}
	for _, args := range [][]string{{"services", "off"}, {"services", "off", "sstp"}, {"services", "pptp"}, {"services", "on", "pptp", "--drop"}} {
		if r := h.run("", args...); r.status != 2 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestShutdown(t *testing.T) {
	h := newHouse(t)
	h.configure("management: {socket: " + h.socket() + "}\n")
	m := h.manage()
	for _, c := range []struct {
		args   []string
		within time.Duration
		said   string
	}{
		{[]string{"shutdown"}, 0, "the daemon hangs up all calls and ends (connections: 2)\n"},
		{[]string{"shutdown", "--when-empty"}, mgmt.NoLimit, "the daemon accepts no new calls; it ends after the last connection (connections: 2)\n"},
		{[]string{"shutdown", "--when-empty", "--within", "1h"}, time.Hour, "the daemon accepts no new calls; it ends after the last connection (connections: 2)\n"},
	} {
		if r := h.run("", c.args...); r.status != 0 || m.within != c.within || r.stderr != c.said {
			t.Errorf("%q: %+v, within %v", c.args, r, m.within)
		}
	}
	if r := h.run("", "shutdown", "--cancel"); r.status != 0 || r.stderr != "the daemon accepts calls again\n" || m.state.Pending {
		t.Errorf("%+v", r)
	}
	if r := h.run("", "shutdown", "--cancel"); r.status != 0 || r.stderr != "no shutdown is pending: nothing was changed\n" {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"shutdown", "--within", "1h"}, {"shutdown", "--when-empty", "--within", "-1s"}, {"shutdown", "--cancel", "--when-empty"}, {"shutdown", "now"}} {
		if r := h.run("", args...); r.status != 2 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
