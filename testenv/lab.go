package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// ServerAddress is the server's outer address in a Lab. Hosts have the addresses from 192.0.2.11
// on.
const ServerAddress = "192.0.2.1"

var labs atomic.Uint32

// Lab is a network namespace with a bridge. The bridge is the wire between a server, which runs in
// the namespace, and guests. Each guest is one more real host on the wire. The lab reaches no other
// network.
type Lab struct {
	Namespace string
	t         testing.TB
	taps      int
}

// New makes a Lab, which ends with the test. It needs root and the Debian packages that
// scripts/install-test-packages names.
func New(t testing.TB) *Lab {
	t.Helper()
	NeedRoot(t)
	l := &Lab{Namespace: fmt.Sprintf("vpnd-%d-%d", os.Getpid(), labs.Add(1)), t: t}
	run(t, "netns", "add", l.Namespace)
	t.Cleanup(func() { run(t, "netns", "delete", l.Namespace) })
	l.IP("link", "set", "lo", "up")
	// By itself the bridge takes the address of a port. It would then hear a guest on the tap that
	// is cut off.
	l.IP("link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge")
	l.IP("address", "add", ServerAddress+"/24", "dev", "br0")
	l.IP("link", "set", "br0", "up")
	return l
}

// IP runs ip(8) with args in the namespace.
func (l *Lab) IP(args ...string) { run(l.t, append([]string{"-n", l.Namespace}, args...)...) }

// Command gives a command that runs in the namespace.
func (l *Lab) Command(name string, args ...string) *exec.Cmd { return command(l.Namespace, name, args) }

// Command gives a command that runs on the host.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return command(h.Namespace, name, args)
}

func command(namespace, name string, args []string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", namespace, name}, args...)...) //nolint:gosec,noctx // a test names the command and ends it
}

// tap makes a port of the bridge for a guest and gives its name and the guest's address.
func (l *Lab) tap() (name, address string) {
	l.taps++
	name = fmt.Sprintf("tap%d", l.taps)
	l.IP("tuntap", "add", name, "mode", "tap")
	l.IP("link", "set", name, "master", "br0", "up")
	return name, fmt.Sprintf("192.0.2.%d", 10+l.taps)
}

// run runs ip(8).
func run(t testing.TB, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput() //nolint:gosec,noctx // the test's own
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Host is a network namespace on a Lab's wire, for programs of this machine that dial in.
type Host struct {
	Namespace string
	Address   string
	t         testing.TB
}

// Host makes a host, which ends with the test.
func (l *Lab) Host(t testing.TB) *Host {
	t.Helper()
	h := l.newHost(t)
	port := fmt.Sprintf("port%d", l.taps)
	l.IP("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", h.Namespace)
	l.IP("link", "set", port, "master", "br0", "up")
	h.configure()
	return h
}

// newHost makes a host without a wire.
func (l *Lab) newHost(t testing.TB) *Host {
	t.Helper()
	l.taps++
	h := &Host{Namespace: fmt.Sprintf("%s-%d", l.Namespace, l.taps), Address: fmt.Sprintf("192.0.2.%d", 10+l.taps), t: t}
	run(t, "netns", "add", h.Namespace)
	t.Cleanup(func() { run(t, "netns", "delete", h.Namespace) })
	return h
}

func (h *Host) configure() {
	h.t.Helper()
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"link", "set", "eth0", "addrgenmode", "none"}, {"address", "add", h.Address + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}} {
		run(h.t, append([]string{"-n", h.Namespace}, args...)...)
	}
}
