package sysnet_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/sysnet"
)

// rules are an administrator's rules, which refer to sets. One of the sets is the administrator's
// own and not empty.
const rules = `table inet filter {
	set vpnd_users { type ipv4_addr; elements = { 192.0.2.1 } }
	set own { type ipv4_addr; elements = { 192.0.2.2 } }
	set vpnd_group_staff { type ipv4_addr; }
	chain forward { ip saddr @vpnd_group_staff accept; ip saddr @vpnd_users drop; }
}`

func nft(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("nft", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %v: %v: %s", arguments, err, out)
	}
	return string(out)
}

// elements gives the elements of a set, in the order of nft.
func elements(t *testing.T, set string) string {
	t.Helper()
	out := nft(t, "list", "set", "inet", "filter", set)
	_, rest, found := strings.Cut(out, "elements = {")
	if !found {
		return ""
	}
	inner, _, _ := strings.Cut(rest, "}")
	return strings.Join(strings.Fields(inner), " ")
}

func want(t *testing.T, contents map[string]string) {
	t.Helper()
	for set, list := range contents {
		if got := elements(t, set); got != list {
			t.Errorf("%s has %q, want %q", set, got, list)
		}
	}
}

// Users' addresses are in the sets while they are connected. Other rules, tables and sets stay
// unchanged.
func TestSets(t *testing.T) {
	for _, crash := range []bool{false, true} {
		inside(t, func() {
			cfg := sysnet.Config{StateDir: t.TempDir(), Interface: "vpn0", Sets: "inet filter"}
			if _, err := sysnet.Setup(cfg); err == nil || !strings.Contains(err.Error(), "there is no nftables table inet filter: first load the rules") {
				t.Errorf("%v", err)
			}
			nft(t, rules)
			c, err := sysnet.Setup(cfg)
			if err != nil {
				t.Error(err)
				return
			}
			a, b := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
			must := func(errs ...error) {
				t.Helper()
				for _, err := range errs {
					if err != nil {
						t.Error(err)
					}
				}
			}
			must(c.Enter(a, "staff"), c.Enter(b, "guests.2"))
			want(t, map[string]string{"vpnd_users": "10.99.0.10, 10.99.0.11", "vpnd_group_staff": "10.99.0.10", "vpnd_group_guests.2": "10.99.0.11", "own": "192.0.2.2"})
			must(c.Regroup(b, "guests.2", "staff"), c.Leave(a, "staff"), c.Leave(a, "staff"))
			want(t, map[string]string{"vpnd_users": "10.99.0.11", "vpnd_group_staff": "10.99.0.11", "vpnd_group_guests.2": ""})

			nft(t, "flush ruleset; "+rules) // the firewall is reloaded
			must(c.RestoreSets())
			want(t, map[string]string{"vpnd_users": "10.99.0.11", "vpnd_group_staff": "10.99.0.11"})
			nft(t, "flush ruleset; table inet filter {}")
			must(c.Enter(a, "staff")) // Enter notices that by itself
			want(t, map[string]string{"vpnd_users": "10.99.0.10, 10.99.0.11", "vpnd_group_staff": "10.99.0.10, 10.99.0.11"})

			nft(t, "flush ruleset; "+rules)
			must(c.RestoreSets())
			if crash {
				c.Abandon()
				cfg.Sets = ""
				if c, err = sysnet.Setup(cfg); err != nil {
					t.Error(err)
					return
				}
			}
			must(c.Undo())
			after := nft(t, "list", "ruleset")
			want(t, map[string]string{"vpnd_users": "", "vpnd_group_staff": "", "own": "192.0.2.2"})
			if strings.Contains(after, "guests") || !strings.Contains(after, "@vpnd_group_staff accept") {
				t.Error(after)
			}
		})
	}
}

// A set of another type is not touched.
func TestSetOfAnotherType(t *testing.T) {
	inside(t, func() {
		nft(t, "table inet filter { set vpnd_users { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 } }; }")
		_, err := sysnet.Setup(sysnet.Config{StateDir: t.TempDir(), Interface: "vpn0", Sets: "inet filter"})
		if err == nil || !strings.Contains(err.Error(), "set vpnd_users is not one of type ipv4_addr without flags") {
			t.Errorf("%v", err)
		}
		want(t, map[string]string{"vpnd_users": "192.0.2.0/24"})
	})
}

// Many addresses can be set at once.
func TestManyElements(t *testing.T) {
	inside(t, func() {
		nft(t, "add table inet filter")
		c, err := sysnet.Setup(sysnet.Config{StateDir: t.TempDir(), Interface: "vpn0", Sets: "inet filter"})
		if err != nil {
			t.Error(err)
			return
		}
		addr := netip.MustParseAddr("10.99.0.1")
		for range 5000 {
			if err := c.Enter(addr, "staff"); err != nil {
				t.Error(err)
				return
			}
			addr = addr.Next()
		}
		nft(t, "flush ruleset; add table inet filter")
		if err := c.RestoreSets(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(elements(t, "vpnd_group_staff"), ",") + 1; n != 5000 {
			t.Errorf("%d elements", n)
		}
		if err := c.Undo(); err != nil {
			t.Error(err)
		}
		if out := nft(t, "list", "ruleset"); strings.Contains(out, "set ") {
			t.Error(out)
		}
	})
}

// An address that cannot be put into a set causes an error, leaves nothing behind, and can be tried
// again: without the table, and when the list of changes cannot be written.
func TestEnterFails(t *testing.T) {
	inside(t, func() {
		dir := filepath.Join(t.TempDir(), "state")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		must(os.Mkdir(dir, 0o700))
		nft(t, "add table inet filter")
		c, err := sysnet.Setup(sysnet.Config{StateDir: dir, Interface: "vpn0", Sets: "inet filter"})
		if err != nil {
			t.Error(err)
			return
		}
		a, b := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
		must(c.Enter(a, "staff"))
		nft(t, "flush ruleset")
		if err := c.Enter(b, "staff"); err == nil || !strings.Contains(err.Error(), "there is no nftables table inet filter") {
			t.Errorf("without the table: %v", err)
		}
		nft(t, "add table inet filter")
		must(os.Rename(dir, dir+".away"))
		if err := c.Enter(b, "guests"); err == nil || !strings.Contains(err.Error(), "storing the list of system changes") {
			t.Errorf("without a place for the list: %v", err)
		}
		must(os.Rename(dir+".away", dir))
		must(c.RestoreSets())
		want(t, map[string]string{"vpnd_users": "10.99.0.10", "vpnd_group_staff": "10.99.0.10"})
		must(c.Enter(b, "guests"))
		must(c.Enter(b, "staff")) // of another connection, which is in no other group
		want(t, map[string]string{"vpnd_users": "10.99.0.10, 10.99.0.11", "vpnd_group_staff": "10.99.0.10, 10.99.0.11", "vpnd_group_guests": ""})
		nft(t, "flush ruleset")
		must(c.Leave(a, "staff")) // the set went with the table
		must(c.Undo())
	})
}
