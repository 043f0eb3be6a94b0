package mgmt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/mgmt/client"
	"vpnd/mgmt/guide"
)

// sessions are connections that a test sets.
type sessions struct {
	mu   sync.Mutex
	list []mgmt.Connection
}

func (s *sessions) Connections() []mgmt.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mgmt.Connection(nil), s.list...)
}

func (s *sessions) Drop(_ context.Context, id, _ string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.list {
		if c.ID == id {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return true
		}
	}
	return false
}

// clock is a clock that never advances.
type clock struct{ fails bool }

func (c clock) View() timesync.View  { return timesync.View{State: timesync.Right} }
func (c clock) Corrected() time.Time { return time.Unix(1_790_000_000, 0) }
func (c clock) Inquire(context.Context) error {
	if c.fails {
		return errors.New("no time server answers")
	}
	return nil
}

// bench is an API on a socket.
type bench struct {
	t        *testing.T
	sessions *sessions
	settings *settings
	dir      string // of store
	store    *sqlite.Store
	api      *mgmt.API
	socket   string
	http     http.Client
}

func setUp(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, sessions: &sessions{}, settings: newSettings(), dir: dir, store: store, socket: filepath.Join(t.TempDir(), "s")}
	b.api = mgmt.New(mgmt.Config{Sessions: b.sessions, Users: store, History: store, Settings: b.settings, Clock: clock{true}, Window: 3 * time.Minute, Version: "1", Access: access.New(access.Config{Store: store}), Guide: func() guide.Server {
		return guide.Server{PPTP: true, L2TP: true, Authentication: []string{"mschapv2"}, MPPE: "optional"}
	}})
	l, err := net.Listen("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b.api, ReadHeaderTimeout: time.Minute, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return access.With(ctx, access.Identity{Name: "root", Role: access.Administrator})
	}}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	wg.Go(func() { b.api.Run(ctx) })
	b.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.socket)
	}}
	t.Cleanup(func() {
		stop()
		_ = server.Close()
		wg.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// answer holds the parts of a response that tests check.
type answer struct {
	StatusCode int
	Status     string
	Header     http.Header
}

// do sends a request and reads the answer into out, if it is not nil.
func (b *bench) do(method, path, body string, out any, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://vpnd"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	if body != "" && req.Header["Content-Type"] == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			b.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return answer{resp.StatusCode, resp.Status, resp.Header}
}

func (s *sessions) set(list ...mgmt.Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func connection(i int) mgmt.Connection {
	return mgmt.Connection{
		ID: fmt.Sprintf("id%d", i), User: fmt.Sprintf("user%d", i%3), Type: []string{"PPTP", "L2TP"}[i%2], Encryption: "none", Auth: "PAP",
		RemoteIP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), VirtualIP: netip.AddrFrom4([4]byte{10, 99, 0, byte(100 - i)}),
		TxBytes: uint64(i), RxBytes: uint64(10 - i), Since: time.Unix(1_790_000_000+int64(i), 0),
	}
}

func TestConnections(t *testing.T) {
	b := setUp(t)
	var all []mgmt.Connection
	for i := range 10 {
		all = append(all, connection(i))
	}
	b.sessions.set(all...)
	for query, want := range map[string]string{
		"":                                 "id0 id1 id2 id3 id4 id5 id6 id7 id8 id9 of 10",
		"?sort=-since&limit=2":             "id9 id8 of 10",
		"?sort=virtual_ip&limit=2":         "id9 id8 of 10",
		"?sort=user&offset=3&limit=1":      "id9 of 10",
		"?sort=rx_bytes&limit=1":           "id9 of 10",
		"?user=USER1":                      "id1 id4 id7 of 3",
		"?q=203.0.113.7":                   "id7 of 1",
		"?q=l2tp&sort=-remote_ip&limit=10": "id9 id7 id5 id3 id1 of 5",
		"?offset=50":                       " of 10",
	} {
		var list []mgmt.Connection
		resp := b.do("GET", "/api/v1/connections"+query, "", &list)
		var ids []string
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " ") + " of " + resp.Header.Get("X-Total-Count"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if resp := b.do("GET", "/api/v1/connections?sort=colour", "", nil); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an order that is none: %s", resp.Status)
	}
	if resp := b.do("DELETE", "/api/v1/connections/id3", "", nil); resp.StatusCode != http.StatusNoContent || len(b.sessions.Connections()) != 9 {
		t.Errorf("drop: %s", resp.Status)
	}
	if resp := b.do("DELETE", "/api/v1/connections/id3", "", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("drop again: %s", resp.Status)
	}
}

func TestUsers(t *testing.T) {
	b := setUp(t)
	var u mgmt.User
	resp := b.do("POST", "/api/v1/users", `{"name":"alice","motp_secret":"0123456789abcdef","motp_pin":"1234","down_limit":"10M","idle_timeout":"60s"}`, &u)
	if resp.StatusCode != http.StatusCreated || u.Name != "alice" || !u.HasMOTP || u.DownLimit != 10_000_000 || u.IdleTimeout != 60 || u.MaxConnections != 1 {
		t.Errorf("%s: %+v", resp.Status, u)
	}
	tag := resp.Header.Get("ETag")
	if resp := b.do("POST", "/api/v1/users", `{"name":"ALICE","password":"x"}`, nil); resp.StatusCode != http.StatusConflict {
		t.Errorf("twice: %s", resp.Status)
	}
	var p struct {
		Errors []struct{ Location, Message string }
	}
	resp = b.do("POST", "/api/v1/users", `{"name":"two words","motp_secret":"x","motp_pin":"12"}`, &p)
	if resp.StatusCode != http.StatusUnprocessableEntity || resp.Header.Get("Content-Type") != "application/problem+json" ||
		len(p.Errors) != 3 || p.Errors[1].Location != "body.motp_secret" || !strings.Contains(p.Errors[2].Message, "4 to 7 decimal digits") {
		t.Errorf("%s: %+v", resp.Status, p)
	}

	b.sessions.set(mgmt.Connection{ID: "a", User: "alice"})
	resp = b.do("PATCH", "/api/v1/users/Alice", `{"enabled":false,"comment":"<b>"}`, &u, "If-Match", tag)
	if resp.StatusCode != http.StatusOK || u.Enabled || u.Comment != "<b>" || !u.HasMOTP || len(u.Connections) != 1 || u.Connections[0].ID != "a" {
		t.Errorf("%s: %+v", resp.Status, u)
	}
	if resp := b.do("PATCH", "/api/v1/users/alice", `{"comment":"another"}`, nil, "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("a change of what another has changed: %s", resp.Status)
	}
	if resp := b.do("PATCH", "/api/v1/users/alice", `{"colour":"red"}`, nil); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a field that is none: %s", resp.Status)
	}
	var list []mgmt.User
	if resp := b.do("GET", "/api/v1/users?q=LIC", "", &list); len(list) != 1 || resp.Header.Get("X-Total-Count") != "1" {
		t.Errorf("%s: %+v", resp.Status, list)
	}
	if resp := b.do("POST", "/api/v1/users/alice/unlock", "", &u); resp.StatusCode != http.StatusOK {
		t.Errorf("unlock: %s", resp.Status)
	}
	var events []mgmt.Event
	b.do("GET", "/api/v1/history?user=alice", "", &events)
	// Unlock of an unlocked user changes nothing and adds no entry.
	if len(events) != 2 || events[0].Reason != "enabled: yes -> no, comment: none -> <b>" {
		t.Errorf("got the history %+v, want a change and an addition", events)
	}
	if resp := b.do("DELETE", "/api/v1/users/alice", "", nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("remove: %s", resp.Status)
	}
	for _, path := range []string{"GET /api/v1/users/alice", "DELETE /api/v1/users/alice", "POST /api/v1/users/alice/unlock"} {
		method, path, _ := strings.Cut(path, " ")
		if resp := b.do(method, path, "", nil); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %s", method, path, resp.Status)
		}
	}
}

// No answer repeats a secret that was written.
func TestSecretsAreNotReadBack(t *testing.T) {
	b := setUp(t)
	const secret = "f3a1c09d5be2478890aa1b2c3d4e5f60"
	b.do("POST", "/api/v1/users", `{"name":"alice","password":"Correct-Horse9","motp_secret":"`+secret+`","motp_pin":"7654321"}`, nil)
	for _, path := range []string{"/api/v1/users", "/api/v1/users/alice", "/api/v1/history", "/api/v1/connections", "/api/v1/time", "/api/v1/services"} {
		var all any
		b.do("GET", path, "", &all)
		for _, word := range []string{"Correct-Horse9", secret, "7654321"} {
			if strings.Contains(fmt.Sprint(all), word) {
				t.Errorf("%s tells %s", path, word)
			}
		}
	}
}

func TestProbesAndTime(t *testing.T) {
	b := setUp(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/api/v1/openapi.json": 200, "/api/v1/nothing": 404, "/": 404} {
		if resp := b.do("GET", path, "", nil); resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	var p struct{ Detail string }
	if resp := b.do("POST", "/api/v1/time/inquire", "", &p); resp.StatusCode != http.StatusBadGateway || p.Detail != "no time server answers" {
		t.Errorf("%s: %+v", resp.Status, p)
	}
	if resp := b.do("POST", "/api/v1/users", `{"name":"`+strings.Repeat("x", 70<<10)+`"}`, nil); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %s", resp.Status)
	}
}

func TestEvents(t *testing.T) {
	b := setUp(t)
	c := client.New(b.socket)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	got := make(chan mgmt.Event, 1)
	done := make(chan error, 1)
	go func() {
		done <- c.Events(ctx, func(e mgmt.Event) error {
			got <- e
			return nil
		})
	}()
	var e mgmt.Event
	for e.User == "" { // until it listens
		b.api.Publish(state.Entry{Event: state.EventRefused, User: "eve", Why: reason.New(reason.WrongPassword), Peer: netip.MustParseAddr("203.0.113.9")})
		select {
		case e = <-got:
		case err := <-done:
			t.Fatal(err)
		default:
		}
	}
	if e.Event != "refused" || e.RemoteIP != "203.0.113.9" || e.Cause != string(reason.WrongPassword) {
		t.Errorf("%+v", e)
	}
	stop()
	for {
		select {
		case <-got:
			continue
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

// The API enrols a token: a wrong code is reported, and a right one counts as used.
func TestVerify(t *testing.T) {
	b := setUp(t)
	b.do("POST", "/api/v1/users", `{"name":"alice","password":"x"}`, nil)
	var p struct {
		Errors []struct{ Location, Message string }
	}
	for _, c := range []struct{ user, code, says string }{
		{"alice", "123456", "no token"},
		{"bob", "123456", "not a code of the token"},
		{"bob", motp.Token{Secret: "0123456789abcdef", PIN: "1234"}.Code(motp.Step(clock{}.Corrected()) + 60), "10 minutes ahead"},
	} {
		if c.user == "bob" {
			b.do("POST", "/api/v1/users", `{"name":"bob","motp_secret":"0123456789abcdef","motp_pin":"1234"}`, nil)
		}
		resp := b.do("POST", "/api/v1/users/"+c.user+"/verify", `{"code":"`+c.code+`"}`, &p)
		if resp.StatusCode != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Location != "body.code" || !strings.Contains(p.Errors[0].Message, c.says) {
			t.Errorf("%s %s: %s %+v", c.user, c.code, resp.Status, p)
		}
	}
	step := motp.Step(clock{}.Corrected()) - 2
	resp := b.do("POST", "/api/v1/users/BOB/verify", `{"code":"`+motp.Token{Secret: "0123456789abcdef", PIN: "1234"}.Code(step)+`"}`, nil)
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("the right code: %s", resp.Status)
	}
	if state, err := b.store.Token(t.Context(), "bob"); err != nil || state.LastStep != step || state.Offset != -2 {
		t.Errorf("%+v, %v", state, err)
	}
	if resp := b.do("POST", "/api/v1/users/carol/verify", `{"code":"1"}`, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("nobody: %s", resp.Status)
	}
}

func TestUsersInOrder(t *testing.T) {
	b := setUp(t)
	for _, u := range []string{
		`{"name":"anna","password":"x","index":"7","comment":"z"}`, `{"name":"Bert","password":"x","enabled":false,"comment":"y"}`, `{"name":"carl","password":"x"}`,
	} {
		b.do("POST", "/api/v1/users", u, nil)
	}
	b.sessions.set(mgmt.Connection{User: "carl"}, mgmt.Connection{User: "carl"}, mgmt.Connection{User: "anna"})
	for sort, want := range map[string]string{
		"": "anna Bert carl", "-name": "carl Bert anna", "index": "Bert carl anna", "enabled": "Bert anna carl", "-connections": "carl anna Bert", "comment": "carl Bert anna",
	} {
		var list []mgmt.User
		query := ""
		if sort != "" {
			query = "?sort=" + sort
		}
		b.do("GET", "/api/v1/users"+query, "", &list)
		var names []string
		for _, u := range list {
			names = append(names, u.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", sort, got, want)
		}
	}
}

// A list shows each change immediately, whoever made it.
func TestListIsFresh(t *testing.T) {
	b := setUp(t)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/api/v1/users", `{"name":"anna","password":"x","comment":"one"}`, "anna one"},
		{"PATCH", "/api/v1/users/anna", `{"comment":"two"}`, "anna two"},
		{"DELETE", "/api/v1/users/anna", "", ""},
	} {
		b.do(c.method, c.path, c.body, nil)
		for range 2 {
			var list []mgmt.User
			b.do("GET", "/api/v1/users", "", &list)
			got := ""
			for _, u := range list {
				got += u.Name + " " + u.Comment
			}
			if got != c.want {
				t.Errorf("after %s: %q, want %q", c.method, got, c.want)
			}
		}
	}
}
