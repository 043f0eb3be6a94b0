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
	"strconv"
	"strings"
	"syscall"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/dial"
	l2tpwire "vpnd/l2tp/wire"
	"vpnd/ppp"
	pptpwire "vpnd/pptp/wire"

	"github.com/spf13/cobra"
)

// dialCodes are the exit codes of dial; the first two are those of every command.
var dialCodes = []struct {
	err  error
	code int
}{
	{dial.ErrNoAnswer, 3}, {dial.ErrRefused, 4}, {dial.ErrPassword, 5}, {dial.ErrNoAddress, 6}, {dial.ErrProtocol, 7}, {dial.ErrLost, 8},
}

const dialHelp = `Dials in to a PPTP or L2TP server, without pppd or PPP in the kernel, and stays connected until
Ctrl-C. Says on standard error what happens; with --json, a line of JSON for each step on standard
output.

Exit status: 0 hung up by Ctrl-C or SIGTERM, 1 a failure of this machine, 2 a wrong command line,
3 no answer, 4 the server refuses the call, 5 it refuses name or password, 6 it gives no address,
7 the two do not agree on a protocol, 8 the connection was lost.`

// dialFlags are the command line of dial.
type dialFlags struct {
	kind, user, password, passwordFile string
	motpSecret, motpPIN                string
	secret, iface                      string
	auth, routes                       []string
	mppe, json                         bool
	redial, report                     time.Duration
}

func newDialCommand() *cobra.Command {
	var f dialFlags
	cmd := &cobra.Command{
		Use:   "dial SERVER --type pptp|l2tp --user NAME (--password P | --motp-secret HEX --motp-pin DIGITS)",
		Short: "Dial in to a server",
		Long:  dialHelp,
		Args:  named("SERVER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(cmd, args[0])
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, o, f.teller(cmd))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "type", "pptp", "type of dial-in: pptp or l2tp")
	flags.StringVar(&f.user, "user", "", "the user's `name`")
	flags.StringVar(&f.password, "password", "", "the user's `password`; other users of this machine can see it: better --password-file")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the password in its first line; - for standard input")
	flags.StringVar(&f.motpSecret, "motp-secret", "", "the token's secret, 16 to 32 `hex` digits: the one-time password is computed at the moment of dialling")
	flags.StringVar(&f.motpPIN, "motp-pin", "", "the token's PIN, 4 to 7 `digits`; asked for if it is missing")
	flags.StringSliceVar(&f.auth, "auth", nil, "`methods` that may be used: mschapv2, mschap, chap, pap (default: all, but pap with a one-time password alone)")
	flags.BoolVar(&f.mppe, "mppe", false, "require encryption (MPPE)")
	flags.StringSliceVar(&f.routes, "route", nil, "`prefix` that is reached through the connection, or default; may be repeated")
	flags.StringVar(&f.secret, "secret", "", "the L2TP tunnel's `secret`")
	flags.StringVar(&f.iface, "interface", "vpndial0", "`name` of the TUN interface")
	flags.DurationVar(&f.redial, "redial", 0, "dial again this `time` after the connection was lost or did not come up; not when the password was refused")
	flags.DurationVar(&f.report, "report", time.Minute, "`time` between two transfer figures; 0: at the end only")
	flags.BoolVar(&f.json, "json", false, "print each step as a line of JSON")
	return cmd
}

// options checks the command line.
func (f *dialFlags) options(cmd *cobra.Command, server string) (dial.Options, error) {
	o := dial.Options{Type: f.kind, Secret: f.secret, Interface: f.iface, Report: f.report}
	port := uint16(pptpwire.Port)
	switch f.kind {
	case "pptp":
	case "l2tp":
		port = l2tpwire.Port
	default:
		return o, usagef(cmd, "--type %q: pptp or l2tp", f.kind)
	}
	if f.user == "" {
		return o, usagef(cmd, "--user is missing")
	}
	if len(f.iface) == 0 || len(f.iface) > 15 {
		return o, usagef(cmd, "--interface %q: 1 to 15 characters", f.iface)
	}
	for _, r := range f.routes {
		if r == "default" {
			r = "0.0.0.0/0"
		}
		p, err := netip.ParsePrefix(r)
		if err != nil || !p.Addr().Is4() {
			return o, usagef(cmd, "--route %q: an IPv4 prefix such as 192.168.1.0/24, or default", r)
		}
		o.Routes = append(o.Routes, p.Masked())
	}
	o.PPP = ppp.Config{User: f.user, MRU: 1400, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}}
	if f.mppe {
		o.PPP.MPPE.Mode = ppp.MPPERequired
	}
	for _, name := range f.methods() {
		m, err := ppp.ParseMethod(name)
		if err != nil {
			return o, usagef(cmd, "--auth: %v", err)
		}
		o.PPP.Auth = append(o.PPP.Auth, m)
	}
	var err error
	if o.Password, err = f.passwords(cmd); err != nil {
		return o, err
	}
	o.Server, err = resolve(cmd.Context(), server, port)
	return o, err
}

// methods are those that were asked for. A static password goes nowhere in clear unless that was.
func (f *dialFlags) methods() []string {
	switch {
	case len(f.auth) > 0:
		return f.auth
	case f.motpSecret != "":
		return []string{"mschapv2", "mschap", "chap", "pap"}
	default:
		return []string{"mschapv2", "mschap", "chap"}
	}
}

// passwords gives the function that yields the password for each dialling.
func (f *dialFlags) passwords(cmd *cobra.Command) (func(context.Context) (string, error), error) {
	if f.motpSecret == "" {
		if f.motpPIN != "" {
			return nil, usagef(cmd, "--motp-pin without --motp-secret")
		}
		password, err := f.static(cmd)
		return func(context.Context) (string, error) { return password, nil }, err
	}
	if f.password != "" || f.passwordFile != "" {
		return nil, usagef(cmd, "either a password or --motp-secret")
	}
	if f.motpPIN == "" {
		pin, err := askOnce(cmd, "PIN: ", "--motp-pin is missing, and there is no terminal to ask for it on")
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
		for motp.Step(time.Now()) == last { // a one-time password is good for one dialling
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
		return "", usagef(cmd, "either --password or --password-file")
	case f.password != "":
		return f.password, nil
	case f.passwordFile != "":
		return passwordFrom(cmd, f.passwordFile)
	default:
		return askOnce(cmd, "Password: ", noTerminal)
	}
}

// resolve finds the IPv4 address of HOST or HOST:PORT.
func resolve(ctx context.Context, server string, port uint16) (netip.AddrPort, error) {
	host := server
	if h, p, err := net.SplitHostPort(server); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return netip.AddrPort{}, fmt.Errorf("%s: the port is no number from 1 to 65535", server)
		}
		host, port = h, uint16(n)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return netip.AddrPort{}, &exitError{3, fmt.Errorf("%w: %s has no IPv4 address: %w", dial.ErrNoAnswer, host, err)}
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), port), nil
}

// run dials, and dials again if it is told to.
func (f *dialFlags) run(ctx context.Context, o dial.Options, tell func(dial.Event)) error {
	for {
		err := dial.Run(ctx, o, tell)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		err = dialError(err)
		if exit := (*exitError)(nil); f.redial <= 0 || errors.Is(err, dial.ErrPassword) || !errors.As(err, &exit) {
			return err
		}
		tell(dial.Event{Kind: "redial", Time: time.Now(), Reason: err.Error(), Seconds: f.redial.Seconds()})
		select {
		case <-time.After(f.redial):
		case <-ctx.Done():
			return nil
		}
	}
}

// dialError gives an error its exit code.
func dialError(err error) error {
	for _, c := range dialCodes {
		if errors.Is(err, c.err) {
			return &exitError{c.code, err}
		}
	}
	return err
}

// teller prints events: for people, or for programs.
func (f *dialFlags) teller(cmd *cobra.Command) func(dial.Event) {
	if f.json {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		return func(e dial.Event) { _ = encoder.Encode(e) }
	}
	return func(e dial.Event) { sayEvent(cmd.ErrOrStderr(), e) }
}

func sayEvent(w io.Writer, e dial.Event) {
	var text string
	switch e.Kind {
	case dial.Connecting:
		text = fmt.Sprintf("connecting to %s by %s", e.Server, e.Type)
	case dial.Authenticating:
		text = "authenticating as " + e.User
	case dial.Connected:
		text = fmt.Sprintf("connected: address %v, peer %v, encryption %s, interface %s", e.Address, e.Peer, e.Encryption, e.Interface)
		if len(e.DNS) > 0 {
			text += fmt.Sprintf("\nDNS servers: %s", words(e.DNS))
		}
		if len(e.Routes) > 0 {
			text += fmt.Sprintf("\nroutes: %s", words(e.Routes))
		}
	case dial.Transfer, dial.Disconnected:
		text = fmt.Sprintf("%s received in %d packets, %s sent in %d packets, %v",
			octets(e.RxBytes), e.RxPackets, octets(e.TxBytes), e.TxPackets, time.Duration(e.Seconds*float64(time.Second)).Round(time.Second))
		if e.Kind == dial.Disconnected {
			text = "disconnected: " + e.Reason + "; " + text
		}
	default:
		text = fmt.Sprintf("%s; dialling again in %v", e.Reason, time.Duration(e.Seconds*float64(time.Second)))
	}
	_, _ = fmt.Fprintln(w, text)
}

func words[T fmt.Stringer](list []T) string {
	var all []string
	for _, v := range list {
		all = append(all, v.String())
	}
	return strings.Join(all, ", ")
}

// octets writes a size for people.
func octets(n uint64) string {
	value, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
