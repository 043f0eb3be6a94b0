package exchange

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"vpnd/usermgmt"
)

// separators are the separators of columns in CSV files. Spreadsheets of some countries write
// semicolons, and "Unicode text" has tabs.
const separators = ",;\t"

// separator is the separator of a line such as "sep=;", with which Excel begins some files; 0: it
// is another line.
func separator(line string) rune {
	text, ok := strings.CutPrefix(strings.Trim(line, "\" \r\n"), "sep=")
	if !ok || text == "" {
		return 0
	}
	return rune(text[0])
}

// header splits the first line of a CSV file by the separator that gives it a column "name".
func header(line string) (columns []string, comma rune) {
	split := func(comma rune) (columns []string) {
		for column := range strings.SplitSeq(line, string(comma)) {
			columns = append(columns, strings.ToLower(strings.Trim(column, " \t\r\n\"")))
		}
		return columns
	}
	for _, comma := range separators {
		if columns := split(comma); slices.Contains(columns, "name") {
			return columns, comma
		}
	}
	return split(','), ','
}

// table is a CSV file after its header.
type table struct {
	file   *csv.Reader
	lines  [][]byte
	fields []usermgmt.Field // by column; without a name: the column is no field
	nameAt int
}

func (r *reader) readCSV(data []byte) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	comma := separator(string(first))
	if comma != 0 {
		data = append([]byte("\n"), rest...) // the lines keep their numbers
	} else {
		_, comma = header(string(first))
	}
	file := csv.NewReader(bytes.NewReader(data))
	// No Comment: a password may begin with any character. Spaces before a value are dropped, but
	// not a tab that is the separator.
	file.Comma, file.FieldsPerRecord, file.TrimLeadingSpace = comma, -1, comma != '\t'
	if !strings.ContainsRune(separators+"|", comma) {
		r.fault(1, "%q cannot separate columns: use a comma, a semicolon, a tab or |", string(comma))
		return
	}
	names, err := file.Read()
	if err != nil {
		r.fault(1, "the header is missing: write the names of the columns into this line, such as name,password,dial-in")
		return
	}
	for len(names) > 0 && strings.TrimSpace(names[len(names)-1]) == "" {
		names = names[:len(names)-1]
	}
	if t, ok := r.readHeader(file, names); ok {
		t.lines = bytes.Split(data, []byte("\n"))
		r.readRecords(t)
	}
}

func (r *reader) readHeader(file *csv.Reader, names []string) (table, bool) {
	line, _ := file.FieldPos(0)
	t := table{file: file, fields: make([]usermgmt.Field, len(names))}
	isName := func(column string) bool { return strings.EqualFold(strings.TrimSpace(column), "name") }
	if !slices.ContainsFunc(names, isName) {
		// The fault repeats no word of the line: without a header the line is a user with a
		// password.
		r.fault(line, "the header has no column \"name\": write the names of the columns into this line, such as name,password,dial-in")
		return t, false
	}
	if strings.Contains(strings.Join(names, ""), "\r") {
		r.fault(line, "the line contains line ends of a Macintosh: save the file with line ends of Windows or Unix")
		return t, false
	}
	seen := map[string]bool{}
	ok := true
	for i, column := range names {
		column = strings.ToLower(strings.TrimSpace(column))
		if column == "" {
			continue
		}
		if seen[column] {
			r.fault(line, "the column %.64q appears twice: remove one", column)
			ok = false
		}
		seen[column] = true
		if column == "name" {
			t.nameAt = i
			continue
		}
		var known bool
		t.fields[i], known = r.field(line, column)
		ok = ok && known
	}
	return t, ok
}

func (r *reader) readRecords(t table) {
	for {
		record, err := t.file.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if at := (*csv.ParseError)(nil); errors.As(err, &at) {
			r.Records++
			r.fault(at.StartLine, "%v; the rest was not read", at.Err)
			return
		}
		for len(record) > len(t.fields) && strings.TrimSpace(record[len(record)-1]) == "" {
			record = record[:len(record)-1]
		}
		if !slices.ContainsFunc(record, func(text string) bool { return strings.TrimSpace(text) != "" }) {
			continue // a spreadsheet writes empty rows at the end
		}
		r.Records++
		line, _ := t.file.FieldPos(0)
		if len(record) != len(t.fields) {
			r.fault(line, "the line has %d columns, but the header has %d", len(record), len(t.fields))
			continue
		}
		r.readRecord(line, record, t)
	}
}

func (r *reader) readRecord(line int, record []string, t table) {
	var values []value
	for i, text := range record {
		if i == t.nameAt || t.fields[i].Name == "password" {
			r.doubt(line, record[t.nameAt], i, text, t)
		}
		switch {
		case i == t.nameAt:
		case t.fields[i].Name != "":
			values = append(values, value{t.fields[i], text})
		case strings.TrimSpace(text) != "":
			r.fault(line, "column %d has a value, but the header has no name for it", i+1)
			return
		}
	}
	r.user(line, strings.TrimSpace(record[t.nameAt]), values)
}

// shortened is a long number in the form in which spreadsheets show and then save it.
var shortened = regexp.MustCompile(`^\d([.,]\d+)?E[+-]\d+$`)

// doubt adds a note if the file may hold another name or password than was meant.
func (r *reader) doubt(line int, name string, column int, text string, t table) {
	if shortened.MatchString(text) {
		r.note(line, "%.64q: the %s looks like a long number that a spreadsheet has shortened: check it, and format the column as text",
			name, cmp.Or(t.fields[column].Name, "name"))
	}
	at, from := t.file.FieldPos(column)
	raw := t.lines[at-1]
	if column != t.nameAt && text != "" && from > 1 && raw[from-1] != '"' && raw[from-2] == ' ' && t.file.TrimLeadingSpace {
		r.note(line, "%.64q: ignored spaces before the password; to keep them, quote the password", name)
	}
}

func writeCSV(w io.Writer, users []usermgmt.Profile, fields []usermgmt.Field) error {
	file := csv.NewWriter(w)
	record := []string{"name"}
	for _, f := range fields {
		record = append(record, f.Name)
	}
	if err := file.Write(record); err != nil {
		return err
	}
	for _, p := range users {
		record[0] = p.Name
		for i, f := range fields {
			record[i+1] = f.Get(&p)
		}
		if err := file.Write(record); err != nil {
			return err
		}
	}
	file.Flush()
	return file.Error()
}
