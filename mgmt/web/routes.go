package web

import (
	"net/http"
	"slices"
)

// route maps a method and a path to a handler.
type route struct {
	pattern string
	handle  func(http.ResponseWriter, *http.Request) error
}

// routes gives all pages and their forms.
func (p *Pages) routes() []route {
	return slices.Concat([]route{
		{"GET /{$}", p.connections},
		{"POST /connections/drop", change(p.drop)},
		{"GET /captures", change(p.askCapture)},
		{"POST /captures", change(p.capture)},
		{"GET /history", p.history},
		{"GET /history.csv", p.historyFile},
		{"GET /connect", p.connect},
	}, p.userRoutes(), p.settingRoutes(), p.accessRoutes())
}

// accessRoutes gives the pages for the access to the management.
func (p *Pages) accessRoutes() []route {
	return []route{
		{"GET /login", p.logIn},
		{"POST /login", p.doLogIn},
		{"POST /logout", p.logOut},
		{"GET /setup", p.setUp},
		{"POST /setup", p.doSetUp},
		{"GET /account", p.account},
		{"POST /account/password", p.changePassword},
		{"GET /account/app", p.app},
		{"POST /account/app", p.setApp},
		{"POST /account/app/remove", p.dropApp},

		{"GET /administrators", change(p.administrators)},
		{"POST /administrators", change(p.invite)},
		{"GET /administrators/{name}", change(p.administrator)},
		{"POST /administrators/{name}/link", change(p.resetAdministrator)},
		{"POST /administrators/{name}/role", change(p.setRole)},
		{"POST /administrators/{name}/app/remove", change(p.dropOtherApp)},
		{"POST /administrators/{name}/remove", change(p.removeAdministrator)},
		{"POST /tokens", change(p.newToken)},
		{"GET /tokens/{name}/remove", change(p.askToken)},
		{"POST /tokens/{name}/remove", change(p.removeToken)},
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
	Change     bool // only for administrators
	Current    bool
}

var sections = []section{
	{"VPN and Remote Access", []entry{
		{Path: "/", Name: "Connection Management"},
		{Path: "/users", Name: "Remote Dial-in Users"},
		{Path: "/services", Name: "Remote Access Control"},
		{Path: "/ppp", Name: "PPP General Setup"},
		{Path: "/history", Name: "History"},
		{Path: "/connect", Name: "Connect a Client"},
	}},
	{"User Management", []entry{
		{Path: "/profiles", Name: "User Profile"},
	}},
	{"System Maintenance", []entry{
		{Path: "/time", Name: "Time and Date"},
		{Path: "/status", Name: "Status"},
		{Path: "/administrators", Name: "Administrators", Change: true},
	}},
}
