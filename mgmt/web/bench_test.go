package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

// sessions has the connections that a test sets.
type sessions struct {
	mu     sync.Mutex
	list   []mgmt.Connection
	reason string // of the last drop
}

func (s *sessions) Connections() []mgmt.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mgmt.Connection(nil), s.list...)
}

func (s *sessions) Drop(_ context.Context, id, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reason = reason
	for i, c := range s.list {
		if c.ID == id {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return true
		}
	}
	return false
}

// clock is a clock that does not move.
type clock struct{}

func (clock) View() timesync.View           { return timesync.View{State: timesync.Right} }
func (clock) Corrected() time.Time          { return time.Unix(1_790_000_000, 0) }
func (clock) Inquire(context.Context) error { return nil }

var (
	administrator = access.Identity{Name: "admin", Role: access.Administrator}
	viewer        = access.Identity{Name: "guest", Role: access.Viewer}
	nobody        = access.Identity{}
)

// bench has the pages and the parts behind them.
type bench struct {
	t        testing.TB
	sessions *sessions
	dir      string // of store
	store    *sqlite.Store
	gate     *access.Gate
	managed  mgmt.Config
	api      *mgmt.API
	pages    *Pages
}

func setUp(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, sessions: &sessions{}, dir: dir}
	var err error
	b.store, err = sqlite.Open(t.Context(), dir, state.Options{Changed: func(_ context.Context, c usermgmt.Change) { b.api.UsersChanged(c) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	b.gate = access.New(access.Config{Store: b.store, Now: clock{}.Corrected})
	b.managed = mgmt.Config{Sessions: b.sessions, Users: b.store, History: b.store, Clock: clock{}, Version: "1.2.3", Access: b.gate}
	b.serve()
	return b
}

// serve makes the pages from managed.
func (b *bench) serve() {
	b.api = mgmt.New(b.managed)
	b.pages = New(Config{API: b.api, Gate: b.gate, Issuer: "gate"})
}

// connect opens n connections.
func (b *bench) connect(n int) {
	for i := range n {
		c := mgmt.Connection{
			ID: fmt.Sprintf("c%05d", i), User: fmt.Sprintf("user%d", i), Type: "PPTP", Encryption: "MPPE-128 stateless", Auth: "MS-CHAPv2",
			RemoteIP: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), VirtualIP: netip.AddrFrom4([4]byte{10, 99, byte(i >> 8), byte(i)}),
			TxPackets: uint64(i) * 100, RxPackets: uint64(i) * 70, TxBytes: uint64(i) * 100_000, RxBytes: uint64(i) * 9_000, Since: time.Now().Add(-time.Duration(i) * time.Minute),
		}
		if i%3 == 1 {
			c.Type, c.Encryption = "L2TP", "none"
		}
		b.sessions.list = append(b.sessions.list, c)
	}
}

// ask sends a request: a POST if there is a form, and a GET otherwise.
func (b *bench) ask(who access.Identity, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	r := httptest.NewRequest(method, "https://vpnd"+path, strings.NewReader(body))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	if who != nobody {
		r = r.WithContext(access.With(r.Context(), who))
	}
	w := httptest.NewRecorder()
	b.pages.ServeHTTP(w, r)
	return w
}

// askAPI sends a GET to the API as an administrator.
func (b *bench) askAPI(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://vpnd"+path, nil)
	w := httptest.NewRecorder()
	b.pages.cfg.API.ServeHTTP(w, r.WithContext(access.With(r.Context(), administrator)))
	return w
}
