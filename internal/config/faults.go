package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong, with its fix.
type Fault struct {
	File         string // "": not from a file
	Line, Column int    // from 1; 0: not known
	Key          string // such as "network.pool"; "": the file as a whole
	Text         string
}

// String writes "file:line:column: key: text" without the parts that are not known.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		if f.Column > 0 {
			fmt.Fprintf(&b, ":%d", f.Column)
		}
		b.WriteString(": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
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
