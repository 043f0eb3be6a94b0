package mgmt

import (
	"errors"
	"net/netip"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/usermgmt"
)

// User is a dial-in user as it is shown: passwords, secrets and PINs are written, and never read back.
type User struct {
	Name           string     `json:"name"`
	Index          int        `json:"index" doc:"Number of the profile"`
	Enabled        bool       `json:"enabled"`
	Status         string     `json:"status" enum:"enabled,disabled,expired,locked,damaged" doc:"Whether the user gets in"`
	Damaged        string     `json:"damaged,omitempty" doc:"What of the stored user cannot be read, and what to do; left out: nothing. Of such a user only the name is known"`
	HasPassword    bool       `json:"has_password"`
	HasMOTP        bool       `json:"has_motp"`
	HasTOTP        bool       `json:"has_totp"`
	DialIn         []string   `json:"dial_in" doc:"Allowed dial-in types: pptp, l2tp"`
	IPsec          string     `json:"ipsec" doc:"IPsec policy of L2TP: none, nice or must"`
	RemoteNode     string     `json:"remote_node" doc:"Address or prefix from which alone the user may dial; empty: all"`
	Address        string     `json:"address" doc:"Fixed address; empty: from the pool"`
	Pool           string     `json:"pool"`
	Group          string     `json:"group" doc:"For firewalls and hooks; empty: none"`
	IdleTimeout    int64      `json:"idle_timeout" doc:"Seconds; 0: never"`
	SessionTime    int64      `json:"session_time" doc:"Seconds; 0: unlimited"`
	MaxConnections int        `json:"max_connections" doc:"At once; 0: unlimited"`
	Further        string     `json:"further" doc:"What a connection over that number does: replace the oldest, or refuse"`
	Schedule       string     `json:"schedule"`
	Expires        *time.Time `json:"expires" doc:"From when on the user may not dial in; null: never"`
	NetBIOS        string     `json:"netbios" doc:"pass or block"`
	Multicast      string     `json:"multicast" doc:"pass or block"`
	UpLimit        uint64     `json:"up_limit" doc:"From the user, in bits per second; 0: unlimited"`
	DownLimit      uint64     `json:"down_limit" doc:"To the user, in bits per second; 0: unlimited"`
	Quota          uint64     `json:"quota" doc:"Bytes in a calendar month, both ways together; 0: unlimited"`
	Comment        string     `json:"comment"`
	LastAddress    string     `json:"last_address" doc:"The virtual address that the user had last"`
	Failures       int        `json:"failures" doc:"Failed log-ins that count towards a lock"`
	LockedUntil    *time.Time `json:"locked_until" doc:"At addresses from which the user did not get in of late; null: not locked"`

	UsualAddresses []string   `json:"usual_addresses" doc:"Addresses and prefixes from which the user got in last"`
	UsualLocked    *time.Time `json:"usual_locked_until" doc:"At the usual addresses; null: not locked"`

	Connections []UserConnection `json:"connections" doc:"Open now, the oldest first"`
	Traffic     UserTraffic      `json:"traffic" doc:"Of this month, without what is connected now"`
}

// UserConnection is an open connection of a user.
type UserConnection struct {
	ID        string     `json:"id"`
	Type      string     `json:"type" doc:"PPTP, L2TP or L2TP/IPsec"`
	RemoteIP  netip.Addr `json:"remote_ip" doc:"The client's outer address"`
	VirtualIP netip.Addr `json:"virtual_ip" doc:"The address that the client was given"`
	Since     time.Time  `json:"since"`
}

// UserTraffic is what a user has moved in a month.
type UserTraffic struct {
	Month   string `json:"month" doc:"Of UTC, such as 2026-11"`
	RxBytes uint64 `json:"rx_bytes" doc:"From the user"`
	TxBytes uint64 `json:"tx_bytes" doc:"To the user"`
}

// UserInput is what is set of a user; what is left out stays as it is, or is as a new user has it.
type UserInput struct {
	Index          *NumberText `json:"index,omitempty"`
	Enabled        *bool       `json:"enabled,omitempty"`
	Password       *string     `json:"password,omitempty" doc:"Empty: none"`
	MOTPSecret     *string     `json:"motp_secret,omitempty" doc:"16 to 32 hexadecimal digits; empty: none"`
	MOTPPIN        *string     `json:"motp_pin,omitempty" doc:"4 to 7 digits"`
	TOTPSecret     *string     `json:"totp_secret,omitempty" doc:"Base32; empty: none"`
	DialIn         *ListText   `json:"dial_in,omitempty" doc:"Types in a list, or separated by commas; none: none of them"`
	IPsec          *string     `json:"ipsec,omitempty" doc:"none, nice or must"`
	RemoteNode     *string     `json:"remote_node,omitempty"`
	Address        *string     `json:"address,omitempty"`
	Pool           *string     `json:"pool,omitempty"`
	Group          *string     `json:"group,omitempty" doc:"Letters, digits, _, - and .; empty: none"`
	IdleTimeout    *NumberText `json:"idle_timeout,omitempty" doc:"Seconds, or a time such as 5m"`
	SessionTime    *NumberText `json:"session_time,omitempty" doc:"Seconds, or a time such as 8h"`
	MaxConnections *NumberText `json:"max_connections,omitempty"`
	Further        *string     `json:"further,omitempty" doc:"replace or refuse"`
	Schedule       *string     `json:"schedule,omitempty" doc:"Such as Mon-Fri 08:00-18:00 Europe/Berlin"`
	Expires        NullText    `json:"expires,omitzero" doc:"Such as 2027-12-31 or 2027-12-31T18:00:00Z; null: never"`
	NetBIOS        *string     `json:"netbios,omitempty" doc:"pass or block"`
	Multicast      *string     `json:"multicast,omitempty" doc:"pass or block"`
	UpLimit        *NumberText `json:"up_limit,omitempty" doc:"Bits per second, such as 10M"`
	DownLimit      *NumberText `json:"down_limit,omitempty" doc:"Bits per second, such as 10M"`
	Quota          *NumberText `json:"quota,omitempty" doc:"Bytes a month, such as 50G"`
	Comment        *string     `json:"comment,omitempty"`

	Status         shown `json:"status,omitzero"`
	Damaged        shown `json:"damaged,omitzero"`
	HasPassword    shown `json:"has_password,omitzero"`
	HasMOTP        shown `json:"has_motp,omitzero"`
	HasTOTP        shown `json:"has_totp,omitzero"`
	LastAddress    shown `json:"last_address,omitzero"`
	Failures       shown `json:"failures,omitzero"`
	LockedUntil    shown `json:"locked_until,omitzero"`
	UsualAddresses shown `json:"usual_addresses,omitzero"`
	UsualLocked    shown `json:"usual_locked_until,omitzero"`
	Connections    shown `json:"connections,omitzero"`
	Traffic        shown `json:"traffic,omitzero"`
}

// texts are what the input sets, by the name of the field, in the order of usermgmt.Fields.
func (in *UserInput) texts() map[string]*string {
	var enabled *string
	if in.Enabled != nil {
		text := "no"
		if *in.Enabled {
			text = "yes"
		}
		enabled = &text
	}
	return map[string]*string{
		"index": (*string)(in.Index), "enabled": enabled, "password": in.Password, "motp-secret": in.MOTPSecret, "motp-pin": in.MOTPPIN,
		"totp-secret": in.TOTPSecret, "dial-in": (*string)(in.DialIn), "ipsec": in.IPsec, "remote-node": in.RemoteNode, "address": in.Address,
		"pool": in.Pool, "group": in.Group, "idle-timeout": (*string)(in.IdleTimeout),
		"session-time": (*string)(in.SessionTime), "max-connections": (*string)(in.MaxConnections),
		"further": in.Further, "schedule": in.Schedule, "expires": in.Expires.text, "netbios": in.NetBIOS, "multicast": in.Multicast,
		"up-limit": (*string)(in.UpLimit), "down-limit": (*string)(in.DownLimit), "quota": (*string)(in.Quota), "comment": in.Comment,
	}
}

// apply puts the input into a profile. The error joins a RuleError for each field that cannot be read.
func (in *UserInput) apply(p *usermgmt.Profile) error {
	var errs []error
	texts := in.texts()
	for _, f := range usermgmt.Fields {
		if text := texts[f.Name]; text != nil {
			errs = append(errs, f.Set(p, *text))
		}
	}
	return errors.Join(errs...)
}

// What Status of a User may be.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
	StatusExpired  = "expired"
	StatusLocked   = "locked"  // at some addresses at least
	StatusDamaged  = "damaged" // the user's row of the table: the user is refused
)

// ViewUser is a user as it is shown, in the API and by the command line: what is set, what is known of the user, and
// the connections that are open.
func ViewUser(p *usermgmt.Profile, r usermgmt.Record, open []UserConnection, now time.Time) User {
	text := func(name string) string {
		f, _ := usermgmt.FieldNamed(name)
		return f.Get(p)
	}
	u := User{
		Name: p.Name, Index: p.Index, Enabled: p.Enabled, HasPassword: p.Password != "", HasMOTP: p.MOTPSecret != "", HasTOTP: p.TOTPSecret != "",
		DialIn: make([]string, len(p.Services)), IPsec: string(p.IPsec), RemoteNode: text("remote-node"), Address: text("address"), Pool: p.Pool, Group: p.Group,
		IdleTimeout: int64(p.IdleTimeout / time.Second), SessionTime: int64(p.SessionTime / time.Second), MaxConnections: p.MaxConnections,
		Further: string(p.Further), Schedule: p.Schedule, NetBIOS: text("netbios"), Multicast: text("multicast"),
		UpLimit: p.UpLimit, DownLimit: p.DownLimit, Quota: p.Quota, Comment: p.Comment,
		Status: statusOf(p, r, now), Failures: r.Standing.Strangers.Count + r.Standing.Usual.Count,
		LockedUntil: lock(r.Standing.Strangers, now), UsualLocked: lock(r.Standing.Usual, now),
		UsualAddresses: []string{}, Connections: append([]UserConnection{}, open...),
		Traffic: UserTraffic{usermgmt.Month(now), r.Traffic.Rx, r.Traffic.Tx},
	}
	for i, s := range p.Services {
		u.DialIn[i] = string(s)
	}
	if !p.Expires.IsZero() {
		u.Expires = &p.Expires
	}
	if r.LastAddress.IsValid() {
		u.LastAddress = r.LastAddress.String()
	}
	for _, a := range r.Standing.Addresses {
		if a.IsValid() {
			u.UsualAddresses = append(u.UsualAddresses, strings.TrimSuffix(a.String(), "/32"))
		}
	}
	if r.Damaged != nil {
		u.Damaged = r.Damaged.Error()
	}
	return u
}

// statusOf says whether a user gets in.
func statusOf(p *usermgmt.Profile, r usermgmt.Record, now time.Time) string {
	switch {
	case r.Damaged != nil:
		return StatusDamaged
	case !p.Enabled:
		return StatusDisabled
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return StatusExpired
	case lock(r.Standing.Strangers, now) != nil || lock(r.Standing.Usual, now) != nil:
		return StatusLocked
	default:
		return StatusEnabled
	}
}

func lock(f auth.Failures, now time.Time) *time.Time {
	if !f.LockedUntil.After(now) {
		return nil
	}
	return &f.LockedUntil
}
