// Package browser drives a headless Chromium through the pages of a server, as an administrator
// would. It needs the Debian package chromium-headless-shell. It includes axe-core (see
// axe-core/LICENSE) to check accessibility.
package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/testenv"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// program is the browser, and limit is the longest time for a step.
const (
	program = "chromium-headless-shell"
	limit   = 60 * time.Second
)

//go:embed axe-core/axe.min.js
var axe string

// Browser is a browser with its own cookies. A step that fails ends the test.
type Browser struct {
	t    testing.TB
	ctx  context.Context //nolint:containedctx // chromedp's browser is its context
	base string

	mu      sync.Mutex
	foreign []string
}

// New starts a browser that reaches only the pages. It ends with the test. base is the address of
// the pages in the lab's namespace, such as https://127.0.0.1:8443. The browser has a host of its
// own: when an address of its host changes, Chromium drops HTTP/2 connections and the page that
// they load.
func New(t testing.TB, lab *testenv.Lab, base string) *Browser {
	t.Helper()
	b, host := &Browser{t: t, base: base}, lab.Host(t)
	relay(t, host, lab, strings.TrimPrefix(base, "https://"))
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WindowSize(1280, 900),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			inside := host.Command(cmd.Path, cmd.Args[1:]...)
			cmd.Path, cmd.Args = inside.Path, inside.Args
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	b.ctx = ctx
	// The first call starts the browser, which runs as long as its context.
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && !strings.HasPrefix(e.Request.URL, base) && !strings.HasPrefix(e.Request.URL, "data:") {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.foreign = append(b.foreign, e.Request.URL)
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err != nil {
		t.Fatalf("%s (Debian package %s): %v", program, program, err)
	}
	return b
}

// relay passes connections to an address of the host on to the same address of the lab.
func relay(t testing.TB, from *testenv.Host, to *testenv.Lab, address string) {
	t.Helper()
	var listener net.Listener
	err := testenv.InNamespace(from.Namespace, func() (err error) {
		listener, err = net.Listen("tcp4", address) //nolint:noctx // closed below
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			var far net.Conn
			err = testenv.InNamespace(to.Namespace, func() (err error) {
				far, err = net.Dial("tcp4", address) //nolint:noctx // it is on this machine
				return err
			})
			if err != nil {
				_ = near.Close()
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
}

// pass copies data from one connection to another, and closes both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// Foreign gives the requested addresses that are not the pages'.
func (b *Browser) Foreign() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.foreign)
}

// Do runs steps.
func (b *Browser) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fail(fmt.Sprintf("%s: %v", what, err))
	}
}

// Open goes to a page.
func (b *Browser) Open(path string) {
	b.t.Helper()
	b.Do("open "+path, chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("body")))
}

// Fill waits for fields with these names and sets their values. "on" ticks a box, and "" clears it.
func (b *Browser) Fill(fields map[string]string) {
	b.t.Helper()
	const script = `(fields => {
	for (const [name, value] of Object.entries(fields)) {
		const all = document.getElementsByName(name);
		for (const field of all) {
			if (field.type === "hidden") continue;
			if (field.type === "checkbox" && all.length === 1) field.checked = value === "on";
			else if (field.type === "checkbox") field.checked = value.split(",").includes(field.value);
			else if (field.type === "radio") field.checked = field.value === value;
			else field.value = value;
			field.dispatchEvent(new Event("input", {bubbles: true}));
			field.dispatchEvent(new Event("change", {bubbles: true}));
		}
	}
})(%s)`
	for name := range fields {
		b.AwaitTrue(fmt.Sprintf("document.getElementsByName(%q).length", name))
	}
	data, err := json.Marshal(fields)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Do("fill in", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(script, data)))
}

// stale matches the errors of the browser for an element that has gone since the browser found it,
// such as with its page.
var stale = regexp.MustCompile("Could not find node|Could not compute box model|detached")

// Press waits for a button or a link and clicks it. Its name is its label, or else its text.
func (b *Browser) Press(label string) {
	b.t.Helper()
	path := fmt.Sprintf(`//*[self::button or self::a or self::summary][@aria-label=%[1]q or not(@aria-label) and normalize-space(.)=%[1]q]`, label)
	click := func() error {
		ctx, cancel := context.WithTimeout(b.ctx, limit)
		defer cancel()
		return chromedp.Do(ctx, chromedp.Click(path))
	}
	err := click()
	for tries := 0; err != nil && stale.MatchString(err.Error()) && tries < 10; tries++ {
		err = click()
	}
	if err != nil {
		b.fail(fmt.Sprintf("press %s: %v", label, err))
	}
}

// Await waits until the text of the element that selector finds contains words, on this page or on
// one that follows.
func (b *Browser) Await(selector, words string) {
	b.t.Helper()
	b.AwaitTrue(fmt.Sprintf(`document.querySelector(%q)?.innerText.includes(%q)`, selector, words))
}

// AwaitGone waits until that text does not contain words.
func (b *Browser) AwaitGone(selector, words string) {
	b.t.Helper()
	b.AwaitTrue(fmt.Sprintf(`!document.querySelector(%q)?.innerText.includes(%q)`, selector, words))
}

// AwaitTrue waits until the result of a script is true.
func (b *Browser) AwaitTrue(script string) {
	b.t.Helper()
	for start := time.Now(); time.Since(start) < limit; time.Sleep(50 * time.Millisecond) {
		if met, err := value[bool](b, "!!("+script+")"); err == nil && met {
			return
		}
	}
	b.fail("in vain: " + script)
}

// fail ends the test and shows the page.
func (b *Browser) fail(what string) {
	b.t.Helper()
	b.Shot("failed")
	seen, _ := value[string](b, `location.href + "\n" + document.body.innerText`)
	b.t.Fatalf("%s\nthe page: %s", what, seen)
}

// value gives the result of a script, within the time limit of a step.
func value[T any](b *Browser, script string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, options...))
}

// Value gives the result of a script, such as the content of a field.
func (b *Browser) Value(script string) string {
	b.t.Helper()
	text, err := value[string](b, script)
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return text
}

// Text is the text of the element that selector finds; empty: there is no such element.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return b.Value(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// At is the path and the query of the page.
func (b *Browser) At() string {
	b.t.Helper()
	return b.Value(`location.pathname + location.search`)
}

// call sends a command to the browser.
func call[P, R any](b *Browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// Scripts turns the scripts of the pages on or off, from the next page on.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Appearance sets the colour scheme and the width of the screen.
func (b *Browser) Appearance(dark bool, width int64) {
	b.t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[dark]
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.Do("appearance", chromedp.EmulateViewport(width, 900))
}

// Shot saves a picture of the whole page, as a PNG in the folder that the environment variable
// VPND_SCREENSHOTS names. If the variable is not set, it does nothing.
func (b *Browser) Shot(name string) {
	b.t.Helper()
	folder := os.Getenv("VPND_SCREENSHOTS")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)) //nolint:gosec // pictures for anybody
	}
	if err != nil {
		b.t.Logf("no picture of %s: %v", name, err)
	}
}

// fault is a fault that axe-core finds on a page.
type fault struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Accessible fails the test for each fault that axe-core finds on the page.
func (b *Browser) Accessible() {
	b.t.Helper()
	_, err := value[chromedp.Void](b, axe)
	var faults []fault
	if err == nil {
		faults, err = value[[]fault](b, `axe.run().then(found => found.violations)`, chromedp.EvalAwaitPromise)
	}
	if err != nil {
		b.t.Fatalf("axe-core: %v", err)
	}
	for _, f := range faults {
		for _, n := range f.Nodes {
			b.t.Errorf("%s: %s (%s)\n%s\n%s", b.At(), f.Help, f.ID, n.HTML, n.Summary)
		}
	}
}
