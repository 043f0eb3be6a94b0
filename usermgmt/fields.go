package usermgmt

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/auth"
)

// Field is a profile's field as text: an option of the command line, a column or a key of a file, a
// field of a form.
type Field struct {
	Name   string // such as motp-pin
	Usage  string // what it is; the word for its value stands between backquotes
	Secret bool   // it is written, and shown to nobody
	get    func(*Profile) string
	set    func(*Profile, string) error
}

// Get is the field's text; "" is nothing, never or unlimited.
func (f Field) Get(p *Profile) string { return f.get(p) }

// Set puts a text into the field. The error is a RuleError. What only the whole profile can tell is
// checked by the Table.
func (f Field) Set(p *Profile, text string) error {
	if err := f.set(p, text); err != nil {
		return &RuleError{f.Name, err.Error()}
	}
	return nil
}

// Fields are all fields but the name.
var Fields = []Field{
	{
		"index", "`NUMBER` of the profile, from 1 (a new user: the lowest that is free)", false,
		func(p *Profile) string { return number(p.Index) },
		func(p *Profile, s string) error { return parseNumber(&p.Index, s) },
	},
	{
		"enabled", "whether the user may dial in: `yes` or no", false,
		func(p *Profile) string { return oneOf(p.Enabled, "yes", "no") },
		func(p *Profile, s string) error { return choose(&p.Enabled, s, "yes", "no") },
	},
	{
		"password", "static password `P`; other users of this machine see it: better --password-file", true,
		func(p *Profile) string { return p.Password },
		func(p *Profile, s string) error { p.Password = s; return nil },
	},
	{
		"motp-secret", "secret of the user's mOTP token, 16 to 32 `HEX` digits", true,
		func(p *Profile) string { return p.MOTPSecret },
		func(p *Profile, s string) error { p.MOTPSecret = s; return nil },
	},
	{
		"motp-pin", "PIN of the user's mOTP token, 4 to 7 `DIGITS`", true,
		func(p *Profile) string { return p.MOTPPIN },
		func(p *Profile, s string) error { p.MOTPPIN = s; return nil },
	},
	{
		"totp-secret", "secret of the user's TOTP app in `BASE32`", true,
		func(p *Profile) string { return p.TOTPSecret },
		func(p *Profile, s string) error { p.TOTPSecret = s; return nil },
	},
	{
		"dial-in", "`TYPES` of dial-in that are allowed: pptp, l2tp, pptp,l2tp or none (a new user: pptp,l2tp)", false,
		func(p *Profile) string { return services(p.Services) },
		func(p *Profile, s string) error { return parseServices(&p.Services, s) },
	},
	{
		"ipsec", "`POLICY` for L2TP: none, nice or must (a new user: none)", false,
		func(p *Profile) string { return string(p.IPsec) },
		func(p *Profile, s string) error { p.IPsec = IPsec(s); return nil },
	},
	{
		"remote-node", "outer `ADDRESS` or prefix from which alone the user may dial", false,
		func(p *Profile) string { return node(p.RemoteNode) },
		func(p *Profile, s string) error { return parseNode(&p.RemoteNode, s) },
	},
	{
		"address", "`IP` address that the user always gets, from the pool", false,
		func(p *Profile) string { return text(p.Address) },
		func(p *Profile, s string) error { return parseAddress(&p.Address, s) },
	},
	{
		"pool", "`NAME` of the pool from which the user gets an address", false,
		func(p *Profile) string { return p.Pool },
		func(p *Profile, s string) error { p.Pool = s; return nil },
	},
	{
		"group", "`NAME` of the group that the user's address is in for firewalls (network.nftables_table) and hooks; a Vigor has none", false,
		func(p *Profile) string { return p.Group },
		func(p *Profile, s string) error { p.Group = s; return nil },
	},
	{
		"idle-timeout", "`TIME` without user data after which to hang up, such as 300s (a new user); 0s: never", false,
		func(p *Profile) string { return p.IdleTimeout.String() },
		func(p *Profile, s string) error { return parseDuration(&p.IdleTimeout, s) },
	},
	{
		"session-time", "`TIME` after which to hang up, such as 8h; 0s: never (a new user)", false,
		func(p *Profile) string { return p.SessionTime.String() },
		func(p *Profile, s string) error { return parseDuration(&p.SessionTime, s) },
	},
	{
		"max-connections", "`NUMBER` of connections at once; 0: unlimited (a new user: 1)", false,
		func(p *Profile) string { return strconv.Itoa(p.MaxConnections) },
		func(p *Profile, s string) error { return parseNumber(&p.MaxConnections, s) },
	},
	{
		"further", "`WHAT` a connection over that number does: replace the oldest (a new user), or be refused (refuse)", false,
		func(p *Profile) string { return string(p.Further) },
		func(p *Profile, s string) error { p.Further = Further(s); return nil },
	},
	{
		"schedule", "`TIMES` at which the user may be connected, such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"; empty: always", false,
		func(p *Profile) string { return p.Schedule },
		func(p *Profile, s string) error { p.Schedule = s; return nil },
	},
	{
		"expires", "`DATE` (2027-12-31, to its end in UTC) or time (2027-12-31T18:00:00Z) from when on the user may not dial in; empty: never", false,
		func(p *Profile) string { return date(p.Expires) },
		func(p *Profile, s string) error { return parseDate(&p.Expires, s) },
	},
	{
		"netbios", "`WHAT` becomes of NetBIOS naming packets: pass (a new user) or block", false,
		func(p *Profile) string { return oneOf(p.BlockNetBIOS, "block", "pass") },
		func(p *Profile, s string) error { return choose(&p.BlockNetBIOS, s, "block", "pass") },
	},
	{
		"multicast", "`WHAT` becomes of multicast packets: pass or block (a new user)", false,
		func(p *Profile) string { return oneOf(p.PassMulticast, "pass", "block") },
		func(p *Profile, s string) error { return choose(&p.PassMulticast, s, "pass", "block") },
	},
	{
		"up-limit", "`RATE` from the user, in bits per second, such as 10M; 0: unlimited", false,
		func(p *Profile) string { return size(p.UpLimit) },
		func(p *Profile, s string) error { return parseSize(&p.UpLimit, s) },
	},
	{
		"down-limit", "`RATE` to the user, in bits per second, such as 10M; 0: unlimited", false,
		func(p *Profile) string { return size(p.DownLimit) },
		func(p *Profile, s string) error { return parseSize(&p.DownLimit, s) },
	},
	{
		"quota", "`BYTES` in a calendar month (UTC), both ways together, such as 50G; 0: unlimited", false,
		func(p *Profile) string { return size(p.Quota) },
		func(p *Profile, s string) error { return parseSize(&p.Quota, s) },
	},
	{
		"comment", "`TEXT` for the administrator, shown with the user", false,
		func(p *Profile) string { return p.Comment },
		func(p *Profile, s string) error { p.Comment = s; return nil },
	},
}

// FieldNamed finds a field.
func FieldNamed(name string) (Field, bool) {
	i := slices.IndexFunc(Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return Fields[i], true
}

// differences names the fields in which b differs from a.
func differences(a, b *Profile) string { return differ(a, b, func(f Field) string { return f.Name }) }

// changes says how b differs from a, but for the values of secrets.
func changes(a, b *Profile) string {
	return differ(a, b, func(f Field) string {
		switch after := f.Get(b); {
		case !f.Secret:
			return f.Name + ": " + short(f.Get(a)) + " -> " + short(after)
		case after == "":
			return f.Name + " removed"
		default:
			return f.Name
		}
	})
}

func differ(a, b *Profile, tell func(Field) string) string {
	var all []string
	for _, f := range Fields {
		if f.Get(a) != f.Get(b) {
			all = append(all, tell(f))
		}
	}
	return strings.Join(all, ", ")
}

// short is a value in the history, within bounds.
func short(value string) string {
	const most = 64
	switch runes := []rune(value); {
	case value == "":
		return "none"
	case len(runes) > most:
		return string(runes[:most]) + "…"
	}
	return value
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func parseNumber(to *int, s string) error {
	if s == "" {
		s = "0"
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	*to = n
	return nil
}

func oneOf(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func choose(to *bool, s, yes, no string) error {
	if s != yes && s != no {
		return fmt.Errorf("%q is not one of %s, %s", s, yes, no)
	}
	*to = s == yes
	return nil
}

func services(list []auth.Service) string {
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ",")
}

func parseServices(to *[]auth.Service, s string) error {
	*to = nil
	if s == "none" || s == "" {
		return nil
	}
	for word := range strings.SplitSeq(s, ",") {
		*to = append(*to, auth.Service(strings.TrimSpace(word)))
	}
	return nil
}

func node(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	default:
		return p.String()
	}
}

func parseNode(to *netip.Prefix, s string) error {
	if s == "" {
		*to = netip.Prefix{}
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		*to = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not an address or a prefix such as 203.0.113.0/24", s)
	}
	*to = p
	return nil
}

func parseAddress(to *netip.Addr, s string) error {
	if s == "" {
		*to = netip.Addr{}
		return nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return fmt.Errorf("%q is not an IPv4 address", s)
	}
	*to = a
	return nil
}

// parseDuration takes "300s", or "300" for seconds as a Vigor's page has it.
func parseDuration(to *time.Duration, s string) error {
	if s == "" {
		s = "0"
	}
	if n, err := strconv.Atoi(s); err == nil {
		*to = time.Duration(n) * time.Second
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 300s or 8h", s)
	}
	*to = d
	return nil
}

func date(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.AddDate(0, 0, -1).Format(time.DateOnly)
	default:
		return t.Format(time.RFC3339)
	}
}

func parseDate(to *time.Time, s string) error {
	if s == "" || s == "never" {
		*to = time.Time{}
		return nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		*to = t.AddDate(0, 0, 1)
		return nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is neither a date such as 2027-12-31 nor a time such as 2027-12-31T18:00:00Z", s)
	}
	*to = t
	return nil
}

const units = "kMGT"

// size writes a number with the largest unit that keeps it whole.
func size(n uint64) string {
	unit := 0
	for n != 0 && n%1000 == 0 && unit < len(units) {
		n /= 1000
		unit++
	}
	if unit == 0 {
		return strconv.FormatUint(n, 10)
	}
	return strconv.FormatUint(n, 10) + units[unit-1:unit]
}

func parseSize(to *uint64, s string) error {
	if s == "" {
		s = "0"
	}
	fail := fmt.Errorf("%q is not a number such as 500k, 10M or 50G", s)
	digits, factor := s, uint64(1)
	if i := strings.IndexByte(units, s[len(s)-1]); i >= 0 {
		digits = s[:len(s)-1]
		for range i + 1 {
			factor *= 1000
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > 1<<63/factor {
		return fail
	}
	*to = n * factor
	return nil
}
