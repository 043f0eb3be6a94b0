package mgmt

import (
	"errors"
	"net/netip"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/usermgmt"
)

//go:generate go run ./userfields user_fields.go

// User is a dial-in user as it is shown. Passwords, secrets and PINs can be written, but are never
// shown.
type User struct {
	Name        string `json:"name"`
	Index       int    `json:"index" doc:"Number of the profile"`
	Enabled     bool   `json:"enabled"`
	Status      string `json:"status" enum:"enabled,disabled,expired,locked,damaged" doc:"Whether the user can log in"`
	Damaged     string `json:"damaged,omitempty" doc:"The damage of the stored user, and the fix; missing: none. Of a damaged user only the name is known"`
	HasPassword bool   `json:"has_password"`
	HasMOTP     bool   `json:"has_motp"`
	HasTOTP     bool   `json:"has_totp"`

	UserFields

	LastAddress string     `json:"last_address" doc:"The last virtual address of the user"`
	Failures    int        `json:"failures" doc:"Failed log-ins that count towards a lock"`
	LockedUntil *time.Time `json:"locked_until" doc:"Lock at addresses from which the user has not logged in recently; null: not locked"`

	UsualAddresses []string   `json:"usual_addresses" doc:"Addresses and prefixes of the last log-ins"`
	UsualLocked    *time.Time `json:"usual_locked_until" doc:"Lock at the usual addresses; null: not locked"`

	Connections []UserConnection `json:"connections" doc:"Open connections, oldest first"`
	Traffic     UserTraffic      `json:"traffic" doc:"Traffic of this month, without open connections"`
}

// UserConnection is an open connection of a user.
type UserConnection struct {
	ID        string     `json:"id"`
	Type      string     `json:"type" doc:"PPTP, L2TP or L2TP/IPsec"`
	RemoteIP  netip.Addr `json:"remote_ip" doc:"The client's outer address"`
	VirtualIP netip.Addr `json:"virtual_ip" doc:"The client's address inside the VPN"`
	Since     time.Time  `json:"since"`
}

// UserTraffic is a user's traffic in a month.
type UserTraffic struct {
	Month   string `json:"month" doc:"Month in UTC, such as 2026-11"`
	RxBytes uint64 `json:"rx_bytes" doc:"From the user"`
	TxBytes uint64 `json:"tx_bytes" doc:"To the user"`
}

// UserInput has the fields to set. A field that is left out stays as it is, or has the value of a
// new user.
type UserInput struct {
	UserFieldsInput

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

// apply puts the input into a profile. The error joins a RuleError for each field that cannot be
// read.
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

// Values of User.Status.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
	StatusExpired  = "expired"
	StatusLocked   = "locked"  // at least at some addresses
	StatusDamaged  = "damaged" // the user's row of the table is damaged: the user is refused
)

// ViewUser is a user as the API and the command line show it: the profile, the record, and the open
// connections.
func ViewUser(p *usermgmt.Profile, r usermgmt.Record, open []UserConnection, now time.Time) User {
	u := User{
		Name: p.Name, Index: p.Index, Enabled: p.Enabled, HasPassword: p.Password != "", HasMOTP: p.MOTPSecret != "", HasTOTP: p.TOTPSecret != "",
		UserFields: userFields(p),
		Status:     statusOf(p, r, now), Failures: r.Standing.Strangers.Count + r.Standing.Usual.Count,
		LockedUntil: lock(r.Standing.Strangers, now), UsualLocked: lock(r.Standing.Usual, now),
		UsualAddresses: []string{}, Connections: append([]UserConnection{}, open...),
		Traffic: UserTraffic{usermgmt.Month(now), r.Traffic.Rx, r.Traffic.Tx},
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

// shownAs gives a field as answers have it.
func shownAs[T any](p *usermgmt.Profile, name string) T {
	f, _ := usermgmt.FieldNamed(name)
	v, _ := f.JSON(p).(T)
	return v
}

// statusOf gives the status: it says whether the user gets in.
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
