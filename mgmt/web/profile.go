package web

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"vpnd/usermgmt"
)

// profileForm is the form of a user's profile, in the words of a Vigor.
type profileForm struct {
	form
	profile usermgmt.Profile // the stored one, or that of a new user
	added   bool             // the user does not exist yet
	typed   *usermgmt.Profile
	pools   []string // names
}

// group is a part of the form.
type group struct {
	Legend   string
	Controls []control
}

// Values of the control "token".
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

// formText gives the text of a field of the profile in a form; false: the form has none.
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
		return errors.Join(p.Check(), err) // all faults at once
	}
	return nil
}

// text is the value of a field's control: the typed text, or the stored value unless it is a
// secret.
func (f *profileForm) text(name string) string {
	if f.values != nil {
		if text, ok := formText(f.values, name); ok {
			return text
		}
	}
	if field, ok := usermgmt.FieldNamed(name); ok && !field.Secret {
		return field.Typed(&f.profile)
	}
	return ""
}

// storedNow describes the stored value of a field if it differs from the typed one; "": it does
// not.
func (f *profileForm) storedNow(name string) string {
	field, ok := usermgmt.FieldNamed(name)
	if !ok || f.typed == nil || field.Get(f.typed) == field.Get(&f.profile) {
		return ""
	}
	if field.Secret {
		return "Somebody else has stored another value."
	}
	stored := profileForm{profile: f.profile}
	return "Stored now: " + cmp.Or(stored.text(name), "nothing") + "."
}

// groups gives the controls with their faults.
func (f *profileForm) groups() []group {
	var groups []group
	for _, d := range usermgmt.Fields {
		i := slices.IndexFunc(groups, func(g group) bool { return g.Legend == d.Part })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Legend: d.Part})
		}
		g := &groups[i]
		if d.Name == "enabled" { // before the index
			g.Controls = append(f.controls(d), g.Controls...)
		} else {
			g.Controls = append(g.Controls, f.controls(d)...)
		}
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

// controls gives the control of a field, and the further controls beside it.
func (f *profileForm) controls(d usermgmt.Field) []control {
	all := []control{f.control(d)}
	switch d.Name {
	case "enabled":
		if f.added {
			all = append(all, control{
				Name: "name", Label: "User Name", Type: "text", Value: f.values.Get("name"), Required: true, MaxLength: 64, Focus: f.values == nil,
				Hint: "Letters, digits and ._-@+. It cannot be changed later.",
			})
		}
	case "password":
		all = append(all, f.token())
	case "totp-secret":
		if f.profile.Password != "" {
			all = append(all, control{
				Name: "no-password", Label: "Remove the password", Type: "checkbox", Checked: f.values.Has("no-password"), Write: true,
			})
		}
	}
	return all
}

// control makes the control of a field.
func (f *profileForm) control(d usermgmt.Field) control {
	c := control{Name: d.Name, Label: d.Label, Type: "text", Value: f.text(d.Name), Hint: d.Hint, MaxLength: d.MaxLength}
	if d.Number {
		c.Mode = "numeric"
	}
	switch {
	case d.Secret:
		f.conceal(&c, d)
	case d.Name == "enabled":
		c.Type, c.Checked = "checkbox", c.Value == "yes"
	case d.Name == "dial-in":
		c.offer("ticks", strings.Split(c.Value, ","), d.Choices)
	case d.Name == "pool":
		c.offer("select", []string{c.Value}, f.poolChoices(c.Value))
	case len(d.Choices) > 0:
		c.offer("radio", []string{c.Value}, d.Choices)
	case d.Unit != "":
		c.Stored = cmp.Or(d.ZeroWord(&f.profile), c.Value+" "+d.Unit)
	default:
		c.Stored = d.ZeroWord(&f.profile)
	}
	return c
}

// offer gives the control its choices.
func (c *control) offer(kind string, chosen []string, choices []usermgmt.Choice) {
	c.Type = kind
	for _, o := range choices {
		c.Options = append(c.Options, option{o.Value, o.Text, slices.Contains(chosen, o.Value)})
	}
}

// conceal has the control of a secret show a typed or generated value, but never the stored one.
func (f *profileForm) conceal(c *control, d usermgmt.Field) {
	c.Stored = "not set"
	if d.Get(&f.profile) != "" {
		c.Placeholder, c.Stored = "set; leave it empty to keep it", "set"
	}
	switch d.Name {
	case "password":
		c.Type, c.Complete, c.MaxLength = "password", "new-password", 0 // a browser would cut off a pasted text
		return
	case "motp-secret":
		c.For, c.Wide, c.Generate = motpToken, true, motpToken
	case "motp-pin":
		c.For = motpToken
	case "totp-secret":
		c.For, c.Wide, c.Generate = totpToken, true, totpToken
	}
	c.Write = c.For != f.tokenChosen()
}

// token is the control for the kind of one-time passwords.
func (f *profileForm) token() control {
	c := control{Name: "token", Label: "One-Time Passwords"}
	c.offer("radio", []string{f.tokenChosen()}, []usermgmt.Choice{
		{Value: noToken, Text: "None"},
		{Value: motpToken, Text: "Enable Mobile One-Time Passwords (mOTP)"},
		{Value: totpToken, Text: "Enable Time-based One-Time Passwords (TOTP)"},
	})
	return c
}

func (f *profileForm) tokenChosen() string {
	if f.values.Has("token") {
		return f.values.Get("token")
	}
	return tokenOf(&f.profile)
}

func (f *profileForm) poolChoices(now string) []usermgmt.Choice {
	choices := []usermgmt.Choice{{Text: "the pool without a name"}}
	for _, name := range f.pools {
		if name != "" {
			choices = append(choices, usermgmt.Choice{Value: name, Text: name})
		}
	}
	if now != "" && !slices.Contains(f.pools, now) {
		choices = append(choices, usermgmt.Choice{Value: now, Text: now + " (there is no such pool now)"})
	}
	return choices
}
