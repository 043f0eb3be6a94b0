package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/mgmt"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
)

// The page shows the start address, count, DNS and WINS of each pool as they are, and sets them.
func TestSetPools(t *testing.T) {
	b, s := setUpDaemon(t)
	before := s.pools
	send := func(change func(url.Values)) (int, string) {
		form := formOf(b.ask(administrator, "/ppp", nil).Body.String())
		tags := regexp.MustCompile(`name="tag" value="([^"]*)"`).FindAllStringSubmatch(b.ask(administrator, "/ppp", nil).Body.String(), -1)
		form.Set("tag", tags[1][1])
		change(form)
		w := b.ask(administrator, "/ppp/pools", form)
		return w.Code, w.Body.String()
	}
	same := cmp.Comparer(func(x, y netip.Addr) bool { return x == y })
	if code, body := send(func(url.Values) {}); code != http.StatusSeeOther || cmp.Diff(before, s.pools, same, cmp.Transformer("words", func(l []string) string { return strings.Join(l, " ") })) != "" {
		t.Errorf("nothing was changed: %d %+v %s", code, s.pools, body)
	}
	code, body := send(func(f url.Values) {
		f.Set("ranges", "10.97.0.1")
		f.Set("count", "5")
		f.Set("dns", "10.97.0.1 10.97.0.2")
		f.Set("pools.guests.ranges", "")
		f.Set("pools.guests.ranges.2", "10.96.0.1")
		f.Set("pools.guests.count.2", "9")
	})
	guests := s.pools.Pools["guests"].Ranges
	if code != http.StatusSeeOther || s.pools.Ranges[0].Start.String() != "10.97.0.1" || s.pools.Ranges[0].Count != 5 || len(s.pools.DNS) != 2 ||
		len(guests) != 2 || guests[0].Count != 5 || guests[1].Start.String() != "10.96.0.1" {
		t.Errorf("%d %+v %s", code, s.pools, body)
	}
	now := s.pools
	code, body = send(func(f url.Values) {
		f.Set("ranges", "here")
		f.Set("pools.guests.count", "<b>")
	})
	if code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(body, "ranges"), "not an IPv4 address") || !strings.Contains(faultOf(body, "pools.guests.count"), "not a number") ||
		!strings.Contains(body, `<a href="#f-ranges">Start address</a>`) || cmp.Diff(now, s.pools, same) != "" {
		t.Errorf("%d %s", code, body)
	}
	s.fails = &mgmt.FieldError{Field: "pools.guests.ranges", Text: "a user names it"}
	if code, body = send(func(url.Values) {}); code != http.StatusUnprocessableEntity || faultOf(body, "pools.guests.ranges") != "a user names it" {
		t.Errorf("%d %s", code, body)
	}
	if code, body = send(func(f url.Values) { f.Set("tag", "old") }); code != http.StatusConflict || !strings.Contains(body, "Somebody else") {
		t.Errorf("%d %s", code, body)
	}
}

// The page sets the time servers and the interval.
func TestSetTime(t *testing.T) {
	b, s := setUpDaemon(t)
	form := formOf(b.ask(administrator, "/time", nil).Body.String())
	form.Set("servers", "ntp.example.net\r\n192.0.2.7")
	form.Set("interval", "30m")
	b.wantRedirect(b.ask(administrator, "/time/settings", form), "/time")
	want := mgmt.TimeSettings{Servers: []string{"ntp.example.net", "192.0.2.7"}, Interval: "30m", MaxOffset: "10s"}
	if diff := cmp.Diff(want, s.time); diff != "" {
		t.Error(diff)
	}
	if w := b.ask(administrator, "/time/settings", form); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "Somebody else") {
		t.Errorf("%d", w.Code)
	}
	s.fails = &mgmt.FieldError{Field: "interval", Text: "is not between 1m0s and 24h0m0s"}
	form.Set("tag", mgmt.StateTag(s.time))
	if w := b.ask(administrator, "/time/settings", form); w.Code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(w.Body.String(), "interval"), "not between") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.ask(viewer, "/time/settings", form); w.Code != http.StatusForbidden {
		t.Errorf("a viewer sets the time servers: %d", w.Code)
	}
}

// An administrator chooses each authentication method on its own. The page tells all faults at
// once, in its own words.
func TestMethods(t *testing.T) {
	b, s := setUpDaemon(t)
	for _, only := range allMethods {
		b.wantRedirect(b.submit(administrator, "/ppp", func(f url.Values) { f["authentication"] = []string{only} }), "/ppp")
		if len(s.ppp.Authentication) != 1 || s.ppp.Authentication[0] != only {
			t.Errorf("%v, want %s", s.ppp.Authentication, only)
		}
	}
	s.fails = &mgmt.FieldError{Field: "mppe", Text: "MPPE gets its keys only from MS-CHAP: offer mschapv2 in ppp.authentication, or set ppp.mppe to off"}
	body := b.submit(administrator, "/ppp", func(f url.Values) {
		f.Del("authentication")
		f.Set("echo_failures", "many")
		f.Set("mutual_pap", "yes")
	}).Body.String()
	for field, says := range map[string]string{
		"authentication": "select at least one", "echo_failures": "whole number", "mutual_pap.user": "the name that the server sends", "mppe": "tick MS-CHAPv2, or choose No MPPE",
	} {
		if got := faultOf(body, field); !strings.Contains(got, says) {
			t.Errorf("%s: %q", field, got)
		}
	}
}

// The list of users can be filtered by their state, and all users that match are changed at once.
func TestManyUsers(t *testing.T) {
	b, _ := setUpDaemon(t)
	for i := range 120 {
		b.add(fmt.Sprintf("user%03d", i))
	}
	change := func(name string, change func(*usermgmt.Profile) error) {
		if err := b.store.Update(t.Context(), name, change); err != nil {
			t.Fatal(err)
		}
	}
	change("user001", func(p *usermgmt.Profile) error { p.Enabled = false; return nil })
	change("user002", func(p *usermgmt.Profile) error { p.Expires = time.Unix(1_700_000_000, 0); return nil })
	standing := func(name string, change func(*auth.Standing)) {
		_, err := b.store.ChangeStanding(t.Context(), name, func(s auth.Standing) auth.Standing { change(&s); return s })
		if err != nil {
			t.Fatal(err)
		}
	}
	standing("user003", func(s *auth.Standing) { s.Usual.LockedUntil = clock{}.Corrected().Add(time.Hour) })
	standing("user004", func(s *auth.Standing) { s.Addresses[0] = netip.MustParsePrefix("192.0.2.0/24") })
	b.sessions.list = []mgmt.Connection{{ID: "c", User: "user005", Type: "PPTP"}}
	for show, want := range map[string]string{
		"locked": "1 of 1: user003", "expired": "1 of 1: user002", "disabled": "1 of 1: user001", "connected": "1 of 1: user005", "never": "50 of 118: user000",
	} {
		body := b.ask(viewer, "/users?show="+show, nil).Body.String()
		rows := regexp.MustCompile(`<tr data-key="([^"]*)">`).FindAllStringSubmatch(body, -1)
		total := regexp.MustCompile(`of (\d+)</p>`).FindStringSubmatch(body)
		if len(rows) == 0 || total == nil {
			t.Errorf("%s: nobody", show)
			continue
		}
		if got := fmt.Sprintf("%d of %s: %s", len(rows), total[1], rows[0][1]); got != want {
			t.Errorf("%s: %s, want %s", show, got, want)
		}
	}
	all := url.Values{"match": {"yes"}, "q": {"user"}, "show": {"never"}, "do": {"disable"}, "back": {"/users?show=never"}}
	b.wantRedirect(b.ask(administrator, "/users", all), "/users?show=never")
	if b.profile("user119").Enabled || !b.profile("user004").Enabled {
		t.Error("not all that match are disabled, or others are")
	}
	all.Set("do", "remove")
	w := b.ask(administrator, "/users", all)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "remove these 118 users") || !strings.Contains(w.Body.String(), "the first 50 of them") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	form := formOf(w.Body.String())
	form.Set("do", "remove")
	b.wantRedirect(b.ask(administrator, "/users", form), "/users?show=never")
	if users, err := b.store.List(t.Context()); err != nil || len(users) != 2 {
		t.Errorf("%d users are left, %v", len(users), err)
	}
}

// Two codes in a row bring back a token whose clock cannot be set.
func TestResyncPage(t *testing.T) {
	b, _ := setUpDaemon(t)
	token := motp.Token{Secret: "00112233445566778899aabbccddeeff", PIN: "1234"}
	p := usermgmt.New("alice")
	p.MOTPSecret, p.MOTPPIN = token.Secret, token.PIN
	if err := b.store.Add(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	step := motp.Step(clock{}.Corrected()) + 360
	w := b.ask(administrator, "/users/alice/resync", url.Values{"first": {token.Code(step)}, "second": {token.Code(step + 7)}})
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(faultOf(w.Body.String(), "first"), "not two codes in a row") {
		t.Errorf("%d %q", w.Code, faultOf(w.Body.String(), "first"))
	}
	w = b.ask(administrator, "/users/alice/resync", url.Values{"first": {token.Code(step)}, "second": {token.Code(step + 1)}})
	b.wantRedirect(w, "/users/alice")
	if text := b.notice(administrator, "/users/alice", w.Result().Cookies()); !strings.Contains(text, "its clock is 1h0m10s ahead") && !strings.Contains(text, "its clock is 1 h ahead") {
		t.Errorf("%q", text)
	}
	if w := b.ask(viewer, "/users/alice/resync", url.Values{}); w.Code != http.StatusForbidden {
		t.Errorf("a viewer resynchronises: %d", w.Code)
	}
}
