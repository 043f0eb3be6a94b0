package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"vpnd/internal/amount"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// userView is a user in the form of the API, with the additional data for the text of the command
// line.
type userView struct {
	mgmt.User

	profile *usermgmt.Profile
	now     time.Time // time of these data
}

// viewOf collects the data of a user. The entries of up are the user's connections.
func viewOf(p *usermgmt.Profile, r usermgmt.Record, up []state.Entry, now time.Time) userView {
	open := make([]mgmt.UserConnection, len(up))
	for i, e := range up {
		open[i] = mgmt.UserConnection{ID: e.Connection, Type: e.Type, RemoteIP: e.Peer, VirtualIP: e.Address, Since: e.At.UTC()}
	}
	return userView{mgmt.ViewUser(p, r, open, now), p, now}
}

func (v userView) expired() bool { return v.Expires != nil && !v.now.Before(*v.Expires) }

// locked reports whether failed log-ins have locked the user, at least for some addresses.
func (v userView) locked() bool { return v.LockedUntil != nil || v.UsualLocked != nil }

// standing is the status in words: until when and for which addresses a user is locked, and the
// addresses of a connected user.
func (v userView) standing() string {
	text := v.Status
	if v.Status == mgmt.StatusLocked {
		text = v.lock()
	}
	if len(v.Connections) == 0 {
		return text
	}
	var addresses []string
	for _, c := range v.Connections {
		addresses = append(addresses, addressText(c.VirtualIP))
	}
	connected := "connected: " + strings.Join(addresses, ", ")
	if v.Status == mgmt.StatusEnabled {
		return connected
	}
	return text + "; " + connected
}

// lock says until when and for which addresses a user is locked.
func (v userView) lock() string {
	const until = "locked until "
	switch {
	case v.LockedUntil == nil:
		return until + v.UsualLocked.Format(time.RFC3339) + " from usual addresses"
	case v.UsualLocked == nil && len(v.UsualAddresses) > 0:
		return until + v.LockedUntil.Format(time.RFC3339) + " but from usual addresses"
	default:
		return until + v.LockedUntil.Format(time.RFC3339)
	}
}

// viewNow is the current userView of a user.
func viewNow(cmd *cobra.Command, users state.Store, p *usermgmt.Profile) (userView, error) {
	up, err := users.Connected(cmd.Context())
	if err != nil {
		return userView{}, err
	}
	now := time.Now()
	r, err := users.RecordOf(cmd.Context(), p.Name, usermgmt.Month(now))
	return viewOf(p, r, up[p.Name], now), err
}

func showUser(cmd *cobra.Command, users state.Store, name string) error {
	p, err := users.Get(cmd.Context(), name)
	if err != nil {
		return err
	}
	v, err := viewNow(cmd, users, &p)
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	return printUser(cmd, v)
}

// printUser prints every field under the name of its option, and the other data of the user.
func printUser(cmd *cobra.Command, v userView) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	// The error comes from Flush.
	line := func(name, text string) { _, _ = fmt.Fprintf(w, "%s:\t%s\n", name, printable(orDash(text))) }
	line("name", v.Name)
	line("status", v.standing())
	for _, f := range usermgmt.Fields {
		text := cmp.Or(f.ZeroWord(v.profile), f.Get(v.profile))
		if f.Secret && text != "" {
			text = "set"
		}
		line(f.Name, text)
	}
	for _, c := range v.Connections {
		line("connected", fmt.Sprintf("%s from %s, address %s, since %s", c.Type, addressText(c.RemoteIP), addressText(c.VirtualIP), c.Since.Local().Format(time.DateTime)))
	}
	line("traffic of "+v.Traffic.Month, fmt.Sprintf("%s from the user, %s to the user", amount.Bytes(v.Traffic.RxBytes), amount.Bytes(v.Traffic.TxBytes)))
	line("last address", v.LastAddress)
	line("failures", fmt.Sprint(v.Failures))
	line("usual addresses", strings.Join(v.UsualAddresses, ", "))
	return w.Flush()
}

func addressText(a interface {
	IsValid() bool
	String() string
},
) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func asJSON(cmd *cobra.Command) bool {
	yes, err := cmd.Flags().GetBool("json")
	return err == nil && yes
}

func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printLine prints one document of a stream on a line of its own.
func printLine(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
