package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"vpnd/internal/config"
)

// resolvConf are the files that name the host's DNS servers. The first one names a stub on loopback where
// systemd-resolved serves; the second one has the servers behind it.
var resolvConf = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// maxDNS is how many servers PPP tells a client.
const maxDNS = 2

// dnsServers are the DNS servers that users of a pool are told. Where the configuration sets none and users reach
// what the host reaches, they are the host's own.
func dnsServers(n config.Network, set []netip.Addr) []netip.Addr {
	if set != nil || n.Masquerade == "" {
		return set
	}
	return hostResolvers(resolvConf)
}

// hostResolvers are the servers of the first file that has some which others can reach.
func hostResolvers(files []string) []netip.Addr {
	for _, path := range files {
		data, err := os.ReadFile(path) //nolint:gosec // a fixed path
		if err != nil {
			continue
		}
		if found := nameservers(string(data)); len(found) > 0 {
			return found[:min(len(found), maxDNS)]
		}
	}
	return nil
}

// nameservers takes from a resolv.conf(5) the IPv4 addresses that other hosts can reach.
func nameservers(text string) []netip.Addr {
	var found []netip.Addr
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		a, err := netip.ParseAddr(f[1])
		if err == nil && a.Is4() && (a.IsGlobalUnicast() || a.IsPrivate()) && !slices.Contains(found, a) {
			found = append(found, a)
		}
	}
	return found
}

// dns says which DNS servers users are told, and why.
func dns(cfg config.Config) Finding {
	n := cfg.Network
	f := Finding{What: "DNS servers that users are told (network.dns)", Fix: "set network.dns, or set it to [] if users need none"}
	servers := dnsServers(n, n.DNS)
	switch {
	case n.DNS != nil && len(servers) == 0:
		f.What += ": none, as it says"
	case n.DNS != nil:
		f.What += fmt.Sprintf(": %v", servers)
	case n.Masquerade == "":
		f.What += ": none; with network.masquerade they are the host's own, without it set network.dns"
	case len(servers) == 0:
		f.Wrong = "the host's own are on loopback, or not IPv4, so users do not reach them and get none"
	default:
		f.What += fmt.Sprintf(": the host's own, %v", servers)
	}
	return f
}
