package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"vpnd/testenv"

	"golang.org/x/sys/unix"
)

// openTerminal gives both ends of a pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil && os.Getenv(testenv.RequireEnv) == "" {
		t.Skipf("no pseudo terminal: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	return master, slave
}

// TestPrompt types a password on a terminal: it is accepted, and neither echoed nor printed.
func TestPrompt(t *testing.T) {
	for _, c := range []struct {
		second string
		status int
		says   string
	}{{testWord, 0, "user alice added"}, {"other", 12, "the two passwords differ"}} {
		h := newHouse(t)
		master, slave := openTerminal(t)
		stderr, prompts := io.Pipe()
		status := make(chan int, 1)
		go func() {
			status <- run(t.Context(), []string{"user", "add", "alice", "--config", h.config}, slave, io.Discard, prompts)
			_ = prompts.Close()
		}()
		// The line is typed once the prompt is there. The echo is switched off right after it, so
		// the test checks the terminal's settings below, not its output.
		told := &strings.Builder{}
		r := bufio.NewReader(io.TeeReader(stderr, told))
		for _, line := range []string{testWord, c.second} {
			if _, err := r.ReadString(':'); err != nil {
				t.Fatal(err)
			}
			waitForNoEcho(t, slave)
			if _, err := master.WriteString(line + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if got := <-status; got != c.status || !strings.Contains(told.String(), c.says) || strings.Contains(told.String(), testWord) {
			t.Errorf("status %d: %s", got, told)
		}
		if !echoes(t, slave) {
			t.Error("the terminal was left without echo")
		}
		if c.status == 0 && h.profile("alice").Password != testWord {
			t.Error("another password was stored")
		}
	}
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	settings, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// waitForNoEcho returns once the terminal has stopped echoing; the test's own time limit ends it.
func waitForNoEcho(t *testing.T, terminal *os.File) {
	t.Helper()
	for echoes(t, terminal) && t.Context().Err() == nil {
		_, _ = unix.Poll(nil, 1)
	}
}

// TestLinesOfWindows gives every command that takes lines of secrets one with a byte order mark and
// a carriage return.
func TestLinesOfWindows(t *testing.T) {
	h := newHouse(t)
	const mark = "\ufeff"
	file := h.file("password.txt", mark+testWord+"\r\n")
	h.ok("", "user", "add", "anna", "--password-file", file)
	h.ok(mark+testWord+"\r\n", "user", "add", "ben", "--password-file", "-")
	h.ok(mark+testSecret+"\r\n"+testPIN+"\r\n", "user", "add", "carl", "--motp-secret", "-", "--motp-pin", "-")
	for _, name := range []string{"anna", "ben"} {
		if p := h.profile(name); p.Password != testWord {
			t.Errorf("the password of %s is %q", name, p.Password)
		}
	}
	if p := h.profile("carl"); p.MOTPSecret != testSecret || p.MOTPPIN != testPIN {
		t.Errorf("%+v", p)
	}
	h.fails(mark+"ninechars\r\n", "must have at least 10 characters", "admin", "add", "eve", "--password-file", "-")
	cmd := newDialCommand()
	got, err := linesFrom(cmd, "--motp-file", h.file("motp.txt", mark+testSecret+"\r\n"+testPIN), 2)
	if err != nil || got[0] != testSecret || got[1] != testPIN {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"\xff\xfeg\x00e\x00\r\x00\n\x00", "g\x00e\x00\n\x00", "gr\xfcn\r\n"} {
		h.fails("", "bad.txt: the line is not UTF-8", "user", "add", "fred", "--password-file", h.file("bad.txt", text))
		h.fails(text, "the line is not UTF-8", "user", "add", "fred", "--password-file", "-")
	}
	h.fails(mark+"\r\n", "is empty", "user", "add", "fred", "--password-file", "-")
}
