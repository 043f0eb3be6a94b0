package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"vpnd/usermgmt"

	"github.com/spf13/cobra"
)

// userView is what is shown of a user: never a password, secret or PIN.
type userView struct {
	Name        string     `json:"name"`
	Enabled     bool       `json:"enabled"`
	HasPassword bool       `json:"has_password"`
	HasMOTP     bool       `json:"has_motp"`
	DialIn      []string   `json:"dial_in"`
	IPsec       string     `json:"ipsec"`
	Address     string     `json:"address"`
	IdleTimeout string     `json:"idle_timeout"`
	SessionTime string     `json:"session_time"`
	Comment     string     `json:"comment"`
	LastAddress string     `json:"last_address"`
	Failures    int        `json:"failures"`
	LockedUntil *time.Time `json:"locked_until"` // null: not locked

	// The addresses that the user got in from last, and the lock there: LockedUntil holds elsewhere.
	UsualAddresses   []string   `json:"usual_addresses"`
	UsualLockedUntil *time.Time `json:"usual_locked_until"`
}

func viewOf(ctx context.Context, users *usermgmt.Store, p usermgmt.Profile) (userView, error) {
	v := userView{
		Name: p.Name, Enabled: p.Enabled, HasPassword: p.Password != "", HasMOTP: p.MOTPSecret != "",
		DialIn: make([]string, len(p.Services)), IPsec: string(p.IPsec),
		IdleTimeout: p.IdleTimeout.String(), SessionTime: p.SessionTime.String(), Comment: p.Comment,
	}
	for i, s := range p.Services {
		v.DialIn[i] = string(s)
	}
	if p.Address.IsValid() {
		v.Address = p.Address.String()
	}
	standing, err := users.Standing(ctx, p.Name)
	if err != nil {
		return userView{}, err
	}
	v.Failures = standing.Strangers.Count + standing.Usual.Count
	now := time.Now()
	if standing.Strangers.LockedUntil.After(now) {
		v.LockedUntil = &standing.Strangers.LockedUntil
	}
	if standing.Usual.LockedUntil.After(now) {
		v.UsualLockedUntil = &standing.Usual.LockedUntil
	}
	v.UsualAddresses = []string{}
	for _, a := range standing.Addresses {
		if a.IsValid() {
			v.UsualAddresses = append(v.UsualAddresses, strings.TrimSuffix(a.String(), "/32"))
		}
	}
	last, err := users.LastAddress(ctx, p.Name)
	if err != nil {
		return userView{}, err
	}
	if last.IsValid() {
		v.LastAddress = last.String()
	}
	return v, nil
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

func printUsers(cmd *cobra.Command, views []userView) error {
	if asJSON(cmd) {
		return printJSON(cmd, views)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NAME\tSTATE\tLOG-IN\tDIAL-IN\tADDRESS\tCOMMENT") // the error comes from Flush
	for _, v := range views {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Name, v.state(), v.logIn(), orDash(strings.Join(v.DialIn, ",")), orDash(v.Address), v.Comment)
	}
	return w.Flush()
}

func printUser(cmd *cobra.Command, v userView) error {
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"name", v.Name},
		{"state", v.state()},
		{"password", setOrNot(v.HasPassword)},
		{"mOTP secret", setOrNot(v.HasMOTP)},
		{"mOTP PIN", setOrNot(v.HasMOTP)},
		{"dial-in", orDash(strings.Join(v.DialIn, ","))},
		{"IPsec", v.IPsec},
		{"address", orDash(v.Address)},
		{"idle time-out", orNever(v.IdleTimeout)},
		{"session time", orNever(v.SessionTime)},
		{"comment", orDash(v.Comment)},
		{"last address", orDash(v.LastAddress)},
		{"failures", fmt.Sprint(v.Failures)},
		{"usual addresses", orDash(strings.Join(v.UsualAddresses, ", "))},
	} {
		_, _ = fmt.Fprintf(w, "%s:\t%s\n", line[0], line[1]) // the error comes from Flush
	}
	return w.Flush()
}

func (v userView) state() string {
	switch {
	case !v.Enabled:
		return "disabled"
	case v.LockedUntil != nil && (v.UsualLockedUntil != nil || len(v.UsualAddresses) == 0):
		return "locked until " + v.LockedUntil.Format(time.RFC3339)
	case v.LockedUntil != nil:
		return "locked until " + v.LockedUntil.Format(time.RFC3339) + " but from usual addresses"
	case v.UsualLockedUntil != nil:
		return "locked until " + v.UsualLockedUntil.Format(time.RFC3339) + " from usual addresses"
	default:
		return "enabled"
	}
}

func (v userView) logIn() string {
	switch {
	case v.HasPassword && v.HasMOTP:
		return "password or mOTP"
	case v.HasMOTP:
		return "mOTP"
	default:
		return "password"
	}
}

func setOrNot(set bool) string {
	if set {
		return "set"
	}
	return "-"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orNever(d string) string {
	if d == "0s" {
		return "never"
	}
	return d
}
