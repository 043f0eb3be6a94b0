package testenv

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/internal/dial"
	"vpnd/internal/netlab"
)

// Event is a line that `vpnd dial --json` prints: a step of a dial-in.
type Event = dial.Event

// DialIn is a `vpnd dial` that runs on a Host and has an interface there.
type DialIn struct {
	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	events []Event
	stderr bytes.Buffer
}

// Dial runs `vpnd dial` on the host. args are its command line from the server on. The command ends
// with the test.
func (h *Host) Dial(t testing.TB, args ...string) *DialIn {
	t.Helper()
	d := &DialIn{t: t, ended: make(chan struct{})}
	d.cmd = h.Command(Binary(t), append([]string{"dial", "--json"}, args...)...)
	d.cmd.Stderr = writer(func(p []byte) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stderr.Write(p)
	})
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := netlab.Start(d.cmd, d.ended); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var e Event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				d.mu.Lock()
				d.events = append(d.events, e)
				d.mu.Unlock()
			}
		}
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
	})
	return d
}

// Connected waits until the link is up, and gives the agreed values. If the link does not come up,
// the test fails.
func (d *DialIn) Connected() Event {
	d.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-d.ended:
			d.t.Fatalf("vpnd dial ends: %s", d.Said())
		default:
		}
		if e, ok := d.Event(dial.Connected); ok {
			return e
		}
	}
	d.t.Fatalf("vpnd dial does not connect: %s", d.Said())
	return Event{}
}

// Event is the first event of a kind that the command has printed.
func (d *DialIn) Event(kind string) (Event, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Kind == kind {
			return e, true
		}
	}
	return Event{}, false
}

// Said is all that the command has written for people.
func (d *DialIn) Said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stderr.String()
}

// Wait waits until the command ends by itself, and gives its exit status.
func (d *DialIn) Wait() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(60 * time.Second):
		d.t.Fatalf("vpnd dial does not end: %s", d.Said())
	}
	return d.cmd.ProcessState.ExitCode()
}

// Kill ends the command at once. The command does not hang up.
func (d *DialIn) Kill() {
	d.t.Helper()
	_ = d.cmd.Process.Kill()
	d.Wait()
}

// Interrupt presses Ctrl-C and gives the command's exit status.
func (d *DialIn) Interrupt() int {
	d.t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	return d.Wait()
}
