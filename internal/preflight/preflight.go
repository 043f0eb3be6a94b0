// Package preflight checks whether this machine can serve with a configuration, without changing
// it.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/link"
	"vpnd/internal/resolvconf"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/sysnet"
	"vpnd/internal/timesync"
	"vpnd/internal/tun"
	l2tpserver "vpnd/l2tp/server"
	l2tpwire "vpnd/l2tp/wire"
	pptpserver "vpnd/pptp/server"
	pptpwire "vpnd/pptp/wire"
	"vpnd/usermgmt"

	"golang.org/x/sys/unix"
)

// Finding is the result of one check.
type Finding struct {
	What  string
	Where string // "file:line:column"; empty: not in a file
	Wrong string // empty: nothing is wrong
	Fix   string
	Fatal bool // serving would fail
}

// Level is the severity of the finding: "ok", "warn", or "fail", with which serving would fail.
func (f Finding) Level() string {
	switch {
	case f.Wrong == "":
		return "ok"
	case f.Fatal:
		return "fail"
	default:
		return "warn"
	}
}

// String is the finding as a line.
func (f Finding) String() string {
	what := f.What
	if f.Where != "" {
		what = f.Where + ": " + what
	}
	switch f.Level() {
	case "ok":
		return "ok    " + what
	case "fail":
		return "FAIL  " + what + ": " + f.Wrong + "; " + f.Fix
	default:
		return "warn  " + what + ": " + f.Wrong + "; " + f.Fix
	}
}

// Check checks whether this machine can serve with cfg, without changing it. Everything that the
// running daemon of cfg holds counts as free.
func Check(cfg config.Config) []Finding {
	table, tableErr := sqlite.OpenCopy(context.Background(), cfg.StateDir)
	if tableErr == nil {
		defer func() { _ = table.Close() }()
	}
	cfg, set := withSettings(cfg, table)
	r := findRunning(cfg.StateDir)
	findings := []Finding{
		isRunning(r),
		set,
		capability("CAP_NET_ADMIN", 12, "TUN device, routes"),
		capability("CAP_NET_RAW", 13, "GRE"),
		tunDevice(),
		interfaceFree(cfg.Network.Interface, r),
		pptpPort(cfg, r),
		l2tpPort(cfg, r),
		secret(cfg),
		lan("network.proxy_arp", cfg.Network.ProxyARP),
		masquerade(cfg),
		nftablesTable(cfg),
		routes(cfg),
		dns(cfg),
		forwarding(),
		stateFolder(cfg, table, tableErr),
		echo(cfg),
		services(cfg),
		managementCertificate(cfg),
		managementListen(cfg, table, tableErr, r),
		managementSocket(cfg, r),
		hooks(cfg.Hooks),
		clock(cfg),
	}
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.What == "" })
}

// Users gives a check the users.
type Users interface {
	Sound(ctx context.Context) (sound []usermgmt.Profile, damaged map[string]error, err error)
}

// Warnings are the findings of Check that apply to a daemon that runs with cfg.
func Warnings(ctx context.Context, cfg config.Config, table Users, state timesync.State) []Finding {
	findings := []Finding{
		secret(cfg),
		lan("network.proxy_arp", cfg.Network.ProxyARP),
		lan("network.masquerade", cfg.Network.Masquerade),
		routes(cfg),
		forwarding(),
		users(ctx, table, cfg),
		dns(cfg),
		echo(cfg),
		services(cfg),
		clockState(cfg, state, state.Err()),
	}
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.Wrong == "" })
}

func isRunning(r running) Finding {
	if r.pid == 0 {
		return Finding{}
	}
	return Finding{What: fmt.Sprintf("the daemon is running (pid %d)", r.pid)}
}

// withSettings lays the settings that were stored at run time over cfg. Table is nil if there is
// none.
func withSettings(cfg config.Config, table *sqlite.Store) (config.Config, Finding) {
	if table == nil {
		return cfg, Finding{} // stateFolder reports the error
	}
	set, err := table.Settings(context.Background())
	if err != nil || len(set) == 0 {
		return cfg, Finding{}
	}
	over, err := config.Settings(set).Over(cfg)
	if err != nil {
		return cfg, Finding{What: "settings", Fatal: true}.because(err, "correct the file")
	}
	return over, Finding{What: "settings that override the configuration file: " + config.Settings(set).String()}
}

func capability(name string, bit int, why string) Finding {
	f := Finding{What: name + " (" + why + ")", Fatal: true, Fix: "run as root, or grant the capability with setcap or the service manager"}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.Wrong = err.Error()
		return f
	}
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if err == nil && bits&(1<<bit) != 0 {
				return f
			}
		}
	}
	f.Wrong = "missing"
	return f
}

func tunDevice() Finding {
	f := Finding{What: "/dev/net/tun", Fatal: true}
	if err := tun.CheckDevice(); err != nil {
		return f.because(err, "")
	}
	return f
}

func interfaceFree(name string, r running) Finding {
	f := Finding{What: "interface " + name, Fatal: true, Fix: "stop the daemon that has it, or set network.interface"}
	if _, err := net.InterfaceByName(name); err == nil && !r.hasInterface(name) {
		f.Wrong = "it exists already"
	}
	return f
}

func pptpPort(cfg config.Config, r running) Finding {
	f := Finding{What: "PPTP (TCP 1723, GRE)", Fatal: true}
	if !cfg.Services.PPTP {
		return Finding{}
	}
	if r.hasAll("tcp", cfg.Listen, pptpwire.Port) {
		return f
	}
	s, err := pptpserver.Listen(pptpserver.Config{Listen: cfg.Listen}, nobody)
	if err != nil {
		return f.because(err, "correct listen, or set services.pptp to false").ownedAt("tcp", cfg.Listen, pptpwire.Port, err)
	}
	s.Shutdown(context.Background())
	return f
}

func nobody(link.Link) (link.Sink, error) { return nil, errors.ErrUnsupported }

func l2tpPort(cfg config.Config, r running) Finding {
	f := Finding{What: "L2TP (UDP 1701)", Fatal: true}
	if !cfg.Services.L2TP {
		return Finding{}
	}
	if r.hasAll("udp", cfg.Listen, l2tpwire.Port) {
		return f
	}
	s, err := l2tpserver.Listen(l2tpserver.Config{Listen: cfg.Listen}, nobody)
	if err != nil {
		return f.because(err, "correct listen, or set services.l2tp to false").ownedAt("udp", cfg.Listen, l2tpwire.Port, err)
	}
	s.Shutdown(context.Background())
	return f
}

func secret(cfg config.Config) Finding {
	if cfg.L2TP.Secret == "" || !cfg.Services.L2TP {
		return Finding{}
	}
	return Finding{What: "l2tp.secret", Wrong: "Apple's clients do not support tunnel secrets and cannot connect", Fix: "leave it empty if they must dial in"}
}

func lan(key, name string) Finding {
	if name == "" {
		return Finding{}
	}
	f := Finding{What: key + " " + name, Fatal: true, Fix: "correct " + key}
	if _, err := net.InterfaceByName(name); err != nil {
		f.Wrong = "there is no such interface"
	}
	return f
}

func masquerade(cfg config.Config) Finding {
	f := lan("network.masquerade", cfg.Network.Masquerade)
	if f.What == "" || f.Wrong != "" {
		return f
	}
	if err := sysnet.CanMasquerade(); err != nil {
		return f.because(err, "leave network.masquerade empty")
	}
	return f
}

func nftablesTable(cfg config.Config) Finding {
	table := cfg.Network.NFTablesTable
	if table == "" {
		return Finding{}
	}
	f := Finding{What: "network.nftables_table " + table, Fatal: true}
	if err := sysnet.CanKeepSets(table); err != nil {
		return f.because(err, "correct network.nftables_table")
	}
	return f
}

// routes checks whether another interface of this machine uses the users' addresses.
func routes(cfg config.Config) Finding {
	f := Finding{What: "routes to network.pool", Fatal: true, Fix: "set network.pool to addresses that nothing else has"}
	for _, p := range cfg.Network.Prefixes() {
		found, err := tun.RouteTo(p)
		switch {
		case err != nil:
			f.Wrong, f.Fix = fmt.Sprintf("cannot look up the route to %v: %v", p, err), "allow the daemon netlink sockets (AF_NETLINK)"
		// The interface has a finding of its own.
		case found != "" && found != cfg.Network.Interface:
			f.Wrong = fmt.Sprintf("interface %[2]s already routes %[1]v", p, found)
		}
	}
	return f
}

const forwardKey = "/proc/sys/net/ipv4/ip_forward"

func forwarding() Finding {
	f := Finding{What: "IP forwarding"}
	value, err := os.ReadFile(forwardKey)
	switch {
	case err != nil:
		f.Wrong, f.Fix = err.Error(), "set net.ipv4.ip_forward=1 on this machine, or for this container"
	case strings.TrimSpace(string(value)) == "1":
	case unix.Access(forwardKey, unix.W_OK) != nil:
		f.Wrong, f.Fix = "off, and the daemon cannot turn it on: users would reach only this machine", "set net.ipv4.ip_forward=1 on this machine, or for this container"
	default:
		f.What += " (off; the daemon turns it on while it runs)"
	}
	return f
}

// dns reports the DNS servers that users are told, and why.
func dns(cfg config.Config) Finding {
	return dnsServers(cfg.Network, resolvconf.ForUsers(cfg.Network, cfg.Network.DNS))
}

func dnsServers(n config.Network, servers []netip.Addr) Finding {
	f := Finding{What: "DNS servers for users (network.dns)", Fix: "set network.dns, or set it to [] if users need none"}
	switch {
	case n.DNS != nil && len(servers) == 0:
		f.What += ": none, as configured"
	case n.DNS != nil:
		f.What += fmt.Sprintf(": %v", servers)
	case n.Masquerade == "":
		f.What += ": none; set network.dns, or network.masquerade to give users the host's own"
	case len(servers) == 0:
		f.Wrong = "users get none: the host's own are on loopback or not IPv4, so users cannot reach them"
	default:
		f.What += fmt.Sprintf(": the host's own, %v", servers)
	}
	return f
}

func services(cfg config.Config) Finding {
	if cfg.Services.PPTP || cfg.Services.L2TP {
		return Finding{}
	}
	return Finding{What: "services", Wrong: "PPTP and L2TP are off: nobody can dial in", Fix: "turn one on with 'vpnd services on pptp', or set services.pptp or services.l2tp to true"}
}

func echo(cfg config.Config) Finding {
	if cfg.PPP.EchoInterval > 0 && cfg.PPP.EchoFailures > 0 {
		return Finding{}
	}
	return Finding{What: "ppp.echo_interval, ppp.echo_failures", Wrong: "with 0, vpnd does not detect dead clients by echo", Fix: "set both to detect dead clients"}
}

// clock asks the time servers, or, without any, the kernel.
func clock(cfg config.Config) Finding {
	s, err := timesync.New(timesync.Config{Servers: cfg.Time.Servers, Interval: cfg.Time.Interval, MaxOffset: cfg.Time.MaxOffset}).Inquire(context.Background())
	return clockState(cfg, s, err)
}

// clockState reports the state of the host's clock.
func clockState(cfg config.Config, s timesync.State, err error) Finding {
	f := Finding{What: "clock (time.servers)", Fix: timesync.Fix}
	switch {
	case s.Status == timesync.NoServers:
		f.What = "clock (the host's: no time.servers)"
		if errors.Is(timesync.Host(), timesync.ErrUnsynchronized) {
			f.Wrong, f.Fix = timesync.ErrUnsynchronized.Error(), f.Fix+", or set time.servers: one-time passwords depend on it"
		}
	case err != nil:
		f.Wrong, f.Fix = err.Error(), "check time.servers: `vpnd time` shows each server's answer; until then vpnd uses the host's clock"
	case s.Status == timesync.Off:
		f.Wrong = fmt.Sprintf("the host's clock is off by %v, more than time.max_offset (%v)", s.Offset.Round(time.Millisecond), cfg.Time.MaxOffset)
	default:
		f.What = fmt.Sprintf("clock (off by %v according to %s)", s.Offset.Round(time.Millisecond), s.Server)
	}
	return f
}

// hooks checks the programs. Without the before hook nobody gets in.
func hooks(h config.Hooks) Finding {
	f := Finding{}
	for _, command := range [][]string{h.Down, h.Up, h.Before} {
		if len(command) == 0 {
			continue
		}
		f.What = "hooks"
		if _, err := exec.LookPath(command[0]); err != nil {
			f.Wrong, f.Fix, f.Fatal = err.Error(), hookFix(command[0], err), slices.Equal(command, h.Before)
		}
	}
	return f
}

// hookFix says how to fix a program that cannot be run.
func hookFix(path string, err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "make the file executable (chmod +x " + path + ")"
	}
	return "put the program there, or correct its path in the configuration"
}
