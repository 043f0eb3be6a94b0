package guide

import (
	"fmt"
	"strings"
	"vpnd/internal/reason"
)

//go:generate go run ./reasonsdoc ../../docs/reasons.md

const reasonsHead = `# Reasons

Each refusal and each end of a connection has a cause: a code that does not change.
The log has it as ` + "`cause=`" + `, the API as ` + "`cause`" + `, and hooks as ` + "`CAUSE`" + `.
The text may change.
In the texts below, {name} is the place of an argument. vpnd omits a part in brackets if its argument is empty.

The metrics count a refusal by its label, or as ` + "`not_negotiated`" + ` if it has none. ` + "`go generate ./mgmt/guide`" + ` makes this page.
`

// Reasons is docs/reasons.md.
func Reasons() string {
	var b strings.Builder
	b.WriteString(reasonsHead)
	for _, group := range reason.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", group.Title)
		for _, row := range group.Rows {
			describe(&b, row)
		}
	}
	return b.String()
}

// describe writes the section of a row.
func describe(b *strings.Builder, row reason.Row) {
	fmt.Fprintf(b, "\n### %s\n\n", row.Code)
	item := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "- %s: %s\n", name, text)
		}
	}
	item("Text", "`"+row.Text+"`")
	if row.Label != "" {
		item("Metrics", "`"+row.Label+"`")
	}
	item("Told to the peer", told(row))
	if row.Exit != 0 {
		item("Exit status of `vpnd dial`", fmt.Sprint(row.Exit))
	}
	advice(item, "", row.Advice)
	if row.L2TP != nil {
		advice(item, " (L2TP)", *row.L2TP)
	}
}

// advice writes the meaning of a reason and its fix, for a terminal.
func advice(item func(name, text string), kind string, a reason.Advice) {
	item("Means"+kind, a.Means)
	item("Fix"+kind, braces.ReplaceAllStringFunc(a.Fix, func(task string) string { return "`" + deeds[task[1:len(task)-1]].command + "`" }))
}

// told lists the parts of the answer to the peer: text, MS-CHAP error code, L2TP results.
func told(row reason.Row) string {
	var all []string
	switch r := (reason.Reason{Code: row.Code}); {
	case row.Peer == "" && row.MSCHAP == 0: // nothing
	case r.Peer() == r.String():
		all = append(all, "the text")
	default:
		all = append(all, `"`+r.Peer()+`"`)
	}
	if row.MSCHAP != 0 {
		all = append(all, fmt.Sprintf("MS-CHAP error %d", row.MSCHAP))
	}
	for _, r := range []struct {
		message string
		reason.Result
	}{{"CDN", row.CDN}, {"StopCCN", row.StopCCN}} {
		if r.Code != 0 {
			all = append(all, fmt.Sprintf("L2TP %s result %d, error %d", r.message, r.Code, r.Error))
		}
	}
	return strings.Join(all, "; ")
}
