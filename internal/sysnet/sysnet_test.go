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
	"vpnd/testenv/crash"
)

const forward = "/proc/sys/net/ipv4/ip_forward"

// state is the namespace's state that we change.
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

// Setup is undone completely, whatever the state before, also after a crash.
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
				if _, err := sysnet.Setup(cfg); err == nil || !strings.Contains(err.Error(), "another vpnd uses "+cfg.StateDir) {
					t.Errorf("a second daemon: %v", err)
				}
				if crash { // the next daemon finds the list, and wants none of the changes
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

// After a restart of the machine, or in another container, there is nothing to undo.
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

// A LAN interface that has gone has taken its entries with it.
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
		if after := state(t); after != before {
			t.Errorf("changed:\n%s", after)
		}
	})
}

// A list that cannot be read does not keep users from dialling in. One of an earlier boot, as after
// a power cut, has nothing to undo. One of this boot says whether our table exists.
func TestDamagedList(t *testing.T) {
	inside(t, func() {
		before := state(t)
		cfg := config(t)
		path := filepath.Join(cfg.StateDir, "system-changes.json")
		for _, text := range []string{"", "{garbage", `{"system":"a4b8c5e1 net:[1]","masquerade":true,"prox`, strings.Repeat("\x00", 200)} {
			write(t, path, text)
			c, err := sysnet.Setup(cfg)
			if err != nil {
				t.Errorf("%.20q: %v", text, err)
				continue
			}
			if w := c.Warnings(); len(w) > 0 {
				t.Errorf("%.20q: %v", text, w)
			}
			if err := c.Undo(); err != nil {
				t.Error(err)
			}
			if after := state(t); after != before {
				t.Errorf("%.20q, after:\n%s\nbefore:\n%s", text, after, before)
			}
		}
		c, err := sysnet.Setup(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Abandon()
		list, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.TrimSuffix(string(list), "}"))
		if c, err = sysnet.Setup(cfg); err != nil {
			t.Fatal(err)
		}
		if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "is damaged") {
			t.Errorf("%v", w)
		}
		if err := c.Undo(); err != nil {
			t.Error(err)
		}
		if now := state(t); strings.Contains(now, "table ip vpnd") {
			t.Errorf("the table is left:\n%s", now)
		}
	})
}

// A list that cannot be written does not keep users from dialling in.
func TestNoRoomForList(t *testing.T) {
	inside(t, func() {
		before := state(t)
		cfg := config(t)
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "none", cfg.StateDir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		defer func() {
			if out, err := exec.Command("umount", cfg.StateDir).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}()
		write(t, filepath.Join(cfg.StateDir, "full"), strings.Repeat("x", 4096))
		c, err := sysnet.Setup(cfg)
		if err != nil {
			t.Error(err)
			return
		}
		if now := state(t); !strings.Contains(now, "masquerade") || len(c.Warnings()) == 0 {
			t.Errorf("%v\n%s", c.Warnings(), now)
		}
		if err := c.Undo(); err != nil {
			t.Error(err)
		}
		if after := state(t); after != before {
			t.Errorf("after:\n%s\nbefore:\n%s", after, before)
		}
	})
}

// After a kill at any step of a start, the next start undoes the changes.
func TestKilledAtEachStep(t *testing.T) {
	set := func(dir string) (*sysnet.Changes, error) {
		cfg := config(t)
		cfg.StateDir = dir
		return sysnet.Setup(cfg)
	}
	test := func() {
		before := ""
		crash.AtEachStep(t, func(string) { before = state(t) }, func(dir string) {
			if _, err := set(dir); err != nil {
				t.Fatal(err)
			}
		}, func(dir string) {
			c, err := set(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Undo(); err != nil {
				t.Error(err)
			}
			if after := state(t); after != before {
				t.Errorf("after:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
	if crash.Child() {
		test()
		return
	}
	inside(t, test)
}
