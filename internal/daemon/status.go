package daemon

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"
	"vpnd/internal/buildinfo"
	"vpnd/internal/config"
	"vpnd/internal/preflight"
	"vpnd/internal/resolvconf"
	"vpnd/mgmt"

	"golang.org/x/sys/unix"
)

// Status implements mgmt.System.
func (m managed) Status(ctx context.Context) mgmt.Status {
	s := m.d.shown.Load()
	host, _ := os.Hostname() // "": there is none
	build := buildinfo.Read()
	status := mgmt.Status{
		Version: build.Release, Commit: build.Commit, Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Host: host, Kernel: kernel(),
		Started: m.d.since.UTC(), Uptime: int64(time.Since(m.d.since) / time.Second),
		Connections: len(m.d.sessions.Connections()), Interfaces: interfaces(s.cfg.Network), Pools: m.Pools(), Warnings: []mgmt.Warning{},
	}
	if sound, damaged, err := m.d.store.Sound(ctx); err == nil { // otherwise a warning says so
		status.Users = len(sound) + len(damaged)
	}
	for _, f := range preflight.Warnings(ctx, s.cfg, m.d.store, m.d.clock.State()) {
		status.Warnings = append(status.Warnings, mgmt.Warning{What: f.What, Wrong: f.Wrong, Fix: f.Fix})
	}
	return status
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

// interfaces lists the machine's interfaces, except those that cannot be read.
func interfaces(n config.Network) []mgmt.Interface {
	all, _ := net.Interfaces()
	list := make([]mgmt.Interface, 0, len(all))
	for _, i := range all {
		v := mgmt.Interface{Name: i.Name, Up: i.Flags&net.FlagUp != 0, MTU: i.MTU, Addresses: []netip.Prefix{}}
		switch i.Name {
		case n.Interface:
			v.Role = "VPN"
		case n.Masquerade:
			v.Role = "masquerade"
		case n.ProxyARP:
			v.Role = "proxy ARP"
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				v.Addresses = append(v.Addresses, p)
			}
		}
		list = append(list, v)
	}
	return list
}

// Pools implements mgmt.System.
func (m managed) Pools() []mgmt.Pool {
	s := m.d.shown.Load()
	all := s.cfg.Network.AllPools()
	views := make([]mgmt.Pool, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := poolView(all[name])
		v := mgmt.Pool{Name: name, Ranges: p.Ranges, DNS: texts(resolvconf.ForUsers(s.cfg.Network, all[name].DNS)), WINS: p.WINS}
		if pool, ok := s.pools[name]; ok {
			v.Size, v.InUse = pool.Addresses.Size(), pool.Addresses.InUse()
		}
		views = append(views, v)
	}
	return views
}

func texts(addresses []netip.Addr) []string {
	list := make([]string, len(addresses))
	for i, a := range addresses {
		list[i] = a.String()
	}
	return list
}
