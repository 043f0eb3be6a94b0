package web

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"vpnd/mgmt"
)

// form holds the values that a form sent, and their faults.
type form struct {
	values url.Values
	faults map[string]string // by the name of the control
	listed []faultLink       // of the controls that fill has seen
}

// faultLink leads to a control with a fault.
type faultLink struct {
	Name, ID string
	Label    string
	Text     string
}

// control is a field of a form. The template "control" writes it with its label, its hint and its
// fault.
type control struct {
	Name, Label string
	ID          string // of the element; "": made from the name
	Type        string // of the input, or select, textarea or checkbox
	Value       string
	Hint        string
	Fault       string
	Options     []option // of a select
	Checked     bool     // of a checkbox
	Required    bool
	Complete    string // autocomplete; "": off
	Mode        string // inputmode
	Pattern     string
	MaxLength   int // 0: unlimited
	Placeholder string
	Focus       bool
	Wide        bool   // it has a row of its own
	Generate    string // the kind of token for which a button beside it makes a secret
	For         string // the choice of another control that it belongs to
	Stored      string // a viewer sees it in place of the value
	Overtaken   bool   // somebody else has stored another value meanwhile; the hint gives it
	Write       bool   // only for callers who may make changes
}

// Shown is the value that a viewer sees.
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

// option is an option of a select.
type option struct {
	Value, Text string
	Selected    bool
}

// mark gives a control its fault, if it has one. The first control with a fault gets the focus.
func (f *form) mark(c *control) {
	if len(f.faults) == 0 {
		return
	}
	c.Fault = f.faults[c.Name]
	if c.Focus = c.Fault != "" && len(f.listed) == 0; c.Fault != "" {
		f.listed = append(f.listed, faultLink{c.Name, "f-" + cmp.Or(c.ID, c.Name), c.Label, c.Fault})
	}
}

// fill gives controls the values that were sent and their faults.
func (f *form) fill(controls ...control) []control {
	for i := range controls {
		c := &controls[i]
		f.mark(c)
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
		for j, o := range c.Options {
			c.Options[j].Selected = o.Value == c.Value
			if c.Type == "ticks" {
				c.Options[j].Selected = slices.Contains(f.values[c.Name], o.Value)
			}
		}
	}
	return controls
}

// faulty has a page list all faults of its forms.
func (v *view) faulty(forms ...*form) {
	for _, f := range forms {
		if len(f.faults) == 0 {
			continue
		}
		v.Status, v.Wrong = http.StatusUnprocessableEntity, true
		v.Notice = cmp.Or(v.Notice, "Nothing was stored. Correct the marked fields.")
		v.Faults = append(v.Faults, f.listed...)
		for _, name := range slices.Sorted(maps.Keys(f.faults)) {
			if !slices.ContainsFunc(f.listed, func(l faultLink) bool { return l.Name == name }) {
				v.Faults = append(v.Faults, faultLink{Name: name, Text: f.faults[name]}) // a fault without a control on the page
			}
		}
	}
}

// wrong records a fault of a field.
func (f *form) wrong(field, text string) {
	if f.faults == nil {
		f.faults = map[string]string{}
	}
	f.faults[field] = text
}

// broken records each RuleError in err under its field. It returns err if it holds none.
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
