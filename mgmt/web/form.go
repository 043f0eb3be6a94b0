package web

import (
	"net/url"
	"strings"
	"vpnd/mgmt"
)

// form is what was written into a form, and what is wrong with it.
type form struct {
	values url.Values
	faults map[string]string // by the name of the control
}

// control is one field of a form. The template "control" writes it with its label, its hint and its fault.
type control struct {
	Name, Label string
	ID          string // of the element; "": made of the name
	Type        string // as of an input; select, textarea or checkbox
	Value       string
	Hint        string
	Fault       string
	Options     []option // of a select
	Checked     bool     // of a checkbox
	Required    bool
	Complete    string // autocomplete; "": off
	Mode        string // inputmode
	Pattern     string
	MaxLength   int // 0: as long as a form may be
	Placeholder string
	Focus       bool
	Generate    string // the token that a button beside it makes a secret for
	For         string // the choice of another control that it belongs to
	Stored      string // what those who only look see in place of the value
	Overtaken   bool   // somebody else has stored another value meanwhile, as the hint says
	Write       bool   // it only makes sense to those who may change something
}

// Shown is the value for those who only look.
func (c control) Shown() string {
	switch {
	case c.Stored != "":
		return c.Stored
	case c.Type == "checkbox" && c.Checked:
		return "yes"
	case c.Type == "checkbox":
		return "no"
	case len(c.Options) == 0:
		return c.Value
	}
	var chosen []string
	for _, o := range c.Options {
		if o.Selected {
			chosen = append(chosen, o.Text)
		}
	}
	return strings.Join(chosen, ", ")
}

// option is one that a select offers.
type option struct {
	Value, Text string
	Selected    bool
}

// fill gives controls the values that were sent and the faults that were found.
func (f form) fill(controls ...control) []control {
	for i := range controls {
		c := &controls[i]
		c.Fault = f.faults[c.Name]
		if f.values == nil {
			continue
		}
		if c.Type == "checkbox" {
			c.Checked = f.values.Has(c.Name)
			continue
		}
		if c.Type != "password" && f.values.Has(c.Name) {
			c.Value = f.values.Get(c.Name)
		}
		for j := range c.Options {
			c.Options[j].Selected = c.Options[j].Value == c.Value
		}
	}
	return controls
}

// wrong notes a fault of a field.
func (f *form) wrong(field, text string) {
	if f.faults == nil {
		f.faults = map[string]string{}
	}
	f.faults[field] = text
}

// broken notes each RuleError in err by its field, and gives back err if there is none in it.
func (f *form) broken(err error) error {
	found := false
	for _, rule := range mgmt.Rules(err) {
		f.wrong(rule.Field, rule.Text)
		found = true
	}
	if found {
		return nil
	}
	return err
}
