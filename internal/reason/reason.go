// Package reason says why a log-in was refused, or why a call, a connection or a tunnel ended. A
// Reason is a value: a code with arguments. The table has a row for each code: the texts for the
// log, the pages and the peer, the meaning and the fix. docs/reasons.md is generated from the
// table.
package reason

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code names a reason. It never changes: scripts, the history and fail2ban's filter match it.
type Code string

// MaxArgs is the largest number of arguments of a reason.
const MaxArgs = 4

// Reason is why something ended or was refused. The zero value is no reason. Reasons can be
// compared.
type Reason struct { //nolint:errname // it is more than an error
	Code Code
	Args [MaxArgs]string // for the placeholders of the row's text, in their order
	Err  error           // the cause, if it is an error; the text is also in Args
}

// New makes a reason. Its arguments are for the placeholders of the code's text, in their order. An
// error among them becomes the reason's Err. A missing argument is empty.
func New(code Code, args ...any) Reason {
	r := Reason{Code: code}
	for i, arg := range args[:min(len(args), MaxArgs)] {
		if err, ok := arg.(error); ok {
			r.Err = err
		}
		r.Args[i] = said(arg)
	}
	return r
}

// said is the text of an argument. Times are in UTC.
func said(arg any) string {
	switch v := arg.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case time.Duration:
		if v == 0 {
			return ""
		}
	}
	return fmt.Sprint(arg)
}

// Of finds the Reason in an error. If there is none, it gives Internal with the error's text.
func Of(err error) Reason {
	if err == nil {
		return Reason{}
	}
	if r := (Reason{}); errors.As(err, &r) {
		return r
	}
	return New(Internal, err)
}

// IsZero reports whether r is no reason.
func (r Reason) IsZero() bool { return r.Code == "" }

// String is the text for the log and the pages.
func (r Reason) String() string { return fill(r.Row().Text, r.Args[:]) }

// Error makes a Reason an error.
func (r Reason) Error() string { return r.String() }

// Unwrap gives the error that is the cause.
func (r Reason) Unwrap() error { return r.Err }

// Is reports whether target is a Reason with the same code, for errors.Is.
func (r Reason) Is(target error) bool {
	t, ok := target.(Reason)
	return ok && t.Code == r.Code
}

// Peer is the text for the peer. It reveals nothing that only an administrator should know.
func (r Reason) Peer() string {
	switch row := r.Row(); row.Peer {
	case sameText:
		return r.String()
	case "":
		return denials[row.MSCHAP].told
	default:
		return row.Peer
	}
}

// Label is the label under which the metrics count a refusal.
func (r Reason) Label() string { return cmp.Or(r.Row().Label, labelLink) }

// denials are the error codes of a refused log-in (RFC 2759 section 6): the text for a client, and
// the meaning of a server's code.
var denials = map[int]struct{ told, means string }{
	MSCHAPDenied:     {"Access denied", "wrong name or password"},
	MSCHAPHours:      {"Dial-in not allowed at this hour", "not at this hour"},
	MSCHAPDisabled:   {"Account disabled", "the account is disabled"},
	mschapExpired:    {"Password expired", "the password has expired"},
	MSCHAPNotAllowed: {"Dial-in not allowed", "the user may not dial in, or not in this way"},
}

// Denial is the meaning of a server's error code for a refused log-in; "": it is unknown.
func Denial(code int) string { return denials[code].means }

// Row is the row of the reason's code. An unknown code, from the history of a later version, has a
// row with the code as its text.
func (r Reason) Row() Row {
	if row, ok := byCode[r.Code]; ok {
		return row
	}
	return Row{Code: r.Code, Text: string(r.Code)}
}

// Advice is the meaning of the reason and its fix, for a type of dial-in: PPTP, L2TP or L2TP/IPsec.
// The fix holds tasks in braces, such as {unlock}. ok is false if the code is unknown.
func (r Reason) Advice(kind string) (a Advice, ok bool) {
	row, ok := byCode[r.Code]
	if !ok {
		return a, false
	}
	a = row.Advice
	if row.L2TP != nil && strings.HasPrefix(kind, "L2TP") {
		a = *row.L2TP
	}
	for i, name := range placeholders(row.Text) {
		a.Means = strings.ReplaceAll(a.Means, "{"+name+"}", r.Args[i])
	}
	a.Means = strings.TrimSpace(a.Means)
	return a, true
}

// And is r with one more argument.
func (r Reason) And(arg any) Reason {
	if n := len(r.Arguments()); n < MaxArgs {
		r.Args[n] = said(arg)
	}
	return r
}

// Arguments are r's arguments without the empty ones at the end.
func (r Reason) Arguments() []string {
	n := MaxArgs
	for n > 0 && r.Args[n-1] == "" {
		n--
	}
	return r.Args[:n]
}

// Stored is r's arguments in the form that the history stores; Parse reads it.
func (r Reason) Stored() string {
	args := r.Arguments()
	if len(args) == 0 {
		return ""
	}
	text, err := json.Marshal(args)
	if err != nil { // strings can always be encoded
		return ""
	}
	return string(text)
}

// Parse gives the reason with a code and the result of Stored.
func Parse(code, arguments string) (Reason, error) {
	r := Reason{Code: Code(code)}
	if arguments == "" {
		return r, nil
	}
	var args []string
	if err := json.Unmarshal([]byte(arguments), &args); err != nil {
		return r, fmt.Errorf("arguments of the reason %q: %w", code, err)
	}
	copy(r.Args[:], args)
	return r, nil
}

// Search gives the codes whose texts, without their arguments, contain part in any case.
func Search(part string) []Code {
	var codes []Code
	part = strings.ToLower(part)
	for _, row := range Table() {
		if strings.Contains(strings.ToLower(fill(row.Text, make([]string, len(placeholders(row.Text))))), part) {
			codes = append(codes, row.Code)
		}
	}
	return codes
}

// fill puts args into the placeholders of text. It leaves out a part in brackets if its placeholder
// is empty.
func fill(text string, args []string) string {
	var b strings.Builder
	part, optional, empty := &strings.Builder{}, false, false
	n := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '[':
			optional, empty = true, false
			part.Reset()
		case ']':
			if !empty {
				b.WriteString(part.String())
			}
			optional = false
		default:
			word := string(c)
			if c == '{' {
				end := strings.IndexByte(text[i:], '}')
				word = ""
				if n < len(args) {
					word = args[n]
				}
				n++
				i += end
				empty = empty || word == ""
			}
			if optional {
				part.WriteString(word)
			} else {
				b.WriteString(word)
			}
		}
	}
	return b.String()
}

// placeholders are the names in a text, in order.
func placeholders(text string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(text, "{")
		if !ok {
			return names
		}
		name, after, _ := strings.Cut(rest, "}")
		names, text = append(names, name), after
	}
}
