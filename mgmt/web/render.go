package web

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

//go:embed templates
var templates embed.FS

// shared are the templates that every page may use.
var shared = []string{"templates/layout.html", "templates/controls.html", "templates/fields.html", "templates/lists.html"}

// parse reads the templates of all pages. Each has its own set, together with the shared ones.
func parse() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(templates, shared...))
	files, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		if !slices.Contains(shared, file) {
			pages[path.Base(file)] = template.Must(template.Must(base.Clone()).ParseFS(templates, file))
		}
	}
	return pages
}

// view is what a page shows.
type view struct {
	Title  string
	Data   any    // for the page's own template
	Status int    // 0: 200
	Plain  bool   // no navigation: nobody is logged in
	Notice string // what happened to a form that was sent; "": what the last redirect left
	Wrong  bool   // the notice tells of a failure
	Warn   bool   // the notice tells of something to look at
	Faults []faultLink

	// render fills these.
	Who     access.Identity
	Change  bool // Who may make changes
	Path    string
	Menu    []section
	Version string
}

// render writes a page: the layout, and in it what the file's template "main" makes of v. A request with
// fragment=NAME gets what the file's template of that name makes of v, if there is one, and nothing around it.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, file string, v view) error {
	v.Who, _ = access.Of(r.Context())
	v.Change, v.Path, v.Version = mayChange(r), r.URL.Path, p.cfg.API.Version()
	t, name := p.templates[file], "layout"
	if f := r.Form.Get("fragment"); slices.Contains(fragments, f) && t.Lookup(f) != nil {
		name = f
	} else {
		if !v.Plain {
			v.Menu = menu(v.Path, v.Change)
		}
		if v.Notice == "" {
			v.Notice, v.Wrong, v.Warn = takeNotice(w, r)
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, r, v.Status, b.Bytes())
	return nil
}

// fragments are the parts of pages that scripts ask for: what is refreshed, and what a dialog shows.
var fragments = []string{"live", "dialog"}

// send writes a body, packed if the client takes that.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(body) >= minPacked && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		body = pack(body)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	mgmt.RetryAfter(w.Header(), status)
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write(body) // a reader who has gone needs no page
}

// minPacked is the shortest body that is packed, in bytes: a packet's worth.
const minPacked = 1400

func pack(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is a right one
	_, _ = z.Write(body)                            // into memory
	_ = z.Close()
	return b.Bytes()
}

// menu is the navigation with the page at a path, or the page that it lies below, as the current one. Change has the pages in it
// that are only for administrators.
func menu(at string, change bool) []section {
	all := make([]section, len(sections))
	for i, s := range sections {
		all[i] = section{s.Name, slices.DeleteFunc(slices.Clone(s.Pages), func(e entry) bool { return e.Change && !change })}
		for j := range all[i].Pages {
			e := &all[i].Pages[j]
			e.Current = e.Path == at || e.Path != "/" && strings.HasPrefix(at, e.Path+"/")
		}
	}
	return all
}
