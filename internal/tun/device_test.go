package tun

import (
	"errors"
	"io/fs"
	"testing"
	"vpnd/internal/fault"

	"golang.org/x/sys/unix"
)

// Each cause has its own advice.
func TestNoDevice(t *testing.T) {
	for _, c := range []struct {
		err        error
		wrong, fix string
	}{
		{unix.ENOENT, "there is no /dev/net/tun", "load the module tun (modprobe tun), or give the container the device"},
		{unix.ENODEV, "the kernel has no driver for /dev/net/tun", "load the module tun (modprobe tun)"},
		{unix.ENXIO, "the kernel has no driver for /dev/net/tun", "load the module tun (modprobe tun)"},
		{unix.EPERM, "the container may not use /dev/net/tun", "give the container access to the device"},
		{unix.EACCES, "no right to open /dev/net/tun", "run as root, or let everybody open it (chmod 0666 /dev/net/tun), as is usual"},
		{unix.ENOTDIR, "open /dev/net/tun: not a directory", "make sure that /dev/net/tun is the device of the module tun"},
	} {
		err := noDevice(&fs.PathError{Op: "open", Path: devicePath, Err: c.err})
		if wrong, fix := fault.Of(err, ""); wrong != c.wrong || fix != c.fix || !errors.Is(err, c.err) {
			t.Errorf("%v: got %q and %q, want %q and %q", c.err, wrong, fix, c.wrong, c.fix)
		}
	}
}
