package mgmt

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/auth"
	"vpnd/usermgmt"
)

// table keeps the profiles as they were read last, since reading ten thousand unseals as many secrets. It
// reads them again after a change by any process.
type table struct {
	mu         sync.Mutex
	generation uint64
	all        []stored // in the order of their names; nil: not read yet
}

// stored is a user's profile.
type stored struct {
	*usermgmt.Profile
	damaged error // why there is none but for the name
}

// record is what is known of the user beside the profile, and whether either is damaged.
func (s stored) record(r usermgmt.Record) usermgmt.Record {
	r.Damaged = cmp.Or(s.damaged, r.Damaged)
	return r
}

// profiles gives them in a slice of the caller's own.
func (t *table) profiles(ctx context.Context, users Users) ([]stored, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	generation, err := users.Generation(ctx) // before the list, which is then as new at least
	if err != nil {
		return nil, err
	}
	if t.all == nil || generation != t.generation {
		sound, damaged, err := users.Sound(ctx)
		if err != nil {
			return nil, err
		}
		all := make([]stored, 0, len(sound)+len(damaged))
		for i := range sound {
			all = append(all, stored{&sound[i], nil})
		}
		for name, err := range damaged {
			all = append(all, stored{&usermgmt.Profile{Name: name}, err})
		}
		slices.SortFunc(all, func(x, y stored) int { return cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)) })
		t.all, t.generation = all, generation
	}
	return slices.Clone(t.all), nil
}

// UserQuery picks users, and their order.
type UserQuery struct {
	Search string `query:"q" maxLength:"100" doc:"A part of the name or the comment"`
	Show   string `query:"show" enum:"disabled,expired,locked,damaged,connected,never" doc:"Those of this status, or that are connected, or never were; left out: all"`
	Sort   string `query:"sort" enum:"name,-name,index,-index,enabled,-enabled,connections,-connections,comment,-comment" default:"name"`
}

// What Show of a UserQuery may be, beside the statuses.
const (
	ShowConnected = "connected"
	ShowNever     = "never" // connected
)

// Users gives a page of the users that are asked for; and how many there are in all pages.
func (a *API) Users(ctx context.Context, q UserQuery, p Paging) ([]User, int, error) {
	profiles, err := a.table.profiles(ctx, a.cfg.Users)
	if err != nil {
		return nil, 0, err
	}
	if text := strings.ToLower(q.Search); text != "" {
		profiles = slices.DeleteFunc(profiles, func(p stored) bool {
			return !strings.Contains(strings.ToLower(p.Name), text) && !strings.Contains(strings.ToLower(p.Comment), text)
		})
	}
	now, open := a.cfg.Clock.Corrected(), a.open()
	records, err := a.cfg.Users.Records(ctx, usermgmt.Month(now))
	if err != nil {
		return nil, 0, err
	}
	if q.Show != "" {
		profiles = slices.DeleteFunc(profiles, func(p stored) bool { return !shows(q.Show, p, records.Of(p.Name), len(open[p.Name]), now) })
	}
	by, down := strings.CutPrefix(q.Sort, "-")
	slices.SortStableFunc(profiles, func(x, y stored) int {
		n := compareUsers(by, x.Profile, y.Profile, open)
		if down {
			n = -n
		}
		return n
	})
	users := []User{}
	for _, p := range Page(p, profiles) {
		users = append(users, ViewUser(p.Profile, p.record(records.Of(p.Name)), open[p.Name], now))
	}
	return users, len(profiles), nil
}

// shows reports whether a user is among those that a query wants.
func shows(show string, p stored, r usermgmt.Record, open int, now time.Time) bool {
	switch show {
	case ShowConnected:
		return open > 0
	case ShowNever:
		return open == 0 && r.Standing.Addresses == auth.Standing{}.Addresses
	default:
		return statusOf(p.Profile, p.record(r), now) == show
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

// ErrChanged tells that somebody else has changed a user, or a setting, meanwhile.
var ErrChanged = errors.New("somebody else has made a change meanwhile: look again")

// ChangeUser changes a user as change does, if the user is still as the tag of Profile says; else the error
// is ErrChanged. It may be auth.ErrNoUser, or hold RuleErrors.
func (a *API) ChangeUser(ctx context.Context, name, tag string, change func(*usermgmt.Profile) error) error {
	return a.cfg.Users.Update(ctx, name, func(p *usermgmt.Profile) error {
		if tagOf(p) != tag {
			return ErrChanged
		}
		return change(p)
	})
}

// Profile gives what is set for a user, secrets included, with the tag that ChangeUser takes.
func (a *API) Profile(ctx context.Context, name string) (p usermgmt.Profile, tag string, err error) {
	p, err = a.cfg.Users.Get(ctx, name)
	return p, tagOf(&p), err
}

// User gives a user as it is shown.
func (a *API) User(ctx context.Context, name string) (User, error) {
	p, err := a.cfg.Users.Get(ctx, name)
	if err != nil {
		return User{}, err
	}
	return a.shown(ctx, p)
}

func (a *API) shown(ctx context.Context, p usermgmt.Profile) (User, error) {
	now := a.cfg.Clock.Corrected()
	r, err := a.cfg.Users.RecordOf(ctx, p.Name, usermgmt.Month(now))
	return ViewUser(&p, r, a.open()[p.Name], now), err
}

// Verify holds a code of a user's token, as it shows it now, against what is stored of it: the last step of
// an enrolment. A right code counts as used. The error may be auth.ErrNoUser, auth.ErrNoToken or an
// auth.EnrolError.
func (a *API) Verify(ctx context.Context, name, code string) error {
	p, err := a.cfg.Users.Get(ctx, name)
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
	_, err = a.cfg.Users.Advance(ctx, p.Name, state) // not stored: a later code was accepted already, which holds on
	return err
}

// Resync brings a user's token back whose clock is out of the window, by two codes in a row, and gives by how much
// its clock is ahead. The errors are those of auth.Resync.
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

// tagKey makes tags that tell nothing of the secrets that they cover.
var tagKey = func() (key [32]byte) {
	_, _ = rand.Read(key[:])
	return key
}()

// tagOf is the entity tag of a profile: another one for every change, secrets included.
func tagOf(p *usermgmt.Profile) string {
	h := sha256.New()
	h.Write(tagKey[:])
	for _, f := range usermgmt.Fields {
		h.Write([]byte(f.Get(p) + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
