package web

import (
	"cmp"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
)

// eventChoices are the choices for the events of the history.
var eventChoices = []struct {
	key, text string
	events    []string
}{
	{"", "Everything", nil},
	{"connections", "Ended connections", []string{state.EventDisconnected}},
	{"connected", "Connected", []string{state.EventConnected}},
	{"refused", "Refused", []string{state.EventRefused, state.EventAdminRefused}},
	{"changes", "Changes", append(userChanges[:len(userChanges):len(userChanges)], state.EventAdminChanged,
		state.EventDropped, state.EventCaptured, state.EventSettings, state.EventShutdown, state.EventResumed)},
	{"administrators", "Administrators", []string{state.EventAdminLogIn, state.EventAdminRefused, state.EventAdminChanged}},
}

// dayChoices are the choices for the days of the history; 0: all.
var dayChoices = []int{1, 7, 30, 90, 0}

var historyColumns = []column{
	{Name: "Time"},
	{Name: "Event"},
	{Name: "User"},
	{Name: "Type, addresses", Title: "The client's address, and the address that it got"},
	{Name: "Duration, traffic", Number: true, Title: "Hours, minutes and seconds; Tx is to the user, Rx from the user"},
	{Name: "Why"},
}

type historyData struct {
	List    *list
	Columns []column
	Rows    []historyRow
	User    string
	File    string // address of the whole history as CSV
	Events  []option
	Days    []option
	Sum     state.HistorySum
}

// historyRow is an event with its words.
type historyRow struct {
	mgmt.Attempt
	Word, Kind string    // Kind: of the badge
	Count      int       // of the events in the row
	First      time.Time // the oldest of them
	Advised    bool      // the row shows the advice
	Known      bool      // the user exists
}

func rowOf(a mgmt.Attempt) historyRow {
	word, kind := eventWord(a.Event.Event)
	return historyRow{Attempt: a, Word: word, Kind: kind, Count: 1, First: a.At}
}

// attemptTable holds dial-ins for the template "attempts".
type attemptTable struct {
	Rows   []historyRow
	People bool // the rows are of more than one user
}

// together joins consecutive refusals with the same cause into one row, and gives each advice once.
// Attempts are the newest first.
func together(attempts []mgmt.Attempt, most int) []historyRow {
	var rows []historyRow
	advised := map[string]bool{}
	for _, a := range attempts {
		if n := len(rows); n > 0 && rows[n-1].goesOn(a) {
			last := &rows[n-1]
			last.Count++
			last.First = a.At
			if len(a.Reason) < len(last.Reason) {
				last.Reason = a.Reason
			}
			continue
		}
		if len(rows) == most {
			break
		}
		row := rowOf(a)
		advice := a.User + "\x00" + a.Meaning + a.Fix
		row.Advised = a.Meaning != "" && !advised[advice]
		advised[advice] = true
		rows = append(rows, row)
	}
	return rows
}

// goesOn reports whether an attempt belongs to the row.
func (row *historyRow) goesOn(a mgmt.Attempt) bool {
	last := &row.Attempt
	return a.Event.Event == state.EventRefused && last.Event.Event == a.Event.Event && last.User == a.User && last.Type == a.Type &&
		last.RemoteIP == a.RemoteIP && cmp.Or(last.Meaning, last.Reason) == cmp.Or(a.Meaning, a.Reason)
}

// userChanges are the changes of a profile, and captures.
var userChanges = []string{
	state.EventAdded, state.EventChanged, state.EventRemoved, state.EventUnlocked, state.EventResynced, state.EventRekeyed, state.EventCaptured,
}

// history shows the author, the time, the duration and the end of each event.
func (p *Pages) history(w http.ResponseWriter, r *http.Request) error {
	l := listOf(r, nil, "")
	q, d := historyOf(r, l.Search)
	d.List, d.Columns, d.File = &l, historyColumns, "/history.csv?"+l.query.Encode()
	var (
		events []mgmt.Event
		err    error
	)
	for q.Offset = -1; q.Offset != l.paging().Offset; { // a second time for a page beyond the last
		q.Offset, q.Limit = l.paging().Offset, l.Rows
		if events, d.Sum, err = p.cfg.API.History(r.Context(), q); err != nil {
			return err
		}
		l.fit(d.Sum.Entries)
	}
	for _, e := range events {
		d.Rows = append(d.Rows, rowOf(mgmt.AttemptOf(e)))
	}
	return p.render(w, r, "history.html", view{Title: "History", Data: d})
}

// historyOf gives the query of a request, and the choices that the page shows.
func historyOf(r *http.Request, search string) (state.HistoryQuery, historyData) {
	d := historyData{User: strings.ToValidUTF8(strings.TrimSpace(r.URL.Query().Get("user")), "")}
	q := state.HistoryQuery{User: d.User, Search: search}
	for _, c := range eventChoices {
		o := option{c.key, c.text, c.key == r.URL.Query().Get("event")}
		if o.Selected {
			q.Events = c.events
		}
		d.Events = append(d.Events, o)
	}
	days, err := strconv.Atoi(r.URL.Query().Get("days"))
	if err != nil || days < 0 || days > 10_000 {
		days = 0
	}
	if days > 0 {
		q.Since = time.Now().AddDate(0, 0, -days)
	}
	for _, n := range dayChoices {
		o := option{strconv.Itoa(n), "The last " + strconv.Itoa(n) + " days", n == days}
		switch n {
		case 0:
			o.Text = "All"
		case 1:
			o.Text = "The last 24 hours"
		}
		d.Days = append(d.Days, o)
	}
	return q, d
}

// historyRead is how many entries of a file are read at a time.
const historyRead = 1000

// historyFile writes the history that a request asks for as CSV, the newest first.
func (p *Pages) historyFile(w http.ResponseWriter, r *http.Request) error {
	q, _ := historyOf(r, listOf(r, nil, "").Search)
	q.Limit = historyRead
	events, err := p.cfg.API.Events(r.Context(), q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="vpnd-history.csv"`)
	file := csv.NewWriter(w)
	rows := [][]string{{
		"time", "event", "user", "connection", "type", "remote_ip", "virtual_ip", "auth", "encryption", "seconds", "tx_bytes", "rx_bytes", "reason", "by",
	}}
	for {
		for _, e := range events {
			rows = append(rows, cellsOf(e))
		}
		if err := file.WriteAll(rows); err != nil || len(events) < historyRead {
			return nil //nolint:nilerr // a reader who has gone needs no file
		}
		rows, q.Before = rows[:0], events[len(events)-1].ID
		if events, err = p.cfg.API.Events(r.Context(), q); err != nil {
			p.cfg.Log.Error("page", "path", r.URL.Path, "error", err)
			panic(http.ErrAbortHandler) // the reader learns that the file is incomplete
		}
	}
}

// cellsOf gives an event as a row of a file. No cell is a formula in a spreadsheet.
func cellsOf(e mgmt.Event) []string {
	cells := []string{
		e.At.Format(time.RFC3339), e.Event, e.User, e.Connection, e.Type, e.RemoteIP, e.VirtualIP, e.Auth, e.Encryption,
		strconv.FormatInt(e.Seconds, 10), strconv.FormatUint(e.TxBytes, 10), strconv.FormatUint(e.RxBytes, 10), e.Reason, e.By,
	}
	for i, text := range cells {
		if text != "" && strings.Contains("=+-@\t\r", text[:1]) {
			cells[i] = "'" + text
		}
	}
	return cells
}

// eventWord gives the word for an event, and the kind of its badge.
func eventWord(event string) (word, kind string) {
	switch event {
	case state.EventConnected:
		return "Connected", "on"
	case state.EventDisconnected:
		return "Disconnected", ""
	case state.EventRefused:
		return "Refused", "bad"
	case state.EventAdminRefused:
		return "Log-in refused", "bad"
	case state.EventAdminLogIn:
		return "Logged in", ""
	case state.EventAdminChanged:
		return "Management changed", "warn"
	case state.EventStarted:
		return "Daemon started", ""
	default:
		return strings.ToUpper(event[:min(1, len(event))]) + event[min(1, len(event)):], "warn"
	}
}
