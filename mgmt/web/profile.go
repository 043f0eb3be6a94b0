package web

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/usermgmt"
)

// profileForm is the form of a user's profile, in the words of a Vigor.
type profileForm struct {
	form
	profile usermgmt.Profile // what is stored, or what a new user has
	added   bool             // the user is yet to be added
	typed   *usermgmt.Profile
	pools   []string // names
}

// group is a part of the form.
type group struct {
	Legend   string
	Controls []control
}

// What the control "token" says of one-time passwords.
const (
	noToken   = "none"
	motpToken = "motp"
	totpToken = "totp"
)

func tokenOf(p *usermgmt.Profile) string {
	switch {
	case p.MOTPSecret != "":
		return motpToken
	case p.TOTPSecret != "":
		return totpToken
	default:
		return noToken
	}
}

// formText is what a form says of a field of the profile; false: nothing.
func formText(values url.Values, name string) (string, bool) {
	switch name {
	case "enabled":
		if values.Has(name) {
			return "yes", true
		}
		return "no", true
	case "dial-in":
		return strings.Join(values[name], ","), true
	default:
		return strings.TrimSpace(values.Get(name)), values.Has(name)
	}
}

// apply puts the form into a profile. Secrets that are left empty stay as they are. The error joins
// RuleErrors.
func apply(values url.Values, p *usermgmt.Profile) error {
	var errs []error
	for _, f := range usermgmt.Fields {
		if text, ok := formText(values, f.Name); ok && !f.Secret {
			errs = append(errs, f.Set(p, text))
		}
	}
	switch password := values.Get("password"); {
	case password != "":
		p.Password = password
	case values.Has("no-password"):
		p.Password = ""
	}
	secret := func(to *string, name, fix string) {
		if text, _ := formText(values, name); text != "" {
			*to = text
		}
		if *to == "" {
			errs = append(errs, &usermgmt.RuleError{Field: name, Text: "is missing: " + fix})
		}
	}
	switch values.Get("token") {
	case noToken:
		p.MOTPSecret, p.MOTPPIN, p.TOTPSecret = "", "", ""
	case motpToken:
		p.TOTPSecret = ""
		secret(&p.MOTPSecret, "motp-secret", "Generate makes one, or copy that of the user's token")
		secret(&p.MOTPPIN, "motp-pin", "the user chooses 4 to 7 digits")
	case totpToken:
		p.MOTPSecret, p.MOTPPIN = "", ""
		secret(&p.TOTPSecret, "totp-secret", "Generate makes one")
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(p.Check(), err) // all that is wrong at once
	}
	return nil
}

// text is what a field's control shows: what was typed, or what is stored but for secrets.
func (f *profileForm) text(name string) string {
	if f.values != nil {
		if text, ok := formText(f.values, name); ok {
			return text
		}
	}
	field, ok := usermgmt.FieldNamed(name)
	switch {
	case !ok || field.Secret:
		return ""
	case name == "idle-timeout":
		return strconv.FormatInt(int64(f.profile.IdleTimeout/time.Second), 10)
	case name == "session-time":
		return shortTime(f.profile.SessionTime)
	default:
		return field.Get(&f.profile)
	}
}

// shortTime is a duration without units that are 0 at its end.
func shortTime(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// storedNow is what the table has of a field where that is not what was typed; "": the same.
func (f *profileForm) storedNow(name string) string {
	field, ok := usermgmt.FieldNamed(name)
	if !ok || f.typed == nil || field.Get(f.typed) == field.Get(&f.profile) {
		return ""
	}
	if field.Secret {
		return "Somebody else has stored another one."
	}
	stored := profileForm{profile: f.profile}
	return "Stored now: " + cmp.Or(stored.text(name), "nothing") + "."
}

func (f *profileForm) input(name, label, hint string) control {
	return control{Name: name, Label: label, Type: "text", Value: f.text(name), Hint: hint}
}

// limit is an input whose 0 has a meaning, in a word.
func (f *profileForm) limit(name, label, hint, zero string) control {
	c := f.input(name, label, hint)
	if c.Value == "0" || c.Value == "0s" {
		c.Stored = zero
	}
	return c
}

// choice is a control of which one option is chosen; options are values and texts in turn.
func (f *profileForm) choice(kind, name, label, hint string, options ...string) control {
	c := control{Name: name, Label: label, Type: kind, Value: f.text(name), Hint: hint}
	for i := 0; i+1 < len(options); i += 2 {
		c.Options = append(c.Options, option{options[i], options[i+1], options[i] == c.Value})
	}
	return c
}

// secret is a control that shows what was typed or generated, and never what is stored.
func (f *profileForm) secret(name, label, stored, hint string) control {
	c := f.input(name, label, hint)
	if stored != "" {
		c.Placeholder, c.Stored = "set; leave it empty to keep it", "set"
	} else {
		c.Stored = "not set"
	}
	return c
}

// groups are the controls, with their faults.
func (f *profileForm) groups() []group {
	groups := []group{
		{"User account", f.account()},
		{"Authentication", f.authentication()},
		{"Allowed Dial-In Type", f.dialIn()},
		{"Address", f.addresses()},
		{"Time limits", f.limits()},
		{"Schedule", []control{
			f.input("schedule", "Schedule", "Such as Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin; without a zone it is UTC. Empty: always."),
			f.input("expires", "Account expires", "A day such as 2027-12-31, to its end in UTC, or a time such as 2027-12-31T18:00:00Z. Empty: never."),
		}},
		{"Traffic", f.traffic()},
	}
	for _, g := range groups {
		for i := range g.Controls {
			c := &g.Controls[i]
			f.mark(c)
			if now := f.storedNow(c.Name); now != "" {
				c.Overtaken, c.Hint = true, now
			}
		}
	}
	return groups
}

func (f *profileForm) account() []control {
	enabled := control{Name: "enabled", Label: "Enable this account", Type: "checkbox", Checked: f.text("enabled") == "yes"}
	all := []control{enabled}
	if f.added {
		all = append(all, control{
			Name: "name", Label: "User Name", Type: "text", Value: f.values.Get("name"), Required: true, MaxLength: 64, Focus: f.values == nil,
			Hint: "Letters, digits and ._-@+. It cannot be changed later.",
		})
	}
	index := f.input("index", "Index", "Number of the profile. Empty for a new user: the lowest that is free.")
	index.Mode = "numeric"
	comment := f.input("comment", "Comment", "Shown to administrators.")
	comment.MaxLength = 200
	return append(all, index, comment)
}

func (f *profileForm) authentication() []control {
	password := f.secret("password", "Password", f.profile.Password, "A static password. A user may have it beside a token, or a token alone.")
	password.Type, password.Complete = "password", "new-password"
	token := control{Name: "token", Label: "One-Time Passwords", Type: "radio", Value: tokenOf(&f.profile)}
	if f.values.Has("token") {
		token.Value = f.values.Get("token")
	}
	for _, o := range []option{
		{noToken, "None", false}, {motpToken, "Enable Mobile One-Time Passwords (mOTP)", false}, {totpToken, "Enable Time-based One-Time Passwords (TOTP)", false},
	} {
		o.Selected = o.Value == token.Value
		token.Options = append(token.Options, o)
	}
	pin := f.secret("motp-pin", "PIN Code", f.profile.MOTPPIN, "4 to 7 digits, which the user types into the token for each password.")
	pin.Mode, pin.MaxLength, pin.For, pin.Write = "numeric", 7, motpToken, token.Value != motpToken
	motp := f.secret("motp-secret", "mOTP Secret", f.profile.MOTPSecret, "32 hexadecimal digits, or at least 16: generated here, or by the Smart VPN Client and copied from there.")
	motp.Wide, motp.Generate, motp.For, motp.MaxLength, motp.Write = true, motpToken, motpToken, 32, token.Value != motpToken
	totp := f.secret("totp-secret", "TOTP Secret", f.profile.TOTPSecret, "Base32, for any authenticator app. A QR code follows when it is stored.")
	totp.Wide, totp.Generate, totp.For, totp.Write = true, totpToken, totpToken, token.Value != totpToken
	all := []control{password, token, motp, pin, totp}
	if f.profile.Password != "" {
		all = append(all, control{Name: "no-password", Label: "Take the password away", Type: "checkbox", Checked: f.values.Has("no-password"), Write: true})
	}
	return all
}

func (f *profileForm) dialIn() []control {
	types := control{Name: "dial-in", Label: "Types", Type: "ticks"}
	chosen := strings.Split(f.text("dial-in"), ",")
	for _, o := range []option{{"pptp", "PPTP", false}, {"l2tp", "L2TP", false}} {
		o.Selected = slices.Contains(chosen, o.Value)
		types.Options = append(types.Options, o)
	}
	ipsec := f.choice("radio", "ipsec", "L2TP with IPsec Policy", "", "none", "None: L2TP without IPsec only as it comes",
		"nice", "Nice to Have: IPsec when the client brings it", "must", "Must: plain L2TP is refused")
	return []control{
		types,
		ipsec,
		f.input("remote-node", "Specify Remote Node", "The client's address, or a prefix such as 203.0.113.0/24, that alone may dial with this account. Empty: all."),
	}
}

func (f *profileForm) addresses() []control {
	address := f.input("address", "Assign Static IP Address", "From a pool; for one connection at once. Empty: any that is free.")
	names := []string{"", "the one without a name"}
	for _, name := range f.pools {
		if name != "" {
			names = append(names, name, name)
		}
	}
	if now := f.text("pool"); now != "" && !slices.Contains(f.pools, now) {
		names = append(names, now, now+" (there is no such pool now)")
	}
	return []control{
		address, f.choice("select", "pool", "Pool", "From which the user gets an address.", names...),
		f.input("group", "Group", "Whose firewall rules (network.nftables_table) and hooks count for the user's address. Empty: none."),
	}
}

func (f *profileForm) limits() []control {
	idle := f.limit("idle-timeout", "Idle Timeout", "Seconds without data, after which the server hangs up. 0: never.", "never")
	if idle.Stored == "" {
		idle.Stored = idle.Value + " seconds"
	}
	most := f.limit("max-connections", "Connections at once", "0: unlimited.", "unlimited")
	most.Mode = "numeric"
	return []control{
		idle,
		f.limit("session-time", "Session time", "After which the server hangs up, such as 8h or 90m. 0s: never.", "unlimited"),
		most,
		f.choice("select", "further", "One connection more", "", "replace", "replaces the oldest", "refuse", "is refused"),
	}
}

func (f *profileForm) traffic() []control {
	return []control{
		f.choice("radio", "netbios", "Netbios Naming Packet", "", "pass", "Pass", "block", "Block"),
		f.choice("radio", "multicast", "Multicast via VPN", "", "pass", "Pass", "block", "Block"),
		f.limit("up-limit", "Rate from the user", "Bits per second, such as 10M. 0: unlimited.", "unlimited"),
		f.limit("down-limit", "Rate to the user", "Bits per second, such as 10M. 0: unlimited.", "unlimited"),
		f.limit("quota", "Quota", "Bytes in a calendar month (UTC), both ways together, such as 50G. 0: unlimited.", "unlimited"),
	}
}
