package testenv

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/internal/netlab"
)

//go:embed guest.sh
var guestScript string

//go:embed uml/xstate.c
var xstateSource string

// xstate builds the library that lets guests boot on a host with AMX, once for all tests of a
// package.
var xstate = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vpnd-test-")
	if err != nil {
		return "", err
	}
	library := filepath.Join(dir, "xstate.so")
	cc := exec.Command("gcc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl") //nolint:gosec,noctx // the test's own
	cc.Stdin = strings.NewReader(xstateSource)
	if out, err := cc.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building xstate.so (Debian packages gcc and libc6-dev): %w\n%s", err, out)
	}
	return library, nil
})

// Guest is a Linux machine with its own kernel (User Mode Linux). It runs as a process and sees the
// host's files read-only. It is one host on a Lab's wire.
type Guest struct {
	Address string // on the wire
	t       testing.TB
	lab     *Lab
	tap     string
	dir     string
	cmd     *exec.Cmd
	next    int

	mu      sync.Mutex
	output  strings.Builder // all of it
	results chan result
}

type result struct {
	output string
	code   int
}

const (
	bootTime = 3 * time.Minute
	beginTag = "GUEST-BEGIN "
	endTag   = "GUEST-END "
)

// Guest boots a guest on the lab's wire. It ends with the test.
func (l *Lab) Guest(t testing.TB) *Guest {
	t.Helper()
	g := &Guest{t: t, lab: l, dir: t.TempDir(), results: make(chan result, 1)}
	g.tap, g.Address = l.tap()
	init := filepath.Join(g.dir, "init")
	script := strings.NewReplacer("@DIR@", g.dir, "@ADDRESS@", g.Address, "@SERVER@", ServerAddress).Replace(guestScript)
	if err := os.WriteFile(init, []byte(script), 0o755); err != nil { //nolint:gosec // it is run by the guest
		t.Fatal(err)
	}
	library, err := xstate()
	if err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command("ip", "netns", "exec", l.Namespace, "linux.uml", //nolint:gosec,noctx // ended below
		"mem=256M", "umid="+l.Namespace+g.tap, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init="+init,
		"vec0:transport=tap,ifname="+g.tap+",depth=128", "con=null", "con0=null,fd:1", "quiet")
	// A guest starts a process of the host for each of its own. In a process namespace they end
	// with the guest.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	g.cmd.Env = append(os.Environ(), "TMPDIR=/tmp", "HOME="+g.dir, "LD_PRELOAD="+library)
	stdout, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	if err := netlab.Start(g.cmd, ended); err != nil {
		t.Fatalf("starting a guest (Debian package user-mode-linux): %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.read(stdout)
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-done
		_ = g.cmd.Wait()
		close(ended)
	})
	if out, code := g.RunFor(bootTime, "true"); code != 0 {
		t.Fatalf("the guest does not boot: %s", out)
	}
	return g
}

// read splits the guest's console into the output of each command.
func (g *Guest) read(console io.Reader) {
	var current strings.Builder
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		g.mu.Lock()
		g.output.WriteString(line + "\n")
		g.mu.Unlock()
		switch {
		case strings.HasPrefix(line, beginTag):
			current.Reset()
		case strings.HasPrefix(line, endTag):
			var n, code int
			if _, err := fmt.Sscanf(line, endTag+"%d %d", &n, &code); err == nil {
				g.results <- result{current.String(), code}
			}
		default:
			current.WriteString(line + "\n")
		}
	}
}

// Run runs shell commands in the guest, as root, and gives their output and their status. They can
// use the functions of guest.sh. If they take more than three minutes, the test fails.
func (g *Guest) Run(script string) (output string, code int) {
	g.t.Helper()
	return g.RunFor(3*time.Minute, script)
}

// RunFor is Run with another time limit.
func (g *Guest) RunFor(limit time.Duration, script string) (output string, code int) {
	g.t.Helper()
	name := filepath.Join(g.dir, fmt.Sprint(g.next))
	g.next++
	if err := os.WriteFile(name+".part", []byte(script+"\n"), 0o644); err != nil { //nolint:gosec // the guest reads it
		g.t.Fatal(err)
	}
	if err := os.Rename(name+".part", name+".sh"); err != nil {
		g.t.Fatal(err)
	}
	select {
	case r := <-g.results:
		return r.output, r.code
	case <-time.After(limit):
		g.t.Fatalf("the guest takes over %v for:\n%s\nits console:\n%s", limit, script, g.Console())
		return "", -1
	}
}

// Console is all that the guest has printed.
func (g *Guest) Console() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.output.String()
}

// Cut takes the guest off the wire, in both directions, like a pulled cable. Connect puts it back.
func (g *Guest) Cut() { g.lab.IP("link", "set", g.tap, "nomaster") }

// Connect undoes Cut.
func (g *Guest) Connect() { g.lab.IP("link", "set", g.tap, "master", "br0") }

// Interface is the name of the guest's port on the bridge, for a capture.
func (g *Guest) Interface() string { return g.tap }
