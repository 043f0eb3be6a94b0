package access_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"
)

func TestLinks(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	stale, err := h.FirstLink(ctx)
	h.must(err)
	first, err := h.FirstLink(ctx)
	h.must(err)
	spare, err := h.NewLink(ctx, "", access.Viewer)
	h.must(err)
	for _, bad := range []string{"", "x", stale, strings.Repeat("A", 43), first + "A"} {
		if err := h.SetUp(ctx, bad, "root", password); !errors.Is(err, access.ErrLink) || h.valid(bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// Wrong fields do not use up the link.
	if err := h.SetUp(ctx, first, "no name", "short"); len(errorsOf(err)) != 2 || !h.valid(first) {
		t.Errorf("%v", err)
	}
	h.must(h.SetUp(ctx, first, "root", password))
	if err := h.SetUp(ctx, first, "again", password); !errors.Is(err, access.ErrLink) {
		t.Errorf("a link that was used: %v", err)
	}
	if _, err := h.FirstLink(ctx); err != nil {
		t.Error(err)
	}
	// The other link makes a viewer with another name.
	if err := h.SetUp(ctx, spare, "Root", password); !errors.Is(err, state.ErrAdministratorExists) {
		t.Errorf("%v", err)
	}
	h.must(h.SetUp(ctx, spare, "eve", password))
	list, err := h.Administrators(ctx)
	if err != nil || len(list) != 2 || list[0].Role != access.Viewer || list[1].Role != access.Administrator {
		t.Errorf("%+v, %v", list, err)
	}
	// A link with a name sets a new password, and ignores the name in the form.
	c, err := h.LogIn(ctx, home, "eve", password, "")
	h.must(err)
	link, err := h.NewLink(ctx, "Eve", access.Administrator)
	h.must(err)
	if name, err := h.LinkName(ctx, link); name != "Eve" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	h.must(h.SetUp(ctx, link, "root", "a new password"))
	if resp, _ := h.ask("GET", "/", with(c)); resp.StatusCode != 303 {
		t.Error("the old session goes on")
	}
	if list, _ := h.Administrators(ctx); list[0].Role != access.Viewer {
		t.Error("a new password has changed the role")
	}
	// The link has expired.
	link, err = h.NewLink(ctx, "", access.Administrator)
	h.must(err)
	h.pass(24 * time.Hour)
	if err := h.SetUp(ctx, link, "late", password); !errors.Is(err, access.ErrLink) {
		t.Errorf("a link that has expired: %v", err)
	}
}

// A former administrator has no set-up link left to come back.
func TestLinksEndWithTheirMaker(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	for _, name := range []string{"root", "eve", "mallory"} {
		h.must(h.Add(ctx, name, password, access.Administrator))
	}
	link := func(name string) string {
		l, err := h.NewLink(ctx, name, access.Administrator)
		h.must(err)
		return l
	}
	reset, other := link("Root"), link("")
	h.must(h.SetPassword(ctx, "root", password+"2"))
	if h.valid(reset) || !h.valid(other) {
		t.Error("a change of the password ends the links for it, and no others")
	}
	for name, end := range map[string]func() error{
		"eve":     func() error { return h.Remove(ctx, "eve", false) },
		"mallory": func() error { return h.SetRole(ctx, "mallory", access.Viewer) },
	} {
		own, other := link(name), link("")
		h.must(end())
		for _, l := range []string{own, other} {
			if err := h.SetUp(ctx, l, "back", password); !errors.Is(err, access.ErrLink) {
				t.Errorf("%s comes back by a link: %v", name, err)
			}
		}
	}
}

// A link for the first administrator is invalid after the first account, however that was made.
func TestFirstLinkAfterTheFirst(t *testing.T) {
	h := newHouse(t)
	link, err := h.FirstLink(t.Context())
	h.must(err)
	h.must(h.Add(t.Context(), "root", password, access.Administrator))
	if err := h.SetUp(t.Context(), link, "second", password); !errors.Is(err, access.ErrLink) {
		t.Errorf("%v", err)
	}
}

// If two people use a link at the same time, one of them gets in.
func TestLinkOnce(t *testing.T) {
	h := newHouse(t)
	link, err := h.NewLink(t.Context(), "", access.Administrator)
	h.must(err)
	var made atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if err := h.SetUp(t.Context(), link, fmt.Sprint("user", i), password); err == nil {
				made.Add(1)
			} else if !errors.Is(err, access.ErrLink) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d administrators of one link", made.Load())
	}
}

func TestLastAdministrator(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.must(h.Add(ctx, "root", password, access.Administrator))
	h.must(h.Add(ctx, "eve", password, access.Viewer))
	if err := h.Remove(ctx, "root", false); !errors.Is(err, state.ErrLastAdministrator) {
		t.Errorf("%v", err)
	}
	if err := h.SetRole(ctx, "root", access.Viewer); !errors.Is(err, state.ErrLastAdministrator) {
		t.Errorf("%v", err)
	}
	h.must(h.Remove(ctx, "root", true))
	if anybody, err := h.Any(ctx); anybody || err != nil {
		t.Errorf("%v, %v", anybody, err)
	}
	if err := h.Remove(ctx, "root", true); !errors.Is(err, state.ErrNoAdministrator) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"short", "rooted-123", strings.Repeat("x", 300), "0123456\x00789"} {
		var rule *usermgmt.RuleError
		if err := h.Add(ctx, "rooted-123", bad, access.Administrator); !errors.As(err, &rule) || rule.Field != "password" {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}
