package sysnet_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/sysnet"
	"vpnd/testenv"
)

const forward = "/proc/sys/net/ipv4/ip_forward"

// state is what the namespace says of what we change.
func state(t *testing.T) string {
	t.Helper()
	value, err := os.ReadFile(forward)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, rules)
	}
	proxies, err := exec.Command("ip", "neighbor", "show", "proxy").CombinedOutput()
	if err != nil {
		t.Fatalf("ip: %v: %s", err, proxies)
	}
	return "forward=" + strings.TrimSpace(string(value)) + "\n" + string(rules) + string(proxies)
}

// inside runs f in a namespace with a bridge br0.
func inside(t *testing.T, f func()) {
	t.Helper()
	lab := testenv.New(t)
	if err := testenv.InNamespace(lab.Namespace, func() error { f(); return nil }); err != nil {
		t.Fatal(err)
	}
}

func config(t *testing.T) sysnet.Config {
	t.Helper()
	return sysnet.Config{
		StateDir: t.TempDir(), Interface: "vpn0", Masquerade: "br0", ProxyARP: "br0",
		Pool: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/25"), netip.MustParsePrefix("10.99.1.0/24")},
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is set up is taken back, whatever the system was like before, also after a crash.
func TestThereAndBack(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, was := range []string{"0", "1"} {
			inside(t, func() {
				write(t, forward, was)
				if out, err := exec.Command("nft", "add table ip mine; add chain ip mine c").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if out, err := exec.Command("ip", "neighbor", "add", "proxy", "10.99.0.12", "dev", "br0").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				before := state(t)
				cfg := config(t)
				c, err := sysnet.Setup(cfg)
				if err != nil {
					t.Error(err)
					return
				}
				a, b, other := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11"), netip.MustParseAddr("10.99.0.12")
				for _, err := range []error{c.AddProxyARP(a), c.AddProxyARP(b), c.AddProxyARP(other), c.RemoveProxyARP(a), c.RemoveProxyARP(other)} {
					if err != nil {
						t.Error(err)
					}
				}
				now := state(t)
				for _, want := range []string{
					"forward=1\n", "table ip mine", "table ip vpnd", `ip saddr 10.99.0.0/25 oifname "br0" masquerade`,
					`ip saddr 10.99.1.0/24 oifname "br0" masquerade`, "10.99.0.11 dev br0 proxy",
				} {
					if !strings.Contains(now, want) {
						t.Errorf("no %q in\n%s", want, now)
					}
				}
				if strings.Contains(now, "10.99.0.10 dev") {
					t.Errorf("a proxy entry is left:\n%s", now)
				}
				if info, err := os.Stat(filepath.Join(cfg.StateDir, "system-changes.json")); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("the list of changes: %v, %v", info, err)
				}
				if _, err := sysnet.Setup(cfg); err == nil || !strings.Contains(err.Error(), "another vpnd serves from "+cfg.StateDir) {
					t.Errorf("a second daemon: %v", err)
				}
				if crash { // the next daemon finds the list, and wants nothing of it
					c.Abandon()
					cfg.Masquerade, cfg.ProxyARP = "", ""
					if c, err = sysnet.Setup(cfg); err != nil {
						t.Error(err)
						return
					}
				}
				if err := c.Undo(); err != nil {
					t.Error(err)
				}
				if after := state(t); after != before {
					t.Errorf("crash %v, after:\n%s\nbefore:\n%s", crash, after, before)
				}
				if left, _ := os.ReadDir(cfg.StateDir); len(left) != 0 {
					t.Errorf("left: %v", left)
				}
			})
		}
	}
}

// After a restart of the machine, or in another container, there is nothing to take back.
func TestAnotherSystem(t *testing.T) {
	cfg := config(t)
	inside(t, func() {
		c, err := sysnet.Setup(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddProxyARP(netip.MustParseAddr("10.99.0.10")); err != nil {
			t.Error(err)
		}
		c.Abandon()
	})
	inside(t, func() {
		write(t, forward, "1")
		before := state(t)
		cfg.Masquerade, cfg.ProxyARP = "", ""
		c, err := sysnet.Setup(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if now := state(t); now != before {
			t.Errorf("changed:\n%s", now)
		}
		if err := c.Undo(); err != nil {
			t.Error(err)
		}
	})
}

// A LAN interface that has gone took its entries with it.
func TestInterfaceGone(t *testing.T) {
	inside(t, func() {
		cfg := config(t)
		c, err := sysnet.Setup(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddProxyARP(netip.MustParseAddr("10.99.0.10")); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("ip", "link", "delete", "br0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := c.Undo(); err != nil {
			t.Error(err)
		}
	})
}

func TestErrors(t *testing.T) {
	inside(t, func() {
		before := state(t)
		cfg := config(t)
		cfg.Masquerade = "eth7"
		if _, err := sysnet.Setup(cfg); err == nil || err.Error() != "network.masquerade: there is no interface eth7" {
			t.Errorf("%v", err)
		}
		if out, err := exec.Command("nft", "add table ip vpnd").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := sysnet.Setup(config(t)); err == nil || !strings.Contains(err.Error(), "run nft delete table ip vpnd") {
			t.Errorf("%v", err)
		}
		before = strings.ReplaceAll(before, "\n", "\ntable ip vpnd {\n}\n")
		if after := state(t); after != before {
			t.Errorf("the table of another:\n%s\nbefore:\n%s", after, before)
		}
		cfg = config(t)
		write(t, filepath.Join(cfg.StateDir, "system-changes.json"), "{garbage")
		if _, err := sysnet.Setup(cfg); err == nil || !strings.Contains(err.Error(), "is damaged: undo by hand") {
			t.Errorf("%v", err)
		}
		if after := state(t); after != before {
			t.Errorf("changed:\n%s", after)
		}
	})
}
