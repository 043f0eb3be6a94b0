package hook_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/internal/hook"
	"vpnd/internal/reason"

	"github.com/google/go-cmp/cmp"
)

// bench is a Runner whose hooks write into a file.
type bench struct {
	*hook.Runner
	t    *testing.T
	file string
	log  *strings.Builder
}

// setUp makes a shell script for each hook; $OUT is the file.
func setUp(t *testing.T, before, up, down string, change func(*hook.Config)) *bench {
	t.Helper()
	b := &bench{t: t, file: filepath.Join(t.TempDir(), "out"), log: new(strings.Builder)}
	command := func(script string) []string {
		if script == "" {
			return nil
		}
		return []string{"/bin/sh", "-c", script, "hook", b.file}
	}
	cfg := hook.Config{
		Before: command(before), Up: command(up), Down: command(down), Timeout: 20 * time.Second, AtOnce: 4,
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	b.Runner = hook.New(cfg)
	return b
}

// close waits for all hooks, and gives their output.
func (b *bench) close() string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.Close(ctx)
	text, err := os.ReadFile(b.file)
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return string(text)
}

func facts(session string) hook.Facts {
	return hook.Facts{
		Session: session, User: "alice", Group: "staff", Type: "PPTP", Auth: "MS-CHAPv2", Encryption: "MPPE-128 stateless", Interface: "vpn0",
		Remote: netip.MustParseAddr("203.0.113.9"), Local: netip.MustParseAddr("10.99.0.1"), Peer: netip.MustParseAddr("10.99.0.10"),
		DNS:       []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
		Connected: 90*time.Second + 1, Rx: 5, Tx: 7, Reason: reason.New(reason.Dropped, "peer says \x1b[2J\n`reboot`"),
	}
}

// A hook gets the facts, and nothing of the daemon's own environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("VPND_SECRET", "not for hooks")
	b := setUp(t, "", "", `env | grep -v "^\(PWD\|_\|SHLVL\|OLDPWD\)=" | sort > "$1"`, nil)
	b.Down(facts("s"), func() {})
	want := strings.Join([]string{
		"AUTH=MS-CHAPv2", "BYTES_RCVD=5", "BYTES_SENT=7", "CAUSE=dropped", "CONNECT_TIME=90", "DNS1=192.0.2.1", "DNS2=192.0.2.2", "ENCRYPTION=MPPE-128 stateless",
		"GROUP=staff", "HOOK=down", "IFNAME=vpn0", "IPLOCAL=10.99.0.1", "IPREMOTE=10.99.0.10",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PEERNAME=alice", "REASON=peer says \\x1b[2J\\n`reboot`",
		"REMOTE=203.0.113.9", "SESSION=s", "TYPE=PPTP", "",
	}, "\n")
	if diff := cmp.Diff(want, b.close()); diff != "" {
		t.Error(diff)
	}
}

// The hooks of a connection run in order, one after the other. Those of different connections run
// in parallel, up to the limit.
func TestOrderAndNumber(t *testing.T) {
	script := `echo $SESSION $HOOK >> "$1"; sleep 0.02; echo $SESSION $HOOK end >> "$1"`
	b := setUp(t, script, script, script, nil)
	var connections sync.WaitGroup
	var most atomic.Int64
	released := make(chan string, 20)
	for i := range 20 {
		connections.Go(func() {
			f := facts(fmt.Sprint("s", i))
			if err := b.Before(t.Context(), f); err != nil {
				t.Error(err)
			}
			b.Up(f)
			b.Down(f, func() { released <- f.Session })
			most.Store(max(most.Load(), int64(b.Stats().Running)))
		})
	}
	connections.Wait()
	lines := map[string][]string{}
	for line := range strings.Lines(b.close()) {
		session, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[session] = append(lines[session], what)
	}
	if len(lines) != 20 || len(released) != 20 {
		t.Errorf("%d connections, %d released", len(lines), len(released))
	}
	for session, got := range lines {
		if diff := cmp.Diff([]string{"before", "before end", "up", "up end", "down", "down end"}, got); diff != "" {
			t.Errorf("%s: %s", session, diff)
		}
	}
	if most.Load() > 4 {
		t.Errorf("%d at once", most.Load())
	}
	if st := b.Stats(); st.Running != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// A before hook refuses with its exit status, or if it cannot be run. Its output is in the log, up
// to a limit.
func TestRefusal(t *testing.T) {
	b := setUp(t, `printf 'no\033[2J'; yes | head -c 100000; exit 3`, "", "", nil)
	if err := b.Before(t.Context(), facts("s")); err == nil || err.Error() != "before hook: exit status 3" {
		t.Errorf("%v", err)
	}
	b.close()
	if log := b.log.String(); !strings.Contains(log, `hook=before`) || !strings.Contains(log, `no\x1b[2J`) || len(log) > 3000 {
		t.Errorf("%d bytes: %s", len(log), log)
	}
	if n := b.Stats().Failed["before"]; n != 1 {
		t.Errorf("%d failures", n)
	}
	missing := setUp(t, "x", "", "", func(c *hook.Config) { c.Before = []string{"/nowhere"} })
	if err := missing.Before(t.Context(), facts("s")); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("%v", err)
	}
	missing.close()
}

// gone checks that a process ends.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives: %s", n, state)
		}
	}
}

// A hook that hangs is killed with its children.
func TestTimeout(t *testing.T) {
	b := setUp(t, "", "", `sleep 1000 & echo $! > "$1"; wait`, func(c *hook.Config) { c.Timeout = 300 * time.Millisecond })
	done := make(chan struct{})
	b.Down(facts("s"), func() { close(done) })
	<-done
	gone(t, b.close())
	if log := b.log.String(); !strings.Contains(log, `error="killed after 300ms"`) {
		t.Error(log)
	}
}

// A log-in whose turn does not come is refused in time, and the hook does not run after that.
func TestTurnInTime(t *testing.T) {
	b := setUp(t, `echo before >> "$1"`, "sleep 2", "", func(c *hook.Config) { c.AtOnce, c.Timeout = 1, 400*time.Millisecond })
	for i := range 4 {
		b.Up(facts(fmt.Sprint("busy", i)))
	}
	begun := time.Now()
	if err := b.Before(t.Context(), facts("late")); !errors.Is(err, reason.New(reason.HookLate)) {
		t.Errorf("%v", err)
	}
	if d := time.Since(begun); d > 1200*time.Millisecond {
		t.Errorf("it took %v", d)
	}
	if text := b.close(); text != "" {
		t.Errorf("it ran: %q", text)
	}
}

// A flood of connections is refused above a limit, and the runs for existing connections are not
// lost.
func TestFlood(t *testing.T) {
	b := setUp(t, "", "", `sleep 30; true`, func(c *hook.Config) { c.AtOnce = 2 })
	var released atomic.Int64
	accepted := 0
	for i := range 3000 {
		f := facts(fmt.Sprint(i))
		if b.Before(t.Context(), f) != nil {
			continue
		}
		accepted++
		b.Down(f, func() { released.Add(1) })
	}
	if accepted != 1002 {
		t.Errorf("%d are let in", accepted)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Close(ctx) // the server ends without waiting
	if n := released.Load(); n != int64(accepted) {
		t.Errorf("%d of %d are released", n, accepted)
	}
	if !strings.Contains(b.log.String(), "hooks are cut short") {
		t.Error(b.log.String())
	}
}
