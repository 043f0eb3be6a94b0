package web

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"time"
	"vpnd/internal/amount"
	"vpnd/mgmt/guide"
)

// functions are the functions that templates can call.
var functions = template.FuncMap{
	"asset":  func(name string) string { return assets[name].path },
	"when":   when,
	"said":   saidOf,
	"bytes":  amount.Bytes,
	"rate":   amount.Rate,
	"count":  count,
	"plural": plural,
	"linked": guide.Linked,
	"list":   func(items ...any) []any { return items },
	"uptime": amount.Uptime,
	"hours":  func(d time.Duration) string { return amount.Uptime(int64(d / time.Second)) },

	"offset":      offsetText,
	"offsetWords": offsetWords,
	"seconds":     secondsText,
	"unix":        func(t time.Time) int64 { return t.UnixMilli() },
	"zoneOffset":  func(t time.Time) int { _, seconds := t.Zone(); return seconds },
}

// when writes an instant in UTC. A script changes it to the reader's time zone.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s UTC</time>`, t.Format(time.RFC3339), t.Format(time.DateTime))) //nolint:gosec // digits
}

// instants matches the instants in reasons.
var instants = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z| UTC)`)

// saidOf writes a reason. Its instants look like all others on the page.
func saidOf(reason string) template.HTML {
	var b strings.Builder
	last := 0
	for _, at := range instants.FindAllStringIndex(reason, -1) {
		text := strings.Replace(strings.TrimSuffix(reason[at[0]:at[1]], " UTC"), " ", "T", 1)
		t, err := time.Parse(time.RFC3339, strings.TrimSuffix(text, "Z")+"Z")
		if err != nil {
			continue
		}
		b.WriteString(template.HTMLEscapeString(reason[last:at[0]]) + string(when(t)))
		last = at[1]
	}
	return template.HTML(b.String() + template.HTMLEscapeString(reason[last:])) //nolint:gosec // escaped
}

// plural writes a number with its word, such as 1 connection or 2 connections.
func plural(n any, word string) string {
	if text := count(n); text != "1" {
		return text + " " + word + "s"
	}
	return "1 " + word
}

// count writes a number with its thousands apart.
func count(n any) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(c)
	}
	return b.String()
}
