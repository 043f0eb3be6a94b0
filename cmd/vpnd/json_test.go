package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/reason"

	"github.com/google/go-cmp/cmp"
)

// Each command that changes something says in JSON what it changed, and a second run says that it
// changed nothing.
func TestActionsInJSON(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		args string
		want string
	}{
		{"user add alice --password x", `{"name": "alice", "changed": true}`},
		{"user set alice --comment sales", `{"name": "alice", "changed": true}`},
		{"user set alice --comment sales", `{"name": "alice", "changed": false}`},
		{"user set alice --index 0", `{"name": "alice", "index": 1, "changed": false}`},
		{"user disable alice", `[{"name": "alice", "action": "disabled", "changed": true}]`},
		{"user disable alice", `[{"name": "alice", "action": "disabled", "changed": false}]`},
		{"user enable alice", `[{"name": "alice", "action": "enabled", "changed": true}]`},
		{"user unlock alice", `[{"name": "alice", "action": "unlocked", "changed": false}]`},
		{"user export", `{"users": [{"name": "alice", "comment": "sales"}]}`},
		{"user remove alice", `[{"name": "alice", "action": "removed", "changed": true}]`},
	} {
		var got, want any
		if err := json.Unmarshal([]byte(h.ok("", append(strings.Fields(c.args), "--json")...)), &got); err != nil {
			t.Errorf("vpnd %s --json: %v", c.args, err)
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, only(got, want)); diff != "" {
			t.Errorf("vpnd %s --json: difference from what was wanted: %s", c.args, diff)
		}
	}
	h.withHistory(func(events []string) {
		want := []string{"removed", "changed enabled", "changed enabled", "changed comment", "added"}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("the history has other entries than wanted: %s", diff)
		}
	})
}

// only removes from got everything beyond the keys of want.
func only(got, want any) any {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		cut := map[string]any{}
		for key, value := range w {
			if has, ok := g[key]; ok {
				cut[key] = only(has, value)
			}
		}
		return cut
	case []any:
		g, _ := got.([]any)
		cut := make([]any, len(g))
		for i := range g {
			cut[i] = g[i]
			if i < len(w) {
				cut[i] = only(g[i], w[i])
			}
		}
		return cut
	default:
		return got
	}
}

// withHistory gives the events of the history with the first word of their reason, newest first.
func (h house) withHistory(check func(events []string)) {
	h.t.Helper()
	var entries []struct{ Event, Reason string }
	if err := json.Unmarshal([]byte(h.ok("", "user", "history", "--json")), &entries); err != nil {
		h.t.Fatal(err)
	}
	events := make([]string, len(entries))
	for i, e := range entries {
		field, _, _ := strings.Cut(e.Reason, " ")
		events[i] = strings.TrimRight(e.Event+" "+strings.TrimRight(field, ":"), " ")
	}
	check(events)
}

// With --json, messages and failures are one object a line on standard error.
func TestFailuresInJSON(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "alice", "--password", testWord)
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte("name,password\nalice,x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"user show bob", statusNotFound, "no such user"},
		{"user add alice --password x", statusExists, "exists already"},
		{"user list --loud", statusUsage, "unknown flag"},
		{"serv", statusUsage, "similar commands: serve"},
		{"user import " + file, statusRule, "nothing was imported"},
		{"user import --prune " + file, statusUsage, "--prune needs --replace"},
		{"user list --status tired", statusUsage, "use one of"},
		{"connections", statusNotRunning, "not running"},
		{"drop alice", statusNotRunning, "not running"},
		{"time", statusNoTime, "time.servers is empty"},
	} {
		r := h.run("", append(strings.Fields(c.args), "--json")...)
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Errorf("vpnd %s --json: %q is not JSON", c.args, line)
			}
		}
		var last errorView
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Status != c.status || !strings.Contains(last.Error, c.says) || r.status != c.status {
			t.Errorf("vpnd %s --json: want status %d and %q, got status %d: %s", c.args, c.status, c.says, r.status, r.stderr)
		}
	}
}

// Check reports each finding, with a fix if it is wrong.
func TestCheckInJSON(t *testing.T) {
	h := newHouse(t)
	h.configure("services: {pptp: false, l2tp: false}\nmanagement: {listen: \"\", socket: " + filepath.Join(h.dir, "no", "s") + "}\nnetwork: {proxy_arp: nope0}\n")
	r := h.run("", "check", "--json")
	var findings []findingView
	if err := json.Unmarshal([]byte(r.stdout), &findings); err != nil {
		t.Fatal(err)
	}
	levels := map[string]string{}
	for _, f := range findings {
		levels[f.What] = f.Level
		if (f.Level == "ok") != (f.Text == "" && f.Fix == "") {
			t.Errorf("%+v", f)
		}
	}
	if levels["services"] != "warn" || levels["network.proxy_arp nope0"] != "fail" || levels["routes to network.pool"] == "" {
		t.Errorf("got the levels %v", levels)
	}
	if want := `{"error":"serving would fail","status":1}` + "\n"; r.status != statusFailed || r.stderr != want {
		t.Errorf("got status %d and %q, want %q", r.status, r.stderr, want)
	}
}

// Check also reports the faults of a configuration as findings.
func TestCheckOfFaultsInJSON(t *testing.T) {
	h := newHouse(t)
	h.configure("ppp: {mru: 100}\nnetwork: {pool: 10.1.0.9/24}\n")
	r := h.run("", "check", "--json")
	var findings []findingView
	if err := json.Unmarshal([]byte(r.stdout), &findings); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(h.dir), "vpnd.yaml")
	want := []findingView{
		{Level: "fail", What: "ppp.mru", Where: file + ":2:12", Text: "100 is not between 576 and 1500", Fix: "correct the file"},
		{Level: "fail", What: "network.pool", Where: file + ":3:17", Text: `"10.1.0.9/24" has bits set after its prefix length`, Fix: "write 10.1.0.0/24"},
	}
	if diff := cmp.Diff(want, findings); diff != "" || r.status != statusFailed {
		t.Errorf("status %d, (-want +got):\n%s", r.status, diff)
	}
}

func TestMotpInJSON(t *testing.T) {
	h := newHouse(t)
	var got struct{ Secret, Code string }
	if err := json.Unmarshal([]byte(h.ok("", "motp", "secret", "--json")), &got); err != nil || len(got.Secret) != 32 {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(h.ok("", "motp", "code", "--secret", got.Secret, "--pin", "0042", "--json")), &got); err != nil || len(got.Code) != 6 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// docs/automation.md and the help list each exit status.
func TestStatusesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/automation.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), statusTable()) {
		t.Errorf("docs/automation.md has another table of exit statuses; want\n%s", statusTable())
	}
	if r := newHouse(t).run("", "help", "exit-status"); r.status != 0 || strings.Count(r.stdout, "\n") < len(statuses) {
		t.Errorf("vpnd help exit-status: status %d, %q", r.status, r.stdout)
	}
	codes := map[int]bool{}
	for _, s := range statuses {
		if codes[s.code] {
			t.Errorf("status %d is listed twice", s.code)
		}
		codes[s.code] = true
	}
	for _, row := range reason.Table() {
		if row.Exit != 0 && !codes[row.Exit] {
			t.Errorf("status %d of %s is not listed", row.Exit, row.Code)
		}
	}
}

func TestUserListFilters(t *testing.T) {
	h := newHouse(t)
	for i, name := range []string{"zoe", "Anna", "ben"} {
		h.ok("", "user", "add", name, "--password", testWord, "--comment", []string{"sales", "sales", "lab"}[i], "--group", []string{"staff", "", "staff"}[i])
	}
	h.ok("", "user", "disable", "ben")
	for args, want := range map[string]string{
		"":                              "zoe Anna ben",
		"--sort name":                   "Anna ben zoe",
		"--status disabled":             "ben",
		"--status enabled":              "zoe Anna",
		"--status locked":               "",
		"--group staff":                 "zoe ben",
		"SALES":                         "zoe Anna",
		"SALES --group STAFF":           "zoe",
		"nobody":                        "",
		"--status enabled --sort name ": "Anna zoe",
	} {
		var views []struct{ Name string }
		if err := json.Unmarshal([]byte(h.ok("", append(append([]string{"user", "list"}, strings.Fields(args)...), "--json")...)), &views); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range views {
			names = append(names, v.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("vpnd user list %s: got %q, want %q", args, got, want)
		}
	}
}

// A table has the users of the file after an import with --replace --prune, and a second run
// changes nothing.
func TestImportIsDeclarative(t *testing.T) {
	h := newHouse(t)
	h.ok("", "user", "add", "old", "--password", testWord)
	h.ok("", "user", "add", "anna", "--password", testWord)
	file := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(file, []byte("users:\n- {name: anna, comment: sales}\n- {name: ben, password: geheim}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type action struct{ Name, Action string }
	run := func(args ...string) (actions []action) {
		t.Helper()
		if err := json.Unmarshal([]byte(h.ok("", append([]string{"user", "import", file, "--replace", "--prune", "--json"}, args...)...)), &actions); err != nil {
			t.Fatal(err)
		}
		return actions
	}
	first := []action{{"anna", "changed"}, {"ben", "added"}, {"old", "removed"}}
	if diff := cmp.Diff(first, run("--dry-run")); diff != "" {
		t.Errorf("the dry run differs from what was wanted: %s", diff)
	}
	if diff := cmp.Diff(first, run()); diff != "" {
		t.Errorf("the first run differs from what was wanted: %s", diff)
	}
	unchanged := []action{{"anna", "unchanged"}, {"ben", "unchanged"}}
	if diff := cmp.Diff(unchanged, run()); diff != "" {
		t.Errorf("the second run differs from what was wanted: %s", diff)
	}
	if err := os.WriteFile(file, []byte("users:\n- {name: anna, index: '', comment: sales}\n- {name: ben, index: 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(unchanged, run()); diff != "" {
		t.Errorf("the run without numbers differs from what was wanted: %s", diff)
	}
}

func TestLinkNeedsAKnownNameOrNew(t *testing.T) {
	h := newHouse(t)
	if out := h.ok("", "admin", "link", "anna", "--new"); !strings.Contains(out, "link=") {
		t.Errorf("got %q, want a link", out)
	}
	h.ok("correct horse battery\n", "admin", "add", "ben", "--password-file", "-")
	if out := h.ok("", "admin", "link", "ben"); !strings.Contains(out, "link=") {
		t.Errorf("got %q, want a link", out)
	}
	h.fails("", "give --new to make a link", "admin", "link", "bne")
}

func TestLongCellsLeaveOtherLinesAlone(t *testing.T) {
	var out strings.Builder
	long := strings.Repeat("x", 60)
	if err := printTable(&out, 0, []string{"USER", "COMMENT"}, [][]string{{"anna", "a"}, {long, "b"}}); err != nil {
		t.Fatal(err)
	}
	want := "USER" + strings.Repeat(" ", 30) + "COMMENT\nanna" + strings.Repeat(" ", 30) + "a\n" + long + "  b\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
