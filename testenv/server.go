package testenv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
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

// Server is a vpnd daemon in a Lab, at ServerAddress. It has its own state folder.
type Server struct {
	t      testing.TB
	lab    *Lab
	binary string
	dir    string
	config string
	socket string
	pages  string // management.listen
	cmd    *exec.Cmd
	done   chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vpnd-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "vpnd")
	out, err := exec.Command("go", "build", "-o", path, "vpnd/cmd/vpnd").CombinedOutput() //nolint:gosec,noctx // the test's own
	if err != nil {
		return "", fmt.Errorf("building vpnd: %w\n%s", err, out)
	}
	return path, nil
})

// Binary is the path of the vpnd command. It is built once for all tests of a package.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// NewServer makes a daemon and does not start it. yaml is its configuration without state_dir.
func (l *Lab) NewServer(t testing.TB, yaml string) *Server {
	t.Helper()
	s := &Server{t: t, lab: l, binary: Binary(t), dir: t.TempDir()}
	run, err := os.MkdirTemp("", "vpnd-run-") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	s.socket = filepath.Join(run, "vpnd.sock")
	s.config = filepath.Join(s.dir, "vpnd.yaml")
	s.Configure(yaml)
	t.Cleanup(s.Stop)
	return s
}

// Configure replaces the configuration. yaml is the new one without state_dir.
func (s *Server) Configure(yaml string) {
	s.t.Helper()
	yaml = "state_dir: " + s.StateDir() + "\nservices: {pptp: true, l2tp: true}\nmanagement: {listen: \"" + s.pages + "\", socket: \"" + s.socket + "\"}\n" + yaml
	if err := os.WriteFile(s.config, []byte(yaml), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// ServePages is Configure with pages at an address and port of the namespace.
func (s *Server) ServePages(listen, yaml string) {
	s.t.Helper()
	s.pages = listen
	s.Configure(yaml)
}

// StateDir is the daemon's state folder.
func (s *Server) StateDir() string { return filepath.Join(s.dir, "state") }

// Fails runs a daemon that must not come up, and gives its output.
func (l *Lab) Fails(t testing.TB, yaml string) string {
	t.Helper()
	return l.NewServer(t, yaml).RunAs(t, 1)
}

// RunAs runs a daemon by the command wrapper and gives its output. The daemon must not come up, and
// must end with the exit status.
func (s *Server) RunAs(t testing.TB, status int, wrapper ...string) string {
	t.Helper()
	args := append(append([]string{"-k", "5", "20"}, wrapper...), s.binary, "serve", "--config", s.config)
	out, err := s.lab.Command("timeout", args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != status {
		t.Errorf("status: %v, want %d", err, status)
	}
	return string(out)
}

// Serve is NewServer and Start.
func (l *Lab) Serve(t testing.TB, yaml string) *Server {
	t.Helper()
	s := l.NewServer(t, yaml)
	s.Start()
	return s
}

// Start runs the daemon and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	s.StartAs()
}

// StartAs is Start by the command wrapper.
func (s *Server) StartAs(wrapper ...string) {
	s.t.Helper()
	args := append(append([]string{}, wrapper...), s.binary, "serve", "--config", s.config)
	s.cmd = s.lab.Command(args[0], args[1:]...)
	s.cmd.Stderr = writer(s.write)
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	if err := netlab.Start(s.cmd, s.done); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if lines.Text() == "ready" {
				ready <- true
			}
		}
		ready <- false
		_ = s.cmd.Wait()
		close(s.done)
	}()
	select {
	case ok := <-ready:
		if !ok {
			<-s.done
			s.t.Fatalf("the server ends at once:\n%s", s.Log())
		}
	case <-time.After(20 * time.Second):
		s.t.Fatalf("the server does not become ready:\n%s", s.Log())
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func (s *Server) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Write(p)
}

// Log is all that the daemon has logged.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Forget empties the log.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Reset()
}

// WaitLog waits for a line that contains all of words, and gives it.
func (s *Server) WaitLog(words ...string) string {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if line, ok := s.find(words); ok {
			return line
		}
	}
	s.t.Fatalf("no line with %q in the log:\n%s", words, s.Log())
	return ""
}

func (s *Server) find(words []string) (string, bool) {
lines:
	for line := range strings.Lines(s.Log()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		return line, true
	}
	return "", false
}

// VPND runs a command of vpnd with the server's configuration and gives its output.
func (s *Server) VPND(args ...string) string {
	s.t.Helper()
	out, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("vpnd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Try is VPND for a command that may fail.
func (s *Server) Try(args ...string) (string, error) {
	out, err := s.lab.Command(s.binary, append(args, "--config", s.config)...).CombinedOutput()
	return string(out), err
}

// PID is the daemon's process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the daemon properly if it runs. If it does not end, the test fails.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the daemon as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Goroutines ends the daemon, which then logs its stacks, and counts the goroutines that are not of
// Go's runtime.
func (s *Server) Goroutines() (n int) {
	s.Forget()
	s.end(syscall.SIGQUIT)
	for _, stack := range strings.Split(s.Log(), "\ngoroutine ")[1:] {
		if strings.Contains(stack, "\nvpnd/") {
			n++
		}
	}
	return n
}

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
		s.t.Errorf("the server does not end:\n%s", s.Log())
	}
	s.cmd = nil
	if log := s.Log(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") || strings.Contains(log, "fault of the server") {
		s.t.Errorf("a fault of the server:\n%s", log)
	}
}

// RSS is the daemon's resident memory, in bytes.
func (s *Server) RSS() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.PID()))
	var size, resident int
	if err == nil {
		_, err = fmt.Sscan(string(status), &size, &resident)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return resident * os.Getpagesize()
}
