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
	all        []*usermgmt.Profile // in the order of their names; nil: not read yet
}

// profiles gives them in a slice of the caller's own.
func (t *table) profiles(ctx context.Context, users Users) ([]*usermgmt.Profile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	generation, err := users.Generation(ctx) // before the list, which is then as new at least
	if err != nil {
		return nil, err
	}
	if t.all == nil || generation != t.generation {
		list, err := users.List(ctx)
		if err != nil {
			return nil, err
		}
		all := make([]*usermgmt.Profile, len(list))
		for i := range list {
			all[i] = &list[i]
		}
		t.all, t.generation = all, generation
	}
	return slices.Clone(t.all), nil
}

// UserQuery picks users, and their order.
type UserQuery struct {
	Search string `query:"q" maxLength:"100" doc:"A part of the name or the comment"`
	Show   string `query:"show" enum:"disabled,expired,locked,connected,never" doc:"Those of this status, or that are connected, or never were; left out: all"`
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
		profiles = slices.DeleteFunc(profiles, func(p *usermgmt.Profile) bool {
			return !strings.Contains(strings.ToLower(p.Name), text) && !strings.Contains(strings.ToLower(p.Comment), text)
		})
	}
	open := a.open()
	if q.Show != "" {
		var failed error
		profiles = slices.DeleteFunc(profiles, func(p *usermgmt.Profile) bool {
			shown, err := a.shows(ctx, q.Show, p, open)
			failed = errors.Join(failed, err)
			return !shown
		})
		if failed != nil {
			return nil, 0, failed
		}
	}
	by, down := strings.CutPrefix(q.Sort, "-")
	slices.SortStableFunc(profiles, func(x, y *usermgmt.Profile) int {
		n := compareUsers(by, x, y, open)
		if down {
			n = -n
		}
		return n
	})
	users := []User{}
	for _, profile := range Page(p, profiles) {
		u, err := a.view(ctx, *profile, open)
		if err != nil {
			return nil, 0, err
		}
		users = append(users, u)
	}
	return users, len(profiles), nil
}

// shows reports whether a user is among those that a query wants.
func (a *API) shows(ctx context.Context, show string, p *usermgmt.Profile, open map[string]int) (bool, error) {
	if show == ShowConnected {
		return open[p.Name] > 0, nil
	}
	standing, err := a.cfg.Users.Standing(ctx, p.Name)
	if show == ShowNever {
		return open[p.Name] == 0 && standing.Addresses == auth.Standing{}.Addresses, err
	}
	return statusOf(p, standing, a.cfg.Clock.Corrected()) == show, err
}

// statusOf says whether a user gets in.
func statusOf(p *usermgmt.Profile, standing auth.Standing, now time.Time) string {
	switch {
	case !p.Enabled:
		return StatusDisabled
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return StatusExpired
	case lock(standing.Strangers, now) != nil || lock(standing.Usual, now) != nil:
		return StatusLocked
	default:
		return StatusEnabled
	}
}

func compareUsers(by string, x, y *usermgmt.Profile, open map[string]int) int {
	switch by {
	case "index":
		return cmp.Compare(x.Index, y.Index)
	case "enabled":
		return cmp.Compare(truth(x.Enabled), truth(y.Enabled))
	case "connections":
		return cmp.Compare(open[x.Name], open[y.Name])
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
	return a.view(ctx, p, a.open())
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

// What Status of a User may be.
const (
	StatusEnabled  = "enabled"
	StatusDisabled = "disabled"
	StatusExpired  = "expired"
	StatusLocked   = "locked" // at some addresses at least
)

func lock(f auth.Failures, now time.Time) *time.Time {
	if !f.LockedUntil.After(now) {
		return nil
	}
	return &f.LockedUntil
}

// open counts the connections of each user.
func (a *API) open() map[string]int {
	n := map[string]int{}
	for _, c := range a.cfg.Sessions.Connections() {
		n[c.User]++
	}
	return n
}

func (a *API) view(ctx context.Context, p usermgmt.Profile, open map[string]int) (User, error) {
	text := func(name string) string {
		f, _ := usermgmt.FieldNamed(name)
		return f.Get(&p)
	}
	u := User{
		Name: p.Name, Index: p.Index, Enabled: p.Enabled, HasPassword: p.Password != "", HasMOTP: p.MOTPSecret != "", HasTOTP: p.TOTPSecret != "",
		DialIn: make([]string, len(p.Services)), IPsec: string(p.IPsec), RemoteNode: text("remote-node"), Address: text("address"), Pool: p.Pool, Group: p.Group,
		IdleTimeout: int64(p.IdleTimeout / time.Second), SessionTime: int64(p.SessionTime / time.Second), MaxConnections: p.MaxConnections,
		Further: string(p.Further), Schedule: p.Schedule, Expires: text("expires"), NetBIOS: text("netbios"), Multicast: text("multicast"),
		UpLimit: p.UpLimit, DownLimit: p.DownLimit, Quota: p.Quota, Comment: p.Comment, Connections: open[p.Name],
	}
	for i, s := range p.Services {
		u.DialIn[i] = string(s)
	}
	now := a.cfg.Clock.Corrected()
	standing, err := a.cfg.Users.Standing(ctx, p.Name)
	if err != nil {
		return User{}, err
	}
	u.LockedUntil, u.UsualLocked = lock(standing.Strangers, now), lock(standing.Usual, now)
	u.Status = statusOf(&p, standing, now)
	traffic, err := a.cfg.Users.Traffic(ctx, p.Name, usermgmt.Month(now))
	u.TrafficRx, u.TrafficTx = traffic.Rx, traffic.Tx
	return u, err
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
