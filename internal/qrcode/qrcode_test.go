package qrcode_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"vpnd/internal/qrcode"
)

// The image and the text have the dark modules of the code, and no others.
func TestDrawings(t *testing.T) {
	code, err := qrcode.Encode("otpauth://totp/vpnd:alice?issuer=vpnd&secret=ABCDEFGHIJKLMNOP")
	if err != nil {
		t.Fatal(err)
	}
	size := code.Size()
	dark := 0
	for y := range size {
		for x := range size {
			if !code.Dark(x, y) {
				continue
			}
			dark++
			if x < 4 || y < 4 || x >= size-4 || y >= size-4 {
				t.Errorf("a dark module in the quiet zone, at %d, %d", x, y)
			}
		}
	}
	if dark < size*size/5 {
		t.Errorf("%d of %d modules are dark", dark, size*size)
	}
	svg := code.SVG(`"a" <b>`)
	drawn := 0
	for run := range strings.SplitSeq(svg[strings.Index(svg, ` d="`)+5:], "M") {
		var x, y, width, back int
		if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%dz", &x, &y, &width, &back); err != nil || width != back {
			t.Fatalf("%q: %v", run, err)
		}
		for i := range width {
			if !code.Dark(x+i, y) {
				t.Errorf("the image is dark at %d, %d", x+i, y)
			}
		}
		drawn += width
	}
	if drawn != dark {
		t.Errorf("the image has %d dark modules, want %d", drawn, dark)
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the image is no XML: %v", err)
		}
	}
	if !strings.Contains(svg, `aria-label="&#34;a&#34; &lt;b&gt;"`) {
		t.Errorf("label: %.200s", svg)
	}
	lines := strings.Split(strings.TrimSuffix(code.Text("<", ">"), "\n"), "\n")
	if len(lines) != (size+1)/2 || len([]rune(lines[0])) != size+2 {
		t.Errorf("%d lines of %d", len(lines), len([]rune(lines[0])))
	}
	if _, err := qrcode.Encode(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text of 5000 bytes has a code")
	}
}
