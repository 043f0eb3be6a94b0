package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	"vpnd/usermgmt"
	"vpnd/usermgmt/usertest"

	"github.com/google/go-cmp/cmp"
)

// withStore changes the table as the daemon would.
func (h house) withStore(do func(state.Store) error) {
	h.t.Helper()
	s, err := sqlite.Open(h.t.Context(), h.dir, state.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := do(s); err != nil {
		h.t.Error(err)
	}
	if err := s.Close(); err != nil {
		h.t.Error(err)
	}
}

// fails is run for a command that must fail with a text.
func (h house) fails(stdin, says string, args ...string) {
	h.t.Helper()
	if r := h.run(stdin, args...); r.status == 0 || !strings.Contains(r.stderr, says) {
		h.t.Errorf("vpnd %s: want %q, got %+v", args, says, r)
	}
}

func (h house) file(name, text string) string {
	h.t.Helper()
	path := filepath.Join(filepath.Dir(h.config), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// TestUserFields sets every field by its option.
func TestUserFields(t *testing.T) {
	h := newHouse(t)
	h.file("vpnd.yaml", "state_dir: "+h.dir+"\nnetwork: {pools: {staff: {pool: 10.98.0.10-10.98.0.250}}}\n")
	args := []string{"user", "add", "anna", "--disabled"}
	for name, text := range usertest.Texts {
		if name != "enabled" {
			args = append(args, "--"+name, text)
		}
	}
	h.ok("", args...)
	p := h.profile("anna")
	for _, f := range usermgmt.Fields {
		if want := usertest.Texts[f.Name]; f.Get(&p) != want {
			t.Errorf("%s is %q, want %q", f.Name, f.Get(&p), want)
		}
	}
	h.ok("a new one\n9b1f6c07d2e85a44\n0043\n", "user", "set", "anna", "--password-file", "-", "--motp-secret", "-", "--motp-pin", "-", "--enabled")
	if p := h.profile("anna"); p.Password != "a new one" || p.MOTPSecret != "9b1f6c07d2e85a44" || p.MOTPPIN != "0043" || !p.Enabled {
		t.Errorf("%+v", p)
	}
}

func TestUserListAndHistory(t *testing.T) {
	h := newHouse(t)
	for i, name := range []string{"zoe", "anna", "ben", "carl"} {
		h.ok("", "user", "add", name, "--password", testWord, "--comment", fmt.Sprint("number ", i))
	}
	h.ok("", "user", "set", "carl", "--expires", "2020-01-01")
	h.ok("", "user", "disable", "ben", "ZOE")
	h.ok("", "user", "enable", "zoe")
	h.withStore(func(s state.Store) error {
		up := state.Entry{
			At: time.Now(), Event: state.EventConnected, User: "anna", Connection: "a1", Type: "PPTP", Auth: "MS-CHAPv2", Encryption: "none",
			Peer: netip.MustParseAddr("203.0.113.9"), Address: netip.MustParseAddr("10.99.0.10"),
		}
		refused := state.Entry{At: time.Now().Add(-48 * time.Hour), Event: state.EventRefused, User: "e\x1b[2Jve", Type: "L2TP", Why: reason.New(reason.UnknownUser)}
		return s.Record(t.Context(), state.Entry{At: time.Now(), Event: state.EventStarted}, up, refused)
	})
	list := h.ok("", "user", "list")
	want := `INDEX +USER +STATUS +TYPES +COMMENT
1 +zoe +enabled +l2tp,pptp +number 0
2 +anna +connected: 10.99.0.10 +l2tp,pptp +number 1
3 +ben +disabled +l2tp,pptp +number 2
4 +carl +expired +l2tp,pptp +number 3
`
	if !regexp.MustCompile("^" + want + "$").MatchString(list) {
		t.Errorf("got\n%s", list)
	}
	var views []map[string]any
	if err := json.Unmarshal([]byte(h.ok("", "user", "list", "--json")), &views); err != nil || len(views) != 4 {
		t.Fatal(err, views)
	}
	if c, ok := views[1]["connections"].([]any); !ok || len(c) != 1 || c[0].(map[string]any)["virtual_ip"] != "10.99.0.10" {
		t.Errorf("%v", views[1]["connections"])
	}
	if show := h.ok("", "user", "show", "anna"); !strings.Contains(show, "PPTP from 203.0.113.9, address 10.99.0.10") {
		t.Errorf("got\n%s", show)
	}
	for args, lines := range map[string][]string{
		"":                       {`e\?\[2Jve +refused +- +L2TP; unknown user`, `anna +connected +203\.0\.113\.9 +PPTP, address 10\.99\.0\.10; MS-CHAPv2`, `ben +changed +- +enabled: yes -> no; by \w+`, `zoe +added`},
		"anna":                   {`anna +connected`, `anna +added`},
		"anna --limit 1":         {`anna +connected`},
		"--since 24h":            {`anna +connected`},
		"ben --since 2199-01-01": nil,
	} {
		out := h.ok("", append([]string{"user", "history"}, strings.Fields(args)...)...)
		for _, line := range lines {
			if !regexp.MustCompile(`(?m)^\S+ \S+ +` + line).MatchString(out) {
				t.Errorf("history %s: no %q in\n%s", args, line, out)
			}
		}
		if strings.Contains(args, "24h") && strings.Contains(out, "refused") || len(lines) == 0 && out != "" || strings.Contains(args, "limit") && strings.Count(out, "\n") != 2 {
			t.Errorf("history %s:\n%s", args, out)
		}
	}
	var entries []map[string]any
	if err := json.Unmarshal([]byte(h.ok("", "user", "history", "ben", "--json")), &entries); err != nil || len(entries) != 2 || entries[0]["reason"] != "enabled: yes -> no" {
		t.Error(err, entries)
	}
	h.fails("", "a date such as", "user", "history", "--since", "yesterday")
	h.ok("", "user", "remove", "ben", "carl")
	h.fails("", "no such user", "user", "show", "carl")
}

// calls are the calls of a daemon whose clock is right.
type calls struct {
	mgmt.Sessions
	mgmt.Clock

	list []mgmt.Connection
}

func (c calls) Connections() []mgmt.Connection { return c.list }
func (c calls) Corrected() time.Time           { return time.Now() }

// The command line and the API print the same JSON for a user.
func TestUserJSONIsThatOfTheAPI(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--password", testWord, "--expires", "2027-12-31", "--session-time", "8h", "--quota", "50G", "--remote-node", "203.0.113.0/24")
	h.ok("", "user", "add", "ben", "--password", testWord, "--disabled", "--address", "10.99.0.20")
	up := mgmt.Connection{
		ID: "a1", User: "anna", Type: "PPTP", RemoteIP: netip.MustParseAddr("203.0.113.9"), VirtualIP: netip.MustParseAddr("10.99.0.10"),
		Since: time.Date(2026, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600)),
	}
	h.withStore(func(s state.Store) error {
		return errors.Join(s.SetLastAddress(t.Context(), "anna", up.VirtualIP),
			s.Record(t.Context(), state.Entry{At: time.Now(), Event: state.EventStarted}, state.Entry{
				At: up.Since, Event: state.EventConnected, User: "anna", Connection: "a1", Type: up.Type, Peer: up.RemoteIP, Address: up.VirtualIP,
			}))
	})
	var byAPI []string
	h.withStore(func(s state.Store) error {
		daemon := calls{list: []mgmt.Connection{up}}
		api := mgmt.New(mgmt.Config{Users: s, History: s, Sessions: daemon, Clock: daemon, Version: "1"})
		for _, path := range []string{"", "/anna", "/ben"} {
			w := httptest.NewRecorder()
			api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/users"+path, http.NoBody))
			byAPI = append(byAPI, w.Body.String())
		}
		return nil
	})
	for i, command := range [][]string{{"list"}, {"show", "anna"}, {"show", "ben"}, {"set", "ben", "--disabled"}} {
		var got, want any
		i = min(i, len(byAPI)-1)
		if err := errors.Join(json.Unmarshal([]byte(byAPI[i]), &want), json.Unmarshal([]byte(h.ok("", append([]string{"user", "--json"}, command...)...)), &got)); err != nil {
			t.Fatalf("user %q: %v; the API answers %s", command, err, byAPI[i])
		}
		if one, ok := want.(map[string]any); ok {
			delete(one, "$schema") // where it is described
			delete(got.(map[string]any), "changed")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("user %q differs from the API: %s", command, diff)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "7d": now.AddDate(0, 0, -7), "2026-05-01": time.Date(2026, 5, 1, 0, 0, 0, 0, time.Local),
		"2026-05-01T10:00:00Z": time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), "soon": {}, "-3h": {}, "d": {},
	} {
		if got, ok := parseSince(s, now); !got.Equal(want) || ok == want.IsZero() {
			t.Errorf("%s: %v, %v", s, got, ok)
		}
	}
}

func TestUserImportAndExport(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--password", testWord, "--comment", "first")
	bad := h.file("bad.csv", "name,password,ipsec,address\nanna,x,,\nben,x,maybe,10.1.1.1\ncarl\ndora,x,,10.99.0.20\nemil,x,,10.99.0.20\n")
	r := h.run("", "user", "import", bad)
	want := bad + ": csv: 5 records, 4 users, 0 skipped\n" +
		bad + ":2: anna: the user exists already\n" +
		bad + ":3: ben: ipsec: \"maybe\" is not one of none, nice, must\n" +
		bad + ":4: the line has 1 columns, but the header has 4\n" +
		bad + ":6: emil: address: 10.99.0.20 is taken by user dora\n" +
		"vpnd: " + bad + ": 4 faults; nothing was imported; give --replace to change users that exist already\n"
	if r.status != 12 || r.stderr != want || r.stdout != "" {
		t.Errorf("%d %q %s", r.status, r.stdout, r.stderr)
	}
	good := h.file("good.csv", "name,comment,password\nANNA,second,\nben,,geheim\n")
	// The empty cell removes the password.
	h.fails("", "the user needs a password", "user", "import", "--replace", good)
	good = h.file("good.csv", "name,comment\nANNA,second\n")
	if out := h.ok("", "user", "import", "--replace", "--dry-run", good); out != "anna would be changed: comment\n" || h.profile("anna").Comment != "first" {
		t.Errorf("%q", out)
	}
	out := h.ok("", "user", "import", "--replace", "--json", good)
	var outcomes []map[string]any
	if err := json.Unmarshal([]byte(out), &outcomes); err != nil || len(outcomes) != 1 || outcomes[0]["action"] != "changed" || h.profile("anna").Comment != "second" {
		t.Error(err, out)
	}
	if p := h.profile("anna"); p.Password != testWord {
		t.Error("the password is gone")
	}
	h.fails("ben * geheim *\n", "give --format with one of csv, yaml, chap-secrets, mpd-secret, ", "user", "import", "-")
	h.fails("", "use one of csv, yaml, chap-secrets", "user", "import", "-", "--format", "xml")
	word := h.file("word", "geheim # remark\n")
	r = h.run("ben * @"+word+" *\nben * geheim * -- mtu 1400\n", "user", "import", "-", "--format", "chap-secrets")
	want = "-:2: \"ben\" is in line 1 already, with the same password\n-:2: \"ben\": ignored pppd's options after --\n" +
		"-: chap-secrets: 2 records, 1 user, 1 skipped\n1 user added, 0 changed, 0 unchanged\n"
	if r.status != 0 || r.stderr != want || h.profile("ben").Password != "geheim" {
		t.Errorf("%+v", r)
	}
	h.fails("carl * @"+h.dir+" *\n", "cannot be read ("+h.dir+" is not a regular file with one secret", "user", "import", "-", "--format", "chap-secrets")
	ansi := h.file("ansi.csv", "name;password\ncarl;gr\xfcn\n")
	h.fails("", ansi+":2: this is not UTF-8", "user", "import", ansi)
	h.fails("", "is unknown: use one of cp437", "user", "import", ansi, "--encoding", "x")
	h.ok("", "user", "import", ansi, "--encoding", "windows-1252")
	if p := h.profile("carl"); p.Password != "grün" {
		t.Errorf("%+v", p)
	}
	h.ok("", "user", "remove", "carl")
	h.fails("", "no such file", "user", "import", "/nonexistent")
	if out := h.ok("", "user", "export"); !strings.Contains(out, "- name: anna\n") || strings.Contains(out, "password:") {
		t.Errorf("got\n%s", out)
	}
	h.fails("", "--secrets needs a file", "user", "export", "--secrets")
	h.fails("", "is not a regular file", "user", "export", "--output", filepath.Dir(h.config))
	all := filepath.Join(filepath.Dir(h.config), "all.csv")
	h.ok("", "user", "export", "--secrets", "--output", all)
	data, err := os.ReadFile(all)
	if info, statErr := os.Stat(all); err != nil || statErr != nil || info.Mode().Perm() != 0o600 || !strings.Contains(string(data), testWord) {
		t.Errorf("%v, %v, %s", err, statErr, data)
	}
	other := newHouse(t)
	other.ok("", "user", "import", all)
	for _, name := range []string{"anna", "ben"} {
		if a, b := h.profile(name), other.profile(name); a.Password != b.Password || a.Comment != b.Comment || a.Index != b.Index {
			t.Errorf("%+v became %+v", a, b)
		}
	}
}

func TestUserKeyAndBackup(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "anna", "--password", testWord)
	key := func() string {
		data, err := os.ReadFile(filepath.Join(h.dir, "key"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before := key()
	h.ok("", "user", "rekey")
	if key() == before || h.profile("anna").Password != testWord {
		t.Error("the key stays, or the password does not")
	}
	folder := t.TempDir()
	h.ok("", "user", "backup", folder)
	made, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(made) != 1 || !regexp.MustCompile(`/vpnd-users-\d{8}-\d{6}\.tar$`).MatchString(made[0]) {
		t.Fatal(made, err)
	}
	h.ok("", "user", "backup", made[0])
	if info, err := os.Stat(made[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	h.fails("", "is not overwritten", "user", "restore", made[0])
	other := newHouse(t)
	other.ok("", "user", "restore", made[0])
	if other.profile("anna").Password != testWord {
		t.Error("the password is another")
	}
	other = newHouse(t)
	other.fails("", "not a complete backup", "user", "restore", other.file("x.tar", "x"))
	other.ok("", "user", "restore", made[0])
}

func TestCompletion(t *testing.T) {
	h := newHouse(t)
	complete := func(args ...string) string {
		// The word to complete is the last one, so --config comes first.
		var out strings.Builder
		run(t.Context(), append([]string{"__complete", "--config", h.config}, args...), strings.NewReader(""), &out, &strings.Builder{})
		return out.String()
	}
	if out := complete("user", "show", ""); out != ":4\n" {
		t.Errorf("without users: %q", out)
	}
	if _, err := os.Stat(h.dir); err == nil {
		t.Error("completion has made a state folder")
	}
	h.ok("", "user", "add", "anna", "--password", testWord, "--comment", "on call")
	h.ok("", "user", "add", "ben", "--password", testWord)
	for args, want := range map[string]string{
		"user show ":              "anna\ton call\nben\n:4\n",
		"user show anna ":         ":4\n",
		"user remove anna ":       "ben\n:4\n",
		"user set anna --ipsec ":  "none\nnice\nmust\n:4\n",
		"user import x --format ": "csv\nyaml\nchap-secrets\nmpd-secret\nppp-secret\nnpppd-users\nrouteros\npfsense\n:4\n",
	} {
		if out := complete(strings.Split(args, " ")...); out != want {
			t.Errorf("%s: %q", args, out)
		}
	}
	if out := h.ok("", "completion", "bash"); !strings.Contains(out, "__start_vpnd") {
		t.Error("no completion for bash")
	}
}
