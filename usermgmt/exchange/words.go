package exchange

import (
	"strconv"
	"strings"
)

const (
	spaces    = " \t\r\n\f\v"
	pppdSigns = "abfnrtsx" // that pppd takes for one character after a backslash
	mpdSigns  = "nrtsx"    // the same for mpd5
	capSigns  = "bfnrt"    // the same for getcap(3)
)

var signs = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 's': ' '}

// scanner reads words as pppd does (getword in its options.c): between white space, with quotes and
// backslashes, up to # or the end of the line.
type scanner struct {
	data string
	at   int
	line int
	cut  bool // # ended the last word of the line, without a space before it
}

func (s *scanner) more() bool { return s.at < len(s.data) }

// words gives the words of one line, and the line where they begin. A backslash at the end of a
// line continues the line; not ok: a quote is not closed.
func (s *scanner) words() (words []string, line int, ok bool) {
	line, s.cut = s.line, false
	for s.more() {
		switch c := s.data[s.at]; {
		case c == '\n':
			s.at++
			s.line++
			return words, line, true
		case strings.IndexByte(spaces, c) >= 0:
			s.at++
		case c == '#':
			if end := strings.IndexByte(s.data[s.at:], '\n'); end >= 0 {
				s.at += end
			} else {
				s.at = len(s.data)
			}
		case strings.HasPrefix(s.data[s.at:], "\\\n"):
			s.at += 2
			s.line++
		default:
			word, ok := s.word()
			words = append(words, word)
			if !ok {
				return words, line, false
			}
			if s.more() && s.data[s.at] == '#' {
				s.cut = true
			}
		}
	}
	return words, line, true
}

// word reads one word. Its quoted parts may have white space and line ends; not ok: a quote is not
// closed.
func (s *scanner) word() (string, bool) {
	var word strings.Builder
	var quote byte
	for s.more() {
		c := s.data[s.at]
		if quote == 0 && (c == '#' || strings.IndexByte(spaces, c) >= 0) {
			break
		}
		s.at++
		if c == '\n' {
			s.line++
		}
		switch {
		case c == '\\' && s.more():
			s.escape(&word)
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			word.WriteByte(c)
		}
	}
	return word.String(), quote == 0
}

// escape reads the text after a backslash. A line end is not part of the word.
func (s *scanner) escape(word *strings.Builder) {
	if s.data[s.at] == '\n' {
		s.at++
		s.line++
		return
	}
	var b byte
	b, s.at = escaped(s.data, s.at, pppdSigns)
	word.WriteByte(b)
}

// escaped is the byte for the text after a backslash, and the place after that text. The text is
// one of letters, up to three octal digits, or else the byte itself. If letters has x, x takes up
// to two hexadecimal digits.
func escaped(data string, at int, letters string) (byte, int) {
	c := data[at]
	sign := strings.IndexByte(letters, c) >= 0
	if sign && c != 'x' {
		return signs[c], at + 1
	}
	digits, base, most, from := "01234567", 8, 3, at
	if sign {
		digits, base, most, from = "0123456789abcdefABCDEF", 16, 2, at+1
	}
	end := from
	for end < len(data) && end < from+most && strings.IndexByte(digits, data[end]) >= 0 {
		end++
	}
	switch {
	case end > from:
		n, _ := strconv.ParseUint(data[from:end], base, 16) // only digits
		return byte(n), end
	case sign:
		return 0, end // as in these programs; no password can contain it
	default:
		return c, at + 1
	}
}

// line is one logical line of a file.
type line struct {
	number int
	text   string
}

// logicalLines gives the lines of a file. A line that ends in a backslash and the next one become
// one line, with instead in place of the backslash.
func logicalLines(data []byte, instead string) (lines []line) {
	open := false
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		text = strings.TrimRight(text, spaces)
		if !open {
			lines = append(lines, line{number: number})
		}
		var part string
		part, open = strings.CutSuffix(text, `\`)
		if open {
			part += instead
		}
		lines[len(lines)-1].text += part
	}
	return lines
}
