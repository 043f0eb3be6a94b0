package exchange

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"vpnd/usermgmt"
)

// header splits the first line of a CSV file, whose columns stand between commas, or between semicolons
// as spreadsheets of some countries write them.
func header(line string) (columns []string, comma rune) {
	comma = ','
	if strings.Contains(line, ";") && !strings.Contains(line, ",") {
		comma = ';'
	}
	for column := range strings.SplitSeq(line, string(comma)) {
		columns = append(columns, strings.ToLower(strings.Trim(column, " \t\r\"")))
	}
	return columns, comma
}

func (r *reader) readCSV(data []byte) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	_, comma := header(string(first))
	file := csv.NewReader(bytes.NewReader(data))
	file.Comma, file.Comment, file.TrimLeadingSpace = comma, '#', true
	names, err := file.Read()
	if err != nil {
		r.fault(1, "a header with the names of the columns is to stand here, such as name,password,dial-in")
		return
	}
	line, _ := file.FieldPos(0)
	nameAt := -1
	fields := make([]usermgmt.Field, len(names))
	seen := map[string]bool{}
	bad := false
	for i, column := range names {
		column = strings.ToLower(strings.TrimSpace(column))
		if seen[column] {
			r.fault(line, "the column %.64q is there twice", column)
			bad = true
		}
		seen[column] = true
		if column == "name" {
			nameAt = i
			continue
		}
		var ok bool
		fields[i], ok = r.field(line, column)
		bad = bad || !ok
	}
	if nameAt < 0 {
		r.fault(line, "the header has no column name")
		bad = true
	}
	if bad {
		return
	}
	r.readRecords(file, fields, nameAt)
}

func (r *reader) readRecords(file *csv.Reader, fields []usermgmt.Field, nameAt int) {
	for {
		record, err := file.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if at := (*csv.ParseError)(nil); errors.As(err, &at) {
			if errors.Is(err, csv.ErrFieldCount) {
				r.fault(at.Line, "the line has %d columns, and the header %d", len(record), len(fields))
				continue
			}
			r.fault(at.StartLine, "%v; what follows is not read", at.Err)
			return
		}
		line, _ := file.FieldPos(0)
		var values []value
		for i, text := range record {
			if i != nameAt {
				values = append(values, value{fields[i], text})
			}
		}
		r.user(line, strings.TrimSpace(record[nameAt]), values)
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
