package preflight

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/testenv"
)

// TestCheckOfReadOnlyFolder has a user table on a read-only file system: the daemon would not
// start.
func TestCheckOfReadOnlyFolder(t *testing.T) {
	const folder = "VPND_TEST_READ_ONLY"
	if dir := os.Getenv(folder); dir != "" {
		try(t, syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		try(t, syscall.Mount("vpnd", dir, "tmpfs", 0, "size=1m,mode=0700"))
		store, err := sqlite.Open(t.Context(), dir, state.Options{})
		try(t, err)
		try(t, store.Close())
		try(t, syscall.Mount("vpnd", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		table, err := sqlite.OpenCopy(t.Context(), dir)
		try(t, err)
		if f := stateFolder(config.Config{StateDir: dir}, table, nil); !f.Fatal || f.Wrong != dir+": read-only file system" ||
			f.Fix != "mount it for writing (mount -o remount,rw), or set state_dir to a folder that can be written to" {
			t.Errorf("got %+v, want a read-only file system", f)
		}
		try(t, table.Close())
		return
	}
	testenv.NeedRoot(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCheckOfReadOnlyFolder$", "-test.v")
	cmd.Env = append(os.Environ(), folder+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
