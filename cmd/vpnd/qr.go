package main

import (
	"fmt"
	"io"
	"vpnd/internal/qrcode"
)

// printQR draws text as a QR code. On a terminal of width columns, it is always black on white. A
// terminal that is too narrow gets none.
func printQR(w io.Writer, text string, width int) error {
	code, err := qrcode.Encode(text)
	if err != nil {
		return err
	}
	if width > 0 && width < code.Size() {
		_, err := fmt.Fprintf(w, "(the QR code needs a terminal with %d columns)\n", code.Size())
		return err
	}
	before, after := "", ""
	if width > 0 {
		before, after = "\x1b[97;40m", "\x1b[0m"
	}
	_, err = fmt.Fprintln(w, code.Text(before, after))
	return err
}
