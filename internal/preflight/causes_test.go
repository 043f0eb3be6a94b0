package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"vpnd/internal/config"
	"vpnd/internal/fault"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Each cause has its own advice.
func TestPathFault(t *testing.T) {
	const elsewhere = ", or set state_dir to a folder that can be written to"
	for _, c := range []struct {
		err        error
		wrong, fix string
	}{
		{unix.EROFS, "/state: read-only file system", "mount it for writing (mount -o remount,rw)" + elsewhere},
		{unix.EACCES, fmt.Sprintf("/state: no right to use it as user %d", os.Geteuid()), "run as root, or give the folder to the daemon's user (chown)" + elsewhere},
		{unix.ELOOP, "/state: a symbolic link leads back to itself", "correct the link, or state_dir"},
		{unix.EIO, "stat /state: input/output error", "otherwise"},
	} {
		err := pathFault("/state", &fs.PathError{Op: "stat", Path: "/state", Err: c.err})
		if wrong, fix := fault.Of(err, "otherwise"); wrong != c.wrong || fix != c.fix || !errors.Is(err, c.err) {
			t.Errorf("%v: got %q and %q, want %q and %q", c.err, wrong, fix, c.wrong, c.fix)
		}
	}
	if err := pathFault("/state", nil); err != nil {
		t.Errorf("got %v without an error", err)
	}
}

// The faults of a configuration are findings with place, key, fault and fix.
func TestFaults(t *testing.T) {
	_, err := config.Parse("f", []byte("ppp: {mru: 100}\nnetwork: {dns: [192.0.2.1, 192.0.2.2, 192.0.2.3]}\nb: ["))
	want := []Finding{{What: "configuration", Where: "f:3", Wrong: "not YAML: did not find expected node content", Fix: "correct the file", Fatal: true}}
	if diff := cmp.Diff(want, Faults(err)); diff != "" {
		t.Errorf("not YAML (-want +got):\n%s", diff)
	}
	_, err = config.Parse("f", []byte("ppp: {mru: 100}\nnetwork: {dns: [192.0.2.1, 192.0.2.2, 192.0.2.3]}\n"))
	want = []Finding{
		{What: "ppp.mru", Where: "f:1:12", Wrong: "100 is not between 576 and 1500", Fix: "correct the file", Fatal: true},
		{What: "network.dns", Where: "f:2:16", Wrong: "PPP can tell a client only two servers", Fix: "keep at most two", Fatal: true},
	}
	if diff := cmp.Diff(want, Faults(fmt.Errorf("vpnd: %w", err))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := want[1].String(), "FAIL  f:2:16: network.dns: PPP can tell a client only two servers; keep at most two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Faults(fs.ErrNotExist); got != nil {
		t.Errorf("got %v of an error without faults", got)
	}
}
