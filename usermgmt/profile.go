package usermgmt

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
)

// IPsec says whether a user's L2TP must come inside IPsec.
type IPsec string

// The policies.
const (
	IPsecNone IPsec = "none"
	IPsecNice IPsec = "nice" // wanted, not needed
	IPsecMust IPsec = "must"
)

const (
	maxName     = 64
	maxPassword = 128 // characters
	maxComment  = 200 // characters
	maxGroup    = 32
	maxLimit    = 365 * 24 * time.Hour

	maxIndex       = 1_000_000
	maxConnections = 1000
	minRate        = 8_000           // bits per second
	maxRate        = 100_000_000_000 // bits per second
	maxQuota       = 1 << 50         // bytes
)

// Further says what a connection over the user's number of connections does.
type Further string

// What it does.
const (
	Replace Further = "replace" // it replaces the oldest
	Refuse  Further = "refuse"
)

// Profile is what is set for a user.
type Profile struct {
	Index          int // the profile's number, from 1; 0 in Add: the lowest that is free; 0 in Update: the one that it has
	Name           string
	Enabled        bool
	Password       string // "": none
	MOTPSecret     string // lower-case hexadecimal digits; "": no token
	MOTPPIN        string
	TOTPSecret     string         // base32 (RFC 4648) without padding; "": none
	Services       []auth.Service // allowed types of dial-in
	IPsec          IPsec
	RemoteNode     netip.Prefix  // outer addresses that alone may dial; invalid: all
	Address        netip.Addr    // fixed inner address; invalid: from the pool
	Pool           string        // the pool's name; "": the one without a name
	Group          string        // for firewalls and hooks; "": none
	IdleTimeout    time.Duration // whole seconds; 0: none
	SessionTime    time.Duration // whole seconds; 0: unlimited
	MaxConnections int           // at once; 0: unlimited
	Further        Further       // what one over MaxConnections does; "": Replace
	Schedule       string        // as auth.ParseSchedule takes it; "": always
	Expires        time.Time     // whole seconds; zero: never
	BlockNetBIOS   bool
	PassMulticast  bool
	UpLimit        uint64 // from the user, in bits per second; 0: none
	DownLimit      uint64 // to the user, in bits per second; 0: none
	Quota          uint64 // bytes in a calendar month, both ways together; 0: unlimited
	Comment        string
}

// New is a profile as a new user has it, as on a Vigor: PPTP and L2TP, hung up after 300 s without
// data, one connection at once.
func New(name string) Profile {
	return Profile{
		Name: name, Enabled: true, Services: []auth.Service{auth.L2TP, auth.PPTP}, IPsec: IPsecNone,
		IdleTimeout: 300 * time.Second, MaxConnections: 1, Further: Replace,
	}
}

// RuleError is one rule that a profile breaks.
type RuleError struct {
	Field string // as the option of vpnd user set, such as motp-pin
	Text  string
}

// Error writes the field and the rule.
func (e *RuleError) Error() string { return e.Field + ": " + e.Text }

// Clean puts the profile into the form that is stored.
func (p *Profile) Clean() {
	p.MOTPSecret = motp.Clean(p.MOTPSecret)
	p.Address = p.Address.Unmap()
	if p.IPsec == "" {
		p.IPsec = IPsecNone
	}
	if p.Further == "" {
		p.Further = Replace
	}
	if p.RemoteNode.IsValid() {
		p.RemoteNode = p.RemoteNode.Masked()
	}
	p.TOTPSecret = totp.Clean(p.TOTPSecret)
	if schedule, err := auth.ParseSchedule(p.Schedule); err == nil {
		p.Schedule = schedule.String()
	}
	if !p.Expires.IsZero() {
		p.Expires = p.Expires.UTC().Truncate(time.Second)
	}
	services := slices.Clone(p.Services)
	slices.Sort(services)
	p.Services = slices.Compact(services)
}

// Check holds the profile against the rules that need no look at other users, as a Table does. The error
// joins RuleErrors.
func (p Profile) Check() error {
	p.Clean()
	return p.check()
}

// check holds a cleaned profile against the rules that need no look at other users. The error
// joins one RuleError for each that is broken.
func (p *Profile) check() error {
	var errs []error
	broken := func(field, format string, args ...any) {
		errs = append(errs, &RuleError{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if err := CheckName(p.Name); err != nil {
		errs = append(errs, err)
	}
	if p.Index < 0 || p.Index > maxIndex {
		broken("index", "%d is not between 1 and %d", p.Index, maxIndex)
	}
	if p.Password == "" && p.MOTPSecret == "" && p.MOTPPIN == "" && p.TOTPSecret == "" {
		broken("password", "the user needs a password, a mOTP secret with its PIN, or a TOTP secret")
	}
	checkText(broken, "password", p.Password, fmt.Sprintf("must have 1 to %d characters", maxPassword), maxPassword)
	p.checkToken(broken)
	for _, s := range p.Services {
		if s != auth.PPTP && s != auth.L2TP {
			broken("dial-in", "%q is not one of pptp, l2tp", string(s))
		}
	}
	if !slices.Contains([]IPsec{IPsecNone, IPsecNice, IPsecMust}, p.IPsec) {
		broken("ipsec", "%q is not one of none, nice, must", string(p.IPsec))
	}
	if p.Address.IsValid() && !p.Address.Is4() {
		broken("address", "%s is not an IPv4 address", p.Address)
	}
	p.checkLimits(broken)
	checkText(broken, "comment", p.Comment, fmt.Sprintf("must have at most %d characters", maxComment), maxComment)
	return errors.Join(errs...)
}

// checkText checks a text of any characters.
func checkText(broken func(field, format string, args ...any), field, text, length string, most int) {
	switch {
	case !utf8.ValidString(text):
		broken(field, "has bytes that are not UTF-8, as \\E4 for ä in some files: write the characters themselves")
	case utf8.RuneCountInString(text) > most || strings.ContainsFunc(text, unicode.IsControl):
		broken(field, "%s without control characters", length)
	}
}

// checkLimits checks when, from where, how long, how often and how fast.
func (p *Profile) checkLimits(broken func(field, format string, args ...any)) {
	for _, limit := range []struct {
		field string
		time.Duration
	}{{"idle-timeout", p.IdleTimeout}, {"session-time", p.SessionTime}} {
		if limit.Duration < 0 || limit.Duration > maxLimit || limit.Duration%time.Second != 0 {
			broken(limit.field, "%s is not a number of whole seconds from 0s (none) to %s", limit.Duration, maxLimit)
		}
	}
	if p.RemoteNode.IsValid() && !p.RemoteNode.Addr().Is4() {
		broken("remote-node", "%s is not an IPv4 address or prefix", p.RemoteNode)
	}
	if len(p.Pool) > maxName || p.Pool != "" && CheckName(p.Pool) != nil {
		broken("pool", "%q is not the name of a pool", p.Pool)
	}
	if strings.ContainsFunc(p.Group, notInGroup) || len(p.Group) > maxGroup {
		broken("group", "must have at most %d letters (a to z), digits, _, - and .", maxGroup)
	}
	if p.MaxConnections < 0 || p.MaxConnections > maxConnections {
		broken("max-connections", "%d is not between 0 (unlimited) and %d", p.MaxConnections, maxConnections)
	}
	if p.Address.IsValid() && p.MaxConnections > 1 {
		broken("max-connections", "a fixed address is for one connection: set 1, or no address")
	}
	if p.Further != Replace && p.Further != Refuse {
		broken("further", "%q is not one of replace, refuse", string(p.Further))
	}
	if _, err := auth.ParseSchedule(p.Schedule); err != nil {
		broken("schedule", "%v", err)
	}
	if y := p.Expires.Year(); !p.Expires.IsZero() && (y < 1970 || y > 9999) {
		broken("expires", "the year %d is not between 1970 and 9999", y)
	}
	for _, limit := range []struct {
		field string
		rate  uint64
	}{{"up-limit", p.UpLimit}, {"down-limit", p.DownLimit}} {
		if limit.rate != 0 && (limit.rate < minRate || limit.rate > maxRate) {
			broken(limit.field, "%d bit/s is not between %d and %d, or 0 (none)", limit.rate, uint64(minRate), uint64(maxRate))
		}
	}
	if p.Quota > maxQuota {
		broken("quota", "%d bytes is more than %d", p.Quota, uint64(maxQuota))
	}
}

func (p *Profile) checkToken(broken func(field, format string, args ...any)) {
	if p.TOTPSecret != "" {
		if err := totp.Check(p.TOTPSecret); err != nil {
			broken("totp-secret", "%v", err)
		}
		if p.MOTPSecret != "" {
			broken("totp-secret", "the user has a mOTP token already: take one of them away")
		}
	}
	if p.MOTPSecret == "" && p.MOTPPIN == "" {
		return
	}
	// Each by itself, so that both faults are told.
	if p.MOTPSecret == "" {
		broken("motp-secret", "is missing: a mOTP PIN goes with a secret")
	} else if _, err := motp.NewToken(p.MOTPSecret, "0000"); err != nil {
		broken("motp-secret", "%v", err)
	}
	if p.MOTPPIN == "" {
		broken("motp-pin", "is missing: a mOTP secret goes with a PIN")
	} else if _, err := motp.NewToken(strings.Repeat("0", 16), p.MOTPPIN); err != nil {
		broken("motp-pin", "%v", err)
	}
}

// CheckName holds a name of a user, an administrator or a token against the rules. The error is a RuleError.
func CheckName(name string) error {
	const signs = "._-@+"
	good := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r)
	}
	if name == "" || len(name) > maxName || name[0] == '-' || strings.ContainsFunc(name, func(r rune) bool { return !good(r) }) {
		return &RuleError{"name", fmt.Sprintf("must have 1 to %d letters (a to z), digits and %s, and not begin with -", maxName, signs)}
	}
	if name == "." || name == ".." {
		return &RuleError{"name", "must not be " + name + ", which no address of a page can end in: add a letter or a digit"}
	}
	return nil
}

// notInGroup tells what the name of an nftables set does not have.
func notInGroup(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
}

// Fold is the form of a name that is compared.
func Fold(name string) string { return strings.ToLower(name) }

// Account is the profile as authentication sees it.
func (p *Profile) Account() auth.Account {
	schedule, err := auth.ParseSchedule(p.Schedule)
	a := auth.Account{
		Name: p.Name, Enabled: p.Enabled, Password: p.Password, Services: p.Services,
		IPsecMust: p.IPsec == IPsecMust, RemoteNode: p.RemoteNode, Schedule: schedule, Expires: p.Expires,
		Terms: auth.Terms{
			Address: p.Address, Pool: p.Pool, Group: p.Group, IdleTimeout: p.IdleTimeout, SessionTime: p.SessionTime,
			MaxConnections: p.MaxConnections, RefuseFurther: p.Further == Refuse,
			BlockNetBIOS: p.BlockNetBIOS, PassMulticast: p.PassMulticast,
			UpLimit: p.UpLimit, DownLimit: p.DownLimit, Quota: p.Quota,
		},
	}
	if p.Address.IsValid() {
		a.Terms.MaxConnections = 1
	}
	// All was checked when it was stored; but a time zone may be gone by now, and a row may be damaged.
	switch {
	case err != nil:
		a.Fault = "schedule: " + err.Error()
	case !slices.Contains([]IPsec{IPsecNone, IPsecNice, IPsecMust}, p.IPsec):
		a.Fault = fmt.Sprintf("ipsec: %q is not one of none, nice, must", string(p.IPsec))
	case p.Further != Replace && p.Further != Refuse:
		a.Fault = fmt.Sprintf("further: %q is not one of replace, refuse", string(p.Further))
	}
	switch {
	case p.MOTPSecret != "":
		a.Token = motp.Token{Secret: p.MOTPSecret, PIN: p.MOTPPIN}
	case p.TOTPSecret != "":
		a.Token = totp.Token{Secret: p.TOTPSecret}
	}
	return a
}
