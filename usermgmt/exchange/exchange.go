// Package exchange reads and writes files of users: CSV and YAML, whose columns and keys are name and
// those of usermgmt.Fields, and reads pppd's chap-secrets.
package exchange

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"vpnd/usermgmt"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV         Format = "csv"
	YAML        Format = "yaml"
	ChapSecrets Format = "chap-secrets" // of pppd; it is read and not written
)

// Formats are all of them.
var Formats = []Format{CSV, YAML, ChapSecrets}

// ErrFormat is the error for a format that is not there.
var ErrFormat = errors.New("no such format of users")

// LineError is what is wrong in a line of a file. It tells no secret.
type LineError struct {
	Line int // 0: the whole file
	Text string
}

// Error is the fault without the line.
func (e *LineError) Error() string { return e.Text }

// Read gives what a file wants users to become. What it says nothing of stays as it is, and a new user
// gets it from usermgmt.New; an empty value is that of usermgmt.New, too. The error joins one LineError for
// each line that cannot be read; the edits are those of the others.
func Read(format Format, data []byte) ([]usermgmt.Edit, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var r reader
	switch format {
	case CSV:
		r.readCSV(data)
	case YAML:
		r.readYAML(data)
	case ChapSecrets:
		r.readChapSecrets(data)
	default:
		return nil, ErrFormat
	}
	return r.edits, errors.Join(r.faults...)
}

// Guess tells a file's format by its name, or else by how it begins; "": it cannot.
func Guess(name string, data []byte) Format {
	base := strings.ToLower(filepath.Base(name))
	switch filepath.Ext(base) {
	case ".csv":
		return CSV
	case ".yaml", ".yml":
		return YAML
	}
	if base == "chap-secrets" || base == "pap-secrets" {
		return ChapSecrets
	}
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		text := strings.TrimSpace(string(line))
		switch columns, _ := header(text); {
		case text == "" || text[0] == '#' || text == "---":
			continue
		case slices.Contains(columns, "name"):
			return CSV
		case text == "users:" || text == "-" || strings.HasPrefix(text, "- "):
			return YAML
		case len(strings.Fields(text)) >= 3:
			return ChapSecrets
		}
		return ""
	}
	return ""
}

// reader gathers what a file says, and what is wrong with it.
type reader struct {
	edits  []usermgmt.Edit
	faults []error
}

func (r *reader) fault(line int, format string, args ...any) {
	r.faults = append(r.faults, &LineError{line, fmt.Sprintf(format, args...)})
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
	r.edits = append(r.edits, usermgmt.Edit{Name: name, Line: line, Change: func(p *usermgmt.Profile) error {
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

// field finds a field that stands in a file.
func (r *reader) field(line int, name string) (usermgmt.Field, bool) {
	f, ok := usermgmt.FieldNamed(name)
	if !ok {
		known := []string{"name"}
		for _, f := range usermgmt.Fields {
			known = append(known, f.Name)
		}
		r.fault(line, "there is no field %.64q; those there are: %s", name, strings.Join(known, ", "))
	}
	return f, ok
}

// Write writes users; passwords, secrets and PINs only with secrets.
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
	default:
		return ErrFormat
	}
}
