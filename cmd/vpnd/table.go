package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	narrowest = 8  // minimum width of a cut column, in characters
	widest    = 32 // maximum width of a column; a longer cell moves only its own line
)

// terminalWidth is the number of characters in a line; 0: there is no terminal, and no limit.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// printTable prints rows below a header, and cuts the widest columns until a line fits into width.
// If width is 0, it cuts none. A long cell does not widen the other lines.
func printTable(w io.Writer, width int, header []string, rows [][]string) error {
	widths := make([]int, len(header))
	rows = append([][]string{header}, rows...)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(printable(cell)))
		}
	}
	cut := fit(widths, width)
	var b strings.Builder
	for _, row := range rows {
		b.Reset()
		for i, cell := range row {
			cell = printable(cell)
			if cut {
				cell = shorten(cell, widths[i])
			}
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", max(0, min(widths[i], widest)-utf8.RuneCountInString(cell))+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// fit narrows the widest columns until they fit into width, and reports whether it had to.
func fit(widths []int, width int) bool {
	total := 2 * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	if width == 0 || total <= width {
		return false
	}
	for ; total > width; total-- {
		most := 0
		for i, n := range widths {
			if n >= widths[most] {
				most = i
			}
		}
		if widths[most] <= narrowest {
			break
		}
		widths[most]--
	}
	return true
}

func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// printable keeps text of a peer or a file from controlling the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
