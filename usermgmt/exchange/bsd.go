package exchange

import (
	"slices"
	"strings"
)

// readMPD reads lines of login, password and address as FreeBSD's mpd5 does (its manual,
// mpd.secret).
func (r *reader) readMPD(data []byte) {
	for _, l := range logicalLines(data, " ") {
		text := strings.TrimLeft(l.text, spaces)
		if text == "" || text[0] == '#' {
			continue
		}
		r.Records++
		words := mpdWords(text)
		if len(words) > 1 && strings.HasPrefix(words[1], "!") {
			r.fault(l.number, "a program supplies the password of %.64q: write the password itself (use a CSV file for a password that begins with !)", words[0])
			continue
		}
		r.bsdAccount(l.number, words)
	}
}

// mpdWords splits a line. A word that begins with a quote ends at the next quote. Other words end
// at white space, even after a backslash.
func mpdWords(text string) (words []string) {
	for {
		text = strings.TrimLeft(text, spaces)
		var word []byte
		switch inside, quoted := strings.CutPrefix(text, `"`); {
		case text == "":
			return words
		case quoted:
			at := 0
			for at < len(inside) && inside[at] != '"' {
				word, at = mpdByte(word, inside, at)
			}
			text = inside[min(at+1, len(inside)):]
		default:
			end := strings.IndexAny(text+" ", spaces)
			for at := 0; at < end; {
				word, at = mpdByte(word, text[:end], at)
			}
			text = text[end:]
		}
		words = append(words, string(word))
	}
}

// mpdByte appends the byte at a place of text, and gives the next place. It drops a backslash at
// the end.
func mpdByte(word []byte, text string, at int) ([]byte, int) {
	b := text[at]
	at++
	if b == '\\' && at == len(text) {
		return word, at
	}
	if b == '\\' {
		b, at = escaped(text, at, mpdSigns)
	}
	return append(word, b), at
}

// readPPP reads lines of name, key, address, label and call-back number as BSD's ppp does (ppp(8),
// ppp.secret).
func (r *reader) readPPP(data []byte) {
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		words, ok := pppWords(text)
		if len(words) == 0 && ok {
			continue
		}
		r.Records++
		if !ok {
			r.fault(number, "a quote is not closed in this line")
			continue
		}
		if len(words) > 3 {
			r.note(number, "%.64q: ignored label and call-back number", words[0])
			words = words[:3]
		}
		if len(words) > 1 && words[1] == "*" {
			r.fault(number, "the password of %.64q is that of a system user, which nobody can read: write a password here", words[0])
			continue
		}
		if len(words) == 3 && words[2] == "*" {
			words = words[:2]
		}
		r.bsdAccount(number, words)
	}
}

// pppWords splits a line at white space outside quotes, up to #; not ok: a quote is not closed.
func pppWords(text string) (words []string, ok bool) {
	var word []byte
	begun, quoted := false, false
	for at := 0; at <= len(text); at++ {
		end := at == len(text) || !quoted && text[at] == '#'
		switch {
		case end || !quoted && strings.IndexByte(spaces, text[at]) >= 0:
			if begun {
				words = append(words, string(word))
			}
			if end {
				return words, !quoted
			}
			word, begun = nil, false
		case text[at] == '"':
			quoted, begun = !quoted, true
		case text[at] == '\\' && at+1 < len(text):
			at++
			word, begun = append(word, text[at]), true
		default:
			word, begun = append(word, text[at]), true
		}
	}
	return words, !quoted
}

// bsdAccount adds the user of a line with name, password and address.
func (r *reader) bsdAccount(line int, words []string) {
	switch {
	case len(words) < 2 || len(words) > 3:
		r.fault(line, "a line has name, password and perhaps an address; this one has %d words", len(words))
	case words[0] == "*":
		r.fault(line, "the name * means everybody, but users of vpnd need names: remove the line")
	case len(words) == 2 && oneAddress(words[1]) != "":
		r.fault(line, "an address is where the password belongs")
	case len(words) == 3 && oneAddress(words[2]) == "":
		r.fault(line, "a user of vpnd has one fixed address, or none: then it gets one of the pool")
	default:
		a := account{line: line, name: words[0], fields: map[string]string{"password": words[1]}}
		if len(words) == 3 {
			a.fields["address"] = oneAddress(words[2])
		}
		r.account(a)
	}
}

// readNPPPD reads the users of OpenBSD's npppd (npppd-users(5)) in the format of getcap(3).
func (r *reader) readNPPPD(data []byte) {
	for _, l := range logicalLines(data, "") {
		text := strings.TrimLeft(l.text, spaces)
		if text == "" || text[0] == '#' {
			continue
		}
		r.Records++
		parts := strings.Split(text, ":")
		a := account{line: l.number, name: strings.TrimSpace(parts[0]), fields: map[string]string{}}
		if strings.Contains(a.name, "|") || len(parts) < 2 {
			r.fault(l.number, `this is not a user: write name:\ and then :password=...:\`)
			continue
		}
		if r.capabilities(&a, parts[1:]) {
			r.account(a)
		}
	}
}

// capabilities adds the fields of a user of npppd to the account.
func (r *reader) capabilities(a *account, parts []string) bool {
	seen := map[string]bool{}
	for _, part := range parts {
		name, text, valued := strings.Cut(strings.TrimLeft(part, spaces), "=")
		text = capability(text)
		if seen[name] {
			continue // the first counts
		}
		seen[name] = true
		switch {
		case name == "":
		case !valued:
			r.fault(a.line, "%.64q: a field has no =: write a colon in a password as \\c", a.name)
			return false
		case name == "tc":
			r.fault(a.line, "%.64q: the field tc refers to another user, which is not supported: write its fields here", a.name)
			return false
		case name == "password":
			a.fields["password"] = text
		case name == "framed-ip-address":
			if a.fields["address"] = oneAddress(text); a.fields["address"] == "" {
				r.fault(a.line, "%.64q: framed-ip-address is not an address", a.name)
				return false
			}
		case name == "framed-ip-netmask" && text == "255.255.255.255":
		default:
			r.note(a.line, "%.64q: ignored %.32s", a.name, name)
		}
	}
	return true
}

// capability is the text of a field, in which \c is a colon, \E the escape character, and ^A a
// control character.
func capability(text string) string {
	var out []byte
	for at := 0; at < len(text); {
		b := text[at]
		at++
		switch {
		case b == '^' && at < len(text):
			b = text[at] & 0x1f
			at++
		case b == '\\' && at < len(text) && slices.Contains([]byte("cCeE"), text[at]):
			b = map[bool]byte{true: ':', false: 0x1b}[text[at] == 'c' || text[at] == 'C']
			at++
		case b == '\\' && at < len(text):
			if letter := text[at] | 0x20; strings.IndexByte(capSigns, letter) >= 0 {
				b, at = signs[letter], at+1
			} else {
				b, at = escaped(text, at, "")
			}
		}
		out = append(out, b)
	}
	return string(out)
}
