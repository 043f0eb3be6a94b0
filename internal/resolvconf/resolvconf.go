// Package resolvconf finds the DNS servers of this host.
package resolvconf

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"vpnd/internal/config"
)

// files name the host's DNS servers. With systemd-resolved, the first one names a stub on loopback,
// and the second one has the servers behind it.
var files = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// maxDNS is the number of servers that PPP can tell a client.
const maxDNS = 2

// ForUsers gives the DNS servers for users of a pool. If the configuration sets none and
// masquerades, they are the host's own.
func ForUsers(n config.Network, set []netip.Addr) []netip.Addr {
	if set != nil || n.Masquerade == "" {
		return set
	}
	return readFirst(files)
}

// readFirst gives the servers of the first file with servers that others can reach.
func readFirst(paths []string) []netip.Addr {
	for _, path := range paths {
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
