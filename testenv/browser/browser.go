// Package browser drives a headless Chromium through the pages of a server, as an administrator would. It
// needs the Debian package chromium-headless-shell, and includes axe-core (see axe-core/LICENSE) to check
// accessibility.
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

// program is the browser, and limit is how long a step may take.
const (
	program = "chromium-headless-shell"
	limit   = 60 * time.Second
)

//go:embed axe-core/axe.min.js
var axe string

// Browser is one, with cookies of its own. A step that fails ends the test.
type Browser struct {
	t    testing.TB
	ctx  context.Context //nolint:containedctx // chromedp's browser is its context
	base string

	mu      sync.Mutex
	foreign []string
}

// New starts a browser that reaches nothing but the pages. It goes with the test. base is their address in the
// lab's namespace, such as https://127.0.0.1:8443. The browser has a host of its own, because Chromium drops
// HTTP/2 connections, and the page they load, when an address of its host changes.
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
	// The first call starts the browser, which then lives as long as its context.
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

// pass copies what one connection receives to another, and closes both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// Foreign are the addresses other than the pages' own that were asked for.
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

// Fill writes into fields, by their names, when they are there; a box is ticked by "on" or "".
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

// stale is what the browser says of an element that has gone since it was found, such as with its page.
var stale = regexp.MustCompile("Could not find node|Could not compute box model|detached")

// Press clicks a button or a link by its name, which is what is written on it unless it has a label, once it is there.
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

// Await waits until the text of what selector finds has words in it, on this page or one that follows.
func (b *Browser) Await(selector, words string) {
	b.t.Helper()
	b.AwaitTrue(fmt.Sprintf(`document.querySelector(%q)?.innerText.includes(%q)`, selector, words))
}

// AwaitGone waits until it has not.
func (b *Browser) AwaitGone(selector, words string) {
	b.t.Helper()
	b.AwaitTrue(fmt.Sprintf(`!document.querySelector(%q)?.innerText.includes(%q)`, selector, words))
}

// AwaitTrue waits until a script gives something true.
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

// value is what a script gives, within the limit of a step.
func value[T any](b *Browser, script string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, options...))
}

// Value is what a script gives, such as what is in a field.
func (b *Browser) Value(script string) string {
	b.t.Helper()
	text, err := value[string](b, script)
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return text
}

// Text is the text of the element that selector finds; empty: there is none.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	return b.Value(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// At is the path of the page.
func (b *Browser) At() string {
	b.t.Helper()
	return b.Value(`location.pathname + location.search`)
}

// call gives the browser a command.
func call[P, R any](b *Browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// Scripts turns the pages' scripts on or off, from the next page on.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Appearance is that of the reader's screen, from now on.
func (b *Browser) Appearance(dark bool, width int64) {
	b.t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[dark]
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.Do("appearance", chromedp.EmulateViewport(width, 900))
}

// Shot keeps a picture of the whole page, as a PNG in the folder that the environment's VPND_SCREENSHOTS
// names, if it does.
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

// fault is what axe-core has to say of a page.
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
