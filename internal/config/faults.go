package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong, with its fix.
type Fault struct {
	File         string // "": not in a file
	Line, Column int    // from 1; 0: not known
	Key          string // such as "network.pool"; "": the file as a whole
	Wrong        string
	Fix          string // "": Wrong says what is right
}

// Where writes "file:line:column" without the parts that are not known.
func (f Fault) Where() string {
	where := f.File
	if where != "" && f.Line > 0 {
		where += fmt.Sprintf(":%d", f.Line)
		if f.Column > 0 {
			where += fmt.Sprintf(":%d", f.Column)
		}
	}
	return where
}

// Text writes what is wrong with its fix.
func (f Fault) Text() string {
	if f.Fix == "" {
		return f.Wrong
	}
	return f.Wrong + "; " + f.Fix
}

// String writes "file:line:column: key: text" without the parts that are not known.
func (f Fault) String() string {
	var parts []string
	for _, part := range []string{f.Where(), f.Key, f.Text()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Faults is everything that is wrong, in the order of the file.
type Faults []Fault //nolint:errname // the plural says what it is

// Error writes one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}
