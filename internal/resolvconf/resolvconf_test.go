package resolvconf

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/config"
)

// resolvers makes texts the host's resolver files, in order, and gives their paths.
func resolvers(t *testing.T, texts ...string) []string {
	t.Helper()
	before := files
	t.Cleanup(func() { files = before })
	files = nil
	for range texts {
		files = append(files, filepath.Join(t.TempDir(), "resolv.conf"))
	}
	for i, path := range files {
		if err := os.WriteFile(path, []byte(texts[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestForUsers(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("10.1.2.3")
	const stub = "nameserver 127.0.0.53\noptions edns0\n"
	for name, c := range map[string]struct {
		files []string
		yaml  string
		want  []netip.Addr
	}{
		"the host's own": {
			[]string{"# nameserver 9.9.9.9\nsearch example.net\nnameserver 192.0.2.53\n\tnameserver\t10.1.2.3 \nnameserver 192.0.2.54\n"},
			"masquerade: br0",
			[]netip.Addr{a, b},
		},
		"behind systemd-resolved": {[]string{stub, "nameserver 2001:db8::1\nnameserver 192.0.2.53\nnameserver 192.0.2.53\n"}, "masquerade: br0", []netip.Addr{a}},
		"loopback alone":          {[]string{stub, "nameserver ::1\nnameserver 169.254.1.1\nnameserver 0.0.0.0\n"}, "masquerade: br0", nil},
		"null":                    {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: null}", []netip.Addr{a}},
		"none":                    {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: []}", []netip.Addr{}},
		"set":                     {[]string{"nameserver 192.0.2.53"}, "{masquerade: br0, dns: 10.1.2.3}", []netip.Addr{b}},
		"no masquerading":         {[]string{"nameserver 192.0.2.53"}, "{}", nil},
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
			if got := ForUsers(cfg.Network, cfg.Network.DNS); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// The host's servers are read each time.
func TestForUsersAgain(t *testing.T) {
	paths := resolvers(t, "nameserver 192.0.2.53")
	n := config.Network{Masquerade: "br0"}
	for _, want := range []string{"192.0.2.53", "192.0.2.54"} {
		if err := os.WriteFile(paths[0], []byte("nameserver "+want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ForUsers(n, nil); !slices.Equal(got, []netip.Addr{netip.MustParseAddr(want)}) {
			t.Errorf("got %v, want %s", got, want)
		}
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
