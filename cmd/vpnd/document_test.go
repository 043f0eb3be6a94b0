package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// commandsInJSON are lines for all commands with --json, in an order in which they succeed.
func commandsInJSON(dir string) []struct{ line, stdin string } {
	token, step := motp.Token{Secret: testSecret, PIN: testPIN}, motp.Step(time.Now())
	codes := token.Code(step+60) + "\n" + token.Code(step+61) + "\n"
	backup, users := filepath.Join(dir, "backup.tar"), filepath.Join(dir, "users.yaml")
	return []struct{ line, stdin string }{
		{"version", ""},
		{"user list", ""},
		{"user add anna --motp-secret " + testSecret + " --motp-pin " + testPIN, ""},
		{"user add ben --password x", ""},
		{"user set ben --comment lab", ""},
		{"user show ben", ""},
		{"user show ben --help-client windows", ""},
		{"user list --status enabled", ""},
		{"user list nobody", ""},
		{"user disable ben", ""},
		{"user enable ben", ""},
		{"user unlock ben", ""},
		{"user attempts ben", ""},
		{"user history", ""},
		{"user export", ""},
		{"user export --output " + users, ""},
		{"user import --replace " + users, ""},
		{"user import --replace --dry-run " + users, ""},
		{"user rekey", ""},
		{"user resync anna", codes},
		{"user motp carl --no-verify --pin 1234", ""},
		{"user totp dora --no-verify", ""},
		{"user backup " + backup, ""},
		{"user restore " + backup + " --config " + filepath.Join(dir, "other.yaml"), ""},
		{"user remove ben", ""},
		{"admin add eve --password-file -", "long enough a word\n"},
		{"admin set eve --role administrator", ""},
		{"admin list", ""},
		{"admin link eve", ""},
		{"admin token add script", ""},
		{"admin token list", ""},
		{"admin token remove script", ""},
		{"admin remove eve --force", ""},
		{"motp secret", ""},
		{"motp code --secret " + testSecret + " --pin " + testPIN, ""},
		{"check", ""},
		{"connections", ""},
		{"services", ""},
		{"services off pptp", ""},
		{"services on pptp", ""},
		{"shutdown --when-empty", ""},
		{"shutdown --cancel", ""},
		{"shutdown --cancel", ""},
		{"capture 192.0.2.1 -w " + filepath.Join(dir, "x.pcapng"), ""},
	}
}

// elsewhere are the commands with --json that have their own tests: they go on, or need a network
// or a connection.
var elsewhere = []string{"vpnd dial", "vpnd events", "vpnd time", "vpnd drop"}

// With --json a command that succeeds prints one document, and messages are JSON.
func TestOneDocument(t *testing.T) {
	h := newHouse(t)
	h.configure("management: {socket: " + h.socket() + ", listen: \"\"}\n")
	other := newHouse(t)
	h.manage()
	dir := t.TempDir()
	seen := map[string]bool{}
	for _, c := range commandsInJSON(dir) {
		args := strings.Fields(c.line)
		house := h
		if before, ok := strings.CutSuffix(c.line, " --config "+filepath.Join(dir, "other.yaml")); ok {
			args, house = strings.Fields(before), other
		}
		cmd, _, err := newRootCommand().Find(args)
		if err != nil {
			t.Fatal(err)
		}
		seen[cmd.CommandPath()] = true
		r := house.run(c.stdin, append(args, "--json")...)
		var document any
		if err := json.Unmarshal([]byte(r.stdout), &document); err != nil || r.status != 0 && c.line != "check" {
			t.Errorf("vpnd %s --json: %v, %+v", c.line, err, r)
		}
		for line := range strings.Lines(r.stderr) {
			if !json.Valid([]byte(line)) {
				t.Errorf("vpnd %s --json: the message %q is not JSON", c.line, line)
			}
		}
	}
	for _, path := range elsewhere {
		seen[path] = true
	}
	eachCommand(newRootCommand(), func(cmd *cobra.Command) {
		if cmd.Runnable() && (cmd.Flags().Lookup("json") != nil || cmd.InheritedFlags().Lookup("json") != nil) &&
			!cmd.HasSubCommands() && !seen[cmd.CommandPath()] {
			t.Errorf("no test runs %s --json", cmd.CommandPath())
		}
	})
}

func eachCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, do)
	}
}

// A capture on standard output leaves standard error for its document.
func TestCaptureOnStandardOutput(t *testing.T) {
	h := newHouse(t)
	h.configure("management: {socket: " + h.socket() + "}\n")
	h.manage()
	r := h.run("", "capture", "192.0.2.1", "-w", "-", "--json")
	if want := `{"message":"capturing for 10m0s, until Ctrl-C"}` + "\n" + `{"file":"-","frames":0}` + "\n"; r.status != 0 || r.stdout != "" || r.stderr != want {
		t.Errorf("got %+v, want %q on standard error", r, want)
	}
}

// These are the complete documents of the commands that change something.
func TestDocuments(t *testing.T) {
	h := newHouse(t)
	h.configure("management: {socket: " + h.socket() + "}\n")
	h.manage()
	h.ok("", "user", "add", "ben", "--password", "x")
	file := filepath.Join(t.TempDir(), "b.tar")
	other := newHouse(t)
	for _, c := range []struct {
		house house
		line  string
		want  string
	}{
		{h, "user rekey", `{"changed":true}`},
		{h, "user backup " + file, `{"file":"` + file + `"}`},
		{h, "user export --output " + file + ".json", `{"file":"` + file + `.json","users":1}`},
		{other, "user restore " + file, `{"users":1,"state_dir":"` + other.dir + `","changed":true}`},
		{h, "shutdown --cancel", `{"pending":false,"connections":0,"changed":false}`},
		{h, "shutdown --when-empty", `{"pending":true,"connections":2,"changed":true}`},
		{h, "shutdown --cancel", `{"pending":false,"connections":2,"changed":true}`},
	} {
		var got, want any
		if err := json.Unmarshal([]byte(c.house.ok("", append(strings.Fields(c.line), "--json")...)), &got); err != nil {
			t.Errorf("vpnd %s --json: %v", c.line, err)
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("vpnd %s --json: difference from what was wanted: %s", c.line, diff)
		}
	}
}
