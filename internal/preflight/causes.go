package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"vpnd/internal/config"
	"vpnd/internal/fault"

	"golang.org/x/sys/unix"
)

// because sets the finding's fault and fix from an error. An error without a fix gets otherwise.
func (f Finding) because(err error, otherwise string) Finding {
	f.Wrong, f.Fix = fault.Of(err, otherwise)
	return f
}

// owned names the program that uses the port if the port is in use.
func (f Finding) owned(transport string, at netip.AddrPort, err error) Finding {
	if !errors.Is(err, unix.EADDRINUSE) {
		return f
	}
	if owner := ownerOf(transport, at); owner != "" {
		f.Wrong += " by " + owner
	}
	return f
}

// ownedAt is owned for a port of several addresses.
func (f Finding) ownedAt(transport string, addrs []netip.Addr, port uint16, err error) Finding {
	for _, a := range addrs {
		if named := f.owned(transport, netip.AddrPortFrom(a, port), err); named != f {
			return named
		}
	}
	return f
}

// Faults are the findings of a configuration that cannot be used; nil: err contains no Faults.
func Faults(err error) []Finding {
	var faults config.Faults
	if !errors.As(err, &faults) {
		return nil
	}
	findings := make([]Finding, len(faults))
	for i, f := range faults {
		findings[i] = Finding{What: f.Key, Where: f.Where(), Wrong: f.Wrong, Fix: f.Fix, Fatal: true}
		if f.Key == "" {
			findings[i].What = "configuration"
		}
		if f.Fix == "" {
			findings[i].Fix = "correct the file"
		}
	}
	return findings
}

// pathFault says why the system refuses access in a folder of state_dir. It returns nil for nil,
// and any other error unchanged.
func pathFault(dir string, err error) error {
	const elsewhere = ", or set state_dir to a folder that can be written to"
	switch {
	case errors.Is(err, unix.EROFS):
		return &fault.Error{Wrong: dir + ": read-only file system", Fix: "mount it for writing (mount -o remount,rw)" + elsewhere, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &fault.Error{
			Wrong: fmt.Sprintf("%s: no right to use it as user %d", dir, os.Geteuid()), Fix: "run as root, or give the folder to the daemon's user (chown)" + elsewhere, Err: err,
		}
	case errors.Is(err, unix.ELOOP):
		return &fault.Error{Wrong: dir + ": a symbolic link leads back to itself", Fix: "correct the link, or state_dir", Err: err}
	}
	return err
}

// ownerOf names the program that has a port; "": it cannot be seen.
func ownerOf(transport string, at netip.AddrPort) string {
	holders := map[uint64]bool{}
	for _, s := range localSockets(transport) {
		if s.clashes(at) {
			holders[s.inode] = true
		}
	}
	all, _ := os.ReadDir("/proc") // without it no program is found
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		_, sockets := openFiles(pid)
		for inode := range sockets {
			if holders[inode] {
				return programName(pid)
			}
		}
	}
	return ""
}

// programName describes a process for people.
func programName(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid)
}
