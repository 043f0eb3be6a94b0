package peercred_test

import (
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/peercred"
)

// folder is a folder whose path is short enough for a socket's.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpnd-run-") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A connection has the name of its user, and keeps its place until it is closed.
func TestListen(t *testing.T) {
	path := filepath.Join(folder(t), "run", "s.sock")
	l, err := peercred.Listen(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a socket only for its owner", info, err)
	}
	us, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ours, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := peercred.Name(theirs); got != us.Username {
			t.Errorf("got the name %q, want %q", got, us.Username)
		}
		_, _ = ours.Close(), theirs.Close()
	}
}

// CheckFree does not change a path that is in use.
func TestCheckFree(t *testing.T) {
	dir := folder(t)
	file, socket := filepath.Join(dir, "file"), filepath.Join(dir, "s.sock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for path, want := range map[string]string{file: "exists and is not a socket", socket: "another program listens on " + socket} {
		if _, err := peercred.Listen(path, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if err := peercred.CheckFree(filepath.Join(dir, "other")); err != nil {
		t.Error(err)
	}
}
