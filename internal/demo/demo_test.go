package demo_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/testenv"
)

// show is a demo that runs with its own folder for temporary files.
type show struct {
	t    *testing.T
	tmp  string
	cmd  *exec.Cmd
	mu   sync.Mutex
	said bytes.Buffer
}

func (s *show) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

func (s *show) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

func start(t *testing.T, tmp string) *show {
	t.Helper()
	testenv.NeedRoot(t)
	s := &show{t: t, tmp: tmp, cmd: exec.Command(testenv.Binary(t), "demo")} //nolint:noctx // ended by the tests
	s.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	s.cmd.Stdout, s.cmd.Stderr = s, s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *show) wait(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.text(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			s.t.Fatalf("no %q in:\n%s", text, s.text())
		}
	}
}

// left gives the folders that a demo has left, and the processes that mention its folder.
func (s *show) left() (folders, processes []string) {
	s.t.Helper()
	folders, err := filepath.Glob(filepath.Join(s.tmp, "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range lines {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(s.tmp)) {
			processes = append(processes, string(line))
		}
	}
	return folders, processes
}

func TestDemo(t *testing.T) {
	s := start(t, t.TempDir())
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, s.text())
	}
	for _, want := range []string{"anna  PPTP", "ben   L2TP", "MPPE-128", "Mbit/s", "Refused", "one-time password already used", "nothing is left behind"} {
		if !strings.Contains(s.text(), want) {
			t.Errorf("no %q in:\n%s", want, s.text())
		}
	}
	if folders, processes := s.left(); len(folders) > 0 || len(processes) > 0 {
		t.Errorf("left behind: %v %q", folders, processes)
	}
}

// Whatever ends a demo, its processes end with it. The next demo removes a folder that a kill
// leaves.
func TestDemoEndsEarly(t *testing.T) {
	tmp := t.TempDir()
	s := start(t, tmp)
	s.wait("The server's connections")
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, processes := s.left(); len(processes) == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("killed, and yet there is %q", processes)
		}
	}
	if folders, _ := s.left(); len(folders) != 1 {
		t.Errorf("killed: %v", folders)
	}
	s = start(t, tmp)
	s.wait("Starting vpnd serve")
	if folders, _ := s.left(); len(folders) != 1 {
		t.Errorf("the next one: %v", folders)
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	if err := s.cmd.Wait(); err == nil || !strings.HasSuffix(s.text(), "vpnd: interrupted; nothing is left behind\n") {
		t.Errorf("interrupted: %v\n%s", err, s.text())
	}
	if folders, processes := s.left(); len(folders) > 0 || len(processes) > 0 {
		t.Errorf("left behind by Ctrl-C: %v %q", folders, processes)
	}
}
