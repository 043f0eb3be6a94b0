package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/internal/dial"
	"vpnd/internal/reason"

	"golang.org/x/sys/unix"
)

// Faults of dial's command line are found before it dials.
func TestDialCommandLine(t *testing.T) {
	h := newHouse(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "SERVER is missing"},
		{"192.0.2.1", 2, "--user is missing"},
		{"192.0.2.1 --user alice", 2, "no terminal to ask"},
		{"192.0.2.1 --user alice --type sstp", 2, "pptp or l2tp"},
		{"192.0.2.1:0 --user alice --password x", 2, "the port must be a number"},
		{"192.0.2.1 --user alice --password x --secret y", 2, "PPTP has no tunnel secret"},
		{"192.0.2.1 --user alice --type l2tp --password x --secret y --secret-file z", 2, "--secret and --secret-file exclude each other"},
		{"192.0.2.1 --user alice --password x --auth eap", 2, "unknown authentication"},
		{"192.0.2.1 --user alice --password x --auth pap,chap --mppe", 2, "--mppe needs mschapv2 or mschap"},
		{"192.0.2.1 --user alice --password x --route 2001:db8::/32", 2, "an IPv4 prefix"},
		{"192.0.2.1 --user alice --password x --motp-secret " + testSecret, 2, "either a password or a mOTP token"},
		{"192.0.2.1 --user alice --motp-pin " + testPIN, 2, "--motp-pin needs --motp-secret"},
		{"192.0.2.1 --user alice --motp-secret " + testSecret, 2, "--motp-pin is missing"},
		{"192.0.2.1 --user alice --motp-file " + file + " --motp-pin " + testPIN, 2, "--motp-file excludes"},
		{"192.0.2.1 --user alice --motp-file " + file, 2, "--motp-file: " + file + ": line 2 is empty, or missing"},
		{"192.0.2.1 --user alice --type l2tp --password x --secret-file /nonexistent", 1, "--secret-file: open"},
	} {
		r := h.run("", append([]string{"dial"}, strings.Fields(c.args)...)...)
		if r.status != c.status || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("vpnd dial %s: want %d and %q, got %+v", c.args, c.status, c.says, r)
		}
	}
}

// failure is a failed dial-in with the exit status of its reason.
func failure(code reason.Code) error {
	why := reason.New(code)
	return &dial.Error{Status: why.Row().Exit, Reason: why}
}

// Failures that may pass are dialled again; a refused password and a false server are not. Each
// event is a line of JSON, and the last one has the exit status.
func TestDialRedial(t *testing.T) {
	for _, c := range []struct {
		errors []error
		status int
		cause  reason.Code
	}{
		{[]error{
			failure(reason.ServerNoAnswer), failure(reason.ServerRefusesCall), failure(reason.ServerHungUp), failure(reason.NoIP),
			failure(reason.ServerNoAddress), failure(reason.ServerRefusesLogIn),
		}, reason.ExitPassword, reason.ServerRefusesLogIn},
		{[]error{failure(reason.ServerHungUp), failure(reason.ServerUnproven)}, reason.ExitUnproven, reason.ServerUnproven},
		{[]error{os.ErrPermission}, reason.ExitFailed, reason.DialFailed},
		{[]error{failure(reason.ServerHungUp), nil}, 0, reason.ServerHungUp},
	} {
		var out bytes.Buffer
		cmd := newDialCommand()
		cmd.SetOut(&out)
		f := dialFlags{redial: time.Nanosecond, json: true}
		tries := 0
		err := f.run(t.Context(), func(context.Context, func(dial.Event)) error {
			tries++
			if c.errors[tries-1] == nil {
				return nil
			}
			return fmt.Errorf("%w: so it is", c.errors[tries-1])
		}, f.teller(cmd))
		status := 0
		if exit := (*exitError)(nil); errors.As(err, &exit) {
			status = exit.code
		}
		if tries != len(c.errors) || status != c.status {
			t.Errorf("%v: %d tries, status %d", c.errors, tries, status)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var last dial.Event
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || status != 0 && (last.Kind != dial.Failed || last.Status != status) || last.Cause != c.cause {
			t.Errorf("%v: %q, %v", c.errors, lines, err)
		}
	}
}

// Steps that cannot be printed end the connection, and dial does not dial again.
func TestDialCannotPrint(t *testing.T) {
	cmd := newDialCommand()
	cmd.SetOut(fullDisk{})
	f := dialFlags{redial: time.Nanosecond, json: true}
	for name, ends := range map[string]error{"hung up": nil, "lost": failure(reason.ServerHungUp)} {
		tries := 0
		err := f.run(t.Context(), func(ctx context.Context, tell func(dial.Event)) error {
			tries++
			tell(dial.Event{Kind: dial.Connected})
			<-ctx.Done()
			return ends
		}, f.teller(cmd))
		if !errors.Is(err, unix.ENOSPC) || exitStatus(err) != statusFailed || tries != 1 {
			t.Errorf("%s: %v, %d tries", name, err, tries)
		}
	}
	err := f.run(t.Context(), func(context.Context, func(dial.Event)) error { return failure(reason.ServerHungUp) }, f.teller(cmd))
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the redial that cannot be printed: %v", err)
	}
}

// A server may have no inner address.
func TestDialSaysAddresses(t *testing.T) {
	for peer, says := range map[netip.Addr]string{
		netip.MustParseAddr("10.99.0.1"): "connected: address 10.99.0.10, peer 10.99.0.1, encryption none",
		{}:                               "connected: address 10.99.0.10, the server does not tell its own address, encryption none",
	} {
		var out bytes.Buffer
		sayEvent(&out, dial.Event{Kind: dial.Connected, Address: netip.MustParseAddr("10.99.0.10"), Peer: peer, Encryption: "none"})
		if !strings.HasPrefix(out.String(), says) {
			t.Errorf("%s, want %s", out.String(), says)
		}
	}
}
