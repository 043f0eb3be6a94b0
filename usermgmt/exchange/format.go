package exchange

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// Format is the format of a file.
type Format string

// The formats. CSV and YAML are vpnd's own. The others can only be read.
const (
	CSV         Format = "csv"
	YAML        Format = "yaml"
	ChapSecrets Format = "chap-secrets" // of pppd and accel-ppp
	MPDSecret   Format = "mpd-secret"   // of FreeBSD's mpd5
	PPPSecret   Format = "ppp-secret"   // of BSD's ppp(8)
	NPPPDUsers  Format = "npppd-users"  // of OpenBSD's npppd
	RouterOS    Format = "routeros"     // an export of MikroTik's
	PfSense     Format = "pfsense"      // config.xml of pfSense or OPNsense
)

// Formats are all formats.
var Formats = []Format{CSV, YAML, ChapSecrets, MPDSecret, PPPSecret, NPPPDUsers, RouterOS, PfSense}

var readers = map[Format]func(*reader, []byte){
	CSV: (*reader).readCSV, YAML: (*reader).readYAML, ChapSecrets: (*reader).readChapSecrets, MPDSecret: (*reader).readMPD,
	PPPSecret: (*reader).readPPP, NPPPDUsers: (*reader).readNPPPD, RouterOS: (*reader).readRouterOS, PfSense: (*reader).readPfSense,
}

// ErrFormat is the error for an unknown format.
var ErrFormat = errors.New("unknown format of users")

// names are parts of the file names of some formats. The content does not distinguish them: a line
// of three words may be name, server and secret, or name, secret and address.
var names = []struct {
	part   string
	format Format
}{
	{"chap-secrets", ChapSecrets},
	{"pap-secrets", ChapSecrets},
	{"mpd.secret", MPDSecret},
	{"ppp.secret", PPPSecret},
	{"npppd-users", NPPPDUsers},
}

// Guess gives a file's format by its name, or else by its beginning; "": it cannot tell.
func Guess(name string, data []byte) Format {
	if format := guessByName(strings.ToLower(filepath.Base(name))); format != "" {
		return format
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(text, "#") && strings.Contains(text, " by RouterOS "):
			return RouterOS
		case text == "" || text == "---" || text[0] == '#':
			continue
		}
		return guessByLine(text, data)
	}
	return ""
}

func guessByName(base string) Format {
	switch filepath.Ext(base) {
	case ".csv":
		return CSV
	case ".yaml", ".yml", ".json":
		return YAML
	case ".rsc":
		return RouterOS
	}
	for _, n := range names {
		if strings.Contains(base, n.part) {
			return n.format
		}
	}
	return ""
}

// guessByLine gives the format by the first line that is not a comment.
func guessByLine(text string, data []byte) Format {
	switch columns, _ := header(text); {
	case separator(text) != 0, slices.Contains(columns, "name"):
		return CSV
	case text == "users:" || text == "-" || strings.HasPrefix(text, "- "):
		return YAML
	case text[0] == '/' && slices.Contains(strings.FieldsFunc(text, menuSign), "ppp"):
		return RouterOS
	case strings.HasSuffix(text, `:\`):
		return NPPPDUsers
	case bytes.Contains(data, []byte("<pfsense>")), bytes.Contains(data, []byte("<opnsense>")):
		return PfSense
	}
	return ""
}
