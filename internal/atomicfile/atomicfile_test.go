package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/atomicfile"
	"vpnd/testenv/crash"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(s string) func(*os.File) error {
	return func(f *os.File) error { _, err := f.WriteString(s); return err }
}

// names gives the files in dir, including hidden ones.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.Name()
	}
	return strings.Join(all, " ")
}

func wantFile(t *testing.T, path, want string, mode fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if string(got) != want || info.Mode() != mode {
		t.Errorf("%s: %q, mode %v, want %q, mode %v", path, got, info.Mode(), want, mode)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	must(t, atomicfile.Write(path, 0o600, text("first")))
	wantFile(t, path, "first", 0o600)
	must(t, atomicfile.Write(path, 0o644, text("second")))
	wantFile(t, path, "second", 0o644)
	full := errors.New("the disk is full")
	err := atomicfile.Write(path, 0o600, func(f *os.File) error { return errors.Join(text("thi")(f), full) })
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	wantFile(t, path, "second", 0o644)
	if err := atomicfile.Write(dir, 0o600, text("x")); err == nil {
		t.Error("a folder is replaced")
	}
	if err := atomicfile.Write(filepath.Join(dir, "none", "file"), 0o600, text("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if got := names(t, dir); got != "file" {
		t.Errorf("the folder holds %s", got)
	}
}

// On a file system without unnamed files a kill leaves one. The next Write removes it, and does not
// touch a file that another process is writing.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	busy, err := atomicfile.Part(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, ".vpnd-left.part"), []byte("secret"), 0o600))
	must(t, atomicfile.Write(filepath.Join(dir, "file"), 0o600, text("x")))
	if got := names(t, dir); got != filepath.Base(busy.Name())+" file" {
		t.Errorf("the folder holds %s", got)
	}
	must(t, busy.Close())
	atomicfile.Sweep(dir)
	if got := names(t, dir); got != "file" {
		t.Errorf("the folder holds %s", got)
	}
}

// A kill leaves the old file or the new one. The next Write leaves no other file in the folder.
func TestKilled(t *testing.T) {
	for _, old := range []string{"", "old"} {
		t.Run("old="+old, func(t *testing.T) {
			path := func(dir string) string { return filepath.Join(dir, "file") }
			crash.AtEachStep(t, func(dir string) {
				if old != "" {
					must(t, os.WriteFile(path(dir), []byte(old), 0o600))
				}
			}, func(dir string) {
				must(t, atomicfile.Write(path(dir), 0o600, text("new")))
			}, func(dir string) {
				got, err := os.ReadFile(path(dir))
				if none := errors.Is(err, fs.ErrNotExist); string(got) != "new" && (string(got) != old || none != (old == "")) {
					t.Errorf("%q, %v", got, err)
				}
				if got := names(t, dir); old == "" && got != "" && got != "file" {
					t.Errorf("a kill leaves %s", got)
				}
				must(t, atomicfile.Write(path(dir), 0o600, text("next")))
				wantFile(t, path(dir), "next", 0o600)
				if got := names(t, dir); got != "file" {
					t.Errorf("the folder holds %s", got)
				}
			})
		})
	}
}

// The remains of a power cut depend on the order: the content reaches the disk before the name, and
// the name before Write returns.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	steps := crash.Names(t, dir, func(dir string) {
		for range 2 {
			must(t, atomicfile.Write(filepath.Join(dir, "file"), 0o600, text("x")))
		}
	})
	if steps != "SNDSNND" {
		t.Errorf("the steps are %s", steps)
	}
}
