package usermgmt

import (
	"errors"
	"fmt"
	"strings"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
)

const maxName = 64

// New is the profile of a new user: as on a Vigor, with the defaults of Fields.
func New(name string) Profile {
	p := Profile{Name: name}
	for _, f := range Fields {
		if f.Default != "" {
			_ = f.set(&p, f.Default) // a test sets each default
		}
	}
	return p
}

// RuleError is a broken rule.
type RuleError struct {
	Field string // the name of the option of vpnd user set, such as motp-pin
	Text  string
}

// Error gives the field and the rule.
func (e *RuleError) Error() string { return e.Field + ": " + e.Text }

// Clean converts the profile to the stored form.
func (p *Profile) Clean() {
	for _, f := range Fields {
		f.clean(p)
	}
}

// Check checks the profile against the rules that concern no other users. The error joins
// RuleErrors.
func (p Profile) Check() error {
	p.Clean()
	return p.check()
}

// check checks a clean profile against the rules for several fields and for each field. It ignores
// other users. The error joins one RuleError for each broken rule.
func (p *Profile) check() error {
	errs := []error{CheckName(p.Name)}
	broken := func(field, text string) { errs = append(errs, &RuleError{field, text}) }
	if p.Password == "" && p.MOTPSecret == "" && p.MOTPPIN == "" && p.TOTPSecret == "" {
		broken("password", "the user needs a password, a mOTP secret with its PIN, or a TOTP secret")
	}
	if p.TOTPSecret != "" && p.MOTPSecret != "" {
		broken("totp-secret", "the user has a mOTP token already: remove one of the two")
	}
	if p.MOTPSecret == "" && p.MOTPPIN != "" {
		broken("motp-secret", "is missing: a mOTP PIN needs a secret")
	}
	if p.MOTPSecret != "" && p.MOTPPIN == "" {
		broken("motp-pin", "is missing: a mOTP secret needs a PIN")
	}
	if p.Address.IsValid() && p.MaxConnections > 1 {
		broken("max-connections", "a fixed address allows only one connection: set 1, or remove the address")
	}
	for _, f := range Fields {
		if err := f.check(p); err != nil {
			broken(f.Name, err.Error())
		}
	}
	return errors.Join(errs...)
}

func checkMOTPSecret(secret string) error {
	if secret == "" {
		return nil
	}
	_, err := motp.NewToken(secret, "0000")
	return err
}

func checkMOTPPIN(pin string) error {
	if pin == "" {
		return nil
	}
	_, err := motp.NewToken(strings.Repeat("0", 16), pin)
	return err
}

func checkTOTPSecret(secret string) error {
	if secret == "" {
		return nil
	}
	return totp.Check(secret)
}

func checkPool(name string) error {
	if len(name) > maxName || name != "" && CheckName(name) != nil {
		return fmt.Errorf("%q is not the name of a pool", name)
	}
	return nil
}

func checkGroup(name string) error {
	if strings.ContainsFunc(name, notInGroup) || len(name) > maxGroup {
		return fmt.Errorf("must have at most %d letters (a to z), digits, dots, dashes and underscores", maxGroup)
	}
	return nil
}

// CheckName checks a name of a user, an administrator or a token. The error is a RuleError.
func CheckName(name string) error {
	const signs = "._-@+"
	good := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r)
	}
	if name == "" || len(name) > maxName || name[0] == '-' || strings.ContainsFunc(name, func(r rune) bool { return !good(r) }) {
		return &RuleError{"name", fmt.Sprintf("must have 1 to %d letters (a to z), digits and %s, and must not begin with -", maxName, signs)}
	}
	if name == "." || name == ".." {
		return &RuleError{"name", "must not be " + name + ", because the address of a page cannot end in it: add a letter or a digit"}
	}
	return nil
}

// notInGroup reports whether the name of an nftables set cannot have the character.
func notInGroup(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
}

// Fold is the form of a name for comparisons.
func Fold(name string) string { return strings.ToLower(name) }

// Account is the profile in the form for authentication.
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
	// The values were valid when they were stored. Since then a time zone may have disappeared, or
	// the row may have been damaged.
	if err != nil {
		a.Fault = "schedule: " + err.Error()
	}
	for _, name := range []string{"ipsec", "further"} {
		f, _ := FieldNamed(name)
		if err := f.check(p); err != nil {
			a.Fault = name + ": " + err.Error()
		}
	}
	switch {
	case p.MOTPSecret != "":
		a.Token = motp.Token{Secret: p.MOTPSecret, PIN: p.MOTPPIN}
	case p.TOTPSecret != "":
		a.Token = totp.Token{Secret: p.TOTPSecret}
	}
	return a
}
