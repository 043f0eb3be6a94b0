package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/internal/config"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var addresses = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestDefault(t *testing.T) {
	want := config.Config{
		StateDir: "/var/lib/vpnd",
		Listen:   []netip.Addr{addr("0.0.0.0")},
		Services: config.Services{PPTP: true, L2TP: true},
		PPP: config.PPP{
			Authentication: []string{"mschapv2", "mschap", "chap", "pap"}, MPPE: "optional", MPPEKeyChanges: 4096, MRU: 1400,
			EchoInterval: 30 * time.Second, EchoFailures: 4,
		},
		Network: config.Network{
			Interface: "vpn0", Address: addr("10.99.0.1"),
			Pool: []config.Range{{First: addr("10.99.0.10"), Last: addr("10.99.0.250")}},
			WINS: []netip.Addr{}, Routes: []netip.Prefix{}, Pools: map[string]config.Pool{}, PoolChange: "keep",
		},
		L2TP:       config.L2TP{Hostname: "vpnd", HelloInterval: time.Minute},
		Limits:     config.Limits{Unauthenticated: 4096, UnauthenticatedPerAddress: 512, LogInsPerUser: 600},
		MOTP:       config.MOTP{Window: 3 * time.Minute, MaxFailures: 5},
		History:    config.History{Age: 90 * 24 * time.Hour, Entries: 100_000, Refusals: 120, RefusalsOfSource: 30},
		Time:       config.Time{Servers: []string{}, Interval: time.Hour, MaxOffset: 10 * time.Second},
		Management: config.Management{Listen: "127.0.0.1:8443", Socket: "/run/vpnd/vpnd.sock"},
		Hooks:      config.Hooks{Before: []string{}, Up: []string{}, Down: []string{}, Timeout: 10 * time.Second, AtOnce: 8, Refusals: 10},
		Log:        config.Log{Level: "info", Format: "text"},
	}
	if diff := cmp.Diff(want, config.Default(), addresses); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "ppp:\n"} {
		got, err := config.Parse("f", []byte(empty))
		if err != nil {
			t.Fatalf("%q: %v", empty, err)
		}
		if diff := cmp.Diff(want, got, addresses); diff != "" {
			t.Errorf("%q: %s", empty, diff)
		}
	}
}

func TestParseOverDefaults(t *testing.T) {
	c, err := config.Parse("f", []byte(`
listen: 192.0.2.1
services: {l2tp: false}
ppp:
  authentication: [pap]
  mppe: "off"
  mppe_stateful: true
  echo_interval: 0
  chap_interval: 1h
  mutual_pap: {user: vigor, password: schwarz}
network:
  address: 10.1.0.254
  pool: [10.1.0.0/25, 10.1.0.200 - 10.1.0.210, 10.1.0.220]
  dns: [9.9.9.9]
  user_to_user: true
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Listen; len(got) != 1 || got[0] != addr("192.0.2.1") {
		t.Errorf("listen: %v", got)
	}
	if c.Services != (config.Services{PPTP: true}) || c.PPP.MPPE != "off" || !c.PPP.MPPEStateful || c.PPP.EchoInterval != 0 || c.PPP.CHAPInterval != time.Hour || c.PPP.MRU != 1400 || !c.Network.UserToUser {
		t.Errorf("got %+v", c)
	}
	if got := c.PPP.MutualPAP; got != (config.MutualPAP{User: "vigor", Password: "schwarz"}) {
		t.Errorf("mutual PAP: %+v", got)
	}
	want := []config.Range{
		{First: addr("10.1.0.1"), Last: addr("10.1.0.126")},
		{First: addr("10.1.0.200"), Last: addr("10.1.0.210")},
		{First: addr("10.1.0.220"), Last: addr("10.1.0.220")},
	}
	if diff := cmp.Diff(want, c.Network.Pool, addresses); diff != "" {
		t.Error(diff)
	}
	for a, in := range map[string]bool{"10.1.0.0": false, "10.1.0.1": true, "10.1.0.205": true, "10.1.0.127": false, "10.1.0.254": false} {
		if got := c.Network.InPool(addr(a)); got != in {
			t.Errorf("InPool(%s) = %v", a, got)
		}
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// TestAllFaultsAtOnce reads a file in which every line has a different fault.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := config.Parse("vpnd.yaml", []byte(`state_dir: [a]
listen: [0.0.0.0, "::1"]
servces: {pptp: true}
services: {pptp: maybe}
ppp:
  mru: big
  echo_interval: 30
  authentication: [eap]
  mru: 1400
network: none
motp: {window: soon, max_failures: }
`))
	want := strings.TrimSpace(`
vpnd.yaml:1:12: state_dir: must be one value
vpnd.yaml:2:19: listen: "::1" is not an IPv4 address
vpnd.yaml:3:1: servces: unknown key; use one of history, hooks, l2tp, limits, listen, log, management, motp, network, ppp, services, state_dir, time
vpnd.yaml:4:18: services.pptp: "maybe" is neither true nor false
vpnd.yaml:6:8: ppp.mru: "big" is not a whole number
vpnd.yaml:7:18: ppp.echo_interval: "30" has no unit; write 30s for seconds
vpnd.yaml:8:20: ppp.authentication: "eap" is not one of mschapv2, mschap, chap, pap
vpnd.yaml:9:3: ppp.mru: is set twice; remove one
vpnd.yaml:10:10: network: must be a mapping of the keys address, dns, domain, interface, masquerade, nftables_table, pool, pool_change, pools, proxy_arp, routes, user_to_user, wins
vpnd.yaml:11:16: motp.window: "soon" is not a duration; write it as 30s, 3m or 1h
vpnd.yaml:11:36: motp.max_failures: must be one value`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 11 {
		t.Errorf("got %T with %d faults", err, len(faults))
	}
}

func TestContradictions(t *testing.T) {
	for _, c := range []struct{ yaml, at, key, wrong, fix string }{
		{"network: {pool: 10.99.0.1-10.99.0.254}", "1:17", "network.pool", "10.99.0.1-10.99.0.254 overlaps the interface: it contains network.address 10.99.0.1", "write [10.99.0.2-10.99.0.254]"},
		{"network:\n  address: 10.99.0.20", "2:12", "network.address", "10.99.0.10-10.99.0.250 overlaps the interface: it contains network.address 10.99.0.20", "write [10.99.0.10-10.99.0.19, 10.99.0.21-10.99.0.250]"},
		{"network: {pool: [10.1.0.1-10.1.0.9, 10.1.0.9]}", "1:17", "network.pool", "10.1.0.9 overlaps 10.1.0.1-10.1.0.9", "keep each address once"},
		{"network: {pool: 10.0.0.0/8, address: 192.0.2.1}", "1:17", "network.pool", "has 16777214 addresses", "use at most 65536"},
		{"network: {pool: 10.1.0.9-10.1.0.1}", "1:17", "network.pool", `"10.1.0.9-10.1.0.1" ends before it begins`, "write 10.1.0.1-10.1.0.9"},
		{"network: {pool: 10.1.0.9/24}", "1:17", "network.pool", `"10.1.0.9/24" has bits set after its prefix length`, "write 10.1.0.0/24"},
		{"network: {pool: 127.0.0.1}", "1:17", "network.pool", "127.0.0.1 contains addresses that no host can have", ""},
		{"network: {pool: []}", "1:17", "network.pool", "is empty", "write a range such as 10.99.0.10-10.99.0.250"},
		{"network: {address: 224.0.0.1}", "1:20", "network.address", "224.0.0.1 cannot be the address of a host", ""},
		{"network: {interface: vpn/0}", "1:22", "network.interface", `"vpn/0" is not the name of an interface (1 to 15 letters, digits and signs)`, ""},
		{"network: {proxy_arp: vpn0}", "1:22", "network.proxy_arp", `"vpn0" is vpnd's own interface (network.interface)`, "choose another name"},
		{"network: {dns: [1.1.1.1, 1.1.1.2, 1.1.1.3]}", "1:16", "network.dns", "PPP can tell a client only two servers", "keep at most two"},
		{"listen: [10.99.0.10]", "1:9", "listen", "10.99.0.10 is an address of listen, but is in the pool", "remove it from the pool"},
		{"listen: [0.0.0.0, 192.0.2.1]", "1:9", "listen", "0.0.0.0 already means every address", "keep only 0.0.0.0, or remove it"},
		{"listen: []", "1:9", "listen", "is empty", "write [0.0.0.0] for every address"},
		{"ppp: {mppe: required, authentication: [chap, pap]}", "1:13", "ppp.mppe", "MPPE gets its keys only from MS-CHAP", "offer mschapv2 in ppp.authentication, or set ppp.mppe to off"},
		{"ppp: {authentication: [pap, pap]}", "1:23", "ppp.authentication", "pap is listed twice", "remove one"},
		{"ppp: {mru: 575}", "1:12", "ppp.mru", "575 is not between 576 and 1500", ""},
		{"ppp: {mppe_key_changes: 99}", "1:25", "ppp.mppe_key_changes", "99 is not between 100 and 100000", ""},
		{"ppp: {echo_interval: 1ms}", "1:22", "ppp.echo_interval", "1ms is not between 1s and 1h0m0s", ""},
		{"ppp: {chap_interval: 10s}", "1:22", "ppp.chap_interval", "10s is not between 1m0s and 24h0m0s", ""},
		{"ppp: {mutual_pap: {user: vigor}}", "1:26", "ppp.mutual_pap.user", "also requires ppp.mutual_pap.password", "set ppp.mutual_pap.password, or leave both empty"},
		{"ppp: {mutual_pap: {password: schwarz}}", "1:30", "ppp.mutual_pap.password", "also requires ppp.mutual_pap.user", "set ppp.mutual_pap.user, or leave both empty"},
		{"ppp: {mutual_pap: {password: schwarz, user: " + strings.Repeat("x", 256) + "}}", "1:45", "ppp.mutual_pap.user", "has 256 bytes", "use at most 255"},
		{"ppp: {mutual_pap: {user: vigor, password: " + strings.Repeat("x", 256) + "}}", "1:43", "ppp.mutual_pap.password", "has 256 bytes", "use at most 255"},
		{"ppp: {mutual_pap: {name: vigor}}", "1:20", "ppp.mutual_pap.name", "unknown key", "use one of password, user"},
		{"ppp: {echo_failures: -1}", "1:22", "ppp.echo_failures", "-1 is not between 0 (off) and 100", ""},
		{"ppp: {mppe: maximum, authentication: [chap]}", "1:13", "ppp.mppe", "MPPE gets its keys only from MS-CHAP", "offer mschapv2 in ppp.authentication, or set ppp.mppe to off"},
		{"network: {pools: {staff: {}}}", "1:26", "network.pools.staff", "is empty", "write a range such as 10.99.0.10-10.99.0.250"},
		{"network: {pools: [a]}", "1:18", "network.pools", "must be a mapping of names", ""},
		{"network: {pools: {staff: {pol: 10.98.0.0/24}}}", "1:27", "network.pools.staff.pol", "unknown key", "use one of dns, pool, wins"},
		{"network: {pool: 10.99.0.1/32}", "1:17", "network.pool", "is empty", "write a range such as 10.99.0.10-10.99.0.250"},
		{"network: {pools: {staff: {pool: 10.99.0.1-10.99.0.14}}}", "1:33", "network.pools.staff.pool", "10.99.0.1-10.99.0.14 overlaps the interface: it contains network.address 10.99.0.1", "write [10.99.0.2-10.99.0.14]"},
		{"network: {pools: {a: {pool: 10.98.0.0/24}, b: {pool: 10.98.0.9}}}", "1:54", "network.pools.b.pool", "10.98.0.9 overlaps 10.98.0.1-10.98.0.254", "keep each address once"},
		{"network: {pool: {start: 10.98.0.1, count: 0}}", "1:17", "network.pool", "is not a start and a count from 1 to 65536", "write it as {start: 10.99.0.10, count: 100}"},
		{"network: {pool: {start: 10.98.0.1, number: 5}}", "1:36", "network.pool.number", "unknown key", "use one of count, start"},
		{"network: {pool_change: ask}", "1:24", "network.pool_change", `"ask" is not one of keep, drop`, ""},
		{"history: {age: 1s}", "1:16", "history.age", "1s is not between 1h0m0s and 87600h0m0s", ""},
		{"history: {refusals: 0}", "1:21", "history.refusals", "0 is not between 1 and 100000", ""},
		{"history: {refusals_of_source: -1}", "1:31", "history.refusals_of_source", "-1 is not between 1 and 100000", ""},
		{"history: {entries: 1}", "1:20", "history.entries", "1 is not between 100 and 10000000", ""},
		{"motp: {max_failures: 0}", "1:22", "motp.max_failures", "0 is not between 1 and 1000", ""},
		{"time: {interval: 25h}", "1:18", "time.interval", "25h0m0s is not between 1m0s and 24h0m0s", ""},
		{"time: {max_offset: 0s}", "1:20", "time.max_offset", "0s is not between 1ms and 24h0m0s", ""},
		{"time: {servers: [a, b, a]}", "1:17", "time.servers", "a is listed twice", "remove one"},
		{"time: {servers: ['ntp://a']}", "1:17", "time.servers", `"ntp://a" is not a time server`, "write it as ntp.example.net, 192.0.2.1 or 192.0.2.1:123"},
		{"time: {servers: ['']}", "1:17", "time.servers", `"" is not a time server`, "write it as ntp.example.net, 192.0.2.1 or 192.0.2.1:123"},
		{"time: {servers: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}", "1:17", "time.servers", "has 17 servers", "keep at most 16"},
		{"state_dir: here", "1:12", "state_dir", `"here" is not an absolute path`, ""},
		{"management: {listen: localhost}", "1:22", "management.listen", `"localhost" is not an address with a port`, "write it as 127.0.0.1:8443"},
		{"management: {certificate: /c.pem}", "1:27", "management.certificate", "also requires management.key", "set management.key, or leave both empty"},
		{"management: {key: /k.pem}", "1:19", "management.key", "also requires management.certificate", "set management.certificate, or leave both empty"},
		{"management: {key: k.pem, certificate: /c.pem}", "1:19", "management.key", `"k.pem" is not an absolute path`, ""},
		{"log: {level: loud}", "1:14", "log.level", `"loud" is not one of debug, info, warn, error`, ""},
		{"a: b\n---\nc: d\n", "1:1", "a", "unknown key", "use one of history, hooks, l2tp, limits, listen, log, management, motp, network, ppp, services, state_dir, time"},
	} {
		_, err := config.Parse("f", []byte(c.yaml))
		faults, _ := errors.AsType[config.Faults](err)
		if len(faults) == 0 {
			t.Errorf("%s: got %v, want a fault of %s", c.yaml, err, c.key)
			continue
		}
		f := faults[0]
		if f.Where() != "f:"+c.at || f.Key != c.key || f.Wrong != c.wrong || f.Fix != c.fix {
			t.Errorf("%s\n got %+v\nwant %+v", c.yaml, f, c)
		}
	}
}

// Contradictions are reported beside values that cannot be read, but not the faults that only
// follow from those values.
func TestContradictionsAndOtherFaults(t *testing.T) {
	_, err := config.Parse("f", []byte(`mangement: {}
ppp: {mru: 100, mppe: required, authentication: [cha]}
network:
  address: 10.99.0.20
  pool: [10.99.0.1-10.99.0.254]
  dns: [here]
listen: [10.99.0.300, 10.99.0.21]
l2tp: no
`))
	want := strings.TrimSpace(`
f:1:1: mangement: unknown key; use one of history, hooks, l2tp, limits, listen, log, management, motp, network, ppp, services, state_dir, time
f:2:12: ppp.mru: 100 is not between 576 and 1500
f:2:50: ppp.authentication: "cha" is not one of mschapv2, mschap, chap, pap
f:5:9: network.pool: 10.99.0.1-10.99.0.254 overlaps the interface: it contains network.address 10.99.0.20; write [10.99.0.1-10.99.0.19, 10.99.0.21-10.99.0.254]
f:6:9: network.dns: "here" is not an IPv4 address
f:7:10: listen: "10.99.0.300" is not an IPv4 address
f:8:7: l2tp: must be a mapping of the keys hello_interval, hide_avps, hostname, secret`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestNotYAML(t *testing.T) {
	for _, text := range []string{"ppp: [", "\tppp: x", "ppp: {mru: 1400}\n  x", "a: *b", "\x00"} {
		_, err := config.Parse("f", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "f:") || !strings.Contains(err.Error(), "not YAML: ") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// A secret that YAML reads as something else is neither printed nor accepted in part.
func TestUnquotedSecret(t *testing.T) {
	for text, want := range map[string]string{
		"l2tp:\n  secret: *geheim\n":    "f: not YAML: a value that begins with * needs quotes",
		"l2tp:\n  secret: !geheim\n":    "f:2:11: l2tp.secret: a value that begins with ! needs quotes",
		"l2tp:\n  secret: !geheim x\n":  "f:2:11: l2tp.secret: a value that begins with ! needs quotes",
		"l2tp:\n  secret: !!binary x\n": "f:2:11: l2tp.secret: a value that begins with ! needs quotes",
	} {
		if _, err := config.Parse("f", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestValidateWithoutFile(t *testing.T) {
	c := config.Default()
	c.Network.Address = addr("10.99.0.10")
	c.PPP.MRU = 9000
	var faults config.Faults
	if err := c.Validate(); !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("got %v", err)
	}
	if err := (config.Config{}).Validate(); err == nil {
		t.Error("the zero value passed")
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if _, err := config.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file that was named: got %v", err)
	}
	if err := os.WriteFile(path, []byte("log: {level: debug}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil || c.Log.Level != "debug" {
		t.Errorf("got %+v, %v", c.Log, err)
	}
}

// DNS servers are set, are none, or are not set, also as settings.
func TestDNSUnset(t *testing.T) {
	for text, want := range map[string]string{"{}": "null", "{dns: null}": "null", "{dns: []}": "[]", "{dns: 10.1.2.3}": "[10.1.2.3]"} {
		c, err := config.Parse("f", []byte("network: "+text))
		if err != nil {
			t.Fatal(err)
		}
		if unset := c.Network.DNS == nil; unset != (want == "null") {
			t.Errorf("%s: %v", text, c.Network.DNS)
		}
		base, err := config.Parse("f", []byte("network: {dns: 192.0.2.1}"))
		if err != nil {
			t.Fatal(err)
		}
		set := c.Settings(base)
		if set["network.dns"] != want {
			t.Errorf("%s: %v", text, set)
		}
		if again, err := base.With(set); err != nil || (again.Network.DNS == nil) != (c.Network.DNS == nil) || len(again.Network.DNS) != len(c.Network.DNS) {
			t.Errorf("%s: %v, %v", text, again.Network.DNS, err)
		}
	}
}

// A prefix as a setting means its hosts, too.
func TestPrefixSetting(t *testing.T) {
	c, err := config.Default().With(config.Settings{"network.pool": "10.99.0.0/30"})
	if err != nil || len(c.Network.Pool) != 1 || c.Network.Pool[0].String() != "10.99.0.2" {
		t.Errorf("%v, %v", c.Network.Pool, err)
	}
}

// A prefix means its hosts: without its network and broadcast addresses, and without the server's
// own.
func TestPrefixPools(t *testing.T) {
	for text, want := range map[string]string{
		"{pool: 10.99.0.0/16}":                                "[10.99.0.2-10.99.255.254]",
		"{pool: 10.99.0.0/24, address: 10.99.0.20}":           "[10.99.0.1-10.99.0.19 10.99.0.21-10.99.0.254]",
		"{address: 10.99.0.254, pool: [10.99.0.128/25]}":      "[10.99.0.129-10.99.0.253]",
		"{pool: 10.99.0.0/31}":                                "[10.99.0.0]",
		"{pool: 10.98.0.0/30}":                                "[10.98.0.1-10.98.0.2]",
		"{pool: [10.98.0.9, 10.99.0.0/30, 10.98.1.0/30]}":     "[10.98.0.9 10.99.0.2 10.98.1.1-10.98.1.2]",
		"{pool: 10.97.0.9, pools: {a: {pool: 10.99.0.0/29}}}": "[10.97.0.9] a [10.99.0.2-10.99.0.6]",
	} {
		c, err := config.Parse("f", []byte("network: "+text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := fmt.Sprint(c.Network.Pool)
		for name, p := range c.Network.Pools {
			got += fmt.Sprintf(" %s %v", name, p.Addresses)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "ppp: {mru: 1}", "a: &a [*a]", "network: {pool: 1.2.3.4/0}", "? [a]\n: b", "<<: {ppp: {}}", "ppp: &p {<<: *p}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		if err == nil {
			err = c.Validate()
			if err != nil {
				t.Errorf("%q was read and does not validate: %v", data, err)
			}
		}
	})
}

func TestTimeServers(t *testing.T) {
	c, err := config.Parse("f", []byte(`time: {servers: [0.pool.ntp.org, NTP.example.net, 192.0.2.1, "192.0.2.1:1123", "2001:db8::1", "[fe80::1%eth0]:123"], interval: 1m}`))
	if err != nil || len(c.Time.Servers) != 6 || c.Time.Interval != time.Minute {
		t.Errorf("%+v, %v", c.Time, err)
	}
}

func TestPools(t *testing.T) {
	c, err := config.Parse("f", []byte("network: {pool: [{start: 10.99.0.10, count: 3}, 10.99.0.20], pools: {staff: {pool: 10.98.0.0/30, dns: [10.98.0.53]}}}"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]config.Pool{
		"":      {Addresses: []config.Range{{First: addr("10.99.0.10"), Last: addr("10.99.0.12")}, {First: addr("10.99.0.20"), Last: addr("10.99.0.20")}}, WINS: []netip.Addr{}},
		"staff": {Addresses: []config.Range{{First: addr("10.98.0.1"), Last: addr("10.98.0.2")}}, DNS: []netip.Addr{addr("10.98.0.53")}},
	}
	if diff := cmp.Diff(want, c.Network.AllPools(), addresses); diff != "" {
		t.Error(diff)
	}
	for a, in := range map[string]bool{"10.99.0.9": false, "10.99.0.12": true, "10.98.0.2": true, "10.98.0.3": false} {
		if c.Network.InPool(addr(a)) != in {
			t.Errorf("%s is in a pool: %v", a, !in)
		}
	}
}

func TestHooks(t *testing.T) {
	c, err := config.Parse("f", []byte("hooks: {up: [/usr/bin/logger, -t, 'it is up'], down: /bin/true, timeout: 5s}"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Hooks{Before: []string{}, Up: []string{"/usr/bin/logger", "-t", "it is up"}, Down: []string{"/bin/true"}, Timeout: 5 * time.Second, AtOnce: 8, Refusals: 10}
	if diff := cmp.Diff(want, c.Hooks); diff != "" {
		t.Error(diff)
	}
	_, err = config.Parse("f", []byte("hooks:\n  before: [logger]\n  at_once: 0\n  timeout: 2m\n  refusals: 0"))
	for _, text := range []string{`f:2:11: hooks.before: "logger" is not an absolute path`, "f:3:12: hooks.at_once: 0 is not between", "f:4:12: hooks.timeout: 2m0s is not between", "f:5:13: hooks.refusals: 0 is not between"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %s", err, text)
		}
	}
}

func TestLimits(t *testing.T) {
	c, err := config.Parse("f", []byte("limits: {unauthenticated: 100, unauthenticated_per_address: 100, log_ins_per_user: 10}"))
	if want := (config.Limits{Unauthenticated: 100, UnauthenticatedPerAddress: 100, LogInsPerUser: 10}); err != nil || c.Limits != want {
		t.Errorf("%+v, %v", c.Limits, err)
	}
	for text, want := range map[string]string{
		"{unauthenticated: 9000}":                                "f:1:27: limits.unauthenticated: 9000 is not between 16 and 4096",
		"{unauthenticated_per_address: 0}":                       "f:1:39: limits.unauthenticated_per_address: 0 is not between 1 and limits.unauthenticated, 4096",
		"{log_ins_per_user: 9}":                                  "f:1:28: limits.log_ins_per_user: 9 is not between 10 and 100000",
		"{unauthenticated: 50}":                                  "512 is not between 1 and limits.unauthenticated, 50",
		"{unauthenticated: 20, unauthenticated_per_address: 21}": "limits.unauthenticated_per_address: 21 is not between 1 and limits.unauthenticated, 20",
	} {
		if _, err := config.Parse("f", []byte("limits: "+text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTable(t *testing.T) {
	for table, good := range map[string]bool{
		"inet filter": true, "ip my_fw": true, "": true, "filter": false, "bridge filter": false, "inet a b": false, "inet a;b": false, "inet ": false, "ip vpnd": false,
	} {
		_, err := config.Parse("f", []byte(`network: {nftables_table: "`+table+`"}`))
		if (err == nil) != good {
			t.Errorf("%q: %v", table, err)
		}
	}
}
