package web

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"
	"vpnd/internal/amount"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
)

type clockData struct {
	timesync.View
	Change bool
	Graph  template.HTML
	Last   []timesync.MeasurementView // the newest first
	Badge  string
	Class  string // of the badge

	Settings []control // none: they cannot be changed
	Tag      string
}

const lastMeasurements = 10 // in the table below the graph

// time is Time and Date.
func (p *Pages) time(w http.ResponseWriter, r *http.Request) error {
	return p.showTime(w, r, form{}, view{})
}

func (p *Pages) showTime(w http.ResponseWriter, r *http.Request, f form, v view) error {
	d := clockData{View: p.cfg.API.Clock().View(), Change: mayChange(r)}
	d.Graph = offsetGraph(d.Measurements, d.MaxOffset)
	for i := len(d.Measurements) - 1; i >= 0 && len(d.Last) < lastMeasurements; i-- {
		d.Last = append(d.Last, d.Measurements[i])
	}
	switch d.Badge = string(d.State); d.State {
	case timesync.Right:
		d.Class, d.Badge = "on", "Clock right"
	case timesync.Off:
		d.Class, d.Badge = "warn", beyondLimit(d.View)
	case timesync.NoServers, timesync.Pending:
		d.Class = "off"
	default:
		d.Class = "bad"
	}
	if settings, err := p.settings(); err == nil {
		now := settings.Time()
		d.Tag = mgmt.StateTag(now)
		d.Settings = f.fill(
			control{
				Name: "servers", Label: "Time servers", Type: "textarea", Value: strings.Join(now.Servers, "\n"),
				Hint: "NTP servers by name or address, one on each line. Empty: vpnd uses the host’s clock.",
			},
			control{Name: "interval", Label: "Automatic update interval", Type: "text", Value: now.Interval, Hint: "For example 1h or 30m."},
			control{Name: "max_offset", Label: "Warning beyond", Type: "text", Value: now.MaxOffset, Hint: "vpnd warns if the host’s clock is off by more, for example 10s."},
		)
	}
	v.Title, v.Data = "Time and Date", d
	v.faulty(&f)
	return p.render(w, r, "time.html", v)
}

// setTime changes the settings of the watch over the host's clock.
func (p *Pages) setTime(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.settings(); err != nil {
		return err
	}
	f := form{values: r.PostForm}
	err := p.cfg.API.ChangeTime(r.Context(), asSeen(r), replaced(mgmt.TimeSettings{
		Servers:  words(r.PostForm.Get("servers")),
		Interval: strings.TrimSpace(r.PostForm.Get("interval")), MaxOffset: strings.TrimSpace(r.PostForm.Get("max_offset")),
	}))
	if errors.Is(err, mgmt.ErrChanged) {
		return p.showTime(w, r, f, view{Status: http.StatusConflict, Notice: overtaken, Wrong: true})
	}
	if err := f.missed(err); err != nil {
		return p.showTime(w, r, f, view{Status: http.StatusUnprocessableEntity, Notice: "Nothing was changed: " + err.Error(), Wrong: true})
	}
	if len(f.faults) > 0 {
		return p.showTime(w, r, f, view{})
	}
	return done(w, r, "/time", "The time servers are set.")
}

// inquire asks the time servers now.
func (p *Pages) inquire(w http.ResponseWriter, r *http.Request) error {
	if err := p.cfg.API.Clock().Inquire(r.Context()); err != nil {
		return failed(w, r, "/time", "The time servers give no time: "+err.Error()+". Their answers are below.")
	}
	v := p.cfg.API.Clock().View()
	if v.State == timesync.NoServers {
		return failed(w, r, "/time", "There is no time server. Set one below.")
	}
	if v.State == timesync.Off {
		return warned(w, r, "/time", "Inquired: "+beyondLimit(v)+".")
	}
	return done(w, r, "/time", "Inquired: "+offsetWords(v.Offset)+".")
}

// beyondLimit describes an offset of the host's clock that is over the limit.
func beyondLimit(v timesync.View) string {
	way := "behind"
	if v.Offset < 0 {
		way = "ahead"
	}
	return fmt.Sprintf("Clock %s %s (limit %s)", apart(secondsText(math.Abs(v.Offset))), way, apart(secondsText(v.MaxOffset)))
}

// apart writes a duration of one unit with a space before it, such as 12.5 s.
func apart(duration string) string {
	at := strings.IndexFunc(duration, unicode.IsLetter)
	if at < 0 || strings.ContainsFunc(duration[at:], unicode.IsDigit) {
		return duration
	}
	return duration[:at] + " " + duration[at:]
}

// offsetText writes an offset in seconds with its sign, rounded for readers.
func offsetText(seconds float64) string {
	if text := secondsText(seconds); seconds > 0 && text != "0s" {
		return "+" + text
	}
	return secondsText(seconds)
}

// secondsText writes a duration in seconds, rounded for readers.
func secondsText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d.Abs() < 10*time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	case d.Abs() < time.Minute:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(time.Second)
	}
	return amount.Duration(d)
}

// offsetWords says which clock is behind.
func offsetWords(seconds float64) string {
	switch text := secondsText(math.Abs(seconds)); {
	case text == "0s":
		return "the host’s clock is right"
	case seconds > 0:
		return "the host’s clock is behind by " + text
	default:
		return "the host’s clock is ahead by " + text
	}
}

// The graph of offsets, in units of its drawing.
const (
	graphWidth, graphHeight = 720, 180
	graphLeft, graphRight   = 76, 12
	graphTop, graphBottom   = 14, 26
)

// offsetGraph draws measurements over time. The band shows the offsets without a warning, if it is
// smaller than the graph.
func offsetGraph(all []timesync.MeasurementView, most float64) template.HTML {
	if len(all) < 2 {
		return ""
	}
	highest := 0.001
	for _, m := range all {
		highest = max(highest, math.Abs(m.Offset))
	}
	highest *= 1.15
	first, last := all[0].At, all[len(all)-1].At
	span := max(last.Sub(first), time.Second)
	x := func(t time.Time) float64 {
		return graphLeft + float64(t.Sub(first))/float64(span)*(graphWidth-graphLeft-graphRight)
	}
	const middle = (graphTop + graphHeight - graphBottom) / 2.0
	y := func(offset float64) float64 { return middle - offset/highest*(middle-graphTop) }
	var b strings.Builder
	write := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format, args...) }
	write(`<svg class="offsets" viewBox="0 0 %d %d" role="img" aria-label="Offsets of the last %d measurements, at most %s">`,
		graphWidth, graphHeight, len(all), secondsText(highest/1.15))
	if most > 0 && most < highest {
		write(`<rect class="band" x="%d" y="%.1f" width="%d" height="%.1f"/>`, graphLeft, y(most), graphWidth-graphLeft-graphRight, y(-most)-y(most))
	}
	for _, offset := range []float64{highest / 1.15, 0, -highest / 1.15} {
		write(`<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			graphLeft, y(offset), graphWidth-graphRight, graphLeft-8, y(offset)+4, offsetText(offset))
	}
	for _, end := range []struct {
		at     time.Time
		anchor string
	}{{first, "start"}, {last, "end"}} {
		write(`<text x="%.1f" y="%d" text-anchor="%s">%s UTC</text>`, x(end.at), graphHeight-6, end.anchor, end.at.UTC().Format("Jan 2 15:04"))
	}
	points := make([]string, len(all))
	for i, m := range all {
		points[i] = fmt.Sprintf("%.1f,%.1f", x(m.At), y(m.Offset))
	}
	write(`<polyline class="line" points="%s"/>`, strings.Join(points, " "))
	for _, m := range all {
		write(`<circle class="point" cx="%.1f" cy="%.1f" r="2.5"><title>%s UTC: %s</title></circle>`,
			x(m.At), y(m.Offset), m.At.UTC().Format(time.DateTime), offsetText(m.Offset))
	}
	write(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers and times
}
