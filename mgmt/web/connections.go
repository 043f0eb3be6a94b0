package web

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

const (
	maxDrops  = 1000 // connections dropped by one form
	maxReason = 100  // bytes
)

// connectionColumns are the columns of a Vigor.
var connectionColumns = []column{
	{Key: "user", Name: "VPN", Title: "Index of the profile, and user name"},
	{Key: "type", Name: "Type"},
	{Key: "remote_ip", Name: "Remote IP"},
	{Key: "virtual_ip", Name: "Virtual Network"},
	{Key: "tx_packets", Name: "Tx Pkts", Title: "Packets to the user", Number: true, Class: "packets"},
	{Key: "tx_rate", Name: "Tx Rate", Title: "To the user, over the last ten seconds", Number: true},
	{Key: "rx_packets", Name: "Rx Pkts", Title: "Packets from the user", Number: true, Class: "packets"},
	{Key: "rx_rate", Name: "Rx Rate", Title: "From the user, over the last ten seconds", Number: true},
	{Name: "Last minute", Class: "graph"},
	{Key: "uptime", Name: "UpTime", Title: "Hours, minutes and seconds", Number: true},
}

// refreshChoices are the choices of Refresh in seconds; 0: never.
var refreshChoices = []int{2, 5, 10, 30, 60, 0}

const defaultRefresh = 10

type connectionsData struct {
	List    *list
	Columns []column
	Rows    []connectionRow
	Refresh int
	Auto    bool // the reader has chosen Refresh
	Change  bool
	Open    int // connections that match the search, with these sums
	Secure  int
	Plain   int
	Tx, Rx  float64 // bits per second
	Refused attemptTable
}

const (
	lastRefusals = 5              // rows on the page
	refusedFor   = 24 * time.Hour // for which refusals stay there
)

// refusals gives the last refusals of all users.
func (p *Pages) refusals(ctx context.Context) (attemptTable, error) {
	events, err := p.cfg.API.Events(ctx, state.HistoryQuery{
		Events: []string{state.EventRefused}, Since: time.Now().Add(-refusedFor), Limit: lastAttempts,
	})
	attempts := make([]mgmt.Attempt, len(events))
	for i, e := range events {
		attempts[i] = mgmt.AttemptOf(e)
	}
	rows := together(attempts, lastRefusals)
	for i := range rows {
		_, _, missing := p.cfg.API.Profile(ctx, rows[i].User)
		rows[i].Known = missing == nil
	}
	return attemptTable{Rows: rows, People: true}, err
}

// Refreshes are the options of Refresh.
func (d connectionsData) Refreshes() []option {
	options := make([]option, len(refreshChoices))
	for i, n := range refreshChoices {
		options[i] = option{strconv.Itoa(n), strconv.Itoa(n), n == d.Refresh}
		if n == 0 {
			options[i].Text = "never"
		}
	}
	return options
}

// connectionRow is a connection with the further values of its row.
type connectionRow struct {
	mgmt.Connection
	Index int // of the profile; 0: the user has none by now
	Spark template.HTML
}

// Network is the address with its mask.
func (c connectionRow) Network() string {
	if !c.VirtualIP.IsValid() {
		return "–"
	}
	return fmt.Sprintf("%v/%d", c.VirtualIP, c.VirtualIP.BitLen())
}

// connections is Connection Management.
func (p *Pages) connections(w http.ResponseWriter, r *http.Request) error {
	l := listOf(r, connectionColumns, "uptime")
	open := p.cfg.API.Connections(mgmt.ConnectionQuery{Search: l.Search, Sort: l.Sort})
	l.fit(len(open))
	d := connectionsData{List: &l, Columns: l.heads(connectionColumns), Refresh: defaultRefresh, Change: mayChange(r), Open: len(open)}
	if n, err := strconv.Atoi(r.URL.Query().Get("refresh")); err == nil && slices.Contains(refreshChoices, n) {
		d.Refresh, d.Auto = n, n > 0
	}
	for i := range open {
		c := &open[i]
		d.Tx, d.Rx = d.Tx+c.TxRate, d.Rx+c.RxRate
		if c.Encrypted() {
			d.Secure++
		}
	}
	d.Plain = d.Open - d.Secure
	indices := map[string]int{}
	for _, c := range mgmt.Page(l.paging(), open) {
		index, ok := indices[c.User]
		if !ok {
			if profile, _, err := p.cfg.API.Profile(r.Context(), c.User); err == nil {
				index = profile.Index
			}
			indices[c.User] = index
		}
		d.Rows = append(d.Rows, connectionRow{c, index, spark(p.cfg.API.Trace(c.ID))})
	}
	var err error
	if d.Refused, err = p.refusals(r.Context()); err != nil {
		return err
	}
	return p.render(w, r, "connections.html", view{Title: "Connection Management", Data: d})
}

type dropData struct {
	Connections []mgmt.Connection
	Gone        int // of those that were picked
	Reason      control
	Back        string
}

// drop asks whether to drop the picked connections and why. After the answer it drops them.
func (p *Pages) drop(w http.ResponseWriter, r *http.Request) error {
	ids := r.PostForm["id"]
	if one := r.PostForm.Get("one"); one != "" {
		ids = []string{one}
	}
	back := access.LocalPath(r.PostForm.Get("back"))
	if len(ids) == 0 {
		return failed(w, r, back, "First select the connections to drop.")
	}
	if len(ids) > maxDrops {
		return failed(w, r, back, fmt.Sprintf("These are more than %d connections. Drop fewer at once.", maxDrops))
	}
	var f form
	reason := strings.TrimSpace(r.PostForm.Get("reason"))
	if len(reason) > maxReason || strings.ContainsFunc(reason, func(c rune) bool { return c < ' ' }) {
		f.wrong("reason", fmt.Sprintf("The reason can have at most %d bytes and no line breaks. Shorten it.", maxReason))
	}
	if r.PostForm.Get("confirm") == "yes" && f.faults == nil {
		return p.dropAll(w, r, ids, reason, back)
	}
	d := dropData{Back: back}
	for _, c := range p.cfg.API.Connections(mgmt.ConnectionQuery{Sort: "user"}) {
		if slices.Contains(ids, c.ID) {
			d.Connections = append(d.Connections, c)
		}
	}
	d.Gone = len(ids) - len(d.Connections)
	if len(d.Connections) == 0 {
		return failed(w, r, back, "There is nothing to drop. The selected connections have already ended.")
	}
	d.Reason = f.fill(control{
		Name: "reason", Label: "Reason", Type: "text", Value: reason, MaxLength: maxReason, Focus: true,
		Hint: "This text goes into the history and the log. Some clients show it. It can stay empty.",
	})[0]
	v := view{Title: "Drop", Data: d}
	v.faulty(&f)
	return p.render(w, r, "drop.html", v)
}

func (p *Pages) dropAll(w http.ResponseWriter, r *http.Request, ids []string, reason, back string) error {
	if reason == "" {
		reason = mgmt.DropReason
	}
	dropped := 0
	for _, id := range ids {
		if p.cfg.API.Drop(r.Context(), id, reason) {
			dropped++
		}
	}
	lead, text := done, plural(dropped, "connection")+" are dropped."
	switch dropped {
	case 0:
		lead, text = failed, "Nothing was dropped. The selected connections have already ended."
	case 1:
		text = "1 connection is dropped."
	}
	if r.PostForm.Get("fragment") == "dialog" { // from a script, which stays on the page
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, err := io.WriteString(w, text)
		return err
	}
	return lead(w, r, back, text)
}
