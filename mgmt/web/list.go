package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"vpnd/mgmt"
)

const (
	defaultRows = 50
	maxSearch   = 100 // bytes
	maxPage     = 1_000_000
)

// rowChoices are the choices for the rows of a page.
var rowChoices = []int{10, 50, 100, 500}

// list is the list of a page as the address says: its search, its order, and the part to show.
type list struct {
	Search string
	Sort   string // the key of a column; with "-" before it: descending
	Rows   int    // of a page
	Page   int    // from 1
	Total  int    // rows in all pages; set by fit
	path   string
	query  url.Values
}

// listOf reads a request. It ignores invalid values.
func listOf(r *http.Request, columns []column, sort string) list {
	q := r.URL.Query()
	q.Del("fragment")
	l := list{Search: strings.TrimSpace(q.Get("q")), Sort: sort, Rows: defaultRows, Page: 1, path: r.URL.Path, query: q}
	l.Search = strings.ToValidUTF8(l.Search[:min(len(l.Search), maxSearch)], "")
	if by := strings.TrimPrefix(q.Get("sort"), "-"); by != "" && slices.ContainsFunc(columns, func(c column) bool { return c.Key == by }) {
		l.Sort = q.Get("sort")
	}
	if n, err := strconv.Atoi(q.Get("rows")); err == nil && slices.Contains(rowChoices, n) {
		l.Rows = n
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		l.Page = min(n, maxPage)
	}
	return l
}

// fit sets the total of rows. A page beyond the last becomes the last.
func (l *list) fit(total int) {
	l.Total = total
	l.Page = min(l.Page, l.Pages())
}

// paging is the part to show.
func (l *list) paging() mgmt.Paging {
	return mgmt.Paging{Offset: (l.Page - 1) * l.Rows, Limit: l.Rows}
}

// Pages is the number of pages, at least one.
func (l *list) Pages() int { return max(1, (l.Total+l.Rows-1)/l.Rows) }

// First is the number of the first row of the page, from 1; 0: there is none.
func (l *list) First() int { return min((l.Page-1)*l.Rows+1, l.Total) }

// Last is the number of the last row of the page.
func (l *list) Last() int { return min(l.Page*l.Rows, l.Total) }

// RowChoices are the options for the rows of a page.
func (l *list) RowChoices() []option {
	options := make([]option, len(rowChoices))
	for i, n := range rowChoices {
		options[i] = option{strconv.Itoa(n), strconv.Itoa(n), n == l.Rows}
	}
	return options
}

// link is the address of the same list with one thing changed.
func (l *list) link(key, value string) string {
	q := url.Values{}
	for k, v := range l.query {
		if k != key && k != "page" && len(v) == 1 && v[0] != "" {
			q[k] = v
		}
	}
	if value != "" {
		q.Set(key, value)
	}
	if len(q) == 0 {
		return l.path
	}
	return l.path + "?" + q.Encode()
}

// At is the address of a page of the list.
func (l *list) At(page int) string {
	if page == 1 {
		return l.link("page", "")
	}
	return l.link("page", strconv.Itoa(page))
}

// Around gives the numbers of the pages to offer; 0: a gap.
func (l *list) Around() []int {
	var pages []int
	for n := 1; n <= l.Pages(); n++ {
		if n == 1 || n == l.Pages() || n >= l.Page-2 && n <= l.Page+2 {
			pages = append(pages, n)
		} else if pages[len(pages)-1] != 0 {
			pages = append(pages, 0)
		}
	}
	return pages
}

// Previous is the page before; 0: none.
func (l *list) Previous() int { return l.Page - 1 }

// Next is the page after; 0: none.
func (l *list) Next() int {
	if l.Page >= l.Pages() {
		return 0
	}
	return l.Page + 1
}

// column is a column of a table.
type column struct {
	Key    string // the sort key; "": the list cannot be sorted by it
	Name   string
	Title  string // a longer name
	Number bool   // aligned to the right
	Class  string // of its cells
	Hidden bool   // only screen readers get the name

	// heads fills these.
	Link  string // sorts by it
	Order string // as aria-sort; "": the list is not sorted by it
}

// heads gives the columns with their links.
func (l *list) heads(columns []column) []column {
	heads := slices.Clone(columns)
	for i := range heads {
		c := &heads[i]
		if c.Key == "" {
			continue
		}
		to := c.Key
		switch l.Sort {
		case c.Key:
			c.Order, to = "ascending", "-"+c.Key
		case "-" + c.Key:
			c.Order = "descending"
		default:
			if c.Number {
				to = "-" + c.Key // the largest first
			}
		}
		c.Link = l.link("sort", to)
	}
	return heads
}

// Clear is the address of the list without the search.
func (l *list) Clear() string { return l.link("q", "") }

// Of is the address of the list with one thing changed, on its first page.
func (l *list) Of(key, value string) string { return l.link(key, value) }
