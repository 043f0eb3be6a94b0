package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"vpnd/mgmt/access"
)

//go:embed templates
var templates embed.FS

// shared are the templates that every page may use.
var shared = []string{"templates/layout.html", "templates/controls.html"}

// parse reads the templates of all pages. Each stands on its own, beside the shared ones.
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

	// render fills these.
	Who     access.Identity
	Change  bool // Who may change something
	Path    string
	Menu    []section
	Version string
}

// render writes a page: the layout, and in it what the file's template "main" makes of v.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, file string, v view) error {
	v.Who, _ = access.Of(r.Context())
	v.Change, v.Path, v.Version = mayChange(r), r.URL.Path, p.cfg.Managed.Version
	if !v.Plain {
		v.Menu = menu(v.Path)
	}
	if v.Notice == "" {
		v.Notice, v.Wrong = takeNotice(w, r)
	}
	return p.write(w, file, "layout", v.Status, v)
}

// fragment writes a part of a page: what the file's template of that name makes of data.
func (p *Pages) fragment(w http.ResponseWriter, file, name string, data any) error {
	return p.write(w, file, name, http.StatusOK, data)
}

func (p *Pages) write(w http.ResponseWriter, file, name string, status int, data any) error {
	var b bytes.Buffer
	if err := p.templates[file].ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write(b.Bytes()) // whoever has gone needs no page
	return nil
}

// menu is the navigation with the page at a path, or the page that it lies below, as the current one.
func menu(at string) []section {
	all := make([]section, len(sections))
	for i, s := range sections {
		all[i] = section{s.Name, slices.Clone(s.Pages)}
		for j := range all[i].Pages {
			e := &all[i].Pages[j]
			e.Current = e.Path == at || e.Path != "/" && strings.HasPrefix(at, e.Path+"/")
		}
	}
	return all
}
