// Package crash kills a process at each step of its changes to files. Tests then look at what the
// next process makes of the files.
package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"vpnd/testenv"
)

const folderEnv = "VPND_TEST_CRASH"

// calls are the system calls that change files.
var calls = []string{"write", "pwrite64", "ftruncate", "fchmod", "fsync", "fdatasync", "linkat", "renameat", "unlink", "unlinkat"}

// patience is the longest time for one process on a busy machine.
const patience = time.Minute

// maxSteps is the largest number of tried calls of one kind.
const maxSteps = 200

// Child reports whether this process is one of those that AtEachStep kills. It runs in the same
// namespaces as its parent.
func Child() bool { return os.Getenv(folderEnv) != "" }

// AtEachStep runs do in processes of its own, each in a folder that prepare has filled. It kills
// one process before each call that changes a file, and check looks at the folder. At last do runs
// to its end, and check looks once more. AtEachStep must be the only work of the test.
func AtEachStep(t *testing.T, prepare, do, check func(dir string)) {
	t.Helper()
	if dir := os.Getenv(folderEnv); dir != "" {
		runtime.LockOSThread() // strace counts the calls of each thread
		do(dir)
		t.SkipNow()
	}
	testenv.NeedRoot(t)
	kills := 0
	for _, call := range calls {
		for step := 1; ; step += 1 + step/8 { // each early one, and some of the others
			if step > maxSteps {
				t.Fatalf("%s is called more than %d times", call, maxSteps)
			}
			dir := filepath.Join(t.TempDir(), fmt.Sprintf("%s-%d", call, step))
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			prepare(dir)
			killed := run(t, dir, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, step))
			check(dir)
			if t.Failed() {
				t.Fatalf("killed before call %d of %s", step, call)
			}
			if !killed {
				break
			}
			kills++
		}
	}
	if kills == 0 {
		t.Fatal("strace has killed nothing")
	}
}

// Names runs do in a process of its own. It gives the steps at which files get names and are synced
// to the disk, a letter for each. S: a file is synced. D: a folder is synced. N: a file gets a
// name.
func Names(t *testing.T, dir string, do func(dir string)) string {
	t.Helper()
	if dir := os.Getenv(folderEnv); dir != "" {
		do(dir)
		t.SkipNow()
	}
	testenv.NeedRoot(t)
	trace := filepath.Join(t.TempDir(), "trace")
	if run(t, dir, "-y", "-e", "trace=fsync,fdatasync,linkat,renameat", "-o", trace) {
		t.Fatal("the process was killed")
	}
	data, err := os.ReadFile(trace) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	var steps strings.Builder
	begun := map[string]string{} // by thread: calls that one of another thread interrupts in the trace
	for line := range strings.Lines(string(data)) {
		thread, _, _ := strings.Cut(line, " ")
		if strings.Contains(line, "<unfinished ...>") {
			begun[thread] = line
			continue
		}
		if strings.Contains(line, " resumed>") {
			line = begun[thread] + line
		}
		switch {
		case !strings.HasSuffix(line, "= 0\n"): // failed, such as a link to a name that exists
		case strings.Contains(line, "link") || strings.Contains(line, "rename"):
			steps.WriteByte('N')
		case strings.Contains(line, "<"+dir+">"):
			steps.WriteByte('D')
		case strings.Contains(line, "sync"):
			steps.WriteByte('S')
		}
	}
	return steps.String()
}

// run runs the test in another process under strace, and reports whether it was killed.
func run(t *testing.T, dir string, options ...string) bool {
	t.Helper()
	args := append([]string{"-f", "-qq"}, options...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", append(args, os.Args[0], "-test.run=^"+t.Name()+"$")...) //nolint:gosec // the test itself
	cmd.Env = append(os.Environ(), folderEnv+"="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, ctx.Err(), &out)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && (exit.ExitCode() == 137 || exit.ExitCode() == -1) {
		return true
	}
	if err != nil {
		t.Fatalf("strace: %v: %s", err, &out)
	}
	return false
}
