package access_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"
	"vpnd/auth/totp"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt/access"
)

const totpSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// totpCode is the current code of the app with totpSecret.
func (h *house) totpCode() string {
	step := motp.Step(*h.now.Load())
	return totp.Token{Secret: totpSecret}.Code(step - step%3)
}

// Entries that were stored while the clock was a year ahead are not valid when the clock is right
// again, and lock nobody out.
func TestClockWasAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	h := newHouse(t)
	h.pass(year)
	cookie := h.logIn("anna", access.Administrator)
	link, err := h.NewLink(t.Context(), "ben", access.Administrator)
	h.must(err)
	expiring, err := h.NewToken(t.Context(), "expiring", access.Viewer, h.now.Load().Add(time.Hour))
	h.must(err)
	lasting, err := h.NewToken(t.Context(), "lasting", access.Viewer, time.Time{})
	h.must(err)
	h.must(h.Add(t.Context(), "carl", password, access.Administrator))
	h.must(h.SetTOTP(t.Context(), "carl", totpSecret, h.totpCode()))
	if _, from := h.ask("GET", "/", with(cookie)); from != "anna" {
		t.Fatalf("the session is of %q", from)
	}
	h.pass(-year)
	for range 2 {
		if _, from := h.ask("GET", "/", with(cookie)); from != "-" {
			t.Errorf("a session from then counts at %v", h.now.Load())
		}
		if _, from := h.ask("GET", "/api/v1/users", bearer(expiring)); from != "-" {
			t.Errorf("a token from then counts at %v", h.now.Load())
		}
		if h.valid(link) {
			t.Errorf("a set-up link from then counts at %v", h.now.Load())
		}
		h.pass(year - 30*24*time.Hour)
	}
	if _, from := h.ask("GET", "/api/v1/users", bearer(lasting)); from != "lasting" {
		t.Errorf("a token without an end is of %q", from)
	}
	if _, err := h.LogIn(t.Context(), home, "carl", password, h.totpCode()); err != nil {
		t.Errorf("a code of now: %v", err)
	}
	if _, err := h.LogIn(t.Context(), home, "carl", password, h.totpCode()); err == nil {
		t.Error("the code counts twice")
	}
	if _, err := h.LogIn(t.Context(), home, "anna", password, ""); err != nil {
		t.Errorf("a log-in of now: %v", err)
	}
}

// A clock that is set back by less than a minute ends no session.
func TestClockIsPutRight(t *testing.T) {
	h := newHouse(t)
	cookie := h.logIn("anna", access.Administrator)
	h.pass(-50 * time.Second)
	if _, from := h.ask("GET", "/", with(cookie)); from != "anna" {
		t.Errorf("it is from %q", from)
	}
}

// changing is a store in which an account changes after it was read.
type changing struct {
	*sqlite.Store
	then func()
}

func (m *changing) Administrator(ctx context.Context, name string) (state.Administrator, error) {
	a, err := m.Store.Administrator(ctx, name)
	m.then()
	return a, err
}

// A log-in gets no session if the account changes during it.
func TestChangedDuringLogIn(t *testing.T) {
	for name, change := range map[string]func(h *house) error{
		"TOTP on":  func(h *house) error { return h.SetTOTP(t.Context(), "anna", totpSecret, h.totpCode()) },
		"password": func(h *house) error { return h.SetPassword(t.Context(), "anna", "another one 123") },
		"removed":  func(h *house) error { return h.Remove(t.Context(), "anna", true) },
	} {
		h := newHouse(t)
		h.must(h.Add(t.Context(), "anna", password, access.Administrator))
		gate := access.New(access.Config{
			Store: &changing{h.store, func() { h.must(change(h)) }}, Now: func() time.Time { return *h.now.Load() },
		})
		if _, err := gate.LogIn(t.Context(), home, "anna", password, ""); err == nil {
			t.Errorf("%s: there is a session", name)
		}
	}
}

// The next entry counts the refused log-ins that had none.
func TestRefusalsLeftOut(t *testing.T) {
	h := newHouse(t)
	refuse := func(n int) {
		for i := range n {
			if _, err := h.LogIn(t.Context(), netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), fmt.Sprint("n", i), "no such password", ""); err == nil {
				t.Fatal("it is let in")
			}
		}
	}
	refuse(100)
	h.pass(time.Hour)
	refuse(1)
	kept, err := h.store.History(t.Context(), state.HistoryQuery{Events: []string{state.EventAdminRefused}})
	h.must(err)
	if len(kept) != 31 || !strings.HasSuffix(kept[0].Reason, "; 70 earlier log-ins were refused or had to wait") {
		t.Errorf("%d entries, the last one %q", len(kept), kept[0].Reason)
	}
}
