package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/internal/timesync"
	"vpnd/mgmt"

	"github.com/google/go-cmp/cmp"
)

// The guide's third step: the page shows the services, and turns them on and off.
func TestServices(t *testing.T) {
	b, s := setUpDaemon(t)
	b.connect(3)
	body := b.ask(viewer, "/services", nil).Body.String()
	for _, want := range []string{"PPTP VPN Service</dt><dd><span class=\"good\">on</span> <small>2 connected", "<small>1 connected", "<code>services.l2tp</code>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "ppp.mppe") {
		t.Error("keys of another page")
	}
	b.wantRedirect(b.submit(administrator, "/services", func(f url.Values) { f.Del("l2tp") }), "/services")
	if s.services != (mgmt.ServiceSet{PPTP: true}) || s.drop {
		t.Errorf("%+v", s)
	}
	b.wantRedirect(b.submit(administrator, "/services", func(f url.Values) { f.Del("pptp"); f.Set("l2tp", "yes"); f.Set("drop", "yes") }), "/services")
	if s.services != (mgmt.ServiceSet{L2TP: true}) || !s.drop {
		t.Errorf("%+v", s)
	}
	w := b.submit(administrator, "/services", func(f url.Values) {
		s.services.PPTP = true // by somebody else
		f.Del("l2tp")
	})
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "Somebody else") || !s.services.L2TP || formOf(w.Body.String()).Has("l2tp") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.fails = errors.New("UDP port 1701 is in use: stop <b>the other server")
	w = b.submit(administrator, "/services", func(f url.Values) { f.Del("l2tp") })
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Nothing was changed: UDP port 1701 is in use: stop &lt;b&gt;the other") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPPP(t *testing.T) {
	b, s := setUpDaemon(t)
	before := s.ppp
	b.wantRedirect(b.submit(administrator, "/ppp", func(url.Values) {}), "/ppp")
	if diff := cmp.Diff(before, s.ppp); diff != "" {
		t.Errorf("nothing was changed: %s", diff)
	}
	b.wantRedirect(b.submit(administrator, "/ppp", func(f url.Values) {
		for name, value := range map[string]string{
			"authentication": "mschapv2", "mppe": "off", "mppe_stateful": "yes", "echo_interval": "10s", "echo_failures": "3", "chap_interval": "1h",
			"mutual_pap": "yes", "mutual_pap.user": "gate", "mutual_pap.password": "geheim",
		} {
			f.Set(name, value)
		}
	}), "/ppp")
	want := mgmt.PPPSettings{
		Authentication: []string{"mschapv2"}, MPPE: "off", MPPEStateful: true, EchoInterval: "10s", EchoFailures: 3, CHAPInterval: "1h",
		MutualPAP: mgmt.MutualPAP{User: "gate", Password: "geheim"},
	}
	if diff := cmp.Diff(want, s.ppp); diff != "" {
		t.Error(diff)
	}
	s.ppp.MutualPAP = mgmt.MutualPAP{User: "gate", HasPassword: true} // as a daemon shows it
	s.ppp.Authentication = []string{"pap", "mschapv2"}
	body := b.ask(administrator, "/ppp", nil).Body.String()
	if !strings.Contains(body, "set; leave it empty to keep it") || strings.Contains(body, "geheim") {
		t.Errorf("%s", body)
	}
	for _, want := range []string{"10.98.0.10<br>10.98.7.1", `aria-label="24 of 25 addresses in use"`, "network.pool_change"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	b.wantRedirect(b.submit(administrator, "/ppp", func(f url.Values) { f.Del("mutual_pap") }), "/ppp")
	if s.ppp.MutualPAP.User != "" || s.ppp.Authentication[0] != "pap" {
		t.Errorf("%+v", s.ppp)
	}
	s.fails = errors.Join(&mgmt.FieldError{Field: "mppe", Text: "needs MS-CHAP"}, &mgmt.FieldError{Field: "echo_interval", Text: `"<i>" is no time`})
	w := b.submit(administrator, "/ppp", func(f url.Values) { f.Set("echo_interval", "<i>") })
	body = w.Body.String()
	if w.Code != http.StatusUnprocessableEntity || faultOf(body, "mppe") != "needs MS-CHAP" || !strings.Contains(faultOf(body, "echo_interval"), "is no time") ||
		strings.Contains(body, "<i>") || formOf(body).Get("echo_interval") != "<i>" {
		t.Errorf("%d %s", w.Code, body)
	}
	w = b.submit(administrator, "/ppp", func(f url.Values) { f.Set("echo_failures", "x"); f.Set("mutual_pap", "yes") })
	if body = w.Body.String(); faultOf(body, "echo_failures") == "" || faultOf(body, "mutual_pap.user") == "" {
		t.Errorf("%d %s", w.Code, body)
	}
}

// The guide's fourth step: the page shows the server's time, in UTC, and asks the time servers.
func TestTime(t *testing.T) {
	b, _ := setUpDaemon(t)
	body := b.ask(administrator, "/time", nil).Body.String()
	for _, want := range []string{
		">2026-09-21 14:13:19<", ">2026-09-21 16:13:20<", `data-offset="7200"`, "&#43;37ms (the host’s clock is behind by 37ms)", "192.0.2.1, round trip 12ms",
		"<dd>1h</dd>", "&lt;u&gt;ntp&lt;/u&gt;", "outvoted", "no answer within 3s", `aria-label="Offsets of the last 48 measurements, at most 37ms"`, "Sep 19 15:13 UTC",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(body, "<circle"); n != 48 {
		t.Errorf("%d points", n)
	}
	b.wantRedirect(b.ask(administrator, "/time", url.Values{}), "/time")
	if w := b.ask(viewer, "/time", url.Values{}); w.Code != http.StatusForbidden {
		t.Errorf("a viewer: %d", w.Code)
	}
}

func TestOffsetGraph(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	if g := offsetGraph([]timesync.MeasurementView{{At: at}}, 10); g != "" {
		t.Errorf("one point: %s", g)
	}
	points := regexp.MustCompile(`points="([^"]*)"`)
	for _, c := range []struct {
		offsets []float64
		band    bool
		want    string
	}{
		{[]float64{0, 0}, false, "76.0,84.0 708.0,84.0"},
		{[]float64{-1, 1}, false, "76.0,144.9 708.0,23.1"},
		{[]float64{0, 0, 1000}, true, "76.0,84.0 392.0,84.0 708.0,23.1"},
	} {
		var all []timesync.MeasurementView
		for i, o := range c.offsets {
			all = append(all, timesync.MeasurementView{At: at.Add(time.Duration(i) * time.Hour), Offset: o})
		}
		g := string(offsetGraph(all, 10))
		if m := points.FindStringSubmatch(g); m == nil || m[1] != c.want || strings.Contains(g, `class="band"`) != c.band {
			t.Errorf("%v: %s", c.offsets, g)
		}
	}
	same := []timesync.MeasurementView{{At: at}, {At: at}} // a clock that was set back
	if g := string(offsetGraph(same, 10)); strings.Contains(g, "NaN") || strings.Contains(g, "Inf") {
		t.Error(g)
	}
}

func TestTexts(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 0.0000123: "+10µs", 0.0374: "+37ms", -1.5: "-1.5s", 61.5: "+1m2s", -7200: "-2h", 90: "+1m30s", 600: "+10m"} {
		if got := offsetText(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}

// behind is a clock that is off by more than the limit.
type behind struct {
	clock
	offset float64
}

func (b behind) View() timesync.View {
	return timesync.View{State: timesync.Off, Measured: true, Offset: b.offset, MaxOffset: 10}
}

// The page says by how much a clock is off, as a warning.
func TestClockOff(t *testing.T) {
	b, _ := setUpDaemon(t)
	for offset, want := range map[float64]string{
		12.5: "Clock 12.5 s behind (limit 10 s)", -90: "Clock 1m30s ahead (limit 10 s)", 3600: "Clock 1 h behind (limit 10 s)",
	} {
		b.managed.Clock = behind{offset: offset}
		b.serve()
		if body := b.ask(viewer, "/time", nil).Body.String(); !strings.Contains(body, `<span class="badge warn">`+want+"</span>") {
			t.Errorf("no %q in %s", want, body)
		}
		w := b.ask(administrator, "/time", url.Values{})
		if body := b.ask(administrator, "/time", nil, w.Result().Cookies()...).Body.String(); !strings.Contains(body, `<p class="notice warn" role="status">Inquired: `+want+".</p>") {
			t.Errorf("no notice in %s", body)
		}
	}
}

func TestStatus(t *testing.T) {
	b, s := setUpDaemon(t)
	body := b.ask(administrator, "/status", nil).Body.String()
	for _, want := range []string{"26:03:04", "go1.26.8", "&lt;i&gt;gate&lt;/i&gt;", "clock &lt;b&gt;", "set the host&#39;s clock right", "10.99.0.1/32", "24 of 25"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	w := b.ask(administrator, "/status", url.Values{"do": {"shutdown"}, "within": {"later"}})
	if w.Code != http.StatusUnprocessableEntity || faultOf(w.Body.String(), "within") == "" || s.shutdown.Pending {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for text, want := range map[string]time.Duration{"": mgmt.NoLimit, "1h": time.Hour, "0s": 0} {
		b.wantRedirect(b.ask(administrator, "/status", url.Values{"do": {"shutdown"}, "within": {text}}), "/status")
		if !s.shutdown.Pending || s.within != want {
			t.Errorf("%q: %+v", text, s)
		}
		if body := b.ask(viewer, "/status", nil).Body.String(); !strings.Contains(body, "The daemon is shutting down.") {
			t.Error("nobody sees it")
		}
		b.wantRedirect(b.ask(administrator, "/status", url.Values{"do": {"cancel"}}), "/status")
		if s.shutdown.Pending {
			t.Error("it is not taken back")
		}
		w := b.ask(administrator, "/status", url.Values{"do": {"cancel"}}) // of an old page
		if text := b.notice(administrator, "/status", w.Result().Cookies()); text != "No shutdown is pending." {
			t.Errorf("once more: %q", text)
		}
	}
}

// A viewer sees every page, but no form that changes anything. The server also refuses the forms
// that a viewer sends.
func TestViewerOfSettings(t *testing.T) {
	b, s := setUpDaemon(t)
	b.add("alice")
	before := s.ppp
	for _, path := range []string{"/users", "/profiles", "/users/alice", "/profiles/alice", "/services", "/ppp", "/time", "/status"} {
		w := b.ask(viewer, path, nil)
		_, body, _ := strings.Cut(w.Body.String(), "<main")
		if w.Code != http.StatusOK || strings.Count(body, "<form") != strings.Count(body, `role="search"`) || strings.Contains(body, `type="checkbox"`) {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
	}
	for _, path := range []string{"/users/-new", "/users/alice/token"} {
		if w := b.ask(viewer, path, nil); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	form := url.Values{"id": {"alice"}, "do": {"remove"}, "confirm": {"yes"}, "name": {"bob"}, "password": {"x"}, "kind": {"motp"}, "code": {"1"}, "tag": {mgmt.StateTag(s.ppp)}}
	for _, path := range []string{
		"/users", "/profiles", "/users/-new", "/users/alice", "/users/alice/token", "/users/-secret", "/services", "/ppp", "/time", "/status", "/profiles/-new", "/profiles/alice",
	} {
		if w := b.ask(viewer, path, form); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if diff := cmp.Diff(before, s.ppp); diff != "" || b.profile("alice").Password != "x" || s.shutdown.Pending {
		t.Errorf("something was changed: %s", diff)
	}
}

// Every control has a label. Every description that a control names exists, and each id is unique.
func TestLabels(t *testing.T) {
	b, _ := setUpDaemon(t)
	b.add("alice")
	b.connect(2)
	ids := regexp.MustCompile(` id="([^"]*)"`)
	fors := regexp.MustCompile(` for="([^"]*)"`)
	refs := regexp.MustCompile(` aria-(?:describedby|labelledby)="([^"]*)"`)
	wrapped := regexp.MustCompile(`<label[^>]*>\s*<input`)
	for _, page := range []struct {
		path string
		form url.Values
	}{
		{"/users", nil},
		{"/users/-new", nil},
		{"/users/-new", url.Values{"name": {"?"}, "index": {"x"}, "dial-in": {"?"}, "netbios": {"?"}, "token": {"motp"}}},
		{"/users/alice", nil},
		{"/users/alice", url.Values{"comment": {"late"}}},
		{"/profiles/alice", nil},
		{"/services", nil},
		{"/ppp", nil},
		{"/time", nil},
		{"/status", nil},
		{"/users", url.Values{"id": {"alice"}, "do": {"remove"}}},
	} {
		body := b.ask(administrator, page.path, page.form).Body.String()
		has, labelled := map[string]bool{}, map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(body, -1) {
			if has[m[1]] {
				t.Errorf("%s: id %s twice", page.path, m[1])
			}
			has[m[1]] = true
		}
		for _, m := range fors.FindAllStringSubmatch(body, -1) {
			labelled[m[1]] = true
		}
		bare := 0
		for _, tag := range inputs.FindAllString(body, -1) {
			id := ids.FindStringSubmatch(tag)
			if strings.Contains(tag, `type="hidden"`) || strings.Contains(tag, "aria-label=") || id != nil && labelled[id[1]] {
				continue
			}
			bare++
		}
		if n := len(wrapped.FindAllString(body, -1)); bare != n {
			t.Errorf("%s: %d controls have no label of their own, and %d are in one", page.path, bare, n)
		}
		for _, m := range refs.FindAllStringSubmatch(body, -1) {
			for id := range strings.FieldsSeq(m[1]) {
				if !has[id] && id != "dialog-title" {
					t.Errorf("%s: %s describes something, and is not there", page.path, id)
				}
			}
		}
	}
}
