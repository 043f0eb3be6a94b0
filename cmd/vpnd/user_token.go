package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/auth/otplink"
	"vpnd/auth/totp"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/internal/timesync"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

const (
	enrolTries = 3
	enrolHelp  = `Give a user %s. The command generates a secret, shows its link and QR code for the app,
and verifies one code of the app before it saves anything. It adds a user that does not exist, like 'vpnd user add'.
The code then counts as used: the first dial-in needs the next one.%s`
	motpHelp = "\nThe PIN is not in the QR code: the user types it into the app for each code."
)

// enrolment is the command line of user motp and user totp.
type enrolment struct {
	kind        string // "mOTP" or "TOTP"
	secret, pin string
	code        string
	issuer      string
	fresh       bool
	noVerify    bool
}

// token is the token that an enrolment gives a user.
type token interface {
	auth.Token
	URL(issuer, user string) string
}

func newUserMotpCommand() *cobra.Command {
	e := enrolment{kind: "mOTP"}
	cmd := e.command("Give a user a mOTP token, with a QR code", fmt.Sprintf(enrolHelp, "a Mobile-OTP (mOTP) token", motpHelp))
	cmd.Flags().StringVar(&e.secret, "secret", "", "use this secret of 16 to 32 `HEX` digits, or of a motp link, instead of a new one; -: asks for it, or reads it from standard input")
	cmd.Flags().StringVar(&e.pin, "pin", "", "PIN of 4 to 7 `DIGITS` (default: vpnd asks for it)")
	completeFlag(cmd, "pin", cobra.NoFileCompletions)
	return cmd
}

func newUserTotpCommand() *cobra.Command {
	e := enrolment{kind: "TOTP"}
	cmd := e.command("Give a user a TOTP app, with a QR code", fmt.Sprintf(enrolHelp, "a token of an authenticator app (TOTP, RFC 6238)", ""))
	cmd.Flags().StringVar(&e.secret, "secret", "", "use this secret in `BASE32`, or of an otpauth link, instead of a new one; -: asks for it, or reads it from standard input")
	return cmd
}

func (e *enrolment) command(short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: strings.ToLower(e.kind) + " NAME", Short: short, Long: long, Args: named("NAME"), ValidArgsFunction: oneUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.noVerify && e.code != "" {
				return usagef(cmd, "--code and --no-verify exclude each other")
			}
			if asJSON(cmd) && e.secret == "" && !e.noVerify {
				return usagef(cmd, "--json shows a new secret only after saving it, too late to verify a code: give --no-verify or --secret")
			}
			if e.code != "" && e.secret == "" {
				return usagef(cmd, "--code needs --secret: without it the secret is new, and no code of it exists yet")
			}
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return withUsers(cmd, func(users state.Store) error { return e.run(cmd, cfg, users, args[0]) })
		},
	}
	cmd.Flags().BoolVar(&e.fresh, "new", false, "replace the user's token; the old token then no longer works")
	cmd.Flags().StringVar(&e.code, "code", "", "verify this `CODE` instead of asking for one")
	cmd.Flags().BoolVar(&e.noVerify, "no-verify", false, "save without verifying a code")
	cmd.Flags().StringVar(&e.issuer, "issuer", "", "`NAME` of the server in the app (default: l2tp.hostname of the configuration)")
	completeFlag(cmd, "issuer", cobra.NoFileCompletions)
	return cmd
}

func (e *enrolment) run(cmd *cobra.Command, cfg config.Config, users state.Store, name string) error {
	p, how, err := e.profile(cmd, users, name)
	if err != nil {
		return err
	}
	if e.issuer == "" {
		e.issuer = cfg.L2TP.Hostname
	}
	if err := otplink.CheckIssuer(e.issuer); err != nil {
		return usagef(cmd, "--issuer %q: %v", e.issuer, err)
	}
	in := newInput(cmd)
	token, change, err := e.make(cmd, in)
	if err != nil {
		return err
	}
	edits := []usermgmt.Edit{{Name: p.Name, Change: change}}
	// All faults are reported before anybody scans a code.
	if _, err := users.Apply(cmd.Context(), edits, usermgmt.How{Add: how.Add, Change: how.Change, DryRun: true}); err != nil {
		return withoutName(err)
	}
	shown := e.view(token, p.Name)
	if !asJSON(cmd) {
		if err := shown.print(cmd); err != nil {
			return err
		}
	}
	var state auth.TokenState
	if !e.noVerify {
		if state, err = e.verify(cmd, cfg, in, token); err != nil {
			return err
		}
	}
	outcomes, err := users.Apply(cmd.Context(), edits, how)
	if err != nil {
		return withoutName(err)
	}
	if state.LastStep != 0 {
		// Advance stores nothing if the earlier token had a code of that time or of a later one
		// accepted: that still counts.
		if _, err := users.Advance(cmd.Context(), p.Name, state); err != nil {
			return err
		}
	}
	return told(cmd, users, outcomes[0], " with a "+e.kind+" token", shown)
}

// profile is the user's profile, which may be new. It has no token that must stay.
func (e *enrolment) profile(cmd *cobra.Command, users state.Store, name string) (usermgmt.Profile, usermgmt.How, error) {
	p, err := users.Get(cmd.Context(), name)
	if errors.Is(err, usermgmt.ErrNoUser) {
		return usermgmt.New(name), usermgmt.How{Add: true}, nil
	}
	if had := tokenOf(p); err == nil && had != "" && !e.fresh {
		err = &exitError{statusExists, fmt.Errorf("user %s has a %s token already: give --new to replace it; nothing was changed", p.Name, had)}
	}
	return p, usermgmt.How{Change: true}, err
}

func tokenOf(p usermgmt.Profile) string {
	switch {
	case p.MOTPSecret != "":
		return "mOTP"
	case p.TOTPSecret != "":
		return "TOTP"
	default:
		return ""
	}
}

// make gives the token, and the change that gives it to a user.
func (e *enrolment) make(cmd *cobra.Command, in *input) (token, func(*usermgmt.Profile) error, error) {
	var err error
	switch e.secret {
	case "":
		draw := motp.NewSecret
		if e.kind == "TOTP" {
			draw = totp.NewSecret
		}
		e.secret, err = draw(rand.Reader)
	case "-":
		e.secret, err = in.secret(strings.ToLower(e.kind) + "-secret")
	}
	if err != nil {
		return nil, nil, err
	}
	if e.kind == "TOTP" {
		secret := totp.Clean(e.secret)
		change := func(p *usermgmt.Profile) error {
			p.TOTPSecret, p.MOTPSecret, p.MOTPPIN = secret, "", ""
			return nil
		}
		if err := totp.Check(secret); err != nil {
			return nil, nil, usagef(cmd, "--secret: %v", err)
		}
		e.secret = secret
		return totp.Token{Secret: secret}, change, nil
	}
	if e.pin == "" {
		if !in.terminal() {
			return nil, nil, usagef(cmd, "--pin is missing, and there is no terminal to ask on: give --pin")
		}
		if e.pin, err = in.secret("motp-pin"); err != nil {
			return nil, nil, err
		}
	}
	t, err := motp.NewToken(e.secret, e.pin)
	if err != nil {
		return nil, nil, usagef(cmd, "%v", err)
	}
	e.secret = t.Secret
	change := func(p *usermgmt.Profile) error {
		p.MOTPSecret, p.MOTPPIN, p.TOTPSecret = t.Secret, t.PIN, ""
		return nil
	}
	return t, change, nil
}

// tokenView is the data for adding a token to an app.
type tokenView struct {
	Secret string `json:"secret"`
	Link   string `json:"link"`
}

// view is the output. It is nil if a script has given the token together with a code.
func (e *enrolment) view(t token, user string) *tokenView {
	if e.code != "" {
		return nil
	}
	return &tokenView{e.secret, t.URL(e.issuer, user)}
}

// print prints the secret, the link and the QR code.
func (v *tokenView) print(cmd *cobra.Command) error {
	if v == nil {
		return nil
	}
	out := cmd.OutOrStdout()
	if _, err := fmt.Fprintf(out, "secret: %s\nlink:   %s\n\n", v.Secret, v.Link); err != nil {
		return err
	}
	return printQR(out, v.Link, terminalWidth(out))
}

// verify asks for codes until one is right.
func (e *enrolment) verify(cmd *cobra.Command, cfg config.Config, in *input, t token) (auth.TokenState, error) {
	clock := askedClock(cmd, cfg)
	var state auth.TokenState
	var err error
	for try := 1; try <= enrolTries; try++ {
		code := e.code
		if code == "" {
			var asked error
			if code, asked = in.ask("The code that the app shows"); asked != nil && try == 1 {
				return state, asked
			} else if asked != nil {
				break // the code before it was wrong
			}
		}
		if state, err = auth.Enrol(t, code, clock.Corrected(), cfg.MOTP.Window); err == nil {
			return state, nil
		}
		if e.code != "" {
			break
		}
		if try < enrolTries {
			if err := say(cmd, "%v; the server's time is %s UTC", err, clock.Corrected().UTC().Format(time.TimeOnly)); err != nil {
				return state, err
			}
		}
	}
	return state, fmt.Errorf("%w; nothing was changed", err)
}

// askedClock is the clock with which the daemon verifies one-time passwords: corrected by the time
// servers of the configuration, if there are any.
func askedClock(cmd *cobra.Command, cfg config.Config) *timesync.Clock {
	clock := timesync.New(timesync.Config{Servers: cfg.Time.Servers, Interval: cfg.Time.Interval, MaxOffset: cfg.Time.MaxOffset})
	if len(cfg.Time.Servers) > 0 {
		if _, err := clock.Inquire(cmd.Context()); err != nil {
			_ = say(cmd, "warning: the time servers give no time, so vpnd uses this machine's clock: %v", err)
		}
	}
	return clock
}
