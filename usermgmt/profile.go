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
	maxLimit    = 365 * 24 * time.Hour
)

// Profile is what is set for a user.
type Profile struct {
	Name        string
	Enabled     bool
	Password    string // "": none
	MOTPSecret  string // lower-case hexadecimal digits; "": no token
	MOTPPIN     string
	Services    []auth.Service // allowed types of dial-in
	IPsec       IPsec
	Address     netip.Addr    // fixed inner address; invalid: from the pool
	IdleTimeout time.Duration // whole seconds; 0: none
	SessionTime time.Duration // whole seconds; 0: unlimited
	Comment     string
}

// RuleError is one rule that a profile breaks.
type RuleError struct {
	Field string // name, password, motp-secret, motp-pin, dial-in, ipsec, address, idle-timeout, session-time or comment
	Text  string
}

// Error writes the field and the rule.
func (e *RuleError) Error() string { return e.Field + ": " + e.Text }

// clean puts the profile into the form that is stored.
func (p *Profile) clean() {
	p.MOTPSecret = strings.ToLower(p.MOTPSecret)
	p.Address = p.Address.Unmap()
	if p.IPsec == "" {
		p.IPsec = IPsecNone
	}
	services := slices.Clone(p.Services)
	slices.Sort(services)
	p.Services = slices.Compact(services)
}

// check holds a cleaned profile against the rules that need no look at other users. The error
// joins one RuleError for each that is broken.
func (p *Profile) check() error {
	var errs []error
	broken := func(field, format string, args ...any) {
		errs = append(errs, &RuleError{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if err := checkName(p.Name); err != nil {
		errs = append(errs, err)
	}
	if p.Password == "" && p.MOTPSecret == "" && p.MOTPPIN == "" {
		broken("password", "the user needs a password, a mOTP secret with its PIN, or both")
	}
	if n := utf8.RuneCountInString(p.Password); !utf8.ValidString(p.Password) || n > maxPassword || strings.ContainsFunc(p.Password, unicode.IsControl) {
		broken("password", "must have 1 to %d characters without control characters", maxPassword)
	}
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
	for _, limit := range []struct {
		field string
		time.Duration
	}{{"idle-timeout", p.IdleTimeout}, {"session-time", p.SessionTime}} {
		if limit.Duration < 0 || limit.Duration > maxLimit || limit.Duration%time.Second != 0 {
			broken(limit.field, "%s is not a number of whole seconds from 0s (none) to %s", limit.Duration, maxLimit)
		}
	}
	if !utf8.ValidString(p.Comment) || utf8.RuneCountInString(p.Comment) > maxComment || strings.ContainsFunc(p.Comment, unicode.IsControl) {
		broken("comment", "must have at most %d characters without control characters", maxComment)
	}
	return errors.Join(errs...)
}

func (p *Profile) checkToken(broken func(field, format string, args ...any)) {
	switch {
	case p.MOTPSecret == "" && p.MOTPPIN == "":
		return
	case p.MOTPSecret == "":
		broken("motp-secret", "is missing: a mOTP PIN goes with a secret")
		return
	case p.MOTPPIN == "":
		broken("motp-pin", "is missing: a mOTP secret goes with a PIN")
		return
	}
	// Each by itself, so that both faults are told.
	if _, err := motp.NewToken(p.MOTPSecret, "0000"); err != nil {
		broken("motp-secret", "%v", err)
	}
	if _, err := motp.NewToken(strings.Repeat("0", 16), p.MOTPPIN); err != nil {
		broken("motp-pin", "%v", err)
	}
}

func checkName(name string) error {
	const signs = "._-@+"
	good := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r)
	}
	if name == "" || len(name) > maxName || name[0] == '-' || strings.ContainsFunc(name, func(r rune) bool { return !good(r) }) {
		return &RuleError{"name", fmt.Sprintf("must have 1 to %d letters (a to z), digits and %s, and not begin with -", maxName, signs)}
	}
	return nil
}

// fold is the form of a name that is compared.
func fold(name string) string { return strings.ToLower(name) }

// account is the profile as authentication sees it.
func (p *Profile) account() auth.Account {
	a := auth.Account{
		Name: p.Name, Enabled: p.Enabled, Password: p.Password, Services: p.Services,
		Terms: auth.Terms{Address: p.Address, IdleTimeout: p.IdleTimeout, SessionTime: p.SessionTime},
	}
	if p.MOTPSecret != "" {
		a.Token = &motp.Token{Secret: p.MOTPSecret, PIN: p.MOTPPIN}
	}
	return a
}
