package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/config"
)

// resolvers has the host's DNS servers be those of texts, in the order of the files, and gives the paths.
func resolvers(t *testing.T, texts ...string) []string {
	t.Helper()
	before := resolvConf
	t.Cleanup(func() { resolvConf = before })
	resolvConf = nil
	for range texts {
		resolvConf = append(resolvConf, filepath.Join(t.TempDir(), "resolv.conf"))
	}
	for i, path := range resolvConf {
		if err := os.WriteFile(path, []byte(texts[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return resolvConf
}

func TestDNSServers(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("10.1.2.3")
	const stub = "nameserver 127.0.0.53\noptions edns0\n"
	for name, c := range map[string]struct {
		files []string
		yaml  string
		want  []netip.Addr
		check string
	}{
		"the host's own": {
			[]string{"# nameserver 9.9.9.9\nsearch example.net\nnameserver 192.0.2.53\n\tnameserver\t10.1.2.3 \nnameserver 192.0.2.54\n"},
			"masquerade: br0",
			[]netip.Addr{a, b},
			"ok    DNS servers that users are told (network.dns): the host's own, [192.0.2.53 10.1.2.3]",
		},
		"behind systemd-resolved": {[]string{stub, "nameserver 2001:db8::1\nnameserver 192.0.2.53\nnameserver 192.0.2.53\n"}, "masquerade: br0", []netip.Addr{a}, "ok    "},
		"loopback alone":          {[]string{stub, "nameserver ::1\nnameserver 169.254.1.1\nnameserver 0.0.0.0\n"}, "masquerade: br0", nil, "warn  DNS servers that users are told (network.dns): the host's own are on loopback"},
		"null":                    {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: null}", []netip.Addr{a}, "ok    "},
		"none":                    {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: []}", []netip.Addr{}, "ok    DNS servers that users are told (network.dns): none, as it says"},
		"set":                     {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: 10.1.2.3}", []netip.Addr{b}, "ok    DNS servers that users are told (network.dns): [10.1.2.3]"},
		"no masquerading":         {[]string{"nameserver 192.0.2.53"}, "{}", nil, "ok    DNS servers that users are told (network.dns): none; with network.masquerade"},
	} {
		t.Run(name, func(t *testing.T) {
			resolvers(t, c.files...)
			text := c.yaml
			if !strings.HasPrefix(text, "{") {
				text = "{" + text + "}"
			}
			cfg, err := config.Parse("f", []byte("network: "+text))
			if err != nil {
				t.Fatal(err)
			}
			pools, err := makePools(cfg.Network, config.Network{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := pools[""].DNS; !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if got := dns(cfg).String(); !strings.HasPrefix(got, c.check) {
				t.Errorf("%s, want %s", got, c.check)
			}
		})
	}
}

// A reload reads the host's servers again.
func TestDNSServersReloaded(t *testing.T) {
	files := resolvers(t, "nameserver 192.0.2.53")
	n := config.Default().Network
	n.Masquerade = "br0"
	first, err := makePools(n, config.Network{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], []byte("nameserver 192.0.2.54"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := makePools(n, n, first)
	if err != nil {
		t.Fatal(err)
	}
	if got := second[""].DNS; len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.54") {
		t.Errorf("%v", got)
	}
}

func FuzzNameservers(f *testing.F) {
	f.Add("nameserver 127.0.0.53\nnameserver 192.0.2.53 # a comment\r\nsearch example.net")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range nameservers(text) {
			if !a.Is4() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
				t.Errorf("%q: %v", text, a)
			}
		}
	})
}
