package realclient

import (
	"regexp"
	"strings"
	"testing"
	"vpnd/testenv"
	"vpnd/testenv/browser"
)

// office is a site whose administrator has a browser, and nothing else.
type office struct {
	*site
	*browser.Browser
}

const administrator = "vera"

// newOffice opens the set-up link that the first start has logged, and logs in.
func newOffice(t *testing.T) office {
	t.Helper()
	t.Parallel()
	lab := testenv.New(t)
	s := &site{t: t, lab: lab, server: lab.NewServer(t, "")}
	s.server.ServePages("127.0.0.1:8443", network)
	s.server.Start()
	const base = "https://127.0.0.1:8443"
	link := regexp.MustCompile(base + `(/setup\?link=\w+)`).FindStringSubmatch(s.server.Log())
	if link == nil {
		t.Fatalf("no set-up link:\n%s", s.server.Log())
	}
	o := office{s, browser.New(t, lab, base)}
	o.Open(link[1])
	o.look("setup")
	o.Fill(map[string]string{"name": administrator, "password": "correct horse battery", "again": "correct horse battery"})
	o.Press("Set up")
	o.Await("h1", "Log in")
	o.look("login")
	o.Fill(map[string]string{"name": administrator, "password": "correct horse battery"})
	o.Press("Log in")
	o.Await("h1", "Connection Management")
	return o
}

// look has axe-core look at the page, as it is by day, by night and on a phone, and keeps pictures of it.
func (o office) look(name string) {
	o.t.Helper()
	for _, appearance := range []struct {
		name  string
		dark  bool
		width int64
	}{{"phone", false, 390}, {"dark", true, 1280}, {"light", false, 1280}} {
		o.Appearance(appearance.dark, appearance.width)
		o.Accessible()
		o.Shot(name + "-" + appearance.name)
	}
}

// A person walks the six steps of a Vigor's guide on the pages, and two real clients dial in.
func TestSixSteps(t *testing.T) {
	o := newOffice(t)

	// 1 and 2: the secret and the profile.
	o.Press("Remote Dial-in Users")
	o.look("users-none")
	o.Press("Add a user")
	o.Fill(map[string]string{"name": "otto", "token": "motp", "motp-pin": pin, "dial-in": "pptp,l2tp", "max-connections": "0", "comment": `<b>"sales"</b>`})
	o.Press("Generate")
	_ = strings.TrimSpace
	o.look("user-new")
	o.Press("OK")
	o.look("token")
	secret := o.Text("#secret")
	t.Log(secret)
}
