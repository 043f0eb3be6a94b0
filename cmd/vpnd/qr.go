package main

import (
	"fmt"
	"image/color"
	"io"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is how many light modules surround a QR code (ISO/IEC 18004 section 5.3.8).
const quiet = 4

// printQR draws text as a QR code, two rows of modules in a row of half blocks. On a terminal, of width
// columns, it is black on white whatever the colours of the terminal are; one that is too narrow gets none.
func printQR(w io.Writer, text string, width int) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		x, y = x-quiet, y-quiet
		return x < 0 || y < 0 || x >= size || y >= size || code.At(x, y) != color.Black
	}
	all := size + 2*quiet
	if width > 0 && width < all {
		_, err := fmt.Fprintf(w, "(the QR code takes a terminal of %d columns)\n", all)
		return err
	}
	before, after := "", ""
	if width > 0 {
		before, after = "\x1b[97;40m", "\x1b[0m"
	}
	var b strings.Builder
	for y := 0; y < all; y += 2 {
		b.WriteString(before)
		for x := range all {
			b.WriteString(block(light(x, y), y+1 < all && light(x, y+1)))
		}
		b.WriteString(after + "\n")
	}
	_, err = fmt.Fprintln(w, b.String())
	return err
}

func block(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	default:
		return " "
	}
}
