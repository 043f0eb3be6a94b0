package mgmt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/auth"
	"vpnd/usermgmt"
)

// table caches the profiles, because a read of ten thousand profiles unseals as many secrets. It
// reads them again after a change by another process.
type table struct {
	mu         sync.Mutex
	generation uint64
	all        []StoredUser // in the order of their names; nil: not read yet
}

// StoredUser is a user's profile.
type StoredUser struct {
	*usermgmt.Profile
	damaged error // why the profile has only a name; nil: it is sound
}

// Record adds the damage of the profile to the user's record.
func (s StoredUser) Record(r usermgmt.Record) usermgmt.Record {
	r.Damaged = cmp.Or(s.damaged, r.Damaged)
	return r
}

// ReadUsers reads all users, damaged ones included, in the order of their names.
func ReadUsers(ctx context.Context, users Users) ([]StoredUser, error) {
	sound, damaged, err := users.Sound(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]StoredUser, 0, len(sound)+len(damaged))
	for i := range sound {
		all = append(all, StoredUser{&sound[i], nil})
	}
	for name, err := range damaged {
		all = append(all, StoredUser{&usermgmt.Profile{Name: name}, err})
	}
	slices.SortFunc(all, byName)
	return all, nil
}

// profiles gives the profiles in a slice that the caller owns.
func (t *table) profiles(ctx context.Context, users Users) ([]StoredUser, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	generation, err := users.Generation(ctx) // before the list, so that the list is at least as new
	if err != nil {
		return nil, err
	}
	if t.all == nil || generation != t.generation {
		all, err := ReadUsers(ctx, users)
		if err != nil {
			return nil, err
		}
		t.all, t.generation = all, generation
	}
	return slices.Clone(t.all), nil
}

// UsersChanged tells the API of a change of users by this process. The API then need not read all
// users again.
func (a *API) UsersChanged(c usermgmt.Change) { a.table.change(c) }

// change applies a change to the profiles, if they are of the generation before it.
func (t *table) change(c usermgmt.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil || c.Before != t.generation {
		return // the next reader reads them
	}
	gone := map[string]bool{}
	for _, name := range c.Removed {
		gone[name] = true
	}
	for i := range c.Stored {
		gone[c.Stored[i].Name] = true
	}
	all := slices.DeleteFunc(slices.Clone(t.all), func(s StoredUser) bool { return gone[s.Name] })
	for i := range c.Stored {
		all = append(all, StoredUser{&c.Stored[i], nil})
	}
	slices.SortFunc(all, byName)
	t.all, t.generation = all, c.Generation
}

func byName(x, y StoredUser) int {
	return cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name))
}

// UserQuery picks and sorts users.
type UserQuery struct {
	Search string   `query:"q" maxLength:"100" doc:"A part of the name or the comment"`
	Show   string   `query:"show" enum:"disabled,expired,locked,damaged,connected,never" doc:"Only users with this status, connected users, or users that have never connected; missing: all"`
	Names  []string // only these; nil: all
	Sort   string   `query:"sort" enum:"name,-name,index,-index,enabled,-enabled,connections,-connections,comment,-comment" default:"name"`
}

// Values of UserQuery.Show, in addition to the statuses.
const (
	ShowConnected = "connected"
	ShowNever     = "never" // connected
)

// Users gives a page of the users that match the query, and the number of users on all pages.
func (a *API) Users(ctx context.Context, q UserQuery, p Paging) ([]User, int, error) {
	profiles, err := a.table.profiles(ctx, a.cfg.Users)
	if err != nil {
		return nil, 0, err
	}
	if q.Names != nil {
		profiles = named(profiles, q.Names)
	}
	if text := strings.ToLower(q.Search); text != "" {
		profiles = slices.DeleteFunc(profiles, func(p StoredUser) bool {
			return !strings.Contains(strings.ToLower(p.Name), text) && !strings.Contains(strings.ToLower(p.Comment), text)
		})
	}
	now, open := a.cfg.Clock.Corrected(), a.open()
	records, err := a.cfg.Users.Records(ctx, usermgmt.Month(now))
	if err != nil {
		return nil, 0, err
	}
	if q.Show != "" {
		profiles = slices.DeleteFunc(profiles, func(p StoredUser) bool { return !shows(q.Show, p, records.Of(p.Name), len(open[p.Name]), now) })
	}
	by, down := strings.CutPrefix(q.Sort, "-")
	slices.SortStableFunc(profiles, func(x, y StoredUser) int {
		n := compareUsers(by, x.Profile, y.Profile, open)
		if down {
			n = -n
		}
		return n
	})
	users := []User{}
	for _, p := range Page(p, profiles) {
		users = append(users, ViewUser(p.Profile, p.Record(records.Of(p.Name)), open[p.Name], now))
	}
	return users, len(profiles), nil
}

// named gives the users with the names.
func named(users []StoredUser, names []string) []StoredUser {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[usermgmt.Fold(name)] = true
	}
	return slices.DeleteFunc(users, func(u StoredUser) bool { return !wanted[usermgmt.Fold(u.Name)] })
}

// shows reports whether a query with show picks a user.
func shows(show string, p StoredUser, r usermgmt.Record, open int, now time.Time) bool {
	switch show {
	case ShowConnected:
		return open > 0
	case ShowNever:
		return open == 0 && r.Standing.Addresses == auth.Standing{}.Addresses
	default:
		return statusOf(p.Profile, p.Record(r), now) == show
	}
}

func compareUsers(by string, x, y *usermgmt.Profile, open map[string][]UserConnection) int {
	switch by {
	case "index":
		return cmp.Compare(x.Index, y.Index)
	case "enabled":
		return cmp.Compare(truth(x.Enabled), truth(y.Enabled))
	case "connections":
		return cmp.Compare(len(open[x.Name]), len(open[y.Name]))
	case "comment":
		return cmp.Compare(strings.ToLower(x.Comment), strings.ToLower(y.Comment))
	default:
		return cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name))
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// AddUser adds a user and gives it as it is stored. The error may be usermgmt.ErrExists or hold
// RuleErrors.
func (a *API) AddUser(ctx context.Context, p usermgmt.Profile) (usermgmt.Profile, error) {
	return a.edit(ctx, usermgmt.How{Add: true}, p.Name, func(to *usermgmt.Profile) error { *to = p; return nil })
}

// ChangeUser changes a user as change does, if the precondition holds. It gives the user as it is
// stored then. The error may be ErrChanged or auth.ErrNoUser, or hold RuleErrors.
func (a *API) ChangeUser(ctx context.Context, name string, provided Precondition, change func(*usermgmt.Profile) error) (usermgmt.Profile, error) {
	return a.edit(ctx, usermgmt.How{Change: true}, name, func(p *usermgmt.Profile) error {
		if err := provided.holds(StateTag(p)); err != nil {
			return err
		}
		return change(p)
	})
}

// edit makes one edit and gives the user as it is stored then.
func (a *API) edit(ctx context.Context, how usermgmt.How, name string, change func(*usermgmt.Profile) error) (usermgmt.Profile, error) {
	outcomes, err := a.cfg.Users.Apply(ctx, []usermgmt.Edit{{Name: name, Change: change}}, how)
	if one := (*usermgmt.EditError)(nil); errors.As(err, &one) {
		err = one.Err
	}
	if err != nil {
		return usermgmt.Profile{}, err
	}
	return outcomes[0].Profile, nil
}

// EnableUsers enables or disables users, all of them or none.
func (a *API) EnableUsers(ctx context.Context, on bool, names ...string) error {
	edits := make([]usermgmt.Edit, len(names))
	for i, name := range names {
		edits[i] = usermgmt.Edit{Name: name, Change: func(p *usermgmt.Profile) error { p.Enabled = on; return nil }}
	}
	_, err := a.cfg.Users.Apply(ctx, edits, usermgmt.How{Change: true})
	return err
}

// RemoveUsers removes users, all of them or none, if the precondition holds for each.
func (a *API) RemoveUsers(ctx context.Context, provided Precondition, names ...string) error {
	return a.cfg.Users.Remove(provided.ofUsers(ctx), names...)
}

// UnlockUsers unlocks users after too many failures, all of them or none, if the precondition holds
// for each.
func (a *API) UnlockUsers(ctx context.Context, provided Precondition, names ...string) error {
	return a.cfg.Users.Unlock(provided.ofUsers(ctx), names...)
}

// ofUsers gives a context with which Users acts only if the precondition holds.
func (p *Precondition) ofUsers(ctx context.Context) context.Context {
	if len(p.IfMatch)+len(p.IfNoneMatch) == 0 {
		return ctx // a user that is damaged, and has no tag, can be removed
	}
	return usermgmt.Provided(ctx, func(stored *usermgmt.Profile) error { return p.holds(StateTag(stored)) })
}

// Profile gives a user's profile, secrets included, with the tag that AsSeen takes.
func (a *API) Profile(ctx context.Context, name string) (p usermgmt.Profile, tag string, err error) {
	p, err = a.cfg.Users.Get(ctx, name)
	return p, StateTag(&p), err
}

// User gives the user of a profile as it is shown.
func (a *API) User(ctx context.Context, p usermgmt.Profile) (User, error) {
	now := a.cfg.Clock.Corrected()
	r, err := a.cfg.Users.RecordOf(ctx, p.Name, usermgmt.Month(now))
	return ViewUser(&p, r, a.open()[p.Name], now), err
}

// Verify checks the current code of a user's token against the stored token: the last step of an
// enrolment. A right code counts as used. The error may be ErrChanged, auth.ErrNoUser,
// auth.ErrNoToken or an auth.EnrolError.
func (a *API) Verify(ctx context.Context, name string, provided Precondition, code string) error {
	p, tag, err := a.Profile(ctx, name)
	if err == nil {
		err = provided.holds(tag)
	}
	if err != nil {
		return err
	}
	token := p.Account().Token
	if token == nil {
		return fmt.Errorf("%s: %w", p.Name, auth.ErrNoToken)
	}
	state, err := auth.Enrol(token, code, a.cfg.Clock.Corrected(), a.cfg.Window)
	if err != nil {
		return err
	}
	_, err = a.cfg.Users.Advance(ctx, p.Name, state) // stores nothing if a later code was accepted already
	return err
}

// Resync resynchronises a user's token whose clock is outside the window. It takes two consecutive
// codes, and gives how far the clock is ahead. The errors are those of auth.Resync.
func (a *API) Resync(ctx context.Context, name, first, second string) (time.Duration, error) {
	return auth.Resync(ctx, a.cfg.Users, a.cfg.Users, name, first, second, a.cfg.Clock.Corrected())
}

// open gives the open connections of each user.
func (a *API) open() map[string][]UserConnection {
	by := map[string][]UserConnection{}
	for _, c := range a.cfg.Sessions.Connections() {
		by[c.User] = append(by[c.User], UserConnection{c.ID, c.Type, c.RemoteIP, c.VirtualIP, c.Since.UTC()})
	}
	return by
}
