// Package sysnet changes the system's network settings for the daemon, and undoes exactly these
// changes: at exit, or after a crash at the next start.
package sysnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"vpnd/internal/atomicfile"
	"vpnd/internal/fault"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	listFile   = "system-changes.json"
	tableName  = "vpnd"
	forwardKey = "/proc/sys/net/ipv4/ip_forward"
)

// Config says what Setup has to set up.
type Config struct {
	StateDir   string         // folder of the list of changes
	Interface  string         // the TUN interface
	Pool       []netip.Prefix // the users' addresses
	Masquerade string         // interface towards the Internet; empty: no masquerading
	ProxyARP   string         // LAN interface that answers ARP for users' addresses; empty: none
	Sets       string         // nftables table of the sets, such as "inet filter"; empty: none
}

// list is the list of changes as it is kept in the file.
type list struct {
	System     string       `json:"system"`     // result of systemID
	Forwarding bool         `json:"forwarding"` // was off, and is now on
	Masquerade bool         `json:"masquerade"` // our table is in place
	ProxyARP   string       `json:"proxy_arp,omitempty"`
	Proxies    []netip.Addr `json:"proxies,omitempty"`
	Sets       *setList     `json:"sets,omitempty"`
}

// Changes are the current changes. They are safe for concurrent use.
type Changes struct {
	path     string
	folder   *os.File // locked while the changes are in force
	warnings []string
	foreign  map[netip.Addr]bool        // proxy ARP entries that others have made
	rules    func([]netip.Prefix) error // replaces the rules that masquerade; nil: there are none
	sets     *sets                      // nil: there are none
	mu       sync.Mutex
	list     list
}

// Setup undoes the changes that an earlier daemon has left behind, turns forwarding on, and sets up
// the other settings that the configuration asks for. After an error nothing stays changed.
func Setup(cfg Config) (*Changes, error) {
	c := &Changes{path: filepath.Join(cfg.StateDir, listFile)}
	if err := c.lock(cfg.StateDir); err != nil {
		return nil, err
	}
	if err := c.recover(); err != nil {
		c.warnings = append(c.warnings, fmt.Sprintf("the changes of an earlier daemon cannot be undone: %v", err))
	}
	for _, step := range []func(Config) error{c.identify, c.checkInterfaces, c.forward, c.masquerade, c.proxyARP, c.keepSets} {
		if err := step(cfg); err != nil {
			return nil, errors.Join(err, c.Undo())
		}
	}
	return c, nil
}

// lock keeps a second daemon away from the list, because it would undo the changes of this one.
func (c *Changes) lock(stateDir string) error {
	folder, err := os.Open(stateDir) //nolint:gosec // the administrator names the folder
	if err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = folder.Close()
		return fmt.Errorf("state_dir: another vpnd uses %s (%w): stop it, or set state_dir to another folder", stateDir, err)
	}
	c.folder = folder
	return nil
}

// recover undoes the changes on the list of a killed daemon. A list that cannot be read counts as
// empty, so that it does not keep users from dialling in.
func (c *Changes) recover() error {
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c.list)
	}
	system, systemErr := systemID()
	if systemErr != nil {
		return systemErr
	}
	if err != nil {
		c.list = list{}
		c.damaged(data, system, err)
	}
	if c.list.System != system { // its changes are gone with that system
		c.list = list{}
	}
	return c.undo()
}

// damaged takes the certain parts from a damaged list. A crash of the machine damages the list and
// undoes the changes, so there is nothing to undo unless the list names this boot.
func (c *Changes) damaged(data []byte, system string, err error) {
	if !bytes.Contains(data, []byte(system)) {
		return
	}
	c.list = list{System: system, Masquerade: bytes.Contains(data, []byte(`"masquerade":true`))}
	c.warnings = append(c.warnings, fmt.Sprintf("%s is damaged (%v): changes of an earlier daemon may remain; a restart of this machine removes them", c.path, err))
}

// systemID identifies the changed system: this network namespace since the start of the machine.
func systemID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + " " + namespace, nil
}

// save writes the list before the change is made. After a crash in between we undo a change that
// was not made, which does no harm.
func (c *Changes) save() error {
	data, err := json.Marshal(c.list)
	if err != nil {
		return err
	}
	err = atomicfile.Write(c.path, 0o600, func(f *os.File) error { _, err := f.Write(data); return err })
	if err != nil {
		return fmt.Errorf("storing the list of system changes: %w", err)
	}
	return nil
}

// keep saves the list for a change that does not need it. If that fails, it only warns, because
// dial-in is more important.
func (c *Changes) keep() {
	if err := c.save(); err != nil {
		c.warnings = append(c.warnings, fmt.Sprintf("%v: if the daemon is killed, the next one cannot undo its changes", err))
	}
}

func (c *Changes) identify(Config) (err error) {
	c.list.System, err = systemID()
	return err
}

func (c *Changes) checkInterfaces(cfg Config) error {
	for key, name := range map[string]string{"network.masquerade": cfg.Masquerade, "network.proxy_arp": cfg.ProxyARP} {
		if name == "" {
			continue
		}
		if _, err := net.InterfaceByName(name); err != nil {
			return fmt.Errorf("%s: there is no interface %s", key, name)
		}
	}
	return nil
}

func (c *Changes) forward(Config) error {
	value, err := os.ReadFile(forwardKey)
	if err != nil {
		return fmt.Errorf("IP forwarding: %w", err)
	}
	if strings.TrimSpace(string(value)) == "1" {
		return nil
	}
	c.list.Forwarding = true
	c.keep()
	if err := os.WriteFile(forwardKey, []byte("1"), 0); err != nil {
		c.list.Forwarding = false
		c.warnings = append(c.warnings, fmt.Sprintf("users reach only this machine, because IP forwarding cannot be turned on (%v): set net.ipv4.ip_forward=1 on this machine, or for this container", err))
		c.keep()
	}
	return nil
}

// Warnings are the faults that do not prevent serving.
func (c *Changes) Warnings() []string { return c.warnings }

// CanMasquerade reports why this system cannot masquerade.
func CanMasquerade() error {
	_, err := findTable()
	return err
}

// masquerade gives users' packets that leave by the interface its address.
func (c *Changes) masquerade(cfg Config) error {
	if cfg.Masquerade == "" {
		return nil
	}
	old, err := findTable()
	if err != nil {
		return fmt.Errorf("network.masquerade: %w", err)
	}
	if old != nil {
		return fault.New(fmt.Sprintf("network.masquerade: an nftables table %s exists that this daemon did not create", tableName),
			"stop the daemon that uses it, or run nft delete table ip "+tableName)
	}
	c.list.Masquerade = true
	c.keep()
	n := &nftables.Conn{}
	table := n.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName})
	chain := n.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.rules = func(pool []netip.Prefix) error {
		n.FlushChain(chain)
		for _, p := range pool {
			n.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: masqueradeRule(p, cfg.Masquerade)})
		}
		if err := n.Flush(); err != nil {
			return &fault.Error{Wrong: fmt.Sprintf("network.masquerade: nftables: %v", err), Fix: "load the module nft_masq (modprobe nft_masq)", Err: err}
		}
		return nil
	}
	return c.rules(cfg.Pool)
}

// SetPool replaces the users' addresses.
func (c *Changes) SetPool(pool []netip.Prefix) error {
	if c.rules == nil {
		return nil
	}
	return c.rules(pool)
}

// masqueradeRule is: ip saddr POOL oifname IFACE masquerade.
func masqueradeRule(pool netip.Prefix, iface string) []expr.Any {
	mask := net.CIDRMask(pool.Bits(), 32)
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, iface)
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: pool.Masked().Addr().AsSlice()},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
		&expr.Masq{},
	}
}

// proxyARP looks up the addresses that the LAN interface already answers for.
func (c *Changes) proxyARP(cfg Config) error {
	if cfg.ProxyARP == "" {
		return nil
	}
	l, err := netlink.LinkByName(cfg.ProxyARP)
	if err != nil {
		return fmt.Errorf("network.proxy_arp: interface %s: %w", cfg.ProxyARP, err)
	}
	entries, err := netlink.NeighProxyList(l.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("network.proxy_arp: %w", err)
	}
	c.foreign = map[netip.Addr]bool{}
	for _, e := range entries {
		if addr, ok := netip.AddrFromSlice(e.IP.To4()); ok {
			c.foreign[addr] = true
		}
	}
	c.list.ProxyARP = cfg.ProxyARP
	return nil
}

// AddProxyARP makes the LAN interface answer for addr. It does nothing without such an interface,
// or if the interface already answers.
func (c *Changes) AddProxyARP(addr netip.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list.ProxyARP == "" || c.foreign[addr] {
		return nil
	}
	c.list.Proxies = append(c.list.Proxies, addr)
	if err := c.save(); err != nil {
		return err
	}
	neigh, err := proxy(c.list.ProxyARP, addr)
	if err != nil {
		return err
	}
	return netlink.NeighSet(neigh)
}

// RemoveProxyARP undoes AddProxyARP.
func (c *Changes) RemoveProxyARP(addr netip.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, a := range c.list.Proxies {
		if a != addr {
			continue
		}
		c.list.Proxies = append(c.list.Proxies[:i], c.list.Proxies[i+1:]...)
		err := removeProxy(c.list.ProxyARP, addr)
		return errors.Join(err, c.save())
	}
	return nil
}

func proxy(iface string, addr netip.Addr) (*netlink.Neigh, error) {
	l, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("network.proxy_arp: interface %s: %w", iface, err)
	}
	return &netlink.Neigh{
		LinkIndex: l.Attrs().Index, Family: netlink.FAMILY_V4, Flags: netlink.NTF_PROXY, IP: addr.AsSlice(),
	}, nil
}

func removeProxy(iface string, addr netip.Addr) error {
	neigh, err := proxy(iface, addr)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil // the entry went with it
	}
	if err != nil {
		return err
	}
	if err := netlink.NeighDel(neigh); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// Undo undoes all changes on the list, and removes the list. It reports the changes that cannot be
// undone, and undoes the others all the same.
func (c *Changes) Undo() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.undo()
	if c.sets != nil {
		err = errors.Join(err, c.sets.conn.CloseLasting())
		c.sets = nil
	}
	return errors.Join(err, c.folder.Close())
}

func (c *Changes) undo() error {
	var errs []error
	for _, addr := range c.list.Proxies {
		errs = append(errs, removeProxy(c.list.ProxyARP, addr))
	}
	if c.list.Sets != nil {
		errs = append(errs, removeSets(c.list.Sets))
	}
	if c.list.Masquerade {
		errs = append(errs, removeTable())
	}
	if c.list.Forwarding {
		errs = append(errs, os.WriteFile(forwardKey, []byte("0"), 0))
	}
	c.list = list{}
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeTable removes our table if it exists.
func removeTable() error {
	t, err := findTable()
	if err != nil || t == nil {
		return err
	}
	n := &nftables.Conn{}
	n.DelTable(t)
	return n.Flush()
}

// findTable finds our table by its name; nil: there is none.
func findTable() (*nftables.Table, error) {
	tables, err := (&nftables.Conn{}).ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, unlisted(err)
	}
	for _, t := range tables {
		if t.Name == tableName {
			return t, nil
		}
	}
	return nil, nil //nolint:nilnil // none is no error
}

// unlisted says why the kernel does not list its nftables tables.
func unlisted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &fault.Error{Wrong: "no right to use nftables", Fix: "run as root or with CAP_NET_ADMIN", Err: err}
	}
	return &fault.Error{Wrong: fmt.Sprintf("nftables: %v", err), Fix: "load the module nf_tables (modprobe nf_tables)", Err: err}
}
