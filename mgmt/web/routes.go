package web

import "net/http"

// route is what answers a method and a path.
type route struct {
	pattern string
	handle  func(http.ResponseWriter, *http.Request) error
}

// routes are all pages, and the forms on them.
func (p *Pages) routes() []route {
	return []route{
		{"GET /{$}", p.connections},
		{"POST /connections/drop", change(p.drop)},
	}
}

// section is a group of pages in the navigation, named as on a Vigor.
type section struct {
	Name  string
	Pages []entry
}

// entry is a page in the navigation.
type entry struct {
	Path, Name string
	Current    bool
}

var sections = []section{
	{"VPN and Remote Access", []entry{
		{Path: "/", Name: "Connection Management"},
	}},
	{"System Maintenance", []entry{}},
}
