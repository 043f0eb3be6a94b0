package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/fault"

	"go.yaml.in/yaml/v3"
)

// fields connects the keys of the file to c.
func (c *Config) fields() section {
	return section{
		"state_dir": scalar(&c.StateDir, parseText),
		"listen":    list(&c.Listen, parseIPv4),
		"services": section{
			"pptp": scalar(&c.Services.PPTP, parseBool),
			"l2tp": scalar(&c.Services.L2TP, parseBool),
		},
		"ppp":     c.PPP.fields(),
		"network": c.Network.fields(),
		"l2tp": section{
			"secret":         scalar(&c.L2TP.Secret, parseText),
			"hostname":       scalar(&c.L2TP.Hostname, parseText),
			"hello_interval": scalar(&c.L2TP.HelloInterval, parseDuration),
			"hide_avps":      scalar(&c.L2TP.HideAVPs, parseBool),
		},
		"limits": section{
			"unauthenticated":             scalar(&c.Limits.Unauthenticated, parseInt),
			"unauthenticated_per_address": scalar(&c.Limits.UnauthenticatedPerAddress, parseInt),
			"log_ins_per_user":            scalar(&c.Limits.LogInsPerUser, parseInt),
		},
		"motp": section{
			"window":       scalar(&c.MOTP.Window, parseDuration),
			"max_failures": scalar(&c.MOTP.MaxFailures, parseInt),
		},
		"history": section{
			"age":                scalar(&c.History.Age, parseDuration),
			"entries":            scalar(&c.History.Entries, parseInt),
			"refusals":           scalar(&c.History.Refusals, parseInt),
			"refusals_of_source": scalar(&c.History.RefusalsOfSource, parseInt),
		},
		"time": section{
			"servers":    list(&c.Time.Servers, parseText),
			"interval":   scalar(&c.Time.Interval, parseDuration),
			"max_offset": scalar(&c.Time.MaxOffset, parseDuration),
		},
		"management": section{
			"listen":      scalar(&c.Management.Listen, parseText),
			"certificate": scalar(&c.Management.Certificate, parseText),
			"key":         scalar(&c.Management.Key, parseText),
			"socket":      scalar(&c.Management.Socket, parseText),
		},
		"hooks": section{
			"before":   list(&c.Hooks.Before, parseText),
			"up":       list(&c.Hooks.Up, parseText),
			"down":     list(&c.Hooks.Down, parseText),
			"timeout":  scalar(&c.Hooks.Timeout, parseDuration),
			"at_once":  scalar(&c.Hooks.AtOnce, parseInt),
			"refusals": scalar(&c.Hooks.Refusals, parseInt),
		},
		"log": section{
			"level":  scalar(&c.Log.Level, oneOf("debug", "info", "warn", "error")),
			"format": scalar(&c.Log.Format, oneOf("text", "json")),
			"trace":  scalar(&c.Log.Trace, parseText),
		},
	}
}

func (p *PPP) fields() section {
	return section{
		"authentication":   list(&p.Authentication, oneOf("mschapv2", "mschap", "chap", "pap")),
		"mppe":             scalar(&p.MPPE, oneOf("off", "optional", "required", "maximum")),
		"mppe_stateful":    scalar(&p.MPPEStateful, parseBool),
		"mppe_key_changes": scalar(&p.MPPEKeyChanges, parseInt),
		"mru":              scalar(&p.MRU, parseInt),
		"echo_interval":    scalar(&p.EchoInterval, parseDuration),
		"echo_failures":    scalar(&p.EchoFailures, parseInt),
		"chap_interval":    scalar(&p.CHAPInterval, parseDuration),
		"mutual_pap": section{
			"user":     scalar(&p.MutualPAP.User, parseText),
			"password": scalar(&p.MutualPAP.Password, parseText),
		},
	}
}

func (n *Network) fields() section {
	return section{
		"interface": scalar(&n.Interface, parseText),
		"address":   scalar(&n.Address, parseIPv4),
		"pool":      ranges(&n.Pool),
		"dns":       orUnset(&n.DNS, parseIPv4),
		"wins":      list(&n.WINS, parseIPv4),
		"pools": entries(&n.Pools, func(p *Pool) section {
			return section{"pool": ranges(&p.Addresses), "dns": orUnset(&p.DNS, parseIPv4), "wins": list(&p.WINS, parseIPv4)}
		}),
		"pool_change":    scalar(&n.PoolChange, oneOf("keep", "drop")),
		"proxy_arp":      scalar(&n.ProxyARP, parseText),
		"masquerade":     scalar(&n.Masquerade, parseText),
		"nftables_table": scalar(&n.NFTablesTable, parseText),
		"user_to_user":   scalar(&n.UserToUser, parseBool),
		"routes":         list(&n.Routes, parsePrefix),
		"domain":         scalar(&n.Domain, parseText),
	}
}

func parseText(s string) (string, error) { return s, nil }

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, fault.New(fmt.Sprintf("%q is neither true nor false", s), "")
	}
}

func parseInt(s string) (int, error) {
	v, err := strconv.Atoi(s)
	if err != nil {
		return 0, fault.New(fmt.Sprintf("%q is not a whole number", s), "")
	}
	return v, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, fault.New(fmt.Sprintf("%q is not an IPv4 prefix", s), "write it as 192.168.1.0/24")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fault.New(fmt.Sprintf("%q has bits set after its prefix length", s), "write "+p.Masked().String())
	}
	return p, nil
}

func parseDuration(s string) (time.Duration, error) {
	if _, err := strconv.Atoi(s); err == nil && s != "0" {
		return 0, fault.New(fmt.Sprintf("%q has no unit", s), "write "+s+"s for seconds")
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fault.New(fmt.Sprintf("%q is not a duration", s), "write it as 30s, 3m or 1h")
	}
	return v, nil
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fault.New(fmt.Sprintf("%q is not one of %s", s, strings.Join(words, ", ")), "")
		}
		return s, nil
	}
}

func parseIPv4(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fault.New(fmt.Sprintf("%q is not an IPv4 address", s), "")
	}
	return a, nil
}

// parseRange takes "first-last", a prefix, or one address. It leaves out the network address and
// the broadcast address of a prefix that has them; leaveOut removes the server's.
func parseRange(s string) (Range, error) {
	fail := fault.New(fmt.Sprintf("%q is not a range of IPv4 addresses", s), "write it as 10.99.0.10-10.99.0.250 or 10.99.0.0/24")
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, errFirst := parseIPv4(strings.TrimSpace(first))
		b, errLast := parseIPv4(strings.TrimSpace(last))
		if err := errors.Join(errFirst, errLast); err != nil {
			return Range{}, fail
		}
		if b.Less(a) {
			return Range{}, fault.New(fmt.Sprintf("%q ends before it begins", s), fmt.Sprintf("write %s-%s", b, a))
		}
		return Range{a, b}, nil
	}
	if !strings.Contains(s, "/") {
		a, err := parseIPv4(s)
		if err != nil {
			return Range{}, fail
		}
		return Range{a, a}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return Range{}, fail
	}
	if p != p.Masked() {
		return Range{}, fault.New(fmt.Sprintf("%q has bits set after its prefix length", s), "write "+p.Masked().String())
	}
	first, last := p.Addr(), lastOf(p)
	if p.Bits() <= 30 {
		first, last = first.Next(), last.Prev()
	}
	return Range{first, last}, nil
}

// ranges takes one range or a list of them, each in the form of parseRange or as {start: ADDRESS,
// count: NUMBER}.
func ranges(to *[]Range) setter {
	return listOf(to, func(r *Range) setter {
		return func(d *decoder, key string, n *yaml.Node) {
			if n = resolve(n); n.Kind == yaml.MappingNode {
				*r = d.startAndCount(key, n)
				return
			}
			scalar(r, parseRange)(d, key, n)
			if strings.Contains(n.Value, "/") {
				d.prefixes = append(d.prefixes, *r)
			}
		}
	})
}

// leaveOut removes the server's own address from ranges that were written as prefixes: a prefix
// means its hosts.
func (n *Network) leaveOut(prefixes []Range) {
	n.Pool = without(n.Pool, n.Address, prefixes)
	pools := map[string]Pool{}
	for name, p := range n.Pools {
		p.Addresses = without(p.Addresses, n.Address, prefixes)
		pools[name] = p
	}
	n.Pools = pools
}

// without gives ranges, and removes a from those of prefixes.
func without(ranges []Range, a netip.Addr, prefixes []Range) []Range {
	left := make([]Range, 0, len(ranges)+1)
	for _, r := range ranges {
		if r.Contains(a) && slices.Contains(prefixes, r) {
			left = append(left, r.without(a)...)
		} else {
			left = append(left, r)
		}
	}
	return left
}

// without gives the parts of the range that remain without a.
func (r Range) without(a netip.Addr) []Range {
	var parts []Range
	if r.First.Less(a) {
		parts = append(parts, Range{r.First, a.Prev()})
	}
	if a.Less(r.Last) {
		parts = append(parts, Range{a.Next(), r.Last})
	}
	return parts
}

// startAndCount takes a range in the form of a Vigor's page.
func (d *decoder) startAndCount(key string, n *yaml.Node) Range {
	var start netip.Addr
	var count int
	faults := len(d.faults)
	inner := &decoder{name: d.name, nodes: map[string]*yaml.Node{}}
	section{"start": scalar(&start, parseIPv4), "count": scalar(&count, parseInt)}.set(inner, key, n)
	d.faults = append(d.faults, inner.faults...)
	if len(d.faults) > faults {
		return Range{}
	}
	if !start.IsValid() || count < 1 || count > maxPool || uint64(number(start))+uint64(count) > 1<<32 {
		d.fault(n, key, fmt.Sprintf("is not a start and a count from 1 to %d", maxPool), "write it as {start: 10.99.0.10, count: 100}")
		return Range{}
	}
	last := number(start) + uint32(count) - 1
	return Range{start, netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, last)))}
}

func lastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}
