package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/client"

	"github.com/google/go-cmp/cmp"
)

// daemon holds the parts of an API. Parts that a test does not reach are nil.
type daemon struct {
	mgmt.Settings
	mgmt.Users
	mgmt.Clock
	api *mgmt.API

	mu      sync.Mutex
	open    []mgmt.Connection
	on      mgmt.ServiceSet
	dropped bool
	ppp     mgmt.PPPSettings
	within  time.Duration
	pending bool
}

func (d *daemon) Connections() []mgmt.Connection {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.open)
}

func (d *daemon) Drop(_ context.Context, id, _ string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.open)
	d.open = slices.DeleteFunc(d.open, func(c mgmt.Connection) bool { return c.ID == id })
	return len(d.open) < before
}

func (d *daemon) Services() mgmt.ServiceSet { return d.on }
func (d *daemon) PPP() mgmt.PPPSettings     { return d.ppp }
func (d *daemon) Overridden() []string      { return []string{"services.pptp"} }

func (d *daemon) SetServices(_ context.Context, to mgmt.ServiceSet, drop bool) error {
	if to.L2TP {
		return &mgmt.ConflictError{Text: "UDP port 1701 is in use"}
	}
	d.on, d.dropped = to, drop
	return nil
}

func (d *daemon) SetPPP(_ context.Context, to mgmt.PPPSettings) error {
	if to.MPPE == "always" {
		return &mgmt.FieldError{Field: "mppe", Text: "is not one of them"}
	}
	d.ppp = to
	return nil
}

func (d *daemon) ShutDown(_ context.Context, within time.Duration) error {
	d.within, d.pending = within, true
	return nil
}

func (d *daemon) CancelShutdown(context.Context) error {
	d.pending = false
	return nil
}

func (d *daemon) ShutdownState() mgmt.ShutdownState {
	return mgmt.ShutdownState{Pending: d.pending, Connections: len(d.Connections())}
}

// serve serves an API on a socket.
func serve(t *testing.T) (*daemon, *client.Client) {
	t.Helper()
	d := &daemon{on: mgmt.ServiceSet{PPTP: true}, ppp: mgmt.PPPSettings{Authentication: []string{"pap"}, MPPE: "optional"}}
	d.api = mgmt.New(mgmt.Config{Sessions: d, Users: d, Settings: d, Clock: d, Version: "1"})
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d.api, ReadHeaderTimeout: time.Minute}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	serving.Go(func() { d.api.Run(ctx) })
	t.Cleanup(func() {
		stop()
		_ = server.Close()
		serving.Wait()
	})
	return d, client.New(socket)
}

func TestConnections(t *testing.T) {
	d, c := serve(t)
	d.mu.Lock()
	for _, id := range []string{"id1", "id2"} {
		d.open = append(d.open, mgmt.Connection{
			ID: id, User: "alice", Type: "PPTP", RemoteIP: netip.MustParseAddr("203.0.113.1"), VirtualIP: netip.MustParseAddr("10.99.0.99"), Since: time.Unix(1_790_000_000, 0).UTC(),
		})
	}
	d.mu.Unlock()
	list, err := c.Connections(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != "id1" || list[0].VirtualIP != netip.MustParseAddr("10.99.0.99") || list[0].Uptime == 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := c.Drop(t.Context(), "id2", "go home"); err != nil || len(d.Connections()) != 1 {
		t.Error(err)
	}
	if err := c.Drop(t.Context(), "../users", ""); err == nil || !strings.Contains(err.Error(), "there is no connection") {
		t.Error(err)
	}
}

func TestServices(t *testing.T) {
	d, c := serve(t)
	got, err := c.Services(t.Context())
	if want := (mgmt.ServiceView{ServiceSet: mgmt.ServiceSet{PPTP: true}, Overridden: []string{"services.pptp"}}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	on, off := true, false
	if got, err = c.ChangeServices(t.Context(), mgmt.ServiceChange{PPTP: &off, Drop: true}); err != nil || got.PPTP || !d.dropped {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.ChangeServices(t.Context(), mgmt.ServiceChange{L2TP: &on})
	if p := (*client.ProblemError)(nil); !errors.As(err, &p) || p.Status != http.StatusConflict || err.Error() != "UDP port 1701 is in use" {
		t.Errorf("%v", err)
	}
}

func TestPPP(t *testing.T) {
	d, c := serve(t)
	mppe := "required"
	got, err := c.ChangePPP(t.Context(), mgmt.PPPChange{Authentication: []string{"mschapv2", "pap"}, MPPE: &mppe})
	if err != nil || got.MPPE != "required" || !slices.Equal(d.ppp.Authentication, []string{"mschapv2", "pap"}) {
		t.Errorf("%+v, %v", got, err)
	}
	mppe = "always"
	if _, err = c.ChangePPP(t.Context(), mgmt.PPPChange{MPPE: &mppe}); err == nil || !strings.HasSuffix(err.Error(), "\nmppe: is not one of them") {
		t.Errorf("%v", err)
	}
	if got, err = c.PPP(t.Context()); err != nil || got.MPPE != "required" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestShutdown(t *testing.T) {
	d, c := serve(t)
	if s, err := c.ShutDown(t.Context(), mgmt.ShutdownRequest{WhenEmpty: true, Within: "1h"}); err != nil || !s.Pending || d.within != time.Hour {
		t.Errorf("%+v, %v, within %v", s, err, d.within)
	}
	if s, err := c.Shutdown(t.Context()); err != nil || !s.Pending {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.CancelShutdown(t.Context()); err != nil || d.pending {
		t.Error(err)
	}
}

// Events come until the caller or its function stops, or the daemon ends.
func TestEvents(t *testing.T) {
	d, c := serve(t)
	enough := errors.New("enough")
	done := make(chan error, 1)
	got := make(chan mgmt.Event, 1)
	go func() {
		done <- c.Events(t.Context(), func(e mgmt.Event) error {
			got <- e
			return enough
		})
	}()
	for {
		d.api.Publish(state.Entry{Event: state.EventRefused, User: "eve", Why: reason.New(reason.WrongPassword)})
		select {
		case err := <-done:
			if e := <-got; !errors.Is(err, enough) || e.User != "eve" || e.Cause != string(reason.WrongPassword) {
				t.Errorf("%+v, %v", e, err)
			}
			return
		default:
		}
	}
}

func TestNotRunning(t *testing.T) {
	c := client.New(filepath.Join(t.TempDir(), "nothing"))
	for what, err := range map[string]error{
		"connections": func() error { _, err := c.Connections(t.Context()); return err }(),
		"services":    func() error { _, err := c.Services(t.Context()); return err }(),
		"events":      c.Events(t.Context(), nil),
		"cancel":      c.CancelShutdown(t.Context()),
	} {
		if !errors.Is(err, client.ErrNotRunning) || !strings.Contains(err.Error(), "nothing listens on") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
