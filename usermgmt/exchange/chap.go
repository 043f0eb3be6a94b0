package exchange

import (
	"regexp"
	"slices"
	"strings"
	"vpnd/auth"
)

// readChapSecrets reads lines of client, server, secret and addresses as pppd does (pppd(8),
// AUTHENTICATION). accel-ppp adds a rate after the address.
func (r *reader) readChapSecrets(data []byte) {
	s := scanner{data: string(data), line: 1}
	for s.more() {
		words, line, ok := s.words()
		if len(words) == 0 && ok {
			continue
		}
		r.Records++
		switch {
		case !ok:
			r.fault(line, "a quote is not closed; the rest was not read")
			return
		case len(words) < 3:
			r.fault(line, "a line has client, server and secret; this one has %d words", len(words))
		case words[0] == "*":
			r.fault(line, "the client * means everybody, but users of vpnd need names: remove the line")
		case len(words) == 3 && (oneAddress(words[2]) != "" || words[2] == "*"):
			r.fault(line, "an address is where the secret belongs. A file of name, password and address has another format: "+
				"%s (FreeBSD's mpd5) or %s (BSD's ppp)", MPDSecret, PPPSecret)
		default:
			if len(words) == 3 && s.cut {
				r.note(line, "%.64q: the secret ends before #, as in pppd; to include #, quote the secret", words[0])
			}
			r.chapAccount(line, words)
		}
	}
}

func (r *reader) chapAccount(line int, words []string) {
	a := account{line: line, name: words[0], services: servicesOf(words[1]), fields: map[string]string{}}
	var ok bool
	if a.fields["password"], ok = r.chapSecret(line, a.name, words[2]); !ok {
		return
	}
	rest := words[3:]
	if i := slices.Index(rest, "--"); i >= 0 {
		if i+1 < len(rest) {
			r.note(line, "%.64q: ignored pppd's options after --", a.name)
		}
		rest = rest[:i]
	}
	if len(rest) == 2 && rateSign.MatchString(rest[1]) {
		rates := rateSign.FindStringSubmatch(rest[1])
		// In kbit/s. The first rate is to the user, the second from the user. A single rate is for
		// both.
		a.fields["down-limit"], a.fields["up-limit"] = kilobits(rates[1]), kilobits(rates[1])
		if rates[2] != "" {
			a.fields["up-limit"] = kilobits(rates[2])
		}
		rest = rest[:1]
	}
	if a.fields["address"], ok = r.chapAddress(line, rest); ok {
		r.account(a)
	}
}

// rateSign is a rate of accel-ppp (accel-ppp.conf(5), shaper).
var rateSign = regexp.MustCompile(`^(\d{1,9})(?:[/\\:](\d{1,9}))?$`)

func kilobits(digits string) string {
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return "0"
	}
	return digits + "k"
}

// servicesOf are the dial-in types in a server's name, such as l2tpd; none: any type.
func servicesOf(server string) (list []auth.Service) {
	server = strings.ToLower(server)
	for _, s := range []auth.Service{auth.L2TP, auth.PPTP} {
		if strings.Contains(server, string(s)) {
			list = append(list, s)
		}
	}
	return list
}

// Secrets in pap-secrets that are hashes of crypt(3). The oldest form of a hash could also be a
// password.
var (
	hashSign    = regexp.MustCompile(`^\$(1|2[abxy]?|5|6|7|gy|y|md5|sha1)[$,]|^_[./0-9A-Za-z]{19}$`)
	oldHashSign = regexp.MustCompile(`^[./0-9A-Za-z]{13}$`)
)

// chapSecret is the secret of a line, or of the file that the line names.
func (r *reader) chapSecret(line int, name, word string) (string, bool) {
	switch {
	case word == "@login":
		r.fault(line, "the password of %.64q is that of a system user, which nobody can read: write a password here", name)
		return "", false
	case hashSign.MatchString(word):
		r.fault(line, "the password of %.64q is a hash, which nobody can read: write the password itself", name)
		return "", false
	case oldHashSign.MatchString(word):
		r.note(line, "%.64q: the secret has 13 characters; if it is a hash, as pap-secrets may have, replace it with the password", name)
	}
	if !strings.HasPrefix(word, "@/") {
		return word, true
	}
	path := word[1:]
	if r.open == nil {
		r.fault(line, "the secret is in the file %s: write it here", path)
		return "", false
	}
	data, err := r.open(path)
	if err != nil {
		r.fault(line, "the secret is in another file that cannot be read (%v): write the secret here", err)
		return "", false
	}
	s := scanner{data: string(data), line: 1}
	for s.more() {
		if words, _, ok := s.words(); ok && len(words) > 0 {
			return words[0], true
		}
	}
	r.fault(line, "the secret should be in the file %s, which has none: write it here", path)
	return "", false
}

// chapAddress gives the fixed address of a line; "": any address of the pool.
func (r *reader) chapAddress(line int, words []string) (string, bool) {
	switch {
	case len(words) == 0 || len(words) == 1 && words[0] == "*":
		return "", true
	case len(words) == 1 && words[0] == "-":
		r.fault(line, "the address - allows no address: remove the line")
		return "", false
	case len(words) == 1 && oneAddress(words[0]) != "":
		return oneAddress(words[0]), true
	}
	r.fault(line, "a user of vpnd has one fixed address, or any address of the pool (*)")
	return "", false
}
