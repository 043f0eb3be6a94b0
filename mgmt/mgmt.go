package mgmt

import (
	"context"
	"net/http"
	"sync"
	"time"
	"vpnd/mgmt/access"
	"vpnd/mgmt/guide"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxBody is the longest body of a request, in octets.
const maxBody = 64 << 10

// Config is what an API is made with.
type Config struct {
	Sessions Sessions
	Users    Users
	Settings Settings
	Clock    Clock
	System   System
	Window   time.Duration // of one-time passwords, to either side of the clock
	Captures Captures
	Guide    func() guide.Server // what clients have to know of the server
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
}

// New makes an API. Run has to run for rates and events.
func New(cfg Config) *API {
	a := &API{cfg: cfg, rates: newRates(), events: newBus(), mux: http.NewServeMux()}
	h := huma.DefaultConfig("vpnd", cfg.Version)
	h.OpenAPIPath, h.DocsPath, h.SchemasPath = "/api/v1/openapi", "", "/api/v1/schemas"
	h.Info.Description = "Connection Management of a VPN concentrator for PPTP and L2TP dial-in."
	api := humago.New(a.mux, h)
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
	a.registerProbes()
	if cfg.Metrics != nil {
		a.mux.Handle("GET /metrics", cfg.Metrics)
	}
	return a
}

// Run measures rates until ctx is done.
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
	a.mux.ServeHTTP(w, r)
}

// operation is what all operations have.
func operation(id, method, path, summary, tag string, errors ...int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Tags: []string{tag}, Errors: errors,
		MaxBodyBytes: maxBody,
	}
}

// registerProbes answers whoever looks whether the daemon lives, or takes calls.
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
