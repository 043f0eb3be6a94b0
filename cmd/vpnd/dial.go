package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/amount"
	"vpnd/internal/dial"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	l2tpwire "vpnd/l2tp/wire"
	"vpnd/ppp"
	pptpwire "vpnd/pptp/wire"

	"github.com/spf13/cobra"
)

const dialHelp = `Dials in to a PPTP or L2TP server, without pppd or PPP in the kernel, and stays connected until
Ctrl-C. It prints its progress on standard error. With --json, it prints one line of JSON for each
step on standard output.

It asks on the terminal for the password, or for the PIN if only --motp-secret is given. Other local
users can read command-line arguments: scripts should use the options that name a file.

Exit status:
  0  hung up by Ctrl-C or SIGTERM
  1  this machine failed
  2  the command line is wrong
  3  the server does not answer
  4  the server refuses the call
  5  the server refuses the name or the password
  6  the server has no free address
  7  client and server cannot agree on a protocol
  8  the connection was lost
  9  the server does not prove that it knows the password, or asks for no authentication although
     --auth is given`

const dialExample = `  vpnd dial vpn.example.net --type pptp --user alice --motp-secret HEX --mppe --route 192.168.1.0/24
  vpnd dial vpn.example.net --type l2tp --user bob --password-file FILE --route default --redial 10s`

// dialFlags are the flags of dial.
type dialFlags struct {
	kind, user, password, passwordFile string
	motpSecret, motpPIN, motpFile      string
	secret, secretFile, iface          string
	auth, routes                       []string
	mppe, json                         bool
	redial, report                     time.Duration
}

func newDialCommand() *cobra.Command {
	var f dialFlags
	cmd := &cobra.Command{
		Use:     "dial SERVER[:PORT] --type pptp|l2tp --user NAME",
		Short:   "Dial in to a server",
		Long:    dialHelp,
		Example: dialExample,
		Args:    named("SERVER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(cmd)
			if err != nil {
				return err
			}
			host, port, err := hostPort(cmd, args[0], o.Type)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, func(ctx context.Context, tell func(dial.Event)) error {
				at, err := resolve(ctx, host, port)
				if err != nil {
					return err
				}
				o.Server = at
				return dial.Run(ctx, &o, tell)
			}, f.teller(cmd))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "type", "pptp", "`TYPE` of dial-in: pptp or l2tp")
	flags.StringVar(&f.user, "user", "", "the user's `NAME`")
	flags.StringVar(&f.password, "password", "", "the user's password `P`; other local users can read it")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password in its first line; - for standard input")
	flags.StringVar(&f.motpSecret, "motp-secret", "", "the token's secret, 16 to 32 `HEX` digits; vpnd computes the one-time password when it dials")
	flags.StringVar(&f.motpPIN, "motp-pin", "", "the token's PIN, 4 to 7 `DIGITS` (default: vpnd asks for it)")
	flags.StringVar(&f.motpFile, "motp-file", "", "`FILE` with the token's secret in its first line and the PIN in its second; - for standard input")
	flags.StringSliceVar(&f.auth, "auth", nil, "allowed `METHODS`, separated by commas: mschapv2, mschap, chap, pap; vpnd hangs up if the server asks for none of them (default: all, and also servers that ask for no authentication; pap only with a one-time password)")
	flags.BoolVar(&f.mppe, "mppe", false, "require encryption (MPPE)")
	flags.StringSliceVar(&f.routes, "route", nil, "route this `PREFIX` through the connection, or default for all traffic; may be repeated")
	flags.StringVar(&f.secret, "secret", "", "the L2TP tunnel's `SECRET`; other local users can read it")
	flags.StringVar(&f.secretFile, "secret-file", "", "`FILE` with the L2TP tunnel's secret in its first line")
	flags.StringVar(&f.iface, "interface", "vpndial0", "`NAME` of the TUN interface")
	flags.DurationVar(&f.redial, "redial", 0, "dial again after this `TIME`, such as 10s, if the connection is lost or does not come up, but not if the password is refused (default: never)")
	flags.DurationVar(&f.report, "report", time.Minute, "`TIME` between two lines with the traffic; 0: only at the end")
	flags.BoolVar(&f.json, "json", false, "print each step as a line of JSON")
	return cmd
}

// dialTypes are the values of --type.
var dialTypes = map[string]link.Type{"pptp": link.PPTP, "l2tp": link.L2TP}

// options checks the command line.
func (f *dialFlags) options(cmd *cobra.Command) (dial.Options, error) {
	o := dial.Options{Type: dialTypes[f.kind], Secret: f.secret, Interface: f.iface, Report: f.report}
	switch {
	case o.Type == "":
		return o, usagef(cmd, "--type %q: use pptp or l2tp", f.kind)
	case f.user == "":
		return o, usagef(cmd, "--user is missing")
	case o.Type == link.PPTP && (f.secret != "" || f.secretFile != ""):
		return o, usagef(cmd, "PPTP has no tunnel secret: remove --secret and --secret-file")
	case f.secret != "" && f.secretFile != "":
		return o, usagef(cmd, "--secret and --secret-file exclude each other")
	case len(f.iface) == 0 || len(f.iface) > 15:
		return o, usagef(cmd, "--interface %q: use 1 to 15 characters", f.iface)
	}
	var err error
	if o.Routes, err = f.prefixes(cmd); err != nil {
		return o, err
	}
	if o.PPP, err = f.negotiation(cmd, o.Type); err != nil {
		return o, err
	}
	if f.secretFile != "" {
		if o.Secret, err = passwordFrom(cmd, "--secret-file", f.secretFile); err != nil {
			return o, err
		}
	}
	o.Password, err = f.passwords(cmd)
	return o, err
}

// prefixes are the values of --route.
func (f *dialFlags) prefixes(cmd *cobra.Command) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, r := range f.routes {
		if r == "default" {
			r = "0.0.0.0/0"
		}
		p, err := netip.ParsePrefix(r)
		if err != nil || !p.Addr().Is4() {
			return nil, usagef(cmd, "--route %q: use an IPv4 prefix such as 192.168.1.0/24, or default", r)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// negotiation is the client's configuration without its password.
func (f *dialFlags) negotiation(cmd *cobra.Command, kind link.Type) (ppp.Config, error) {
	c := ppp.Config{User: f.user, MRU: 1400, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional, Reordered: kind == link.L2TP}, MustProve: len(f.auth) > 0}
	if f.mppe {
		c.MPPE.Mode = ppp.MPPERequired
	}
	for _, name := range f.methods() {
		m, err := ppp.ParseMethod(name)
		if err != nil {
			return c, usagef(cmd, "--auth: %v", err)
		}
		c.Auth = append(c.Auth, m)
	}
	if f.mppe && !slices.Contains(c.Auth, ppp.MSCHAPv2) && !slices.Contains(c.Auth, ppp.MSCHAPv1) {
		return c, usagef(cmd, "--mppe needs mschapv2 or mschap for its keys: add one of them to --auth")
	}
	return c, nil
}

// methods are the requested methods. Without --auth, a static password is never sent in clear text.
func (f *dialFlags) methods() []string {
	switch {
	case len(f.auth) > 0:
		return f.auth
	case f.motpSecret != "" || f.motpFile != "":
		return []string{"mschapv2", "mschap", "chap", "pap"}
	default:
		return []string{"mschapv2", "mschap", "chap"}
	}
}

// passwords gives the function that returns the password for each dialling.
func (f *dialFlags) passwords(cmd *cobra.Command) (func(context.Context) (string, error), error) {
	if f.motpFile != "" {
		if f.motpSecret != "" || f.motpPIN != "" {
			return nil, usagef(cmd, "--motp-file excludes --motp-secret and --motp-pin")
		}
		lines, err := linesFrom(cmd, "--motp-file", f.motpFile, 2)
		if err != nil {
			return nil, err
		}
		f.motpSecret, f.motpPIN = lines[0], lines[1]
	}
	if f.motpSecret == "" {
		if f.motpPIN != "" {
			return nil, usagef(cmd, "--motp-pin needs --motp-secret")
		}
		password, err := f.static(cmd)
		return func(context.Context) (string, error) { return password, nil }, err
	}
	if f.password != "" || f.passwordFile != "" {
		return nil, usagef(cmd, "give either a password or a mOTP token")
	}
	if f.motpPIN == "" {
		pin, err := askOnce(cmd, "PIN: ", "--motp-pin is missing, and there is no terminal to ask on: give --motp-pin or --motp-file")
		if err != nil {
			return nil, err
		}
		f.motpPIN = pin
	}
	token, err := motp.NewToken(f.motpSecret, f.motpPIN)
	if err != nil {
		return nil, usagef(cmd, "%v", err)
	}
	var last int64
	return func(ctx context.Context) (string, error) {
		for motp.Step(time.Now()) == last { // a one-time password works for one dialling
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		last = motp.Step(time.Now())
		return token.Code(last), nil
	}, nil
}

func (f *dialFlags) static(cmd *cobra.Command) (string, error) {
	switch {
	case f.password != "" && f.passwordFile != "":
		return "", usagef(cmd, "--password and --password-file exclude each other")
	case f.password != "":
		return f.password, nil
	case f.passwordFile != "":
		return passwordFrom(cmd, "--password-file", f.passwordFile)
	default:
		return askOnce(cmd, "Password: ", noTerminal)
	}
}

// hostPort splits HOST or HOST:PORT.
func hostPort(cmd *cobra.Command, server string, kind link.Type) (host string, port uint16, err error) {
	h, p, err := net.SplitHostPort(server)
	switch {
	case err == nil:
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, usagef(cmd, "%s: the port must be a number from 1 to 65535", server)
		}
		return h, uint16(n), nil
	case kind == link.L2TP:
		return server, l2tpwire.Port, nil
	default:
		return server, pptpwire.Port, nil
	}
}

// resolve finds the IPv4 address of a host, for each dialling, because it may have changed.
func resolve(ctx context.Context, host string, port uint16) (netip.AddrPort, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return netip.AddrPort{}, &dial.Error{Status: reason.ExitNoAnswer, Reason: reason.New(reason.ServerUnresolved, host, err)}
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), port), nil
}

// run dials, and dials again if the flags say so. It hangs up if it cannot print a step: a program
// that reads the steps would otherwise miss a change of the connection.
func (f *dialFlags) run(ctx context.Context, once func(context.Context, func(dial.Event)) error, printed func(dial.Event) error) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	var unprinted error
	tell := func(e dial.Event) {
		if err := printed(e); err != nil && unprinted == nil {
			unprinted = err
			hangUp()
		}
	}
	for {
		err := once(ctx, tell)
		if err == nil || ctx.Err() != nil {
			return unprinted
		}
		failure := &dial.Error{Status: statusFailed, Reason: reason.New(reason.DialFailed, err)}
		errors.As(err, &failure)
		if f.redial <= 0 || slices.Contains([]int{statusFailed, reason.ExitPassword, reason.ExitUnproven}, failure.Status) {
			tell(dial.Event{Kind: dial.Failed, Time: time.Now(), Cause: failure.Code, Reason: err.Error(), Status: failure.Status})
			return &exitError{failure.Status, err}
		}
		tell(dial.Event{Kind: dial.Redial, Time: time.Now(), Cause: failure.Code, Reason: err.Error(), Seconds: f.redial.Seconds()})
		select {
		case <-time.After(f.redial):
		case <-ctx.Done():
			return unprinted
		}
	}
}

// teller prints events: for people, or for programs.
func (f *dialFlags) teller(cmd *cobra.Command) func(dial.Event) error {
	if f.json {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		return func(e dial.Event) error { return encoder.Encode(e) }
	}
	return func(e dial.Event) error {
		sayEvent(cmd.ErrOrStderr(), e)
		return nil
	}
}

func sayEvent(w io.Writer, e dial.Event) {
	var text string
	switch e.Kind {
	case dial.Connecting:
		text = fmt.Sprintf("connecting to %s by %s", e.Server, e.Type)
	case dial.Authenticating:
		text = "authenticating as " + e.User
	case dial.Connected:
		peer := "peer " + e.Peer.String()
		if !e.Peer.IsValid() {
			peer = "the server does not tell its own address"
		}
		text = fmt.Sprintf("connected: address %v, %s, encryption %s, interface %s", e.Address, peer, e.Encryption, e.Interface)
		if len(e.DNS) > 0 {
			text += fmt.Sprintf("\nDNS servers: %s", words(e.DNS))
		}
		if len(e.Routes) > 0 {
			text += fmt.Sprintf("\nroutes: %s", words(e.Routes))
		}
	case dial.Transfer, dial.Disconnected:
		text = fmt.Sprintf("%s received in %d packets, %s sent in %d packets, %v",
			amount.Bytes(e.RxBytes), e.RxPackets, amount.Bytes(e.TxBytes), e.TxPackets, time.Duration(e.Seconds*float64(time.Second)).Round(time.Second))
		if e.Kind == dial.Disconnected {
			text = "disconnected: " + e.Reason + "; " + text
		}
	case dial.Failed:
		return // the last word of every command tells it
	default:
		text = fmt.Sprintf("%s; dialling again in %v", e.Reason, time.Duration(e.Seconds*float64(time.Second)))
	}
	_, _ = fmt.Fprintln(w, printableLines(text))
}

func words[T fmt.Stringer](list []T) string {
	var all []string
	for _, v := range list {
		all = append(all, v.String())
	}
	return strings.Join(all, ", ")
}
