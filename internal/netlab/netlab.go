// Package netlab makes network namespaces without a name, and runs commands in them. A namespace
// ends with its last process.
package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace that this process has made.
type Namespace struct {
	fd netns.NsHandle
	nl *netlink.Handle
}

// New makes a namespace with its loopback interface up. It needs root.
func New() (*Namespace, error) {
	type made struct {
		fd  netns.NsHandle
		err error
	}
	result := make(chan made)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		fd, err := netns.New()
		result <- made{fd, err}
	}()
	m := <-result
	if m.err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", m.err)
	}
	nl, err := netlink.NewHandleAt(m.fd)
	if err != nil {
		_ = m.fd.Close()
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	n := &Namespace{m.fd, nl}
	lo, err := nl.LinkByName("lo")
	if err == nil {
		err = nl.LinkSetUp(lo)
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("loopback interface: %w", err)
	}
	return n, nil
}

// Close releases the namespace.
func (n *Namespace) Close() {
	n.nl.Close()
	_ = n.fd.Close()
}

// Wire connects n and other by a pair of interfaces of the same name. Each interface gets one
// address.
func (n *Namespace) Wire(other *Namespace, name string, ours, others netip.Prefix) error {
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: name})
	pair.PeerName, pair.PeerNamespace = name, netlink.NsFd(other.fd)
	if err := n.nl.LinkAdd(pair); err != nil {
		return fmt.Errorf("making the interfaces %s: %w", name, err)
	}
	for _, end := range []struct {
		ns   *Namespace
		addr netip.Prefix
	}{{n, ours}, {other, others}} {
		l, err := end.ns.nl.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		addr := &net.IPNet{IP: end.addr.Addr().AsSlice(), Mask: net.CIDRMask(end.addr.Bits(), 32)}
		if err := end.ns.nl.AddrAdd(l, &netlink.Addr{IPNet: addr}); err != nil {
			return fmt.Errorf("interface %s: address %v: %w", name, end.addr, err)
		}
		if err := end.ns.nl.LinkSetUp(l); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	return nil
}

// Do runs f on a thread in the namespace. The sockets that f opens belong to the namespace.
func (n *Namespace) Do(f func() error) error { return do(n.fd, f) }

func do(fd netns.NsHandle, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := netns.Set(fd)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// DoNamed is Do for a namespace that ip-netns(8) has given a name.
func DoNamed(name string, f func() error) error {
	fd, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer func() { _ = fd.Close() }()
	return do(fd, f)
}

// Start starts a process in the namespace, as the function Start does.
func (n *Namespace) Start(cmd *exec.Cmd, ended <-chan struct{}) error {
	return start(cmd, ended, func() error { return netns.Set(n.fd) })
}

// Start starts a process that dies with this one in any case. The kernel ties the process to the
// thread that starts it, so that thread lives until ended is closed.
func Start(cmd *exec.Cmd, ended <-chan struct{}) error {
	return start(cmd, ended, func() error { return nil })
}

func start(cmd *exec.Cmd, ended <-chan struct{}, enter func() error) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock
		err := enter()
		if err == nil {
			err = cmd.Start()
		}
		result <- err
		if err == nil {
			<-ended
		}
	}()
	return <-result
}
