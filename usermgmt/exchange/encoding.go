package exchange

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// encodings are the encodings of files besides UTF-8, which is the default.
var encodings = map[string]encoding.Encoding{
	"utf-8":        unicode.UTF8,
	"utf-16":       unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"windows-1250": charmap.Windows1250,
	"windows-1251": charmap.Windows1251,
	"windows-1252": charmap.Windows1252,
	"iso-8859-1":   charmap.ISO8859_1,
	"iso-8859-2":   charmap.ISO8859_2,
	"iso-8859-15":  charmap.ISO8859_15,
	"cp437":        charmap.CodePage437,
	"cp850":        charmap.CodePage850,
	"macintosh":    charmap.Macintosh,
}

// Encodings are the names of encodings that Decode accepts.
func Encodings() []string { return slices.Sorted(maps.Keys(encodings)) }

const bom = "\ufeff"

// Decode gives a file's text in UTF-8, without a byte order mark. With encoding "" the file is
// UTF-8, or UTF-16 that begins with its mark. The error names a likely encoding, and the line.
func Decode(encoding string, data []byte) ([]byte, error) {
	if encoding == "" {
		encoding = "utf-8"
		if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
			encoding = "utf-16"
		}
	}
	known, ok := encodings[strings.ToLower(encoding)]
	if !ok {
		return nil, fmt.Errorf("the encoding %.64q is unknown: use one of %s", encoding, strings.Join(Encodings(), ", "))
	}
	if known == unicode.UTF8 {
		if err := checkUTF8(data); err != nil {
			return nil, err
		}
		return lineEnds(bytes.TrimLeft(data, bom)), nil
	}
	text, err := known.NewDecoder().Bytes(data)
	if err != nil {
		return nil, fmt.Errorf("this is not %s: %w", encoding, err)
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if bytes.ContainsRune(line, utf8.RuneError) {
			return nil, &LineError{i + 1, "this is not " + encoding + ": a character cannot be read"}
		}
	}
	return lineEnds(bytes.TrimLeft(text, bom)), nil
}

// lineEnds replaces the line ends of old Macintoshes, which Excel still writes.
func lineEnds(text []byte) []byte {
	if bytes.IndexByte(text, '\n') >= 0 {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}

// checkUTF8 gives an error for data that is not UTF-8. It names a likely encoding.
func checkUTF8(data []byte) error {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return &LineError{
			1 + bytes.Count(data[:at], []byte("\n")),
			"a byte 0 is here: the file is not text, or UTF-16 (Excel's \"Unicode text\") without a byte order mark: give --encoding utf-16le for that",
		}
	}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if !utf8.Valid(text) {
			return &LineError{line, "this is not UTF-8. Excel and Notepad in Western countries write Windows-1252 and call it ANSI: " +
				"--encoding windows-1252 reads it, or save the file as UTF-8 (\"CSV UTF-8\" in Excel)"}
		}
	}
	return nil
}
