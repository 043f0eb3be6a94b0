package web

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/mgmt/access"
	"vpnd/testenv"
	"vpnd/testenv/browser"

	"github.com/chromedp/chromedp"
)

const browserAddress = "127.0.0.1:8443"

// window has the pages in a browser. The reader is an administrator.
type window struct {
	*bench
	*browser.Browser
	lab    *testenv.Lab
	set    *settings
	server *httptest.Server
}

func openWindow(t *testing.T) *window {
	t.Helper()
	b, set := setUpDaemon(t)
	b.administrator()
	w := &window{bench: b, lab: testenv.New(t), set: set}
	w.start()
	t.Cleanup(func() { w.stop() })
	w.Browser = browser.New(t, w.lab, "https://"+browserAddress)
	return w
}

// start makes the server of the pages answer.
func (w *window) start() {
	w.t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/api/", w.pages.cfg.API)
	mux.Handle("/healthz", w.pages.cfg.API)
	mux.Handle("/", w.pages)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(rw, r.WithContext(access.With(r.Context(), administrator)))
	}))
	_ = w.server.Listener.Close()
	err := testenv.InNamespace(w.lab.Namespace, func() (err error) {
		w.server.Listener, err = net.Listen("tcp4", browserAddress)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server.StartTLS()
}

// stop ends the server of the pages.
func (w *window) stop() {
	w.server.CloseClientConnections()
	w.server.Close()
}

// busy fills the pages with the longest names, addresses, numbers and reasons.
func (w *window) busy() {
	w.t.Helper()
	const longName = "maximilian.oberhuber-weissenbacher@branch.example.com"
	w.connect(12)
	for _, name := range []string{longName, "alice"} {
		w.add(name)
	}
	c := &w.sessions.list[0]
	c.User, c.Type, c.Encryption = longName, "L2TP/IPsec", "MPPE-128 stateless"
	c.TxPackets, c.RxPackets, c.Since = 123_456_789, 98_765_432, time.Now().Add(-321*time.Hour)
	c.RemoteIP, c.VirtualIP = netip.MustParseAddr("203.113.198.251"), netip.MustParseAddr("192.168.250.251")
	for i := range 6 {
		e := state.Entry{
			At: time.Now().Add(time.Duration(i-6) * time.Minute), Event: state.EventRefused, User: longName, Type: "L2TP/IPsec", Peer: c.RemoteIP,
			Why: reason.New(reason.WrongCode),
		}
		if i == 5 {
			e.Why = reason.New(reason.WrongCode, time.Minute)
		}
		if err := w.store.Record(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, e := range []state.Entry{
		{Event: state.EventRefused, User: "alice", Type: "PPTP", Peer: c.RemoteIP, Why: reason.New(reason.UserLocked, time.Date(2026, 11, 29, 18, 20, 0, 0, time.UTC))},
		{
			Event: state.EventDisconnected, User: longName, Type: "L2TP/IPsec", Peer: c.RemoteIP, Address: c.VirtualIP, Encryption: c.Encryption, Duration: 321 * time.Hour,
			Rx: 123_456_789_000, Tx: 9_876_543_210, Why: reason.New(reason.EchoTimeout, 2*time.Minute),
		},
		{Event: state.EventChanged, User: "alice", Reason: "idle-timeout, session-time, schedule", By: "admin"},
	} {
		e.At = time.Now()
		if err := w.store.Record(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
}

// No page cuts anything off or lets it pass its edge, by day, by night, on a phone and on small
// screens. axe-core finds no fault.
func TestNothingIsCutOff(t *testing.T) {
	w := openWindow(t)
	w.busy()
	for _, page := range []struct{ name, path string }{
		{"connections", "/?refresh=0"},
		{"users", "/users?show=never"},
		{"user", "/users/alice"},
		{"user-new", "/users/-new"},
		{"services", "/services"},
		{"ppp", "/ppp"},
		{"history", "/history"},
		{"connect", "/connect?user=alice"},
		{"time", "/time"},
		{"status", "/status"},
		{"administrators", "/administrators"},
		{"administrator", "/administrators/admin"},
		{"account", "/account"},
		{"app", "/account/app"},
		{"capture", "/captures?connection=c00000"},
	} {
		for _, look := range []struct {
			width int64
			dark  bool
		}{{390, false}, {1024, false}, {1280, true}} {
			w.Appearance(look.dark, look.width)
			w.Open(page.path)
			w.Accessible()
			w.Shot(fmt.Sprintf("%s-%d", page.name, look.width))
			if cut := w.Value(cutOff); cut != "" {
				t.Errorf("%s, %d pixels wide: %s", page.path, look.width, cut)
			}
		}
	}
}

// cutOff is a script that names the elements that are only partly visible.
const cutOff = `(() => {
	const found = [];
	const name = (e) => (e.closest("[id]")?.id ?? "") + " " + e.outerHTML.slice(0, 120);
	if (document.documentElement.scrollWidth > innerWidth) found.push("the page is " + document.documentElement.scrollWidth + " wide");
	const right = document.documentElement.clientWidth + 0.5;
	const canvas = document.createElement("canvas").getContext("2d");
	for (const e of document.querySelectorAll("main *, .top *")) {
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (!box.width || style.visibility === "hidden" || style.position === "absolute" || e.closest("svg, .unseen, thead:not(:has(*:first-child))")) continue;
		if (box.right > right && !e.closest("thead")) found.push("beyond the edge: " + name(e));
		if (/auto|scroll/.test(style.overflowX) && e.tagName !== "PRE" && e.tagName !== "INPUT" && e.scrollWidth > e.clientWidth + 1) found.push("scrolls: " + name(e));
		if (/hidden|clip/.test(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && !e.title) found.push("cut: " + name(e));
		if (!e.matches("select, input:not([type=checkbox], [type=radio], [type=hidden])")) continue;
		canvas.font = style.font;
		const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - (e.tagName === "SELECT" ? 16 : 0);
		const texts = e.tagName === "SELECT" ? [...e.options].map((o) => o.text) : [e.value, e.placeholder];
		for (const text of texts) if (canvas.measureText(text).width > room + 1) found.push("cut: " + text + " in " + name(e));
	}
	return [...new Set(found)].slice(0, 12).join("\n");
})()`

// While the daemon is down, a page says so and sends nothing. It comes back by itself.
func TestDaemonDown(t *testing.T) {
	w := openWindow(t)
	w.connect(2)
	w.Open("/?refresh=2")
	w.Await("#live tbody", "user1")
	w.stop()
	w.Await("#down:not([hidden])", "Not reachable since ")
	w.AwaitTrue(`[...document.querySelectorAll("[type=submit]")].every(b => b.disabled)`)
	w.Appearance(false, 390)
	w.Accessible()
	w.Shot("down")
	w.sessions.list = w.sessions.list[:1]
	w.start()
	w.AwaitGone("main", "Not reachable")
	w.AwaitGone("#live tbody", "user1")
	w.AwaitTrue(`![...document.querySelectorAll("[type=submit]")].some(b => b.disabled)`)

	// A button that is pressed before the page notices must not lead to the browser's own error
	// page.
	w.Press("Drop user0, 10.99.0.0")
	w.Await("#dialog", "vpnd will hang up this connection")
	w.Fill(map[string]string{"reason": "go home"})
	w.stop()
	w.Press("Drop")
	w.Await("#down:not([hidden])", "Not reachable since ")
	if at := w.At(); at != "/?refresh=2" || len(w.sessions.list) != 1 {
		t.Errorf("at %s, %d connections", at, len(w.sessions.list))
	}
	w.start()
	w.AwaitGone("main", "Not reachable")
	w.Open("/services")
	w.Fill(map[string]string{"l2tp": ""})
	w.stop()
	w.Press("OK")
	w.Await("#down:not([hidden])", "Not reachable since ")
	w.start()
	w.AwaitGone("main", "Not reachable")
	w.Press("OK")
	w.Await(".notice[role=status]", "L2TP is off")
}

// A Drop leaves the page and its ticks as they are.
func TestDropKeepsTicks(t *testing.T) {
	w := openWindow(t)
	w.connect(4)
	w.Open("/?refresh=0")
	w.Do("tick", chromedp.Click(`//input[@value="c00002"]`), chromedp.Click(`//input[@value="c00003"]`))
	w.Await("[data-ticked]", "2 ticked")
	w.Press("Drop user1, 10.99.0.1")
	w.Fill(map[string]string{"reason": strings.Repeat("ü", 60)})
	w.Press("Drop")
	w.Await("#dialog .fault", "at most 100")
	w.Fill(map[string]string{"reason": "go home"})
	w.Press("Drop")
	w.AwaitGone("#live tbody", "user1")
	w.Await("main .notice[role=status]", "1 connection is dropped.")
	if ticked := w.Value(`[...document.querySelectorAll("input[name=id]:checked")].map(b => b.value).sort().join()`); ticked != "c00002,c00003" {
		t.Errorf("ticked are %s", ticked)
	}
	w.Await("[data-ticked]", "2 ticked")
}

// On a phone the menu contains the account, and closes.
func TestPhoneMenu(t *testing.T) {
	w := openWindow(t)
	w.Appearance(false, 390)
	w.Open("/status")
	const open = `document.querySelector("#menu").matches(":popover-open")`
	w.Press("Menu")
	w.AwaitTrue(open)
	w.Accessible()
	w.Shot("menu")
	w.Press("Close the menu")
	w.AwaitTrue("!" + open)
	w.Press("Menu")
	w.Press("Your account")
	w.Await("h1", "Your account")
}

// A page lists all faults of a form with links to the fields, and the first such field has the
// focus.
func TestFaultsAreListed(t *testing.T) {
	w := openWindow(t)
	w.Open("/users/-new")
	w.Fill(map[string]string{"name": "two words", "idle-timeout": "soon", "token": "motp", "motp-secret": "xyz"})
	w.Press("OK")
	w.Await("main > .notice:not([hidden])", "User Name: ")
	w.Await("main > .notice:not([hidden])", "mOTP Secret: ")
	w.Await("main > .notice:not([hidden])", "PIN Code: is missing")
	w.AwaitTrue(`document.activeElement.name === "name"`)
	w.Accessible()
	w.Shot("faults")
	w.Press("Idle Timeout")
	w.AwaitTrue(`document.activeElement.name === "idle-timeout"`)
	w.Fill(map[string]string{"motp-secret": "0123456789abcdef0123456789abcdef"})
	for _, width := range []int64{390, 1024, 1280} {
		w.Appearance(false, width)
		if cut := w.Value(cutOff); cut != "" {
			t.Errorf("%d pixels wide: %s", width, cut)
		}
	}
}
