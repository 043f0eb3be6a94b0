package main

import (
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
	Index          int        `json:"index"`
	Name           string     `json:"name"`
	Enabled        bool       `json:"enabled"`
	Status         string     `json:"status"`
	Damaged        string     `json:"damaged,omitempty"` // what of the stored user cannot be read; then only the name is known
	HasPassword    bool       `json:"has_password"`
	HasMOTP        bool       `json:"has_motp"`
	HasTOTP        bool       `json:"has_totp"`
	DialIn         []string   `json:"dial_in"`
	IPsec          string     `json:"ipsec"`
	RemoteNode     string     `json:"remote_node"`
	Address        string     `json:"address"`
	Pool           string     `json:"pool"`
	Group          string     `json:"group"`
	IdleTimeout    string     `json:"idle_timeout"`
	SessionTime    string     `json:"session_time"`
	MaxConnections int        `json:"max_connections"` // 0: unlimited
	Further        string     `json:"further"`
	Schedule       string     `json:"schedule"`
	Expires        *time.Time `json:"expires"` // null: never
	NetBIOS        string     `json:"netbios"`
	Multicast      string     `json:"multicast"`
	UpLimit        uint64     `json:"up_limit"`   // bits per second; 0: none
	DownLimit      uint64     `json:"down_limit"` // bits per second; 0: none
	Quota          uint64     `json:"quota"`      // octets a month; 0: none
	Comment        string     `json:"comment"`
	LastAddress    string     `json:"last_address"`
	Failures       int        `json:"failures"`
	LockedUntil    *time.Time `json:"locked_until"` // null: not locked

	// The addresses that the user got in from last, and the lock there: LockedUntil holds elsewhere.
	UsualAddresses   []string   `json:"usual_addresses"`
	UsualLockedUntil *time.Time `json:"usual_locked_until"`

	Connections []connectionView `json:"connections"`
	Traffic     trafficView      `json:"traffic"` // of this month, without what is connected now

	profile usermgmt.Profile
	now     time.Time // when this was so
}

type connectionView struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	RemoteIP  string    `json:"remote_ip"`
	VirtualIP string    `json:"virtual_ip"`
	Since     time.Time `json:"since"`
}

type trafficView struct {
	Month   string `json:"month"`
	RxBytes uint64 `json:"rx_bytes"`
	TxBytes uint64 `json:"tx_bytes"`
}

// viewOf gathers what is shown of a user, who is connected by the entries of up.
func viewOf(p usermgmt.Profile, r usermgmt.Record, up []usermgmt.Entry, now time.Time) userView {
	text := func(field string) string {
		f, _ := usermgmt.FieldNamed(field)
		return f.Get(&p)
	}
	v := userView{
		Index: p.Index, Name: p.Name, Enabled: p.Enabled, HasPassword: p.Password != "", HasMOTP: p.MOTPSecret != "", HasTOTP: p.TOTPSecret != "",
		DialIn: make([]string, len(p.Services)), IPsec: string(p.IPsec), RemoteNode: text("remote-node"), Address: text("address"), Pool: p.Pool, Group: p.Group,
		IdleTimeout: p.IdleTimeout.String(), SessionTime: p.SessionTime.String(), MaxConnections: p.MaxConnections, Further: string(p.Further),
		Schedule: p.Schedule, NetBIOS: text("netbios"), Multicast: text("multicast"), UpLimit: p.UpLimit, DownLimit: p.DownLimit, Quota: p.Quota,
		Comment: p.Comment, UsualAddresses: []string{}, Connections: []connectionView{}, profile: p, now: now,
	}
	for i, s := range p.Services {
		v.DialIn[i] = string(s)
	}
	if !p.Expires.IsZero() {
		v.Expires = &p.Expires
	}
	for _, e := range up {
		v.Connections = append(v.Connections, connectionView{e.Connection, e.Type, addressText(e.Peer), addressText(e.Address), e.At.UTC()})
	}
	if r.Damaged != nil {
		v.Damaged = r.Damaged.Error()
	}
	standing := r.Standing
	v.Failures = standing.Strangers.Count + standing.Usual.Count
	if standing.Strangers.LockedUntil.After(now) {
		v.LockedUntil = &standing.Strangers.LockedUntil
	}
	if standing.Usual.LockedUntil.After(now) {
		v.UsualLockedUntil = &standing.Usual.LockedUntil
	}
	for _, a := range standing.Addresses {
		if a.IsValid() {
			v.UsualAddresses = append(v.UsualAddresses, strings.TrimSuffix(a.String(), "/32"))
		}
	}
	v.LastAddress = addressText(r.LastAddress)
	v.Traffic = trafficView{usermgmt.Month(now), r.Traffic.Rx, r.Traffic.Tx}
	v.Status = v.status()
	return v
}

func (v userView) expired() bool { return v.Expires != nil && !v.now.Before(*v.Expires) }

// locked reports whether failed log-ins have locked the user, from some addresses at least.
func (v userView) locked() bool { return v.LockedUntil != nil || v.UsualLockedUntil != nil }

// status is the word for a user: damaged, disabled, expired, locked, connected or enabled.
func (v userView) status() string {
	standing := "enabled"
	switch {
	case v.Damaged != "":
		standing = "damaged"
	case !v.Enabled:
		standing = "disabled"
	case v.expired():
		standing = "expired"
	case v.LockedUntil != nil && (v.UsualLockedUntil != nil || len(v.UsualAddresses) == 0):
		standing = "locked until " + v.LockedUntil.Format(time.RFC3339)
	case v.LockedUntil != nil:
		standing = "locked until " + v.LockedUntil.Format(time.RFC3339) + " but from usual addresses"
	case v.UsualLockedUntil != nil:
		standing = "locked until " + v.UsualLockedUntil.Format(time.RFC3339) + " from usual addresses"
	}
	if len(v.Connections) == 0 {
		return standing
	}
	var addresses []string
	for _, c := range v.Connections {
		addresses = append(addresses, c.VirtualIP)
	}
	connected := "connected: " + strings.Join(addresses, ", ")
	if standing == "enabled" {
		return connected
	}
	return standing + "; " + connected
}

// viewNow is what is shown of a user at this moment.
func viewNow(cmd *cobra.Command, users *usermgmt.Store, p usermgmt.Profile) (userView, error) {
	up, err := users.Connected(cmd.Context())
	if err != nil {
		return userView{}, err
	}
	now := time.Now()
	r, err := users.RecordOf(cmd.Context(), p.Name, usermgmt.Month(now))
	return viewOf(p, r, up[p.Name], now), err
}

func showUser(cmd *cobra.Command, users *usermgmt.Store, name string) error {
	p, err := users.Get(cmd.Context(), name)
	if err != nil {
		return err
	}
	v, err := viewNow(cmd, users, p)
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	return printUser(cmd, v)
}

// printUser prints every field under the name of its option, and what is known of the user.
func printUser(cmd *cobra.Command, v userView) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	line := func(name, text string) { _, _ = fmt.Fprintf(w, "%s:\t%s\n", name, printable(orDash(text))) } // the error comes from Flush
	line("name", v.Name)
	line("status", v.Status)
	for _, f := range usermgmt.Fields {
		text := f.Get(&v.profile)
		switch {
		case f.Secret && text != "":
			text = "set"
		case text == "0s":
			text = "never"
		case text == "0":
			text = "unlimited"
		}
		line(f.Name, text)
	}
	for _, c := range v.Connections {
		line("connected", fmt.Sprintf("%s from %s, address %s, since %s", c.Type, c.RemoteIP, c.VirtualIP, c.Since.Local().Format(time.DateTime)))
	}
	line("traffic of "+v.Traffic.Month, fmt.Sprintf("%s from the user, %s to the user", octets(v.Traffic.RxBytes), octets(v.Traffic.TxBytes)))
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
