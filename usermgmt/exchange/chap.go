package exchange

import (
	"net/netip"
	"strconv"
	"strings"
	"vpnd/usermgmt"
)

// readChapSecrets reads lines of client, server, secret and addresses as pppd does (pppd(8), AUTHENTICATION).
// The server is not looked at: there is one.
func (r *reader) readChapSecrets(data []byte) {
	password, _ := usermgmt.FieldNamed("password")
	address, _ := usermgmt.FieldNamed("address")
	s := scanner{data: string(data), line: 1}
	for s.more() {
		line := s.line
		words, ok := s.words()
		switch {
		case !ok:
			r.fault(line, "a quote is not closed; what follows is not read")
			return
		case len(words) == 0:
			continue
		case len(words) < 3:
			r.fault(line, "client, server and secret are to stand here, and there are %d words", len(words))
			continue
		case words[0] == "*":
			r.fault(line, "the client * is everybody, and vpnd has users with names: take the line out")
			continue
		case strings.HasPrefix(words[2], "@"):
			r.fault(line, "the secret is in another file: put it here")
			continue
		}
		values := []value{{password, words[2]}}
		if text, ok := r.chapAddress(line, words[3:]); !ok {
			continue
		} else if text != "" {
			values = append(values, value{address, text})
		}
		r.user(line, words[0], values)
	}
}

// chapAddress makes a fixed address of the addresses of a line; "": any of the pool.
func (r *reader) chapAddress(line int, words []string) (string, bool) {
	for i, word := range words {
		if word == "--" { // options of pppd follow
			words = words[:i]
			break
		}
	}
	switch {
	case len(words) == 0 || len(words) == 1 && words[0] == "*":
		return "", true
	case len(words) == 1 && words[0] == "-":
		r.fault(line, "the address - allows none: take the line out")
		return "", false
	case len(words) == 1:
		if _, err := netip.ParseAddr(words[0]); err == nil {
			return words[0], true
		}
	}
	r.fault(line, "a user of vpnd has one fixed address, or with * any of the pool")
	return "", false
}

// scanner takes words as pppd does: between white space, with quotes and backslashes, up to # or the
// end of the line.
type scanner struct {
	data string
	at   int
	line int
}

func (s *scanner) more() bool { return s.at < len(s.data) }

// words are those of one line, which a backslash before its end continues; not ok: a quote is not closed.
func (s *scanner) words() (words []string, ok bool) {
	var word strings.Builder
	begun := false
	var quote byte
	for s.more() {
		c := s.data[s.at]
		s.at++
		if c == '\n' {
			s.line++
		}
		switch {
		case c == '\\' && s.more():
			if s.data[s.at] == '\n' {
				s.at++
				s.line++
				continue
			}
			begun = true
			word.WriteByte(s.escaped())
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == '#' && !begun:
			for s.more() && s.data[s.at] != '\n' {
				s.at++
			}
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
			if c == '\n' {
				return words, true
			}
		default:
			begun = true
			word.WriteByte(c)
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words, quote == 0
}

// escaped is the octet that what follows a backslash stands for.
func (s *scanner) escaped() byte {
	c := s.data[s.at]
	if n := strings.IndexByte("abfnrts", c); n >= 0 {
		s.at++
		return "\a\b\f\n\r\t "[n]
	}
	digits, base := 0, 8
	from := s.at
	if c == 'x' {
		from, base = s.at+1, 16
	}
	for digits < 3-base/16 && from+digits < len(s.data) {
		if _, err := strconv.ParseUint(s.data[from:from+digits+1], base, 16); err != nil {
			break
		}
		digits++
	}
	if digits > 0 {
		n, _ := strconv.ParseUint(s.data[from:from+digits], base, 16) // it was parsed above
		s.at = from + digits
		return byte(n)
	}
	s.at++
	return c
}
