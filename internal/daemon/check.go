package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"vpnd/internal/config"
	"vpnd/internal/link"
	l2tpserver "vpnd/l2tp/server"
	pptpserver "vpnd/pptp/server"
	"vpnd/usermgmt"
)

// Finding is one thing that Check has looked at.
type Finding struct {
	What  string
	Wrong string // empty: nothing
	Mend  string
	Fatal bool // serving would fail
}

// String is the finding as a line.
func (f Finding) String() string {
	switch {
	case f.Wrong == "":
		return "ok    " + f.What
	case f.Fatal:
		return "FAIL  " + f.What + ": " + f.Wrong + "; " + f.Mend
	default:
		return "warn  " + f.What + ": " + f.Wrong + "; " + f.Mend
	}
}

// Check looks at whether this machine can serve with cfg, without changing it. A daemon that is running
// already is in its own way, and Check says so.
func Check(cfg config.Config) []Finding {
	findings := []Finding{
		capability("CAP_NET_ADMIN", 12, "TUN device, routes"),
		capability("CAP_NET_RAW", 13, "GRE"),
		tunDevice(),
		interfaceFree(cfg.Network.Interface),
		pptpPort(cfg),
		l2tpPort(cfg),
		secret(cfg),
		lan("network.proxy_arp", cfg.Network.ProxyARP),
		lan("network.masquerade", cfg.Network.Masquerade),
		forwarding(cfg),
		stateFolder(cfg),
		echo(cfg),
	}
	var said []Finding
	for _, f := range findings {
		if f.What != "" {
			said = append(said, f)
		}
	}
	return said
}

func capability(name string, bit int, why string) Finding {
	f := Finding{What: name + " (" + why + ")", Fatal: true, Mend: "run as root, or give it with setcap or the service manager"}
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
	f := Finding{What: "/dev/net/tun", Fatal: true, Mend: "load the module tun (modprobe tun), or give the container the device"}
	file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		f.Wrong = err.Error()
		return f
	}
	_ = file.Close()
	return f
}

func interfaceFree(name string) Finding {
	f := Finding{What: "interface " + name, Fatal: true, Mend: "stop the daemon that has it, or set network.interface"}
	if _, err := net.InterfaceByName(name); err == nil {
		f.Wrong = "it is there already"
	}
	return f
}

func pptpPort(cfg config.Config) Finding {
	f := Finding{What: "PPTP (TCP 1723, GRE)", Fatal: true, Mend: "mend that"}
	if !cfg.Services.PPTP {
		return Finding{}
	}
	s, err := pptpserver.Listen(pptpserver.Config{Listen: cfg.Listen}, nobody)
	if err != nil {
		f.Wrong, f.Mend, _ = strings.Cut(err.Error(), ": ")
		return f
	}
	s.Shutdown(context.Background())
	return f
}

func nobody(link.Link) (link.Sink, error) { return nil, errors.ErrUnsupported }

func l2tpPort(cfg config.Config) Finding {
	f := Finding{What: "L2TP (UDP 1701)", Fatal: true, Mend: "mend that"}
	if !cfg.Services.L2TP {
		return Finding{}
	}
	s, err := l2tpserver.Listen(l2tpserver.Config{Listen: cfg.Listen}, nobody)
	if err != nil {
		f.Wrong, f.Mend, _ = strings.Cut(err.Error(), ": ")
		return f
	}
	s.Shutdown(context.Background())
	return f
}

func secret(cfg config.Config) Finding {
	if cfg.L2TP.Secret == "" || !cfg.Services.L2TP {
		return Finding{}
	}
	return Finding{What: "l2tp.secret", Wrong: "Apple's clients know no tunnel secret and stay out", Mend: "leave it empty if they are to dial in"}
}

func lan(key, name string) Finding {
	if name == "" {
		return Finding{}
	}
	f := Finding{What: key + " " + name, Fatal: true, Mend: "correct " + key}
	if _, err := net.InterfaceByName(name); err != nil {
		f.Wrong = "there is no such interface"
	}
	return f
}

func forwarding(cfg config.Config) Finding {
	f := Finding{What: "IP forwarding", Mend: "the daemon turns it on while it runs"}
	value, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err == nil && strings.TrimSpace(string(value)) == "0" && (cfg.Network.Masquerade != "" || cfg.Network.ProxyARP != "") {
		f.Wrong = "off"
	}
	return f
}

// stateFolder opens the user table where there is one. It makes none.
func stateFolder(cfg config.Config) Finding {
	f := Finding{What: "user table in " + cfg.StateDir, Fatal: true, Mend: "mend that"}
	if _, err := os.Stat(filepath.Join(cfg.StateDir, "key")); errors.Is(err, os.ErrNotExist) {
		return Finding{What: f.What, Wrong: "not there yet", Mend: "the daemon makes it; `vpnd user add` adds a user"}
	}
	store, err := usermgmt.Open(context.Background(), cfg.StateDir, usermgmt.Options{})
	if err != nil {
		f.Wrong = err.Error()
		return f
	}
	defer func() { _ = store.Close() }()
	profiles, err := store.List(context.Background())
	if err != nil {
		f.Wrong = err.Error()
		return f
	}
	var outside []netip.Addr
	for _, p := range profiles {
		if p.Address.IsValid() && !cfg.Network.InPool(p.Address) {
			outside = append(outside, p.Address)
		}
	}
	switch {
	case len(profiles) == 0:
		return Finding{What: f.What, Wrong: "there is no user", Mend: "`vpnd user add` adds one"}
	case len(outside) > 0:
		return Finding{What: f.What, Wrong: fmt.Sprintf("fixed addresses outside of the pool: %v", outside), Mend: "correct them, or network.pool"}
	}
	return f
}

func echo(cfg config.Config) Finding {
	if cfg.PPP.EchoInterval > 0 && cfg.PPP.EchoFailures > 0 {
		return Finding{}
	}
	return Finding{What: "ppp.echo_interval, ppp.echo_failures", Wrong: "0 means that dead clients are never noticed by echo", Mend: "set both, if that is not wanted"}
}
