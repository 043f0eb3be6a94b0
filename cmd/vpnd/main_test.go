package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

const (
	testSecret = "f3a1c09d5be2478890aa1b2c3d4e5f60"
	testPIN    = "7391"
	testWord   = "hunter2 x"
)

// A house is a configuration with a state folder of its own.
type house struct {
	t           *testing.T
	config, dir string
}

func newHouse(t *testing.T) house {
	t.Helper()
	dir := t.TempDir()
	h := house{t, filepath.Join(dir, "vpnd.yaml"), filepath.Join(dir, "state")}
	if err := os.WriteFile(h.config, []byte("state_dir: "+h.dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// secrets finds the tests' secrets. The digits of the PIN inside a longer number, such as a time,
// do not count.
var secrets = regexp.MustCompile(testSecret + `|\b` + testPIN + `\b|` + regexp.QuoteMeta(testWord))

type result struct {
	status         int
	stdout, stderr string
}

// run runs vpnd with --config and checks that it prints no secret.
func (h house) run(stdin string, args ...string) result {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(h.t.Context(), append(args, "--config", h.config), strings.NewReader(stdin), &stdout, &stderr)
	if told := secrets.FindString(stdout.String() + stderr.String()); told != "" {
		h.t.Errorf("vpnd %s told %q", args, told)
	}
	return result{status, stdout.String(), stderr.String()}
}

// ok is run for a command that must succeed; it gives standard output.
func (h house) ok(stdin string, args ...string) string {
	h.t.Helper()
	r := h.run(stdin, args...)
	if r.status != 0 {
		h.t.Fatalf("vpnd %s: status %d: %s", args, r.status, r.stderr)
	}
	return r.stdout
}

func (h house) profile(name string) usermgmt.Profile {
	h.t.Helper()
	s, err := sqlite.Open(h.t.Context(), h.dir, state.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p, err := s.Get(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func TestUserAddAndSet(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "alice", "--motp-secret", testSecret, "--motp-pin", testPIN, "--dial-in", "pptp",
		"--ipsec", "must", "--idle-timeout", "300s", "--address", "10.99.0.20", "--disabled")
	p := h.profile("alice")
	if p.MOTPSecret != testSecret || p.MOTPPIN != testPIN || p.Enabled || p.Password != "" || p.IPsec != usermgmt.IPsecMust ||
		p.IdleTimeout != 5*time.Minute || p.Address.String() != "10.99.0.20" || !cmp.Equal(p.Services, []auth.Service{auth.PPTP}) {
		t.Errorf("got %+v", p)
	}
	h.ok("", "user", "set", "ALICE", "--enabled", "--address", "", "--session-time", "8h", "--comment", "on call")
	p = h.profile("alice")
	if !p.Enabled || p.Address.IsValid() || p.SessionTime != 8*time.Hour || p.Comment != "on call" || p.MOTPPIN != testPIN || p.IdleTimeout != 5*time.Minute {
		t.Errorf("got %+v", p)
	}
	h.ok(testWord+"\n", "user", "set", "alice", "--password-file", "-", "--motp-secret", "", "--dial-in", "none")
	p = h.profile("alice")
	if p.Password != testWord || p.MOTPSecret != "" || p.MOTPPIN != "" || len(p.Services) != 0 {
		t.Errorf("got %+v", p)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(testWord+"\r\nsecond line"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.ok("", "user", "add", "bob", "--password-file", file)
	if p := h.profile("bob"); p.Password != testWord || !p.Enabled || len(p.Services) != 2 || p.IPsec != usermgmt.IPsecNone {
		t.Errorf("got %+v", p)
	}
}

func TestUserShowAndList(t *testing.T) {
	h := newHouse(t)
	if out := h.ok("", "user", "list", "--json"); out != "[]\n" {
		t.Errorf("an empty table is %q", out)
	}
	out := h.ok("", "user", "add", "alice", "--password", testWord, "--motp-secret", testSecret, "--motp-pin", testPIN, "--json")
	var one map[string]any
	if err := json.Unmarshal([]byte(out), &one); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	want := map[string]any{
		"index": 1.0, "name": "alice", "enabled": true, "status": "enabled", "has_password": true, "has_motp": true, "has_totp": false,
		"dial_in": []any{"l2tp", "pptp"}, "ipsec": "none", "remote_node": "", "address": "", "pool": "", "group": "", "idle_timeout": 300.0, "session_time": 0.0,
		"max_connections": 1.0, "further": "replace", "schedule": "", "expires": nil, "netbios": "pass", "multicast": "block",
		"up_limit": 0.0, "down_limit": 0.0, "quota": 0.0, "comment": "", "last_address": "", "failures": 0.0, "locked_until": nil,
		"usual_addresses": []any{}, "usual_locked_until": nil, "connections": []any{},
		"traffic": map[string]any{"month": usermgmt.Month(time.Now()), "rx_bytes": 0.0, "tx_bytes": 0.0}, "changed": true,
	}
	// These are the newer fields, which TestUserJSONIsThatOfTheAPI tests.
	for _, f := range usermgmt.Fields {
		if _, ok := want[f.Key()]; !ok {
			delete(one, f.Key())
		}
	}
	if diff := cmp.Diff(want, one); diff != "" {
		t.Error(diff)
	}
	text := h.ok("", "user", "show", "alice")
	for _, f := range usermgmt.Fields {
		if !regexp.MustCompile(`(?m)^` + f.Name + `: +\S`).MatchString(text) {
			t.Errorf("no %s in\n%s", f.Name, text)
		}
	}
	for _, line := range []string{`password: +set`, `motp-secret: +set`, `motp-pin: +set`, `totp-secret: +-`, `dial-in: +l2tp,pptp`, `session-time: +never`, `quota: +unlimited`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(text) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestUserUnlockAndRemove(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "alice", "--password", testWord)
	// This is the daemon's side of the same folder.
	s, err := sqlite.Open(t.Context(), h.dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	addresses := [auth.UsualAddresses]netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/64")}
	_, err = s.ChangeStanding(t.Context(), "alice", func(v auth.Standing) auth.Standing {
		v.Strangers = auth.Failures{Count: 5, Locks: 1, LockedUntil: time.Now().Add(time.Hour)}
		v.Addresses = addresses
		return v
	})
	if err != nil {
		t.Fatal(err)
	}
	out := h.ok("", "user", "show", "alice")
	for _, line := range []string{`status: +locked until \S+ but from usual addresses`, `usual addresses: +192\.0\.2\.7, 2001:db8::/64`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	h.ok("", "user", "unlock", "alice")
	if v, err := s.Standing(t.Context(), "alice"); err != nil || v != (auth.Standing{Addresses: addresses}) {
		t.Errorf("%+v, %v", v, err)
	}
	h.ok("", "user", "remove", "alice")
	if _, ok, err := s.Account(t.Context(), "alice"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestWarnsOfWeakSecrets(t *testing.T) {
	r := newHouse(t).run("", "user", "add", "alice", "--motp-secret", "0123456789abcdef", "--motp-pin", testPIN)
	if r.status != 0 || !strings.Contains(r.stderr, "warning: the mOTP secret of alice is easy to guess") {
		t.Errorf("%+v", r)
	}
}

func TestFailures(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "alice", "--password", testWord, "--address", "10.99.0.20")
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "vpnd needs a command"},
		{"dance", 2, `unknown command "dance" for vpnd`},
		{"serv --type x", 2, `unknown command "serv" for vpnd; similar commands: serve, user, services`},
		{"shutdwon -x", 2, `unknown command "shutdwon" for vpnd; similar commands: shutdown`},
		{"--loud", 2, "unknown flag: --loud"},
		{"user lst --status x", 2, `unknown command "lst" for vpnd user; similar commands: set, list`},
		{"services onn", 2, `unknown command "onn" for vpnd services; similar commands: on`},
		{"user", 2, "vpnd user needs a command"},
		{"user dance", 2, `unknown command "dance" for vpnd user`},
		{"user add", 2, "NAME is missing"},
		{"user show alice " + testPIN, 2, "too many arguments"},
		{"user list --loud", 2, "unknown flag: --loud"},
		{"user set alice", 2, "nothing to set"},
		{"user set alice --enabled --disabled", 2, "exclude each other"},
		{"user set alice --password x --password-file y", 2, "exclude each other"},
		{"user set alice --address here", 12, "not an IPv4 address"},
		{"user set alice --idle-timeout 5m!", 12, "--idle-timeout: \"5m!\" is not a duration"},
		{"user set alice --idle-timeout 36028797018963968", 12, "--idle-timeout: \"36028797018963968\" is not a duration"},
		{"user set alice --enabled=maybe", 2, "invalid argument"},
		{"user remove", 2, "NAME is missing"},
		{"user remove alice bob", 10, `"bob": no such user`},
		{"user disable alice bob", 10, `"bob": no such user`},
		{"user add bob --motp-secret - --motp-pin 1234", 2, "--motp-secret: the line of standard input is empty"},
		{"user add bob", 2, "no terminal to ask"},
		{"user add bob --password-file /nonexistent", 1, "no such file"},
		{"user add bob --password-file -", 2, "is empty, or missing"},
		{"user add bob --password-file " + os.DevNull, 2, "--password-file: " + os.DevNull + ": line 1 is empty, or missing"},
		{"admin add bob --password-file " + os.DevNull, 2, "--password-file: " + os.DevNull + ": line 1 is empty, or missing"},
		{"dial 192.0.2.1 --user bob --password-file " + os.DevNull, 2, "--password-file: " + os.DevNull + ": line 1 is empty, or missing"},
		{"user add bob --motp-secret " + testSecret, 12, "motp-pin: is missing"},
		{"user add Alice --password x", 11, "alice: the user exists already"},
		{"user add bob --password x --dial-in sstp", 12, `dial-in: "sstp" is not one of pptp, l2tp`},
		{"user add bob --password x --pool nope", 12, "pool: there is no pool \"nope\": network.pools is empty"},
		{"user add bob --password x --address 10.1.1.1", 12, "address: 10.1.1.1 is outside the pool 10.99.0.10-10.99.0.250"},
		{"user add bob --password x --address 10.99.0.20", 12, "10.99.0.20 is taken by user alice"},
		{"user show bob", 10, `"bob": no such user`},
		{"user remove bob", 10, `"bob": no such user`},
		{"motp code --pin 1234", 2, "a mOTP secret has 16 to 32"},
		{"user set alice --up-limit 10X", 12, "--up-limit: "},
		{"user set alice --motp-pin 12 --motp-secret " + testSecret, 12, "motp-pin: "},
		{"user history bob", 10, `"bob": no such user`},
		{"admin remove anna", 10, "no such administrator"},
		{"admin link anna", 10, "no such administrator"},
		{"admin token remove backup", 10, "no such token"},
		{"motp secret now", 2, "too many arguments"},
	} {
		r := h.run("", strings.Fields(c.args)...)
		if r.status != c.status || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("vpnd %s: want %d and %q, got %+v", c.args, c.status, c.says, r)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	h := newHouse(t)
	if err := os.WriteFile(h.config, []byte("stat_dir: x\nppp: {mru: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.run("", "user", "list")
	if r.status != 1 || !strings.Contains(r.stderr, h.config+":1:1: stat_dir: unknown key") || !strings.Contains(r.stderr, h.config+":2:12: ppp.mru: 1 is not") {
		t.Errorf("%+v", r)
	}
	h.config = filepath.Join(h.dir, "none.yaml")
	if r := h.run("", "user", "list"); r.status != 1 || !strings.Contains(r.stderr, h.config+": no such file") {
		t.Errorf("%+v", r)
	}
}

func TestMotp(t *testing.T) {
	h := newHouse(t)
	if out := h.ok("", "motp", "secret"); !regexp.MustCompile(`^[0-9a-f]{32}\n$`).MatchString(out) || out == h.ok("", "motp", "secret") {
		t.Errorf("got %q", out)
	}
	for pin, want := range map[string]string{"1234": "105899\n", "1234567": "c64913\n"} {
		if out := h.ok("", "motp", "code", "--secret", strings.ToUpper(testSecret), "--pin", pin, "--at", "1464048009"); out != want {
			t.Errorf("PIN %s: got %q, want %q", pin, out, want)
		}
	}
	if out := h.ok("", "motp", "code", "--secret", testSecret, "--pin", "1234"); !regexp.MustCompile(`^[0-9a-f]{6}\n$`).MatchString(out) {
		t.Errorf("got %q", out)
	}
}

// A damaged user is listed by name, and does not prevent the listing of others.
func TestDamagedUserIsListed(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"alice", "bob"} {
		h.ok("", "user", "add", name, "--password", testWord)
	}
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE users SET password = x'00' WHERE fold = 'bob'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r := h.run("", "user", "list")
	if r.status != 0 || !regexp.MustCompile(`(?m)^-  +bob +damaged`).MatchString(r.stdout) || !regexp.MustCompile(`(?m)^1  +alice +enabled`).MatchString(r.stdout) ||
		!strings.HasPrefix(r.stderr, "user bob: password is ") || !strings.Contains(r.stderr, "remove the user and add it again") {
		t.Errorf("%+v", r)
	}
	var views []struct{ Name, Status, Damaged string }
	if err := json.Unmarshal([]byte(h.ok("", "user", "list", "--status", "damaged", "--json")), &views); err != nil {
		t.Fatal(err)
	}
	if len(views) != 1 || views[0].Name != "bob" || views[0].Status != "damaged" || !strings.HasPrefix(views[0].Damaged, "user bob: ") {
		t.Errorf("%+v", views)
	}
	for _, command := range []string{"show", "export"} { // commands that need bob's data say so
		args := []string{"user", command}
		if command == "show" {
			args = append(args, "bob")
		}
		if r := h.run("", args...); r.status != statusFailed || r.stdout != "" || !strings.Contains(r.stderr, "user bob: ") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	h.ok("", "user", "remove", "bob")
}
