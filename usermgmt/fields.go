package usermgmt

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"vpnd/auth"
)

// Field is a field of a profile: an option of the command line, a column or a key of a file, a
// field of a form, and a column of the database.
type Field struct {
	Name   string   // such as motp-pin
	Usage  string   // what it is; the word for its value stands between backquotes
	Secret bool     // it is written, and shown to nobody
	Values []string // the texts that it may be, where they can be listed

	get func(*Profile) string
	set func(*Profile, string) error

	Column string // of the database
	// What the column holds of the profile, and where to scan the column to: load takes it from there
	// into the profile. A secret has neither, since its column is sealed.
	Value func(*Profile) any
	Scan  func(*Profile) (to any, load func() error)
}

// Get is the field's text; "" is nothing, never or unlimited.
func (f Field) Get(p *Profile) string { return f.get(p) }

// Set puts a text into the field. The error is a RuleError. What only the whole profile can tell is
// checked by the Table.
func (f Field) Set(p *Profile, text string) error {
	if err := f.set(p, text); err != nil {
		return &RuleError{f.Name, err.Error()}
	}
	return nil
}

// field declares a field of a kind, which is at a place in the profile.
func field[T, C any](name, column string, k kind[T, C], usage string, at func(*Profile) *T) Field {
	return Field{
		Name: name, Usage: usage, Values: k.values, Column: column,
		get:   func(p *Profile) string { return k.text(*at(p)) },
		set:   func(p *Profile, s string) error { return k.parse(at(p), s) },
		Value: func(p *Profile) any { return k.store(*at(p)) },
		Scan: func(p *Profile) (any, func() error) {
			stored := new(C)
			return stored, func() error {
				if err := k.load(at(p), *stored); err != nil {
					return fmt.Errorf("cannot be read: %w", err)
				}
				return nil
			}
		},
	}
}

// secretField declares a field that is sealed in the database.
func secretField(name, column, usage string, at func(*Profile) *string) Field {
	return Field{
		Name: name, Usage: usage, Secret: true, Column: column,
		get: func(p *Profile) string { return *at(p) },
		set: func(p *Profile, s string) error { *at(p) = s; return nil },
	}
}

// Fields are all fields but the name. Flags, files, texts and columns follow from a field's declaration
// here. A new field also takes its place in Profile, with its rule in check; a migration for its column; its
// types in the API (mgmt.User and UserInput) and its control on the page (mgmt/web). Tests name what is
// missing.
var Fields = []Field{
	field("index", "idx", index,
		"`NUMBER` of the profile, from 1 (a new user: the lowest that is free)",
		func(p *Profile) *int { return &p.Index }),
	field("enabled", "enabled", choice("yes", "no"),
		"whether the user may dial in: `yes` or no",
		func(p *Profile) *bool { return &p.Enabled }),
	secretField("password", "password",
		"static password `P`; other users of this machine see it: better --password-file",
		func(p *Profile) *string { return &p.Password }),
	secretField("motp-secret", "motp_secret",
		"secret of the user's mOTP token, 16 to 32 `HEX` digits",
		func(p *Profile) *string { return &p.MOTPSecret }),
	secretField("motp-pin", "motp_pin",
		"PIN of the user's mOTP token, 4 to 7 `DIGITS`",
		func(p *Profile) *string { return &p.MOTPPIN }),
	secretField("totp-secret", "totp_secret",
		"secret of the user's TOTP app in `BASE32`",
		func(p *Profile) *string { return &p.TOTPSecret }),
	field("dial-in", "services", serviceList,
		"`TYPES` of dial-in that are allowed: pptp, l2tp, pptp,l2tp or none (a new user: pptp,l2tp)",
		func(p *Profile) *[]auth.Service { return &p.Services }),
	field("ipsec", "ipsec", oneWord(IPsecNone, IPsecNice, IPsecMust),
		"`POLICY` for L2TP: none, nice or must (a new user: none)",
		func(p *Profile) *IPsec { return &p.IPsec }),
	field("remote-node", "remote_node", prefix,
		"outer `ADDRESS` or prefix from which alone the user may dial",
		func(p *Profile) *netip.Prefix { return &p.RemoteNode }),
	field("address", "address", address,
		"`IP` address that the user always gets, from the pool",
		func(p *Profile) *netip.Addr { return &p.Address }),
	field("pool", "pool", plainText,
		"`NAME` of the pool from which the user gets an address",
		func(p *Profile) *string { return &p.Pool }),
	field("group", "user_group", plainText,
		"`NAME` of the group that the user's address is in for firewalls (network.nftables_table) and hooks; a Vigor has none",
		func(p *Profile) *string { return &p.Group }),
	field("idle-timeout", "idle_timeout", seconds,
		"`TIME` without user data after which to hang up, such as 300s (a new user); 0s: never",
		func(p *Profile) *time.Duration { return &p.IdleTimeout }),
	field("session-time", "session_time", seconds,
		"`TIME` after which to hang up, such as 8h; 0s: never (a new user)",
		func(p *Profile) *time.Duration { return &p.SessionTime }),
	field("max-connections", "max_connections", count,
		"`NUMBER` of connections at once; 0: unlimited (a new user: 1)",
		func(p *Profile) *int { return &p.MaxConnections }),
	field("further", "further", oneWord(Replace, Refuse),
		"`WHAT` a connection over that number does: replace the oldest (a new user), or be refused (refuse)",
		func(p *Profile) *Further { return &p.Further }),
	field("schedule", "schedule", plainText,
		"`TIMES` at which the user may be connected, such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"; empty: always",
		func(p *Profile) *string { return &p.Schedule }),
	field("expires", "expires", moment,
		"`DATE` (2027-12-31, to its end in UTC) or time (2027-12-31T18:00:00Z) from when on the user may not dial in; empty: never",
		func(p *Profile) *time.Time { return &p.Expires }),
	field("netbios", "block_netbios", choice("block", "pass"),
		"`WHAT` becomes of NetBIOS naming packets: pass (a new user) or block",
		func(p *Profile) *bool { return &p.BlockNetBIOS }),
	field("multicast", "pass_multicast", choice("pass", "block"),
		"`WHAT` becomes of multicast packets: pass or block (a new user)",
		func(p *Profile) *bool { return &p.PassMulticast }),
	field("up-limit", "up_limit", amount,
		"`RATE` from the user, in bits per second, such as 10M; 0: unlimited",
		func(p *Profile) *uint64 { return &p.UpLimit }),
	field("down-limit", "down_limit", amount,
		"`RATE` to the user, in bits per second, such as 10M; 0: unlimited",
		func(p *Profile) *uint64 { return &p.DownLimit }),
	field("quota", "quota", amount,
		"`BYTES` in a calendar month (UTC), both ways together, such as 50G; 0: unlimited",
		func(p *Profile) *uint64 { return &p.Quota }),
	field("comment", "comment", plainText,
		"`TEXT` for the administrator, shown with the user",
		func(p *Profile) *string { return &p.Comment }),
}

// Secrets are the fields that are sealed.
var Secrets = slices.DeleteFunc(slices.Clone(Fields), func(f Field) bool { return !f.Secret })

// FieldNamed finds a field.
func FieldNamed(name string) (Field, bool) {
	i := slices.IndexFunc(Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return Fields[i], true
}

// Differences names the fields in which b differs from a.
func Differences(a, b *Profile) string { return differ(a, b, func(f Field) string { return f.Name }) }

// Changes says how b differs from a, but for the values of secrets.
func Changes(a, b *Profile) string {
	return differ(a, b, func(f Field) string {
		switch after := f.Get(b); {
		case !f.Secret:
			return f.Name + ": " + short(f.Get(a)) + " -> " + short(after)
		case after == "":
			return f.Name + " removed"
		default:
			return f.Name
		}
	})
}

func differ(a, b *Profile, tell func(Field) string) string {
	var all []string
	for _, f := range Fields {
		if f.Get(a) != f.Get(b) {
			all = append(all, tell(f))
		}
	}
	return strings.Join(all, ", ")
}

// short is a value in the history, within bounds.
func short(value string) string {
	const most = 64
	switch runes := []rune(value); {
	case value == "":
		return "none"
	case len(runes) > most:
		return string(runes[:most]) + "…"
	}
	return value
}
