package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/usermgmt"
)

const (
	lastEvents   = 10  // rows of each kind on a user's page
	lastAttempts = 100 // attempts from which the rows are made
)

type userData struct {
	Base, At string
	User     mgmt.User // empty for a new user
	Groups   []group
	Tag      string // of the profile when the form was shown; "": a new user
	Change   bool
	Token    bool // the user has a token
	Attempts attemptTable
	Changes  []historyRow
	Capture  captureForm
}

// newUser shows the form for a new user.
func (t userTable) newUser(w http.ResponseWriter, r *http.Request) error {
	return t.showProfile(w, r, &profileForm{profile: usermgmt.New(""), added: true}, "", view{})
}

// user shows the page of a user: the profile, as a form or only to read, and the latest events.
func (t userTable) user(w http.ResponseWriter, r *http.Request) error {
	profile, tag, err := t.cfg.API.Profile(r.Context(), r.PathValue("name"))
	if err != nil {
		return notThere(err)
	}
	return t.showProfile(w, r, &profileForm{profile: profile}, tag, view{})
}

// showProfile shows the form in v, which may have a notice.
func (t userTable) showProfile(w http.ResponseWriter, r *http.Request, f *profileForm, tag string, v view) error {
	for _, p := range t.pools() {
		f.pools = append(f.pools, p.Name)
	}
	d := userData{Base: t.base, At: t.base + "/-new", Groups: f.groups(), Tag: tag, Change: mayChange(r), Token: tokenOf(&f.profile) != noToken}
	v.Title = "New " + t.one
	if !f.added {
		d.At = t.at(f.profile.Name)
		v.Title = t.one + " " + f.profile.Name
		var err error
		if d.User, err = t.cfg.API.User(r.Context(), f.profile); err != nil {
			return notThere(err)
		}
		if err := t.happened(r.Context(), f.profile.Name, &d); err != nil {
			return notThere(err)
		}
		d.Capture = captureOf(f.profile.Name, "", "")
	}
	v.Data = d
	v.faulty(&f.form)
	return t.render(w, r, "user.html", v)
}

// happened puts the last attempts and changes of a user into d.
func (p *Pages) happened(ctx context.Context, name string, d *userData) error {
	attempts, err := p.cfg.API.Attempts(ctx, name, lastAttempts)
	if err != nil {
		return err
	}
	events, err := p.cfg.API.Events(ctx, state.HistoryQuery{User: name, Events: userChanges, Limit: lastEvents})
	if err != nil {
		return err
	}
	d.Attempts.Rows = together(attempts, lastEvents)
	d.Changes = make([]historyRow, len(events))
	for i, e := range events {
		d.Changes[i] = rowOf(mgmt.AttemptOf(e))
	}
	return nil
}

func (p *Pages) pools() []mgmt.Pool {
	system := p.cfg.API.System()
	if system == nil {
		return nil
	}
	return system.Pools()
}

// addUser adds the user of the form.
func (t userTable) addUser(w http.ResponseWriter, r *http.Request) error {
	f := &profileForm{form: form{values: r.PostForm}, profile: usermgmt.New(""), added: true}
	if kind := r.PostForm.Get("generate"); kind != "" {
		return t.generate(w, r, f, "", kind)
	}
	profile := usermgmt.New(strings.TrimSpace(r.PostForm.Get("name")))
	err := apply(r.PostForm, &profile)
	if err == nil {
		profile, err = t.cfg.API.AddUser(r.Context(), profile)
	}
	if errors.Is(err, usermgmt.ErrExists) {
		f.wrong("name", "A user with this name exists. Choose another name.")
	} else if err := f.broken(err); err != nil {
		return err
	}
	if len(f.faults) > 0 {
		return t.showProfile(w, r, f, "", view{})
	}
	return t.stored(w, r, usermgmt.Profile{}, profile, "is added")
}

// changeUser stores the form, unless somebody else has changed the user meanwhile.
func (t userTable) changeUser(w http.ResponseWriter, r *http.Request) error {
	name, tag := r.PathValue("name"), r.PostForm.Get("tag")
	f := &profileForm{form: form{values: r.PostForm}}
	if kind := r.PostForm.Get("generate"); kind != "" {
		var err error
		if f.profile, _, err = t.cfg.API.Profile(r.Context(), name); err != nil {
			return notThere(err)
		}
		return t.generate(w, r, f, tag, kind)
	}
	profile, err := t.cfg.API.ChangeUser(r.Context(), name, asSeen(r), func(p *usermgmt.Profile) error {
		f.profile = *p
		return apply(r.PostForm, p)
	})
	if errors.Is(err, mgmt.ErrChanged) {
		var now string
		if f.profile, now, err = t.cfg.API.Profile(r.Context(), name); err != nil {
			return notThere(err)
		}
		typed := f.profile
		_ = apply(r.PostForm, &typed) // its faults are reported when it is stored
		f.typed = &typed
		return t.showProfile(w, r, f, now, view{Status: http.StatusConflict, Notice: t.whoChanged(r.Context(), name), Wrong: true})
	}
	if err := f.broken(err); err != nil {
		return notThere(err)
	}
	if len(f.faults) > 0 {
		return t.showProfile(w, r, f, tag, view{})
	}
	return t.stored(w, r, f.profile, profile, "is changed")
}

// stored leads to the enrolment of a new token, or else to the list.
func (t userTable) stored(w http.ResponseWriter, r *http.Request, before, profile usermgmt.Profile, what string) error {
	if profile.MOTPSecret != before.MOTPSecret && profile.MOTPSecret != "" || profile.TOTPSecret != before.TOTPSecret && profile.TOTPSecret != "" {
		t.shown.allow(r.Context(), profile, time.Now())
		return done(w, r, t.at(profile.Name)+"/token", fmt.Sprintf("%s %s. Give the user the token now: its secret is not shown again.", profile.Name, what))
	}
	return done(w, r, t.base, profile.Name+" "+what+".")
}

// whoChanged names the author of the last change.
func (t userTable) whoChanged(ctx context.Context, name string) string {
	who := "Somebody else"
	events, err := t.cfg.API.Events(ctx, state.HistoryQuery{User: name, Limit: lastEvents})
	if err == nil {
		for _, e := range events {
			if e.Event == state.EventChanged && e.By != "" {
				who = e.By
				break
			}
		}
	}
	return who + " changed this profile while you did. Your changes are not stored. Compare the values marked “Stored now”, and press OK again to store yours."
}

// notThere is the fault of a user that does not exist.
func notThere(err error) error {
	if errors.Is(err, usermgmt.ErrNoUser) {
		return fault{http.StatusNotFound, "This user does not exist. Somebody may have removed the profile: look in the list."}
	}
	return err
}
