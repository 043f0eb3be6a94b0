// Package exchange reads and writes files of users: CSV and YAML, whose columns and keys are name
// and those of usermgmt.Fields. It also reads the files of other servers.
package exchange

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"vpnd/auth"
	"vpnd/usermgmt"
)

// LineError is a fault in a line of a file. It reveals no secret.
type LineError struct {
	Line int // 0: the whole file
	Text string
}

// Error is the fault without the line.
func (e *LineError) Error() string { return e.Text }

// Content holds the users of a file.
type Content struct {
	Edits   []usermgmt.Edit
	Records int          // the users in the file, read or not
	Skipped []*LineError // records that give no user but are not faults
	Notes   []*LineError // user data that vpnd has no place for
}

// Read gives the edits that a file wants. A field that the file does not have stays as it is; a new
// user gets it from usermgmt.New. An empty value is that of usermgmt.New, too. The error joins one
// LineError for each line that cannot be read; the edits are those of the other lines. Open reads
// other files that the file names; nil: there are none.
func Read(format Format, data []byte, open func(path string) ([]byte, error)) (Content, error) {
	r := reader{open: open, seen: map[string]int{}}
	read, ok := readers[format]
	if !ok {
		return Content{}, ErrFormat
	}
	read(&r, data)
	for i := range r.accounts {
		r.accounts[i].add(&r)
	}
	return r.Content, errors.Join(r.faults...)
}

// reader gathers the content and the faults of a file.
type reader struct {
	Content

	faults   []error
	open     func(path string) ([]byte, error)
	accounts []account
	seen     map[string]int // index of accounts by name
}

func (r *reader) fault(line int, format string, args ...any) {
	r.faults = append(r.faults, &LineError{line, fmt.Sprintf(format, args...)})
}

func (r *reader) skip(line int, format string, args ...any) {
	r.Skipped = append(r.Skipped, &LineError{line, fmt.Sprintf(format, args...)})
}

func (r *reader) note(line int, format string, args ...any) {
	r.Notes = append(r.Notes, &LineError{line, fmt.Sprintf(format, args...)})
}

// value is the text of a field.
type value struct {
	field usermgmt.Field
	text  string
}

// user adds an edit.
func (r *reader) user(line int, name string, values []value) {
	if name == "" {
		r.fault(line, "the name is missing")
		return
	}
	r.Edits = append(r.Edits, usermgmt.Edit{Name: name, Line: line, Change: func(p *usermgmt.Profile) error {
		fresh := usermgmt.New(p.Name)
		var errs []error
		for _, v := range values {
			text := v.text
			if text == "" {
				if text = v.field.Get(&fresh); text == "" && v.field.Name == "index" {
					continue
				}
			}
			errs = append(errs, v.field.Set(p, text))
		}
		return errors.Join(errs...)
	}})
}

// field finds the field that a file names.
func (r *reader) field(line int, name string) (usermgmt.Field, bool) {
	f, ok := usermgmt.FieldNamed(name)
	if !ok {
		known := []string{"name"}
		for _, f := range usermgmt.Fields {
			known = append(known, f.Name)
		}
		r.fault(line, "the field %.64q is unknown: use one of %s", name, strings.Join(known, ", "))
	}
	return f, ok
}

// account is a user of another server. Its file may have a user several times.
type account struct {
	line     int
	name     string
	services []auth.Service    // of this line; none: the line does not say
	fields   map[string]string // by the names of usermgmt.Fields
}

// account adds a user of another server. Lines that differ only in the service are one user.
func (r *reader) account(a account) {
	switch {
	case a.name == "":
		r.fault(a.line, "the name is missing")
		return
	case a.fields["password"] == "":
		r.fault(a.line, "%.64q has no password here", a.name)
		return
	}
	i, again := r.seen[a.name]
	if !again {
		r.seen[a.name] = len(r.accounts)
		r.accounts = append(r.accounts, a)
		return
	}
	first := &r.accounts[i]
	for _, f := range usermgmt.Fields {
		if first.fields[f.Name] != a.fields[f.Name] {
			r.fault(a.line, "%.64q is in line %d with another %s, but a user of vpnd has only one: remove one of the lines", a.name, first.line, f.Name)
			return
		}
	}
	r.skip(a.line, "%.64q is in line %d already, with the same password", a.name, first.line)
	if len(first.services) == 0 || len(a.services) == 0 {
		first.services = nil
	} else {
		first.services = append(first.services, a.services...)
	}
}

// add makes the edit of an account.
func (a *account) add(r *reader) {
	if len(a.services) > 0 {
		slices.Sort(a.services)
		words := make([]string, 0, len(a.services))
		for _, s := range slices.Compact(a.services) {
			words = append(words, string(s))
		}
		a.fields["dial-in"] = strings.Join(words, ",")
	}
	var values []value
	for _, f := range usermgmt.Fields {
		if text, ok := a.fields[f.Name]; ok {
			values = append(values, value{f, text})
		}
	}
	r.user(a.line, a.name, values)
}

// oneAddress is the address in a word, which may have the prefix length of a single address; "": it
// is not one address.
func oneAddress(word string) string {
	if p, err := netip.ParsePrefix(word); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	if _, err := netip.ParseAddr(word); err != nil {
		return ""
	}
	return word
}

// Write writes users. It writes passwords, secrets and PINs only if secrets is true.
func Write(w io.Writer, format Format, users []usermgmt.Profile, secrets bool) error {
	var fields []usermgmt.Field
	for _, f := range usermgmt.Fields {
		if secrets || !f.Secret {
			fields = append(fields, f)
		}
	}
	users = slices.Clone(users)
	slices.SortFunc(users, func(a, b usermgmt.Profile) int { return cmp.Compare(a.Index, b.Index) })
	switch format {
	case CSV:
		return writeCSV(w, users, fields)
	case YAML:
		return writeYAML(w, users, fields)
	case JSON:
		return writeJSON(w, users, fields)
	default:
		return ErrFormat
	}
}
