package chap

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Clients differ in how they write a password that is not ASCII:
//
//	MS-CHAP    RFC 2433 and RFC 2759 hash UTF-16, and Windows does so. pppd and its descendants
//	           (Android to 11, Apple, NetworkManager) hash the bytes of their input, with a zero
//	           byte after each: UTF-8, or Windows-1252 from an old file.
//	PAP, CHAP  Clients send bytes: UTF-8 from pppd, the code page of the country from Windows.

// codePages are the code pages of Windows for alphabets, the most frequent one first.
var codePages = []*charmap.Charmap{
	charmap.Windows1252, charmap.Windows1250, charmap.Windows1251, charmap.Windows1253, charmap.Windows1254,
	charmap.Windows1255, charmap.Windows1256, charmap.Windows1257, charmap.Windows1258, charmap.Windows874,
}

// Text decodes bytes that a peer wrote. Bytes that are not UTF-8 count as Windows-1252.
func Text(written []byte) string {
	if utf8.Valid(written) {
		return string(written)
	}
	return decode(charmap.Windows1252, string(written))
}

func decode(page *charmap.Charmap, written string) string {
	text, err := page.NewDecoder().String(written)
	if err != nil {
		return written // impossible: each byte has a meaning
	}
	return text
}

// encode writes text in a code page, if the page has all of its characters. It uses no Encoder,
// which needs more memory: encode runs for each password that a log-in tries.
func encode(page *charmap.Charmap, text string) (written string, ok bool) {
	if !utf8.ValidString(text) {
		return "", false
	}
	list := make([]byte, 0, len(text))
	for _, r := range text {
		b, ok := page.EncodeRune(r)
		if !ok {
			return "", false
		}
		list = append(list, b)
	}
	return string(list), true
}

// InCodePage is the password in the first code page that has its characters, as Windows sends it by
// PAP and CHAP. If no page has them, the password stays UTF-8.
func InCodePage(password string) string {
	for _, page := range codePages {
		if written, ok := encode(page, password); ok {
			return written
		}
	}
	return password
}

// AsBytes is a password whose UTF-16 is the UTF-8 of password with a zero byte after each byte. A
// client gives it to MS-CHAP to answer as pppd does.
func AsBytes(password string) string { return decode(charmap.ISO8859_1, password) }

// IsASCII reports whether there is only one way to write a password.
func IsASCII(password string) bool {
	return !strings.ContainsFunc(password, func(r rune) bool { return r >= utf8.RuneSelf })
}

// spellings are the bytes that a client may send for password. Their number depends only on
// password.
func spellings(password string) []string {
	list := []string{password}
	if IsASCII(password) {
		return list
	}
	for _, page := range codePages {
		if written, ok := encode(page, password); ok {
			list = append(list, written)
		}
	}
	return list
}

// form is a password as MS-CHAP hashes it.
type form struct {
	unicode []byte // for the NT hash
	oem     []byte // in upper case, for the LAN Manager hash
}

// forms are the forms of password that a client may use, the RFC's first. A password in ASCII has
// one form, any other has three.
func forms(password string) []form {
	list := []form{{unicode: utf16le(password), oem: oem(password)}}
	if IsASCII(password) {
		return list
	}
	latin, ok := encode(charmap.Windows1252, password)
	if !ok {
		latin = password // the work stays the same
	}
	return append(list, bytesForm(password), bytesForm(latin))
}

func bytesForm(written string) form {
	return form{unicode: utf16le(AsBytes(written)), oem: upperASCII(written)}
}

func utf16le(password string) []byte {
	units := utf16.Encode([]rune(password))
	text := make([]byte, 0, 2*len(units))
	for _, u := range units {
		text = append(text, byte(u), byte(u>>8))
	}
	return text
}

// oem is the password in upper case in the code page of DOS, as Windows hashes it for LAN Manager.
func oem(password string) []byte {
	upper := strings.ToUpper(password)
	if written, ok := encode(charmap.CodePage850, upper); ok {
		return []byte(written)
	}
	return []byte(upper)
}

// upperASCII changes letters to upper case as pppd does: letters beyond ASCII stay as they are.
func upperASCII(written string) []byte {
	text := []byte(written)
	for i, b := range text {
		if 'a' <= b && b <= 'z' {
			text[i] = b - 'a' + 'A'
		}
	}
	return text
}
