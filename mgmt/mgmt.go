package mgmt

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"
	"vpnd/mgmt/access"
	"vpnd/mgmt/guide"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 64 << 10

// Config configures an API.
type Config struct {
	Sessions Sessions
	Users    Users
	History  History
	Settings Settings
	Clock    Clock
	System   System
	Window   time.Duration // of one-time passwords, to either side of the clock
	Captures Captures
	Guide    func() guide.Server // the server's data for the set-up of clients
	Version  string
	Ready    func() bool  // nil: always
	Access   *access.Gate // nil: administrators and tokens are not managed
	Metrics  http.Handler // at /metrics; nil: none
}

// API answers requests about a daemon. It is safe for concurrent use.
type API struct {
	cfg      Config
	rates    *rates
	events   *bus
	mux      *http.ServeMux
	table    table
	settings sync.Mutex // held from reading a setting to writing it
	admins   sync.Mutex // held from reading an administrator, or a token, to writing it
}

// New makes an API. The caller must call Run, which measures rates and ends the events.
func New(cfg Config) *API {
	a := &API{cfg: cfg, rates: newRates(), events: newBus(time.Now()), mux: http.NewServeMux()}
	h := huma.DefaultConfig("vpnd", cfg.Version)
	h.OpenAPIPath, h.DocsPath, h.SchemasPath = "/api/v1/openapi", "", "/api/v1/schemas"
	describe(h.OpenAPI)
	h.RejectUnknownQueryParameters = true
	h.Formats = textFormats()
	api := humago.New(a.mux, h)
	api.UseMiddleware(taglessChange(api), checkedQuery(api), checkedBody(api))
	a.registerConnections(api)
	a.registerUsers(api)
	a.registerSettings(api)
	a.registerTime(api)
	a.registerPools(api)
	a.registerStatus(api)
	a.registerHistory(api)
	if cfg.Access != nil {
		a.registerAdministrators(api)
		a.registerTokens(api)
	}
	a.registerAttempts(api)
	a.registerCaptures(api)
	a.registerConnect(api)
	a.registerEvents(api)
	complete(h.OpenAPI)
	a.registerProbes()
	if cfg.Metrics != nil {
		a.mux.Handle("GET /metrics", cfg.Metrics)
	}
	return a
}

// Version is the daemon's release.
func (a *API) Version() string { return a.cfg.Version }

// Clock is the clock that one-time passwords are verified by.
func (a *API) Clock() Clock { return a.cfg.Clock }

// System is the daemon and its machine; nil: the API has no status.
func (a *API) System() System { return a.cfg.System }

// Settings are the current settings; nil: nothing can be changed while the daemon serves.
func (a *API) Settings() CurrentSettings {
	if a.cfg.Settings == nil {
		return nil
	}
	return a.cfg.Settings
}

// Run measures rates until ctx is done. Then it ends the events.
func (a *API) Run(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		a.rates.sample(time.Now(), a.cfg.Sessions.Connections())
		select {
		case <-ctx.Done():
			a.events.close()
			return
		case <-ticker.C:
		}
	}
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	joinLists(r.Header)
	if status, text := unreadable(r); status != 0 {
		refuse(w, status, text)
		return
	}
	if handler, pattern := a.mux.Handler(r); pattern == "" {
		a.nothingHere(w, r, handler)
		return
	}
	t := &tagging{ResponseWriter: w, r: r}
	a.mux.ServeHTTP(t, r)
	t.end()
}

// nothingHere answers with a problem document if the handler has no such path or method.
func (a *API) nothingHere(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	found := &headOnly{header: http.Header{}}
	handler.ServeHTTP(found, r)
	if to := found.header.Get("Location"); to != "" { // to the same path without // and ..
		w.Header().Set("Location", to)
		w.WriteHeader(found.status)
		return
	}
	text := "this path does not exist: /api/v1/openapi.json lists all paths"
	if allow := found.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		text = "this path does not support " + r.Method + ": use " + allow
	}
	refuse(w, found.status, text)
}

// refuse answers with a problem document where huma does not.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(newProblem(status, text))
}

// headOnly keeps the header of an answer and drops its body.
type headOnly struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (h *headOnly) Header() http.Header { return h.header }

// WriteHeader implements http.ResponseWriter.
func (h *headOnly) WriteHeader(status int) { h.status = status }

// Write implements http.ResponseWriter.
func (h *headOnly) Write(p []byte) (int, error) { return len(p), nil }

// location is the path of a resource in a collection.
func location(collection, name string) string {
	return "/api/v1/" + collection + "/" + url.PathEscape(name)
}

// registerProbes registers the probes: is the daemon alive, and does it accept calls?
func (a *API) registerProbes() {
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	a.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.cfg.Ready != nil && !a.cfg.Ready() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
}
