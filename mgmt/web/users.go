package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

const maxPicked = 1000 // users that one form changes

// userTable is a path to the user table: a Vigor with DrayOS and a Vigor2960 have it in different
// menus.
type userTable struct {
	*Pages
	base string // path of the list
	list string // its title
	one  string // title of a profile
}

// userTables gives both paths.
func (p *Pages) userTables() []userTable {
	return []userTable{
		{p, "/users", "Remote Dial-in Users", "Remote Dial-in User"},
		{p, "/profiles", "User Profiles", "User Profile"},
	}
}

// userRoutes gives the pages of the users. A name never begins with "-".
func (p *Pages) userRoutes() []route {
	var all []route
	for _, t := range p.userTables() {
		all = append(all,
			route{"GET " + t.base, t.users},
			route{"POST " + t.base, change(t.changeMany)},
			route{"GET " + t.base + "/-new", change(t.newUser)},
			route{"POST " + t.base + "/-new", change(t.addUser)},
			route{"GET " + t.base + "/{name}", t.user},
			route{"POST " + t.base + "/{name}", change(t.changeUser)},
			route{"GET " + t.base + "/{name}/token", change(t.token)},
			route{"POST " + t.base + "/{name}/token", change(t.verify)},
			route{"POST " + t.base + "/{name}/resync", change(t.resync)},
		)
	}
	return append(all, route{"POST /users/-secret", change(p.drawSecret)})
}

// at is the path of a user's page.
func (t userTable) at(name string) string { return t.base + "/" + url.PathEscape(name) }

var userColumns = []column{
	{Key: "index", Name: "Index", Number: true},
	{Key: "name", Name: "User"},
	{Key: "enabled", Name: "Status"},
	{Key: "connections", Name: "Connected", Number: true},
	{Name: "Authentication"},
	{Name: "Dial-In Type"},
	{Key: "comment", Name: "Comment"},
}

type usersData struct {
	Base    string
	List    *list
	Columns []column
	Rows    []userRow
	Change  bool
	Back    string
	Show    string
	Shows   []option
}

// showChoices are the choices for the users of the list.
var showChoices = []option{
	{"", "All", false},
	{mgmt.StatusLocked, "Locked", false},
	{mgmt.StatusExpired, "Expired", false},
	{mgmt.StatusDisabled, "Disabled", false},
	{mgmt.StatusDamaged, "Damaged", false},
	{mgmt.ShowConnected, "Connected", false},
	{mgmt.ShowNever, "Never connected", false},
}

// showOf gives the choice of a request. An invalid choice becomes all.
func showOf(text string) string {
	if slices.ContainsFunc(showChoices, func(o option) bool { return o.Value == text }) {
		return text
	}
	return ""
}

// picked gives the names that a form concerns: the ticked ones, or all that match the list's
// search.
func (t userTable) picked(r *http.Request) ([]string, error) {
	if r.PostForm.Get("match") != "yes" {
		return slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"]))), nil
	}
	q := mgmt.UserQuery{Search: r.PostForm.Get("q"), Show: showOf(r.PostForm.Get("show")), Sort: "name"}
	users, _, err := t.cfg.API.Users(r.Context(), q, mgmt.Paging{Limit: math.MaxInt32})
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.Name
	}
	return names, err
}

// userRow is a user with the further values of its row.
type userRow struct {
	mgmt.User
	At string
}

// Proofs are the user's means to log in.
func (u userRow) Proofs() string {
	var all []string
	for _, p := range []struct {
		has  bool
		name string
	}{{u.HasPassword, "password"}, {u.HasMOTP, "mOTP"}, {u.HasTOTP, "TOTP"}} {
		if p.has {
			all = append(all, p.name)
		}
	}
	return strings.Join(all, ", ")
}

// Types are the allowed types of dial-in.
func (u userRow) Types() string {
	types := strings.ToUpper(strings.Join(u.DialIn, ", "))
	if u.IPsec != string(usermgmt.IPsecNone) && slices.Contains(u.DialIn, "l2tp") {
		types = strings.Replace(types, "L2TP", "L2TP (IPsec "+u.IPsec+")", 1)
	}
	return types
}

// users shows the list.
func (t userTable) users(w http.ResponseWriter, r *http.Request) error {
	l := listOf(r, userColumns, "index")
	d := usersData{Base: t.base, List: &l, Columns: l.heads(userColumns), Change: mayChange(r)}
	q := mgmt.UserQuery{Search: l.Search, Sort: l.Sort, Show: showOf(r.URL.Query().Get("show"))}
	for _, o := range showChoices {
		o.Selected = o.Value == q.Show
		d.Shows = append(d.Shows, o)
	}
	users, total, err := t.cfg.API.Users(r.Context(), q, l.paging())
	if err != nil {
		return err
	}
	if l.fit(total); len(users) == 0 && total > 0 {
		if users, _, err = t.cfg.API.Users(r.Context(), q, l.paging()); err != nil {
			return err
		}
	}
	d.Back, d.Show = l.At(l.Page), q.Show
	for _, u := range users {
		d.Rows = append(d.Rows, userRow{u, t.at(u.Name)})
	}
	return t.render(w, r, "users.html", view{Title: t.list, Data: d})
}

type removeData struct {
	Base, Back   string
	Match        bool // all users that match Search and Show; Users are the first of them
	Search, Show string
	Total        int
	Users        []mgmt.User
}

const mostNamed = 50 // users that the question names, if it is about all that match

// changeMany applies a button of the list to the ticked users.
func (t userTable) changeMany(w http.ResponseWriter, r *http.Request) error {
	names, err := t.picked(r)
	if err != nil {
		return err
	}
	back := t.base
	if from := r.PostForm.Get("back"); strings.HasPrefix(from, t.base+"?") || strings.HasPrefix(from, t.base+"/") {
		back = access.LocalPath(from)
	}
	switch {
	case len(names) == 0:
		return failed(w, r, back, "First select the users.")
	case len(names) > maxPicked && r.PostForm.Get("match") != "yes":
		return failed(w, r, back, fmt.Sprintf("These are more than %d users. Select fewer at once.", maxPicked))
	}
	var what string
	switch do := r.PostForm.Get("do"); do {
	case "enable", "disable":
		what = do + "d"
		err = t.cfg.API.EnableUsers(r.Context(), do == "enable", names...)
	case "unlock":
		what = "unlocked"
		err = t.cfg.API.UnlockUsers(r.Context(), mgmt.Precondition{}, names...)
	case "remove":
		if r.PostForm.Get("confirm") != "yes" {
			return t.askRemove(w, r, names, back)
		}
		what = "removed"
		err = t.cfg.API.RemoveUsers(r.Context(), mgmt.Precondition{}, names...)
	default:
		return fault{http.StatusBadRequest, "The page does not know this action."}
	}
	if errors.Is(err, usermgmt.ErrNoUser) {
		return failed(w, r, back, "Nothing was changed: somebody removed a user meanwhile ("+err.Error()+").")
	}
	if err != nil {
		return err
	}
	if len(names) == 1 {
		return done(w, r, back, names[0]+" is "+what+".")
	}
	return done(w, r, back, fmt.Sprintf("%d users are %s.", len(names), what))
}

// askRemove asks whether to remove the users.
func (t userTable) askRemove(w http.ResponseWriter, r *http.Request, names []string, back string) error {
	d := removeData{
		Base: t.base, Back: back, Total: len(names),
		Match: r.PostForm.Get("match") == "yes", Search: r.PostForm.Get("q"), Show: showOf(r.PostForm.Get("show")),
	}
	if d.Match {
		names = names[:min(len(names), mostNamed)]
	}
	var err error
	if d.Users, _, err = t.cfg.API.Users(r.Context(), mgmt.UserQuery{Names: names}, mgmt.Paging{Limit: len(names)}); err != nil {
		return err
	}
	if !d.Match {
		d.Total = len(d.Users)
	}
	if len(d.Users) == 0 {
		return failed(w, r, back, "There is nobody to remove: somebody removed them meanwhile.")
	}
	return t.render(w, r, "remove.html", view{Title: "Remove users", Data: d})
}
