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

// shared are the templates for all pages.
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

// view is the content of a page.
type view struct {
	Title  string
	Data   any    // for the page's own template
	Status int    // 0: 200
	Plain  bool   // no navigation: nobody is logged in
	Notice string // what happened to the form; "": the notice of the last redirect
	Wrong  bool   // the notice reports a failure
	Warn   bool   // the notice needs attention
	Faults []faultLink

	// render fills these.
	Who     access.Identity
	Change  bool // Who may make changes
	Path    string
	Menu    []section
	Version string
}

// render writes a page: the layout, with the template "main" of the file inside it, both for v. For
// a request with fragment=NAME it writes only the file's template of that name, if there is one.
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

// fragments are the parts of pages that scripts ask for: the part to refresh, and the content of a
// dialog.
var fragments = []string{"live", "dialog"}

// send writes a body, compressed if the client accepts that.
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

// minPacked is the shortest body to compress, in bytes: about one packet.
const minPacked = 1400

func pack(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(body)                            // into memory
	_ = z.Close()
	return b.Bytes()
}

// menu is the navigation. The current entry is the page at the path, or the page above it. With
// change it includes the pages for administrators.
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
