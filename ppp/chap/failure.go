package chap

import "strings"

// ParseFailure takes the message of a Failure of MS-CHAP, "E=691 R=0 C=… V=3 M=…" (RFC 2433 section
// 6, RFC 2759 section 6). It returns the error code and the text for people after M=, which may be
// missing. Servers put any number of spaces between the parts. Code 0 means that the message has no
// code; then all of it is the text.
func ParseFailure(message string) (code int, text string) {
	rest, found := strings.CutPrefix(message, "E=")
	digits := 0
	for found && digits < len(rest) && digits < 10 && '0' <= rest[digits] && rest[digits] <= '9' {
		code = 10*code + int(rest[digits]-'0')
		digits++
	}
	if digits == 0 {
		return 0, message
	}
	_, text, _ = strings.Cut(rest[digits:], "M=")
	return code, strings.TrimRight(text, " \r\n\x00")
}
