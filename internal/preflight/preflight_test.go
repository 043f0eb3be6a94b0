package preflight

import (
	"net/netip"
	"testing"
	"vpnd/internal/config"
)

// The finding says which DNS servers users are told, and why.
func TestDNSServers(t *testing.T) {
	const what = "DNS servers for users (network.dns)"
	servers := []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("10.1.2.3")}
	for name, c := range map[string]struct {
		masquerade   string
		set, servers []netip.Addr
		want         string
	}{
		"the host's own": {"br0", nil, servers, "ok    " + what + ": the host's own, [192.0.2.53 10.1.2.3]"},
		"loopback alone": {
			"br0", nil, nil,
			"warn  " + what + ": users get none: the host's own are on loopback or not IPv4, so users cannot reach them; set network.dns, or set it to [] if users need none",
		},
		"none":            {"br0", []netip.Addr{}, []netip.Addr{}, "ok    " + what + ": none, as configured"},
		"set":             {"br0", servers, servers, "ok    " + what + ": [192.0.2.53 10.1.2.3]"},
		"no masquerading": {"", nil, nil, "ok    " + what + ": none; set network.dns, or network.masquerade to give users the host's own"},
	} {
		if got := dnsServers(config.Network{Masquerade: c.masquerade, DNS: c.set}, c.servers).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
