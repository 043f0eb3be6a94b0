package realclient

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"vpnd/testenv"
	"vpnd/testenv/browser"
)

// office is a site whose administrator uses only a browser.
type office struct {
	*site
	*browser.Browser
	scripts bool
}

const administrator, adminPassword = "vera", "correct horse battery"

// newOffice opens the set-up link from the log of the first start, and logs in.
func newOffice(t *testing.T, scripts bool) office {
	t.Helper()
	t.Parallel()
	lab := testenv.New(t)
	s := &site{t: t, lab: lab, server: lab.NewServer(t, "")}
	s.server.ServePages("127.0.0.1:8443", network)
	s.server.Start()
	const base = "https://127.0.0.1:8443"
	link := regexp.MustCompile(base + `(/setup\?link=[\w-]+)`).FindStringSubmatch(s.server.WaitLog("there is no administrator"))
	if link == nil {
		t.Fatalf("no set-up link:\n%s", s.server.Log())
	}
	o := office{s, browser.New(t, lab, base), scripts}
	o.Scripts(scripts)
	o.Open(link[1])
	o.look("setup")
	o.Fill(map[string]string{"name": administrator, "password": adminPassword, "again": adminPassword})
	o.Press("Set up")
	o.Await("h1", "Log in")
	o.look("login")
	o.Fill(map[string]string{"name": administrator, "password": adminPassword})
	o.Press("Log in")
	o.Await("h1", "Connection Management")
	t.Cleanup(func() {
		if foreign := o.Foreign(); len(foreign) > 0 {
			t.Errorf("pages ask for %q", foreign)
		}
	})
	return o
}

// look checks the page with axe-core, by day, by night and on a phone, and takes pictures of it.
func (o office) look(name string) {
	o.t.Helper()
	o.Scripts(true) // for axe-core: a page that began without scripts runs only those of axe-core
	defer o.Scripts(o.scripts)
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

// otp computes the one-time password that the user's token shows so many steps from now.
func (o office) otp(secret string, steps int) string {
	o.t.Helper()
	at := time.Now().Add(time.Duration(steps) * 10 * time.Second).Unix()
	return strings.TrimSpace(o.server.VPND("motp", "code", "--secret", secret, "--pin", pin, "--at", strconv.FormatInt(at, 10)))
}

// enrol verifies a code of the token on the open page and gives its secret.
func (o office) enrol() string {
	o.t.Helper()
	o.Await("h1", "otto")
	secret := o.Text("#secret")
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(secret) {
		o.t.Fatalf("the secret is %q", secret)
	}
	o.Fill(map[string]string{"code": o.otp(secret, 0)})
	o.Press("Verify")
	o.Await(".notice", "is right")
	return secret
}

// connected waits until the page shows a connection of the type.
func (o office) connected(kind, address string) {
	o.t.Helper()
	for _, words := range []string{"otto", kind, address, o.guest.Address} {
		o.Await("#live tbody", words)
	}
}

// An administrator follows the six steps of a Vigor's guide on the pages. A real client dials in by
// each type and is dropped.
func TestSixSteps(t *testing.T) {
	o := newOffice(t, true)
	o.look("connections-none")

	// 1 and 2: the secret, and the profile with it.
	o.Press("Remote Dial-in Users")
	o.Await("h1", "Remote Dial-in Users")
	o.look("users-none")
	o.Press("Add a user")
	o.Fill(map[string]string{"name": "otto", "token": "motp", "motp-pin": "12", "dial-in": "pptp,l2tp", "comment": `<b>"sales"</b>`})
	o.Press("Generate mOTP Secret")
	o.AwaitTrue(`document.getElementsByName("motp-secret")[0]?.value.length == 32`)
	o.look("user-new")
	o.Press("OK")
	o.Await(".fault", "4 to 7")
	o.look("user-fault")
	o.Fill(map[string]string{"motp-pin": pin})
	o.Press("OK")
	o.Await("h1", "otto")
	o.look("token")
	secret := o.enrol()
	o.Await("main", "otto")
	o.Press("Remote Dial-in Users")
	o.Await("tbody", `<b>"sales"</b>`)
	o.look("users")

	// 3 and 4: the services and the clock.
	o.Press("Remote Access Control")
	o.Await("h1", "Remote Access Control")
	for _, service := range []string{"pptp", "l2tp"} {
		if on := o.Value(`String(document.getElementsByName("` + service + `")[0].checked)`); on != "true" {
			t.Errorf("%s is enabled: %s", service, on)
		}
	}
	o.look("services")
	o.Press("Time and Date")
	o.Await("h1", "Time and Date")
	o.Press("Inquire Time")
	o.Await(".notice", "server")
	o.look("time")

	// 5 and 6: the client connects, the administrator sees it and drops it.
	o.guest = o.lab.Guest(t)
	o.Press("Connection Management")
	o.Await("h1", "Connection Management")
	for i, l2tp := range []bool{false, true} {
		o.l2tp = l2tp
		options := map[bool]string{false: "require-mppe-128", true: "nomppe"}[l2tp]
		address := o.dial("otto", o.otp(secret, i+1), options)
		o.connected(o.kind(), address)
		o.look("connections-" + o.kind())
		o.Press("Drop otto, " + address)
		o.Fill(map[string]string{"reason": "go home"})
		o.Shot("drop")
		o.Press("Drop")
		o.AwaitGone("#live tbody", "otto")
		o.server.WaitLog("disconnected", "user=otto", `reason="go home"`)
		o.over()
		o.server.Forget()
	}
	o.Press("History")
	o.Await("main", "go home")
	o.look("history")
	for _, page := range []string{"PPP General Setup", "Status", "Administrators", "User Profile", "Connect a Client"} {
		o.Press(page)
		o.Await("h1", page)
		o.look(strings.ReplaceAll(strings.ToLower(page), " ", "-"))
	}
}

// The second variant of the guide has the profile first and then the connection. The browser runs
// no scripts.
func TestWithoutScripts(t *testing.T) {
	o := newOffice(t, false)
	o.Press("User Profile")
	o.Press("Add a user")
	o.Fill(map[string]string{"name": "otto", "token": "motp", "motp-pin": pin, "dial-in": "pptp,l2tp"})
	o.Press("Generate mOTP Secret")
	o.AwaitTrue(`document.getElementsByName("motp-secret")[0]?.value.length == 32`)
	o.Press("OK")
	secret := o.enrol()

	o.guest, o.l2tp = o.lab.Guest(t), true
	address := o.dial("otto", o.otp(secret, 1), "nomppe")
	o.Press("Connection Management")
	o.Await("h1", "Connection Management")
	o.connected("L2TP", address)
	o.Press("Drop otto, " + address)
	o.Await("h1", "Drop")
	o.look("drop-page")
	o.Fill(map[string]string{"reason": "go home"})
	o.Press("Drop")
	o.server.WaitLog("disconnected", "user=otto", `reason="go home"`)
	o.over()

	o.Press("Remote Access Control")
	o.Await("h1", "Remote Access Control")
	o.Fill(map[string]string{"l2tp": ""})
	o.Press("OK")
	o.Await(".figures", "off")
	o.refused("otto", o.otp(secret, 2), "nomppe")
	o.Press("Log out")
	o.Await("h1", "Log in")
	o.Open("/users")
	o.Await("h1", "Log in")
}
