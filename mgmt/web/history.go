package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"vpnd/mgmt"
	"vpnd/usermgmt"
)

// eventChoices are what of the history may be picked.
var eventChoices = []struct {
	key, text string
	events    []string
}{
	{"", "Everything", nil},
	{"connections", "Ended connections", []string{usermgmt.EventDisconnected}},
	{"connected", "Connected", []string{usermgmt.EventConnected}},
	{"refused", "Refused", []string{usermgmt.EventRefused, usermgmt.EventAdminRefused}},
	{"changes", "Changes", append(userChanges[:len(userChanges):len(userChanges)], usermgmt.EventAdminChanged,
		usermgmt.EventDropped, usermgmt.EventCaptured, usermgmt.EventSettings, usermgmt.EventShutdown, usermgmt.EventResumed)},
	{"administrators", "Administrators", []string{usermgmt.EventAdminLogIn, usermgmt.EventAdminRefused, usermgmt.EventAdminChanged}},
}

// dayChoices are how far back a reader looks; 0: to the beginning.
var dayChoices = []int{1, 7, 30, 90, 0}

var historyColumns = []column{
	{Name: "Time"},
	{Name: "Event"},
	{Name: "User"},
	{Name: "Type"},
	{Name: "Remote IP"},
	{Name: "Virtual IP"},
	{Name: "Duration", Number: true, Title: "Hours, minutes and seconds"},
	{Name: "Tx", Number: true, Title: "To the user"},
	{Name: "Rx", Number: true, Title: "From the user"},
	{Name: "Why"},
}

type historyData struct {
	List    *list
	Columns []column
	Rows    []historyRow
	User    string
	Events  []option
	Days    []option
	Sum     usermgmt.HistorySum
}

// historyRow is an event with the words for it.
type historyRow struct {
	mgmt.Attempt
	Word, Kind string // Kind: of the badge
}

func rowOf(a mgmt.Attempt) historyRow {
	word, kind := eventWord(a.Event.Event)
	return historyRow{a, word, kind}
}

// userChanges are what is done to a profile, and captures.
var userChanges = []string{
	usermgmt.EventAdded, usermgmt.EventChanged, usermgmt.EventRemoved, usermgmt.EventUnlocked, usermgmt.EventResynced, usermgmt.EventRekeyed, usermgmt.EventCaptured,
}

// history says who did what, when, for how long, and why it ended.
func (p *Pages) history(w http.ResponseWriter, r *http.Request) error {
	l := listOf(r, nil, "")
	d := historyData{List: &l, Columns: historyColumns, User: strings.ToValidUTF8(strings.TrimSpace(r.URL.Query().Get("user")), "")}
	q := usermgmt.HistoryQuery{User: d.User}
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
			o.Text = "All there is"
		case 1:
			o.Text = "The last 24 hours"
		}
		d.Days = append(d.Days, o)
	}
	var events []mgmt.Event
	for q.Offset = -1; q.Offset != l.paging().Offset; { // once more for a page beyond the last
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

// eventWord is the word for an event, and the kind of badge that it gets.
func eventWord(event string) (word, kind string) {
	switch event {
	case usermgmt.EventConnected:
		return "Connected", "on"
	case usermgmt.EventDisconnected:
		return "Disconnected", ""
	case usermgmt.EventRefused:
		return "Refused", "bad"
	case usermgmt.EventAdminRefused:
		return "Log-in refused", "bad"
	case usermgmt.EventAdminLogIn:
		return "Logged in", ""
	case usermgmt.EventAdminChanged:
		return "Management changed", "warn"
	case usermgmt.EventStarted:
		return "Daemon started", ""
	default:
		return strings.ToUpper(event[:min(1, len(event))]) + event[min(1, len(event)):], "warn"
	}
}
