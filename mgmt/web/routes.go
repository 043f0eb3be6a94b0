package web

import (
	"net/http"
	"slices"
)

// route is what answers a method and a path.
type route struct {
	pattern string
	handle  func(http.ResponseWriter, *http.Request) error
}

// routes are all pages, and the forms on them.
func (p *Pages) routes() []route {
	return slices.Concat([]route{
		{"GET /{$}", p.connections},
		{"POST /connections/drop", change(p.drop)},
	}, p.userRoutes(), p.settingRoutes())
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
		{Path: "/users", Name: "Remote Dial-in Users"},
		{Path: "/services", Name: "Remote Access Control"},
		{Path: "/ppp", Name: "PPP General Setup"},
	}},
	{"User Management", []entry{
		{Path: "/profiles", Name: "User Profile"},
	}},
	{"System Maintenance", []entry{
		{Path: "/time", Name: "Time and Date"},
		{Path: "/status", Name: "Status"},
	}},
}
