// Package metrics writes the daemon's metrics in Prometheus's exposition format. Its labels have
// few values, which the program or the configuration fixes: never a user's name, an address, or a
// text of a peer.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	scrapesAtOnce = 4
	scrapeTime    = 10 * time.Second
)

// types are the types of connections.
var types = []string{"PPTP", "L2TP", "L2TP/IPsec"}

// encryptions are the encryptions of connections.
var encryptions = []string{
	"none", "MPPE-40 stateless", "MPPE-40 stateful", "MPPE-56 stateless", "MPPE-56 stateful", "MPPE-128 stateless", "MPPE-128 stateful",
}

// other replaces a value that is not in the fixed set of its label.
const other = "other"

// Config configures Metrics.
type Config struct {
	Version string // of the program
	Commit  string
	Causes  []string       // all causes of refusals
	Read    func() Reading // called for each scrape, also concurrently
}

// Metrics counts log-ins as they happen, and reads the other figures for each scrape. It is safe
// for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	causes   []string
	logIns   *prometheus.CounterVec
	verify   prometheus.Histogram
}

// New makes Metrics.
func New(cfg Config) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), causes: append(slices.Clone(cfg.Causes), other),
		logIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpnd_logins_total", Help: "Log-ins by type, result and, for refusals, cause.",
		}, []string{"type", "result", "cause"}),
		verify: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vpnd_login_verify_seconds", Help: "Time to verify a log-in, without the time in the queue.",
			Buckets:                     []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}),
	}
	for _, t := range types { // so that a rate counts the first one
		m.logIns.WithLabelValues(t, "accepted", "")
		for _, c := range m.causes {
			m.logIns.WithLabelValues(t, "refused", c)
		}
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "vpnd_build_info", Help: "Always 1. The labels are the release, the commit and the version of Go.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "commit": cfg.Commit, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.logIns, m.verify, build, &collector{cfg.Read},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers scrapes, a few at a time.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTime})
}

// Accepted counts a successful log-in.
func (m *Metrics) Accepted(kind string) {
	m.logIns.WithLabelValues(known(types, kind), "accepted", "").Inc()
}

// Refused counts a refused log-in.
func (m *Metrics) Refused(kind, cause string) {
	m.logIns.WithLabelValues(known(types, kind), "refused", known(m.causes, cause)).Inc()
}

// Verified records how long the verification of a log-in took.
func (m *Metrics) Verified(d time.Duration) { m.verify.Observe(d.Seconds()) }

func known(set []string, value string) string {
	if slices.Contains(set, value) {
		return value
	}
	return other
}
