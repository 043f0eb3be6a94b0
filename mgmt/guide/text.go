package guide

import (
	"fmt"
	"strings"
)

// Text is the page for a terminal.
func (p Page) Text() string {
	var b strings.Builder
	heading := func(text string) { fmt.Fprintf(&b, "\n%s\n%s\n", text, strings.Repeat("-", len([]rune(text)))) }
	fmt.Fprintf(&b, "%s\n%s\n", p.Title, strings.Repeat("=", len([]rune(p.Title))))
	width := 0
	for _, s := range p.Settings {
		width = max(width, len(s.Name))
	}
	for _, s := range p.Settings {
		fmt.Fprintf(&b, "%-*s  %s\n", width, s.Name, s.Value)
	}
	if len(p.Ways) == 0 {
		b.WriteString("\nThis client cannot connect. The notes say why.\n")
	}
	for _, w := range p.Ways {
		heading(w.Title)
		for i, s := range w.Steps {
			fmt.Fprintf(&b, "%d. %s\n", i+1, s.Text)
			if s.Code != "" {
				fmt.Fprintf(&b, "\n     %s\n\n", s.Code)
			}
		}
	}
	heading("Notes")
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if p.Windows() {
		heading("Error numbers")
		for _, n := range Numbers("") {
			fmt.Fprintf(&b, "%s  %s.\n     %s\n     %s\n", n.Number, n.Says, n.Meaning, n.Fix)
		}
	}
	return b.String()
}

// Windows reports whether the client shows the error numbers of Windows.
func (p Page) Windows() bool { return p.Client == "windows" || p.Client == "smart-vpn" }
