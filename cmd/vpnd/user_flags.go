package main

import (
	"time"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// userFlags are the flags that say what a user is.
type userFlags struct {
	password, passwordFile string
	ask                    bool
	secret, pin            string
	dialIn                 []string
	ipsec                  string
	idle, session          time.Duration
	address, comment       string
	enabled, disabled      bool
}

func (f *userFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.password, "password", "", "static password `P`; other users of this machine see it: better --password-file")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `FILE`, - for standard input")
	flags.BoolVar(&f.ask, "ask-password", false, "ask for the password on the terminal")
	flags.StringVar(&f.secret, "motp-secret", "", "secret of the user's mOTP token, 16 to 32 `HEX` digits")
	flags.StringVar(&f.pin, "motp-pin", "", "PIN of the user's mOTP token, 4 to 7 `DIGITS`")
	flags.StringSliceVar(&f.dialIn, "dial-in", nil, "`TYPES` of dial-in that are allowed: pptp, l2tp, pptp,l2tp or none (a new user: pptp,l2tp)")
	flags.StringVar(&f.ipsec, "ipsec", "", "`POLICY` for L2TP: none, nice or must (a new user: none)")
	flags.DurationVar(&f.idle, "idle-timeout", 0, "hang up after that long without user data, such as 300s; 0s: never")
	flags.DurationVar(&f.session, "session-time", 0, "hang up after that long, such as 8h; 0s: never")
	flags.StringVar(&f.address, "address", "", "`IP` address that the user always gets, from the pool")
	flags.StringVar(&f.comment, "comment", "", "`TEXT` for the administrator, shown with the user")
	flags.BoolVar(&f.enabled, "enabled", false, "the user may dial in")
	flags.BoolVar(&f.disabled, "disabled", false, "the user may not dial in, and is hung up")
}

// any reports whether a flag of define is given.
func (f *userFlags) any(cmd *cobra.Command) bool {
	for _, name := range []string{
		"password", "password-file", "ask-password", "motp-secret", "motp-pin", "dial-in", "ipsec",
		"idle-timeout", "session-time", "address", "comment", "enabled", "disabled",
	} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// readPassword puts a password that is not on the command line into f.password.
func (f *userFlags) readPassword(cmd *cobra.Command) error {
	ways := 0
	for _, given := range []bool{cmd.Flags().Changed("password"), f.passwordFile != "", f.ask} {
		if given {
			ways++
		}
	}
	var err error
	switch {
	case ways > 1:
		return usagef(cmd, "--password, --password-file and --ask-password exclude each other")
	case f.passwordFile != "":
		f.password, err = passwordFrom(cmd, "--password-file", f.passwordFile)
	case f.ask:
		f.password, err = askPassword(cmd)
	default:
		return nil
	}
	f.passwordFile, f.ask = "", false
	if err == nil {
		err = cmd.Flags().Set("password", f.password)
	}
	return err
}

// apply puts what is given into p.
func (f *userFlags) apply(cmd *cobra.Command, p *usermgmt.Profile) error {
	given := cmd.Flags().Changed
	if f.enabled && f.disabled {
		return usagef(cmd, "--enabled and --disabled exclude each other")
	}
	if err := f.readPassword(cmd); err != nil {
		return err
	}
	if given("password") {
		p.Password = f.password
	}
	if given("motp-secret") {
		p.MOTPSecret = f.secret
		if f.secret == "" && !given("motp-pin") {
			p.MOTPPIN = ""
		}
	}
	if given("motp-pin") {
		p.MOTPPIN = f.pin
	}
	if given("dial-in") {
		p.Services = parseServices(f.dialIn)
	}
	if given("ipsec") {
		p.IPsec = usermgmt.IPsec(f.ipsec)
	}
	if given("idle-timeout") {
		p.IdleTimeout = f.idle
	}
	if given("session-time") {
		p.SessionTime = f.session
	}
	if given("address") {
		a, err := parseAddress(f.address)
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		p.Address = a
	}
	if given("comment") {
		p.Comment = f.comment
	}
	if given("enabled") {
		p.Enabled = f.enabled
	}
	if given("disabled") {
		p.Enabled = !f.disabled
	}
	return nil
}
