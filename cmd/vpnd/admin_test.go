package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"vpnd/mgmt"
)

// TestAdmin manages administrators and tokens without a daemon.
func TestAdmin(t *testing.T) {
	h := newHouse(t)
	h.fails("", "no terminal to ask for a password on", "admin", "add", "anna")
	h.fails("short\n", "password: must have at least 10 characters", "admin", "add", "anna", "--password-file", "-")
	h.ok("a long password\n", "admin", "add", "anna", "--password-file", "-")
	h.ok("a long password\n", "admin", "add", "ben", "--role", "viewer", "--password-file", "-")
	h.fails("a long password\n", "exists already", "admin", "add", "Anna", "--password-file", "-")
	h.fails("", "nothing to set", "admin", "set", "anna")
	h.fails("", "this is the last administrator: add another administrator first", "admin", "set", "anna", "--role", "viewer")
	h.fails("", "this is the last administrator: add another one first, or give --force", "admin", "remove", "anna")
	for args, changed := range map[string]string{"--role viewer": "false", "--no-totp": "false", "--role viewer --no-totp": "false", "--password-file -": "true"} {
		out := h.ok("a long password\n", append([]string{"admin", "set", "ben", "--json"}, strings.Fields(args)...)...)
		if !strings.Contains(out, `"changed": `+changed) {
			t.Errorf("admin set ben %s: %s, want changed %s", args, out, changed)
		}
	}
	h.ok("another password\n", "admin", "set", "ben", "--role", "administrator", "--password-file", "-", "--no-totp")
	h.ok("", "admin", "remove", "anna")
	h.fails("", "there is no such administrator", "admin", "set", "anna", "--no-totp")

	var list []mgmt.Administrator
	if err := json.Unmarshal([]byte(h.ok("", "admin", "list", "--json")), &list); err != nil || len(list) != 1 || list[0].Name != "ben" || list[0].Role != "administrator" {
		t.Errorf("%+v, %v", list, err)
	}
	if link := h.ok("", "admin", "link", "ben"); !regexp.MustCompile(`^https://127\.0\.0\.1:8443/setup\?link=[\w-]{43}\n$`).MatchString(link) {
		t.Errorf("%q", link)
	}
	secret := strings.TrimSpace(h.ok("", "admin", "token", "add", "backup", "--expires", "24h"))
	if !regexp.MustCompile(`^vpnd_[\w-]{43}$`).MatchString(secret) {
		t.Errorf("%q", secret)
	}
	h.fails("", "exists already", "admin", "token", "add", "backup")
	h.fails("", "--expires", "admin", "token", "add", "other", "--expires", "-1h")
	tokens := h.ok("", "admin", "token", "list", "--json")
	if !strings.Contains(tokens, `"backup"`) || strings.Contains(tokens, secret) {
		t.Error(tokens)
	}
	h.ok("", "admin", "token", "remove", "backup")
	h.fails("", "there is no such token", "admin", "token", "remove", "backup")
}
