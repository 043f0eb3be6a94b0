// Package qrcode draws QR codes (ISO/IEC 18004) of links, for a page and for a terminal.
package qrcode

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// quiet is how many light modules surround a code (ISO/IEC 18004 section 5.3.8).
const quiet = 4

// Code is a QR code with its quiet zone.
type Code struct {
	modules barcode.Barcode
}

// Encode makes the code of a text. The error says that it is too long.
func Encode(text string) (Code, error) {
	modules, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return Code{}, fmt.Errorf("QR code: %w", err)
	}
	return Code{modules}, nil
}

// Size is the number of modules of a side.
func (c Code) Size() int { return c.modules.Bounds().Dx() + 2*quiet }

// Dark reports whether the module in column x and row y is dark.
func (c Code) Dark(x, y int) bool {
	x, y = x-quiet, y-quiet
	size := c.modules.Bounds().Dx()
	return x >= 0 && y >= 0 && x < size && y < size && c.modules.At(x, y) == color.Black
}

// SVG draws the code as an image for a page, black on white, with one unit for each module. Label
// describes it.
func (c Code) SVG(label string) string {
	var b strings.Builder
	size := c.Size()
	_, _ = fmt.Fprintf(&b, `<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" shape-rendering="crispEdges">`,
		size, size, html.EscapeString(label))
	_, _ = fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, size, size)
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for c.Dark(x, y) {
				x++
			}
			if x > from {
				_, _ = fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// Text draws the code in half blocks, with two rows of modules in a line. Each line begins with
// before and ends with after.
func (c Code) Text(before, after string) string {
	var b strings.Builder
	size := c.Size()
	for y := 0; y < size; y += 2 {
		b.WriteString(before)
		for x := range size {
			b.WriteString(block(!c.Dark(x, y), y+1 < size && !c.Dark(x, y+1)))
		}
		b.WriteString(after + "\n")
	}
	return b.String()
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
