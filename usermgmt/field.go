package usermgmt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Field is a field of a profile. It is an option of the command line, a column or a key of a file,
// a member of the API's JSON, a control of the form, and a column of the database.
type Field struct {
	Name    string // such as motp-pin
	Usage   string // of the option; the word for its value is between backquotes
	Secret  bool   // it can be written, but is never shown
	Default string // the value of a new user, as Set takes it; "": none

	Part    string   // of the form
	Label   string   // of the control
	Hint    string   // below the control
	Zero    string   // the word for 0
	Unit    string   // of a number in the form
	Choices []Choice // of the control; none: it is a text field

	// The kind gives these values if the declaration does not.
	Values    []string // all valid texts, if they can be listed
	MaxLength int      // of the text in the form, in characters; 0: any
	Number    bool     // the text has only digits

	Column string // of the database; "": as Key
	// The value of the column, and a target to scan the column into: load then sets the field. A
	// secret has neither, because its column is sealed.
	Value func(*Profile) any
	Scan  func(*Profile) (to any, load func() error)

	get   func(*Profile) string
	set   func(*Profile, string) error
	typed func(*Profile) string
	json  func(*Profile) any
	clean func(*Profile)
	check func(*Profile) error
}

// Choice is a value that a control offers.
type Choice struct{ Value, Text string }

// Key is the field's name in the API's JSON, such as motp_pin.
func (f Field) Key() string { return strings.ReplaceAll(f.Name, "-", "_") }

// Get is the field's text; "" means nothing, never or unlimited.
func (f Field) Get(p *Profile) string { return f.get(p) }

// ZeroWord is the word for the value 0, and otherwise "".
func (f Field) ZeroWord(p *Profile) string {
	if text := f.get(p); text == "0" || text == "0s" {
		return f.Zero
	}
	return ""
}

// Typed is the field's text in a form.
func (f Field) Typed(p *Profile) string { return f.typed(p) }

// JSON is the field's value as the API shows it.
func (f Field) JSON(p *Profile) any { return f.json(p) }

// Set sets the field to a text. The error is a RuleError. The Table checks the rules about several
// fields.
func (f Field) Set(p *Profile, text string) error {
	if err := f.set(p, text); err != nil {
		return &RuleError{f.Name, err.Error()}
	}
	return nil
}

// field completes the declaration of a field: it adds the functions of the kind for the value at a
// place of the profile.
func field[T, C any](k kind[T, C], at func(*Profile) *T, f Field) Field {
	f.Column = cmp.Or(f.Column, f.Key())
	f.Values, f.MaxLength, f.Number = k.values, cmp.Or(f.MaxLength, k.maxLength), f.Number || k.number
	f.get = func(p *Profile) string { return k.text(*at(p)) }
	f.set = func(p *Profile, s string) error { return k.parse(at(p), s) }
	f.typed, f.json = f.get, func(p *Profile) any { return f.get(p) }
	if k.typed != nil {
		f.typed = func(p *Profile) string { return k.typed(*at(p)) }
	}
	if k.json != nil {
		f.json = func(p *Profile) any { return k.json(*at(p)) }
	}
	f.clean = func(p *Profile) {
		if k.clean != nil {
			*at(p) = k.clean(*at(p))
		}
	}
	f.check = func(p *Profile) error {
		if k.check == nil {
			return nil
		}
		return k.check(*at(p))
	}
	if f.Secret {
		return f
	}
	f.Value = func(p *Profile) any { return k.store(*at(p)) }
	f.Scan = func(p *Profile) (any, func() error) {
		stored := new(C)
		return stored, func() error {
			if err := k.load(at(p), *stored); err != nil {
				return fmt.Errorf("cannot be read: %w", err)
			}
			return nil
		}
	}
	return f
}

// Secrets are the fields whose columns are sealed.
var Secrets = slices.DeleteFunc(slices.Clone(Fields), func(f Field) bool { return !f.Secret })

// FieldNamed finds a field by its name.
func FieldNamed(name string) (Field, bool) {
	i := slices.IndexFunc(Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return Fields[i], true
}

// Differences names the fields in which b differs from a.
func Differences(a, b *Profile) string { return differ(a, b, func(f Field) string { return f.Name }) }

// Changes describes the differences of b from a, without the values of secrets.
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

// short cuts a value to the length for the history.
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
