package mgmt_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"

	"github.com/google/go-cmp/cmp"
)

// settings remember what is set.
type settings struct {
	mu       sync.Mutex
	on       mgmt.ServiceSet
	dropped  bool
	ppp      mgmt.PPPSettings
	time     mgmt.TimeSettings
	pools    mgmt.PoolSettings
	password string // of mutual PAP, as last written
	within   time.Duration
	pending  bool
	by       string
	err      error // of the next call
}

func newSettings() *settings {
	return &settings{
		on:    mgmt.ServiceSet{PPTP: true},
		ppp:   mgmt.PPPSettings{Authentication: []string{"mschapv2"}, MPPE: "optional", EchoInterval: "30s", EchoFailures: 4, CHAPInterval: "0s"},
		time:  mgmt.TimeSettings{Servers: []string{"ntp.example.net"}, Interval: "1h0m0s", MaxOffset: "10s"},
		pools: mgmt.PoolSettings{AddressPool: addressPool("10.99.0.10", 241), Pools: map[string]mgmt.AddressPool{"staff": addressPool("10.98.0.1", 9)}},
	}
}

// equalAddresses compares addresses by their value.
var equalAddresses = cmp.Comparer(func(x, y netip.Addr) bool { return x == y })

func addressPool(start string, count int) mgmt.AddressPool {
	return mgmt.AddressPool{Ranges: []mgmt.PoolRange{{Start: netip.MustParseAddr(start), Count: count}}, DNS: []string{"10.99.0.1"}, WINS: []string{}}
}

// asked gives the error for the call, and records the caller.
func (s *settings) asked(ctx context.Context) error {
	err := s.err
	s.err, s.by = nil, state.Actor(ctx)
	return err
}

func (s *settings) Services() mgmt.ServiceSet { s.mu.Lock(); defer s.mu.Unlock(); return s.on }
func (s *settings) Overridden() []string      { return []string{"services.l2tp"} }

func (s *settings) PPP() mgmt.PPPSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.ppp
	p.MutualPAP.Proof = access.Proof(s.password)
	return p
}

func (s *settings) Time() mgmt.TimeSettings  { s.mu.Lock(); defer s.mu.Unlock(); return s.time }
func (s *settings) Pools() mgmt.PoolSettings { s.mu.Lock(); defer s.mu.Unlock(); return s.pools }

func (s *settings) SetTime(ctx context.Context, to mgmt.TimeSettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.asked(ctx); err != nil {
		return err
	}
	s.time = to
	return nil
}

func (s *settings) SetPools(ctx context.Context, to mgmt.PoolSettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.asked(ctx); err != nil {
		return err
	}
	s.pools = to
	return nil
}

func (s *settings) SetServices(ctx context.Context, to mgmt.ServiceSet, drop bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.asked(ctx); err != nil {
		return err
	}
	s.on, s.dropped = to, drop
	return nil
}

func (s *settings) SetPPP(ctx context.Context, to mgmt.PPPSettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.asked(ctx); err != nil {
		return err
	}
	s.password = to.MutualPAP.Password
	to.MutualPAP = mgmt.MutualPAP{User: to.MutualPAP.User, HasPassword: to.MutualPAP.User != ""}
	s.ppp = to
	return nil
}

func (s *settings) ShutDown(ctx context.Context, within time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.asked(ctx); err != nil {
		return err
	}
	s.within, s.pending = within, true
	return nil
}

func (s *settings) CancelShutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = false
	return s.asked(ctx)
}

func (s *settings) ShutdownState() mgmt.ShutdownState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mgmt.ShutdownState{Pending: s.pending, Connections: 3}
}

// fault is a problem document.
type fault struct {
	Detail string
	Errors []struct{ Location, Message string }
}

func TestServices(t *testing.T) {
	b := setUp(t)
	var v mgmt.ServiceView
	resp := b.do("GET", "/api/v1/services", "", &v)
	if want := (mgmt.ServiceView{ServiceSet: mgmt.ServiceSet{PPTP: true}, Overridden: []string{"services.l2tp"}}); !cmp.Equal(v, want) {
		t.Error(cmp.Diff(want, v))
	}
	tag := resp.Header.Get("ETag")
	if resp := b.do("PATCH", "/api/v1/services", `{"l2tp":true}`, &v, "If-Match", tag); resp.StatusCode != http.StatusOK || v.ServiceSet != (mgmt.ServiceSet{PPTP: true, L2TP: true}) {
		t.Errorf("%s: %+v", resp.Status, v)
	}
	if resp := b.do("PATCH", "/api/v1/services", `{"l2tp":false}`, nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what another administrator has changed meanwhile: %s", resp.Status)
	}
	if b.settings.dropped {
		t.Error("connections are dropped unasked")
	}
	b.do("PATCH", "/api/v1/services", `{"pptp":false,"drop":true}`, &v)
	if v.ServiceSet != (mgmt.ServiceSet{L2TP: true}) || !b.settings.dropped {
		t.Errorf("%+v, dropped: %v", v, b.settings.dropped)
	}
	b.settings.err = &mgmt.ConflictError{Text: "TCP port 1723 is in use: stop the other one"}
	var f fault
	if resp := b.do("PATCH", "/api/v1/services", `{"pptp":true}`, &f); resp.StatusCode != http.StatusConflict || f.Detail != "TCP port 1723 is in use: stop the other one" {
		t.Errorf("%s: %+v", resp.Status, f)
	}
	for _, body := range []string{`{"sstp":true}`, `{"pptp":"on"}`, `[]`, ``} {
		if resp := b.do("PATCH", "/api/v1/services", body, nil); resp.StatusCode != http.StatusUnprocessableEntity && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", body, resp.Status)
		}
	}
}

func TestPPP(t *testing.T) {
	b := setUp(t)
	var v mgmt.PPPView
	tag := b.do("GET", "/api/v1/ppp", "", &v).Header.Get("ETag")
	if v.MPPE != "optional" || v.EchoInterval != "30s" {
		t.Errorf("%+v", v)
	}
	resp := b.do("PATCH", "/api/v1/ppp", `{"mppe":"required","echo_failures":0,"mutual_pap":{"user":"vpn","password":"geheim"}}`, &v, "If-Match", tag)
	want := newSettings().ppp
	want.MPPE, want.EchoFailures, want.MutualPAP = "required", 0, mgmt.MutualPAP{User: "vpn", HasPassword: true}
	if resp.StatusCode != http.StatusOK || !cmp.Equal(v.PPPSettings, want) {
		t.Errorf("%s: %s", resp.Status, cmp.Diff(want, v.PPPSettings))
	}
	if b.settings.password != "geheim" {
		t.Errorf("the password is %q", b.settings.password)
	}
	if resp := b.do("PATCH", "/api/v1/ppp", `{"mppe":"off"}`, nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what another administrator has changed meanwhile: %s", resp.Status)
	}
	b.settings.err = errors.Join(&mgmt.FieldError{Field: "mppe", Text: "is wrong"}, &mgmt.FieldError{Field: "mutual_pap.user", Text: "is too long"})
	var f fault
	if resp := b.do("PATCH", "/api/v1/ppp", `{"mppe":"x"}`, &f); resp.StatusCode != http.StatusUnprocessableEntity || len(f.Errors) != 2 ||
		f.Errors[0].Location != "body.mppe" || f.Errors[1].Location != "body.mutual_pap.user" || f.Errors[1].Message != "is too long" {
		t.Errorf("%s: %+v", resp.Status, f)
	}
}

func TestTimeSettings(t *testing.T) {
	b := setUp(t)
	var v mgmt.TimeSettingsView
	tag := b.do("GET", "/api/v1/time/settings", "", &v).Header.Get("ETag")
	if want := (mgmt.TimeSettingsView{TimeSettings: newSettings().time, Overridden: []string{"services.l2tp"}}); !cmp.Equal(v, want) {
		t.Error(cmp.Diff(want, v))
	}
	resp := b.do("PATCH", "/api/v1/time/settings", `{"servers":[],"max_offset":"2s"}`, &v, "If-Match", tag)
	if want := (mgmt.TimeSettings{Servers: []string{}, Interval: "1h0m0s", MaxOffset: "2s"}); resp.StatusCode != http.StatusOK || !cmp.Equal(v.TimeSettings, want) {
		t.Errorf("%s: %s", resp.Status, cmp.Diff(want, v.TimeSettings))
	}
	if resp := b.do("PATCH", "/api/v1/time/settings", `{"interval":"2h"}`, nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what another administrator has changed meanwhile: %s", resp.Status)
	}
	b.settings.err = &mgmt.FieldError{Field: "interval", Text: "is too short"}
	var f fault
	if resp := b.do("PATCH", "/api/v1/time/settings", `{"interval":"1s"}`, &f); resp.StatusCode != http.StatusUnprocessableEntity ||
		len(f.Errors) != 1 || f.Errors[0].Location != "body.interval" {
		t.Errorf("%s: %+v", resp.Status, f)
	}
}

func TestPools(t *testing.T) {
	b := setUp(t)
	var v mgmt.PoolsView
	tag := b.do("GET", "/api/v1/pools", "", &v).Header.Get("ETag")
	if want := (mgmt.PoolsView{PoolSettings: newSettings().pools, Overridden: []string{"services.l2tp"}}); !cmp.Equal(v, want, equalAddresses) {
		t.Error(cmp.Diff(want, v, equalAddresses))
	}
	v = mgmt.PoolsView{}
	resp := b.do("PATCH", "/api/v1/pools", `{"wins":["10.99.0.2"],"pools":{"guests":{"ranges":[{"start":"10.97.0.1","count":5}],"dns":["10.99.0.1"],"wins":[]}}}`, &v, "If-Match", tag)
	want := newSettings().pools
	want.WINS, want.Pools = []string{"10.99.0.2"}, map[string]mgmt.AddressPool{"guests": addressPool("10.97.0.1", 5)}
	if resp.StatusCode != http.StatusOK || !cmp.Equal(v.PoolSettings, want, equalAddresses) {
		t.Errorf("%s: %s", resp.Status, cmp.Diff(want, v.PoolSettings, equalAddresses))
	}
	if resp := b.do("PATCH", "/api/v1/pools", `{"dns":[]}`, nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("what another administrator has changed meanwhile: %s", resp.Status)
	}
	b.settings.err = &mgmt.ConflictError{Text: "bob names the pool guests"}
	if resp := b.do("PATCH", "/api/v1/pools", `{"pools":{}}`, nil); resp.StatusCode != http.StatusConflict {
		t.Errorf("a pool that a user names: %s", resp.Status)
	}
}

func TestShutdown(t *testing.T) {
	b := setUp(t)
	for body, want := range map[string]time.Duration{`{}`: 0, `{"when_empty":true}`: mgmt.NoLimit, `{"when_empty":true,"within":"90m"}`: 90 * time.Minute} {
		var s mgmt.ShutdownState
		if resp := b.do("POST", "/api/v1/shutdown", body, &s); resp.StatusCode != http.StatusAccepted || !s.Pending || s.Connections != 3 || b.settings.within != want {
			t.Errorf("%s: %s, %+v, within %v", body, resp.Status, s, b.settings.within)
		}
	}
	for _, body := range []string{`{"within":"1h"}`, `{"when_empty":true,"within":"soon"}`, `{"when_empty":true,"within":"-1s"}`} {
		var f fault
		if resp := b.do("POST", "/api/v1/shutdown", body, &f); resp.StatusCode != http.StatusUnprocessableEntity || len(f.Errors) != 1 || f.Errors[0].Location != "body.within" {
			t.Errorf("%s: %s, %+v", body, resp.Status, f)
		}
	}
	if resp := b.do("DELETE", "/api/v1/shutdown", "", nil); resp.StatusCode != http.StatusNoContent || b.settings.pending {
		t.Errorf("%s", resp.Status)
	}
	b.settings.err = &mgmt.ConflictError{Text: "no shutdown is pending"}
	var f fault
	if resp := b.do("DELETE", "/api/v1/shutdown", "", &f); resp.StatusCode != http.StatusConflict || !strings.Contains(f.Detail, "no shutdown is pending") {
		t.Errorf("%s: %+v", resp.Status, f)
	}
}
