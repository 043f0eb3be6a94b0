package mgmt

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// lists are the headers that hold lists, which may come in several lines (RFC 9110 section 5.3).
var lists = []string{"Accept", "Content-Encoding", "If-Match", "If-None-Match"}

// joinLists joins the lines of each of these headers, because huma reads only the first line.
func joinLists(h http.Header) {
	for _, name := range lists {
		if lines := h.Values(name); len(lines) > 1 {
			h.Set(name, strings.Join(lines, ", "))
		}
	}
}

// unreadable says why a request cannot be read as it is meant. net/http and huma would overlook
// these faults. Status 0 means that the request can be read.
func unreadable(r *http.Request) (status int, text string) {
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return http.StatusBadRequest, "the query cannot be read, " + err.Error() + ": write % as %25 and ; as %3B in values"
	}
	switch coding := r.Header.Get("Content-Encoding"); strings.ToLower(coding) {
	case "", "identity":
		return 0, ""
	default:
		return http.StatusUnsupportedMediaType, "compressed bodies are not supported: send the body without Content-Encoding"
	}
}

// errNotText is the error of a body that is not text. Otherwise each wrong byte would become a
// replacement character, and a password would become another one.
var errNotText = errors.New("is not text in UTF-8")

// textFormats are huma's formats, except that they accept only bodies of text.
func textFormats() map[string]huma.Format {
	formats := maps.Clone(huma.DefaultFormats)
	for name, f := range formats {
		f.Unmarshal = func(data []byte, v any) error {
			if !utf8.Valid(data) || halfCharacter(data) {
				return errNotText
			}
			return json.Unmarshal(data, v)
		}
		formats[name] = f
	}
	return formats
}

// halfCharacter reports whether JSON has half of a surrogate pair, such as the escape \udcfc,
// without the other half.
func halfCharacter(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		first := escaped(data[i:])
		switch {
		case first == 0:
			i++ // skip the escaped character
		case !utf16.IsSurrogate(first):
			i += 5
		case utf16.DecodeRune(first, escaped(data[i+6:])) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// escaped is the code unit of the \uXXXX that data begins with; 0: it begins with something else.
func escaped(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}
