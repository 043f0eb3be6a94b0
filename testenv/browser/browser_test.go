package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"vpnd/testenv"
)

// recorder takes the faults of a step, in place of the test.
type recorder struct {
	testing.TB
	faults []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// A browser fills in a page and sends it, with scripts and without. It finds a fault of
// accessibility, and a request to another server.
func TestBrowser(t *testing.T) {
	lab := testenv.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		more := ""
		if r.FormValue("more") != "" {
			more = `<input name="unlabelled"><img alt="" src="http://192.0.2.77/x.png">`
		}
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Hello</title><main><h1>Hello %s</h1><p id="p">without</p>
<form><label>Name <input name="name"></label><label><input type="checkbox" name="more">More</label><button>Send</button></form>%s</main>
<script>document.getElementById("p").textContent = "with"</script>`, r.FormValue("name"), more)
	}))
	err := testenv.InNamespace(lab.Namespace, func() error {
		_ = server.Listener.Close()
		var err error
		server.Listener, err = net.Listen("tcp4", "127.0.0.1:8443")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	t.Cleanup(server.Close)

	found := &recorder{TB: t}
	b := New(found, lab, "https://127.0.0.1:8443")
	b.Open("/page")
	b.Await("#p", "with")
	b.Fill(map[string]string{"name": "Otto", "more": ""})
	b.Press("Send")
	b.Await("h1", "Hello Otto")
	b.Accessible()
	if len(found.faults) > 0 || len(b.Foreign()) > 0 {
		t.Errorf("faults %q, foreign %q", found.faults, b.Foreign())
	}

	b.Scripts(false)
	b.Open("/page")
	if text := b.Text("#p"); text != "without" {
		t.Errorf("without scripts: %q", text)
	}
	b.Scripts(true)
	b.Fill(map[string]string{"name": "Anna", "more": "on"})
	b.Press("Send")
	b.Await("h1", "Hello Anna")
	b.Accessible()
	if len(found.faults) != 1 || !strings.Contains(found.faults[0], "unlabelled") {
		t.Errorf("faults: %q", found.faults)
	}
	if foreign := b.Foreign(); len(foreign) != 1 || foreign[0] != "http://192.0.2.77/x.png" {
		t.Errorf("foreign: %q", foreign)
	}
}
