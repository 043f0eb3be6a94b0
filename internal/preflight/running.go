package preflight

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// running is the daemon that serves with the state folder of a configuration. What it holds counts
// as free.
type running struct {
	pid     int             // 0: there is none that this process can see
	sockets map[uint64]bool // by inode
}

// findRunning looks for the process that keeps the state folder locked, as a daemon does while it
// serves.
func findRunning(stateDir string) running {
	folder, err := os.Stat(stateDir)
	if err != nil {
		return running{}
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return running{}
	}
	for line := range strings.Lines(string(locks)) {
		f := strings.Fields(line) // 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF
		if len(f) < 5 || f[1] != "FLOCK" || f[3] != "WRITE" {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid <= 0 {
			continue
		}
		open, sockets := openFiles(pid)
		for _, path := range open {
			if info, err := os.Stat(path); err == nil && os.SameFile(info, folder) {
				return running{pid: pid, sockets: sockets}
			}
		}
	}
	return running{}
}

// openFiles gives the paths that a process has open, and its sockets.
func openFiles(pid int) (paths []string, sockets map[uint64]bool) {
	sockets = map[uint64]bool{}
	p, err := procfs.NewProc(pid)
	if err != nil {
		return nil, sockets
	}
	targets, err := p.FileDescriptorTargets()
	if err != nil {
		return nil, sockets
	}
	for _, target := range targets {
		if text, ok := strings.CutPrefix(target, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
				sockets[inode] = true
			}
		} else if filepath.IsAbs(target) {
			paths = append(paths, target)
		}
	}
	return paths, sockets
}

// hasInterface reports whether the daemon has made the TUN interface.
func (r running) hasInterface(name string) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", r.pid)) // the pattern is right
	for _, path := range files {
		info, err := os.ReadFile(path) //nolint:gosec // a file of the kernel's
		if err == nil && strings.Contains("\n"+string(info), "\niff:\t"+name+"\n") {
			return true
		}
	}
	return false
}

// hasSocket reports whether the daemon listens on the path.
func (r running) hasSocket(path string) bool {
	unix, err := network().NetUNIX()
	if err != nil {
		return false
	}
	for _, line := range unix.Rows {
		if line.Path == path && r.sockets[line.Inode] {
			return true
		}
	}
	return false
}

// has reports whether the daemon, and no other process, has a socket on a port of the address: a
// listening one for "tcp", or any for "udp".
func (r running) has(transport string, at netip.AddrPort) bool {
	own := false
	for _, s := range localSockets(transport) {
		if !s.clashes(at) {
			continue
		}
		if !r.sockets[s.inode] {
			return false
		}
		own = true
	}
	return own
}

// hasAll is has for a port on several addresses.
func (r running) hasAll(transport string, addrs []netip.Addr, port uint16) bool {
	for _, a := range addrs {
		if !r.has(transport, netip.AddrPortFrom(a, port)) {
			return false
		}
	}
	return true
}

type localSocket struct {
	at    netip.AddrPort
	inode uint64
}

// clashes reports whether the socket keeps others from at.
func (s localSocket) clashes(at netip.AddrPort) bool {
	return s.at.Port() == at.Port() && (s.at.Addr() == at.Addr() || s.at.Addr().IsUnspecified() || at.Addr().IsUnspecified())
}

func localSockets(transport string) []localSocket {
	const listens = 10
	var all []localSocket
	add := func(ip []byte, port, inode uint64) {
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, localSocket{netip.AddrPortFrom(a, uint16(port)), inode})
		}
	}
	if transport == "udp" {
		lines, _ := network().NetUDP() // on an error nobody has any
		for _, l := range lines {
			add(l.LocalAddr, l.LocalPort, l.Inode)
		}
		return all
	}
	//nolint:staticcheck // deprecated for netlink's way, which takes a module (inet_diag) that a kernel may lack
	for _, read := range []func() (procfs.NetTCP, error){network().NetTCP, network().NetTCP6} {
		lines, _ := read() // on an error nobody has any
		for _, l := range lines {
			if l.St == listens {
				add(l.LocalAddr, l.LocalPort, l.Inode)
			}
		}
	}
	return all
}

// network is the kernel's information about this thread's network namespace.
func network() procfs.FS {
	fs, err := procfs.NewFS("/proc/thread-self")
	if err != nil {
		return procfs.FS{}
	}
	return fs
}
