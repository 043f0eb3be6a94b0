package config

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	minMRU, maxMRU               = 576, 1500
	minKeyChanges, maxKeyChanges = 100, 100_000
	maxPool                      = 1 << 16 // a call ID has 16 bits: more cannot be in use
	maxPAP                       = 255     // bytes of a name, or a password, in PAP
	maxIfName                    = 15      // IFNAMSIZ without its zero
	maxRoutes                    = 40      // each takes up to 18 bytes of one DHCP message
	maxDay                       = 24 * time.Hour
	maxTimeServers               = 16
)

// Validate checks what Parse cannot check key by key: limits, and keys that contradict each other.
// The error is Faults.
func (c Config) Validate() error {
	var faults Faults
	c.check(func(wrong, fix string, keys ...string) {
		faults = append(faults, Fault{Key: keys[0], Wrong: wrong, Fix: fix})
	})
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// A reporter takes a fault, its fix, and the keys that may be at fault, the likeliest first.
type reporter func(wrong, fix string, keys ...string)

func (c Config) check(report reporter) {
	if !filepath.IsAbs(c.StateDir) {
		report(fmt.Sprintf("%q is not an absolute path", c.StateDir), "", "state_dir")
	}
	c.checkListen(report)
	c.PPP.check(report)
	c.Network.check(report)
	c.checkPool(report)
	within(report, "motp.window", c.MOTP.Window, 10*time.Second, maxDay)
	within(report, "motp.max_failures", c.MOTP.MaxFailures, 1, 1000)
	within(report, "history.age", c.History.Age, time.Hour, 10*365*maxDay)
	within(report, "history.entries", c.History.Entries, 100, 10_000_000)
	c.Limits.check(report)
	within(report, "history.refusals", c.History.Refusals, 1, 100_000)
	within(report, "history.refusals_of_source", c.History.RefusalsOfSource, 1, 100_000)
	c.Time.check(report)
	if l := c.Management.Listen; l != "" {
		if _, err := netip.ParseAddrPort(l); err != nil {
			report(fmt.Sprintf("%q is not an address with a port", l), "write it as 127.0.0.1:8443", "management.listen")
		}
	}
	c.Management.checkCertificate(report)
	if s := c.Management.Socket; s != "" && !filepath.IsAbs(s) {
		report(fmt.Sprintf("%q is not an absolute path", s), "", "management.socket")
	}
	c.Hooks.check(report)
	if h := c.L2TP.Hostname; h == "" || len(h) > 64 {
		report("must have 1 to 64 characters", "", "l2tp.hostname")
	}
	within(report, "l2tp.hello_interval", c.L2TP.HelloInterval, time.Second, time.Hour)
	if c.L2TP.HideAVPs && c.L2TP.Secret == "" {
		report("hiding AVPs needs a secret", "set l2tp.secret, or hide_avps to false", "l2tp.hide_avps", "l2tp.secret")
	}
}

func (m Management) checkCertificate(report reporter) {
	for _, file := range []struct{ key, path, other, otherPath string }{
		{"management.certificate", m.Certificate, "management.key", m.Key}, {"management.key", m.Key, "management.certificate", m.Certificate},
	} {
		switch {
		case file.path != "" && file.otherPath == "":
			report("also requires "+file.other, "set "+file.other+", or leave both empty", file.key)
		case file.path != "" && !filepath.IsAbs(file.path):
			report(fmt.Sprintf("%q is not an absolute path", file.path), "", file.key)
		}
	}
}

func (h Hooks) check(report reporter) {
	for _, hook := range []struct {
		key     string
		command []string
	}{{"hooks.before", h.Before}, {"hooks.up", h.Up}, {"hooks.down", h.Down}} {
		switch {
		case len(hook.command) == 0:
		case !filepath.IsAbs(hook.command[0]):
			report(fmt.Sprintf("%q is not an absolute path", hook.command[0]), "write the command as [/path/to/program, argument]", hook.key)
		case slices.ContainsFunc(hook.command, func(s string) bool { return strings.ContainsRune(s, 0) }):
			report("has a zero byte", "remove it", hook.key)
		}
	}
	within(report, "hooks.timeout", h.Timeout, 100*time.Millisecond, time.Minute)
	within(report, "hooks.at_once", h.AtOnce, 1, 1000)
	within(report, "hooks.refusals", h.Refusals, 1, 1000)
}

// maxUnauthenticated leaves users half of the calls that the servers of both carriers can hold.
const maxUnauthenticated = 4096

func (l Limits) check(report reporter) {
	within(report, "limits.unauthenticated", l.Unauthenticated, 16, maxUnauthenticated)
	if l.UnauthenticatedPerAddress < 1 || l.UnauthenticatedPerAddress > l.Unauthenticated {
		report(fmt.Sprintf("%d is not between 1 and limits.unauthenticated, %d", l.UnauthenticatedPerAddress, l.Unauthenticated), "",
			"limits.unauthenticated_per_address", "limits.unauthenticated")
	}
	within(report, "limits.log_ins_per_user", l.LogInsPerUser, 10, 100_000)
}

func (t Time) check(report reporter) {
	if len(t.Servers) > maxTimeServers {
		report(fmt.Sprintf("has %d servers", len(t.Servers)), fmt.Sprintf("keep at most %d", maxTimeServers), "time.servers")
	}
	for i, s := range t.Servers {
		switch {
		case slices.Contains(t.Servers[:i], s):
			report(fmt.Sprintf("%s is listed twice", s), "remove one", "time.servers")
		case s == "" || len(s) > 253 || strings.ContainsFunc(s, notInServer):
			report(fmt.Sprintf("%q is not a time server", s), "write it as ntp.example.net, 192.0.2.1 or 192.0.2.1:123", "time.servers")
		}
	}
	within(report, "time.interval", t.Interval, time.Minute, maxDay)
	within(report, "time.max_offset", t.MaxOffset, time.Millisecond, maxDay)
}

func (c Config) checkListen(report reporter) {
	if len(c.Listen) == 0 {
		report("is empty", "write [0.0.0.0] for every address", "listen")
	}
	for i, a := range c.Listen {
		switch {
		case slices.Contains(c.Listen[:i], a):
			report(fmt.Sprintf("%s is listed twice", a), "remove one", "listen")
		case a.IsUnspecified() && len(c.Listen) > 1:
			report("0.0.0.0 already means every address", "keep only 0.0.0.0, or remove it", "listen")
		case a.IsMulticast():
			report(fmt.Sprintf("%s is a multicast address", a), "", "listen")
		case c.Network.InPool(a):
			report(fmt.Sprintf("%s is an address of listen, but is in the pool", a), "remove it from the pool", "network.pool", "listen")
		}
	}
}

func (p PPP) check(report reporter) {
	if len(p.Authentication) == 0 {
		report("is empty", "write at least [mschapv2]", "ppp.authentication")
	}
	for i, m := range p.Authentication {
		if slices.Contains(p.Authentication[:i], m) {
			report(fmt.Sprintf("%s is listed twice", m), "remove one", "ppp.authentication")
		}
	}
	if (p.MPPE == "required" || p.MPPE == "maximum") && !slices.Contains(p.Authentication, "mschapv2") && !slices.Contains(p.Authentication, "mschap") {
		report("MPPE gets its keys only from MS-CHAP", "offer mschapv2 in ppp.authentication, or set ppp.mppe to off", "ppp.mppe", "ppp.authentication")
	}
	within(report, "ppp.mppe_key_changes", p.MPPEKeyChanges, minKeyChanges, maxKeyChanges)
	within(report, "ppp.mru", p.MRU, minMRU, maxMRU)
	if p.EchoInterval != 0 {
		within(report, "ppp.echo_interval", p.EchoInterval, time.Second, time.Hour)
	}
	if p.CHAPInterval != 0 {
		within(report, "ppp.chap_interval", p.CHAPInterval, time.Minute, 24*time.Hour)
	}
	if p.EchoFailures < 0 || p.EchoFailures > 100 {
		report(fmt.Sprintf("%d is not between 0 (off) and 100", p.EchoFailures), "", "ppp.echo_failures")
	}
	p.MutualPAP.check(report)
}

func (m MutualPAP) check(report reporter) {
	for _, part := range []struct{ key, value, other, missing string }{
		{"ppp.mutual_pap.user", m.User, "ppp.mutual_pap.password", m.Password},
		{"ppp.mutual_pap.password", m.Password, "ppp.mutual_pap.user", m.User},
	} {
		if part.value != "" && part.missing == "" {
			report("also requires "+part.other, "set "+part.other+", or leave both empty", part.key, part.other)
		}
		if len(part.value) > maxPAP {
			report(fmt.Sprintf("has %d bytes", len(part.value)), fmt.Sprintf("use at most %d", maxPAP), part.key)
		}
	}
}

func (n Network) check(report reporter) {
	checkInterface(report, "network.interface", n.Interface)
	checkOther(report, "network.proxy_arp", n.ProxyARP, n.Interface)
	checkOther(report, "network.masquerade", n.Masquerade, n.Interface)
	checkTable(report, "network.nftables_table", n.NFTablesTable)
	if !unicast(n.Address) {
		report(fmt.Sprintf("%s cannot be the address of a host", n.Address), "", "network.address")
	}
	if len(n.Routes) > maxRoutes {
		report(fmt.Sprintf("has %d routes", len(n.Routes)), fmt.Sprintf("keep at most %d, which fit into a DHCP message", maxRoutes), "network.routes")
	}
	if len(n.Domain) > 253 || strings.ContainsFunc(n.Domain, notInDomain) {
		report(fmt.Sprintf("%q is not a domain name", n.Domain), "write it as example.net", "network.domain")
	}
	atMostTwo(report, "network.dns", n.DNS)
	atMostTwo(report, "network.wins", n.WINS)
}

// checkPool checks the ranges of all pools, which share their addresses.
func (c Config) checkPool(report reporter) {
	size := uint64(0)
	var seen []Range
	for _, name := range slices.Sorted(maps.Keys(c.Network.AllPools())) {
		pool, key := c.Network.AllPools()[name], "network.pool"
		if name != "" {
			key = "network.pools." + name + ".pool"
			if len(name) > 64 || strings.ContainsFunc(name, notInDomain) {
				report(fmt.Sprintf("%q is not a name for a pool", name), "use letters, digits, - and .", "network.pools."+name)
			}
			atMostTwo(report, "network.pools."+name+".dns", pool.DNS)
			atMostTwo(report, "network.pools."+name+".wins", pool.WINS)
		}
		if len(pool.Addresses) == 0 {
			report("is empty", "write a range such as 10.99.0.10-10.99.0.250", key, "network.pools."+name)
		}
		for _, r := range pool.Addresses {
			size += uint64(number(r.Last)) - uint64(number(r.First)) + 1
			c.checkRange(report, key, r, seen)
			seen = append(seen, r)
		}
	}
	if size > maxPool {
		report(fmt.Sprintf("has %d addresses", size), fmt.Sprintf("use at most %d", maxPool), "network.pool")
	}
}

func (c Config) checkRange(report reporter, key string, r Range, seen []Range) {
	if !unicast(r.First) || !unicast(r.Last) || number(r.First)>>24 < 127 && number(r.Last)>>24 >= 127 {
		report(fmt.Sprintf("%s contains addresses that no host can have", r), "", key)
	}
	if r.Contains(c.Network.Address) {
		report(fmt.Sprintf("%s overlaps the interface: it contains network.address %s", r, c.Network.Address), advise(r, c.Network.Address),
			key, "network.address")
	}
	for _, other := range seen {
		if r.First.Compare(other.Last) <= 0 && other.First.Compare(r.Last) <= 0 {
			report(fmt.Sprintf("%s overlaps %s", r, other), "keep each address once", key)
		}
	}
}

// advise gives a way to write r without a.
func advise(r Range, a netip.Addr) string {
	parts := r.without(a)
	if len(parts) == 0 {
		return "choose another range"
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.String()
	}
	return "write [" + strings.Join(texts, ", ") + "]"
}

func checkInterface(report reporter, key, name string) {
	if name == "" || len(name) > maxIfName || name == "." || name == ".." ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' || r == ':' || r == '%' }) {
		report(fmt.Sprintf("%q is not the name of an interface (1 to %d letters, digits and signs)", name, maxIfName), "", key)
	}
}

// checkOther checks the name of an interface that must differ from vpnd's own; "" is none.
func checkOther(report reporter, key, name, own string) {
	if name == "" {
		return
	}
	checkInterface(report, key, name)
	if name == own {
		report(fmt.Sprintf("%q is vpnd's own interface (network.interface)", name), "choose another name", key, "network.interface")
	}
}

// checkTable checks the name of an nftables table with its family; "" is none.
func checkTable(report reporter, key, table string) {
	if table == "" {
		return
	}
	family, name, _ := strings.Cut(table, " ")
	bad := func(r rune) bool { return r != '_' && notInDomain(r) }
	if family != "ip" && family != "inet" || name == "" || len(name) > 64 || strings.ContainsFunc(name, bad) {
		report(fmt.Sprintf("%q is not a table", table), `write its family, ip or inet, and its name, as "inet filter"`, key)
	}
	if table == "ip vpnd" {
		report("ip vpnd is the daemon's own table", "choose a table of your firewall", key)
	}
}

func atMostTwo(report reporter, key string, servers []netip.Addr) {
	if len(servers) > 2 {
		report("PPP can tell a client only two servers", "keep at most two", key)
	}
}

func within[V int | int64 | time.Duration](report reporter, key string, v, lowest, highest V) {
	if v < lowest || v > highest {
		report(fmt.Sprintf("%v is not between %v and %v", v, lowest, highest), "", key)
	}
}

func unicast(a netip.Addr) bool {
	return a.Is4() && a.As4()[0] != 0 && !a.IsLoopback() && a.As4()[0] < 224
}

func number(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// notInServer reports characters that are neither in a name nor in an address with a port.
func notInServer(r rune) bool {
	return r != ':' && r != '[' && r != ']' && r != '%' && r != '_' && (r < 'A' || r > 'Z') && notInDomain(r)
}

// notInDomain reports characters that a domain name cannot have (RFC 1123 section 2.1).
func notInDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
}
