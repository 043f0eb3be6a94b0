// Package tun is the TUN device that all dial-in users share.
package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"vpnd/internal/fault"
	"vpnd/internal/pktbuf"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config describes the device.
type Config struct {
	Name    string         // of the interface, at most 15 bytes
	Address netip.Addr     // the server's inner address
	MTU     int            // bytes
	Routes  []netip.Prefix // networks behind the device
	Beside  bool           // other interfaces may have routes to the same networks
}

// Device is an open TUN device. Only one goroutine may read, any number may write.
type Device struct {
	file *os.File
	raw  syscall.RawConn
	name string
	cfg  Config // in force

	bufs []*pktbuf.Buf // of the current ReadBatch
	n    int
	err  error
	read func(fd uintptr) bool

	writers sync.Pool // of *writer
}

// writer writes one packet at a time. The device never keeps a writer waiting, so writers do not
// need the lock that the writers of a file share.
type writer struct {
	packet []byte
	err    error
	write  func(fd uintptr)
}

func newWriter() any {
	w := &writer{}
	w.write = func(fd uintptr) {
		for w.err = unix.EINTR; errors.Is(w.err, unix.EINTR); {
			_, w.err = unix.Write(int(fd), w.packet)
		}
	}
	return w
}

// Open calls Make and Configure.
func Open(cfg Config) (*Device, error) {
	d, err := Make(cfg.Name)
	if err != nil {
		return nil, err
	}
	if err := d.Configure(cfg); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Make makes an interface, which is down. The interface ends with Close or with the process. An
// error names the obstacle and the fix.
func Make(name string) (*Device, error) {
	if _, err := net.InterfaceByName(name); err == nil {
		return nil, fault.New(fmt.Sprintf("the interface %s exists already", name), "stop the program that uses it, or choose another name")
	}
	ifce, err := water.New(water.Config{
		DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{Name: name},
	})
	if err != nil {
		return nil, notMade(name, err)
	}
	d, err := open(ifce)
	if err != nil {
		_ = ifce.Close()
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return d, nil
}

// notMade explains why an interface cannot be made.
func notMade(name string, err error) error {
	if deviceErr := CheckDevice(); deviceErr != nil {
		return deviceErr
	}
	if errors.Is(err, fs.ErrPermission) {
		return &fault.Error{Wrong: "no right to make the interface " + name, Fix: "run as root or with CAP_NET_ADMIN", Err: err}
	}
	return fmt.Errorf("making the interface %s: %w", name, err)
}

const devicePath = "/dev/net/tun"

// CheckDevice reports why the device for making interfaces cannot be opened. The error is a
// fault.Error.
func CheckDevice() error {
	file, err := os.OpenFile(devicePath, os.O_RDWR, 0)
	if err != nil {
		return noDevice(err)
	}
	return file.Close()
}

// noDevice gives advice for each reason why the device cannot be opened.
func noDevice(err error) error {
	const load = "load the module tun (modprobe tun)"
	f := &fault.Error{Wrong: err.Error(), Fix: "make sure that " + devicePath + " is the device of the module tun", Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Wrong, f.Fix = "there is no "+devicePath, load+", or give the container the device"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		f.Wrong, f.Fix = "the kernel has no driver for "+devicePath, load
	case errors.Is(err, unix.EPERM):
		f.Wrong, f.Fix = "the container may not use "+devicePath, "give the container access to the device"
	case errors.Is(err, unix.EACCES):
		f.Wrong, f.Fix = "no right to open "+devicePath, "run as root, or let everybody open it (chmod 0666 "+devicePath+"), as is usual"
	}
	return f
}

func open(ifce *water.Interface) (*Device, error) {
	file, ok := ifce.ReadWriteCloser.(*os.File)
	if !ok {
		return nil, errors.New("not a file of the system")
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &Device{file: file, raw: raw, name: ifce.Name(), writers: sync.Pool{New: newWriter}}
	d.read = d.readAll
	return d, nil
}

// Configure sets the interface's address, MTU and routes, and brings it up. It must be called
// before the first use of d.
func (d *Device) Configure(cfg Config) error {
	d.cfg = cfg
	if err := configure(d.name, cfg); err != nil {
		return fmt.Errorf("interface %s: %w", d.name, err)
	}
	return nil
}

func configure(name string, cfg Config) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(l, cfg.MTU); err != nil {
		return fmt.Errorf("setting the MTU to %d: %w", cfg.MTU, err)
	}
	own := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(cfg.Address, 32))}
	if err := netlink.AddrAdd(l, own); err != nil {
		return fmt.Errorf("setting the address %v: %w", cfg.Address, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("bringing it up: %w", err)
	}
	for _, p := range cfg.Routes {
		if err := addRoute(l.Attrs().Index, p, cfg); err != nil {
			return err
		}
	}
	return nil
}

func addRoute(index int, p netip.Prefix, cfg Config) error {
	route := &netlink.Route{LinkIndex: index, Dst: ipNet(p), Scope: netlink.SCOPE_LINK, Src: cfg.Address.AsSlice()}
	var err error
	if cfg.Beside {
		err = netlink.RouteAppend(route)
	} else if err = netlink.RouteAdd(route); err != nil {
		err = fmt.Errorf("is network.pool used elsewhere on this machine? %w", err)
	}
	if err != nil {
		return fmt.Errorf("adding a route to %v: %w", p, err)
	}
	return nil
}

// SetRoutes replaces the routes of Configure. It adds the new ones before it removes the old ones.
func (d *Device) SetRoutes(routes []netip.Prefix) error {
	l, err := netlink.LinkByName(d.name)
	if err != nil {
		return err
	}
	for _, p := range routes {
		if !slices.Contains(d.cfg.Routes, p) {
			if err := addRoute(l.Attrs().Index, p, d.cfg); err != nil {
				return err
			}
		}
	}
	for _, p := range d.cfg.Routes {
		if !slices.Contains(routes, p) {
			if err := netlink.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(p), Scope: netlink.SCOPE_LINK}); err != nil {
				return fmt.Errorf("removing the route to %v: %w", p, err)
			}
		}
	}
	d.cfg.Routes = slices.Clone(routes)
	return nil
}

// RouteTo names the interface through which the system reaches exactly the prefix. The name is
// empty if no interface does. Open fails if such a route exists.
func RouteTo(p netip.Prefix) (string, error) {
	found, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: ipNet(p)}, netlink.RT_FILTER_DST)
	if err != nil || len(found) == 0 {
		return "", err
	}
	l, err := net.InterfaceByIndex(found[0].LinkIndex)
	if err != nil {
		return "", err
	}
	return l.Name, nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// ReadBatch waits for a packet and reads all that are ready, up to len(bufs), into bufs. The error
// is fs.ErrClosed after Close.
func (d *Device) ReadBatch(bufs []*pktbuf.Buf) (int, error) {
	d.bufs, d.n, d.err = bufs, 0, nil
	if d.raw.Read(d.read) != nil {
		return 0, fs.ErrClosed // waiting cannot fail otherwise
	}
	return d.n, d.err
}

func (d *Device) readAll(fd uintptr) bool {
	for d.n < len(d.bufs) {
		b := d.bufs[d.n]
		n, err := unix.Read(int(fd), b.Room())
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return d.n > 0
		case err != nil:
			d.err = err
			return true
		}
		b.SetLen(n)
		d.n++
	}
	return true
}

// WritePacket passes one IP packet to the system. It does not keep p.
func (d *Device) WritePacket(p []byte) error {
	w, ok := d.writers.Get().(*writer)
	if !ok {
		return fs.ErrInvalid
	}
	w.packet = p
	err := d.raw.Control(w.write)
	if err == nil {
		err = w.err
	}
	w.packet = nil
	d.writers.Put(w)
	return err
}

// MTU is the MTU of the interface.
func (d *Device) MTU() int { return d.cfg.MTU }

// Name is the name of the interface.
func (d *Device) Name() string { return d.name }

// Close takes the interface down; ReadBatch returns.
func (d *Device) Close() error { return d.file.Close() }
