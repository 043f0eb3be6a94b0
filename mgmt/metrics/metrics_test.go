package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"vpnd/mgmt/metrics"

	"go.yaml.in/yaml/v3"
)

// reading sets each field.
func reading() metrics.Reading {
	return metrics.Reading{
		Ready: true, Open: map[metrics.Kind]int{{Type: "PPTP", Encryption: "MPPE-128 stateless"}: 3}, Pending: 2,
		Traffic: map[string]metrics.Traffic{"PPTP": {RxPackets: 1, RxBytes: 2, TxPackets: 3, TxBytes: 4}},
		Drops:   map[string]map[string]uint64{"dataplane": {"multicast": 5}},
		Pools:   map[string]metrics.Pool{"": {Size: 241, Used: 3}, "staff": {Size: 10}},
		Clock: metrics.Clock{
			State: "off", States: []string{"right", "off"}, Measured: true, Offset: -1500 * time.Millisecond, MaxOffset: time.Second,
		},
		Waiting: 6, HistoryLost: 7, Tunnels: 9, HalfOpenTunnels: 8, Unauthenticated: map[string]map[string]int{"L2TP": {"calls": 12}},
		HooksWaiting: 10, HookFailures: map[string]uint64{"down": 11},
	}
}

// scrape gives the output of a scrape.
func scrape(tb testing.TB, m *metrics.Metrics) string {
	tb.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		tb.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestScrape(t *testing.T) {
	m := metrics.New(metrics.Config{Version: "1.2", Commit: "abc", Causes: []string{"wrong_password"}, Read: reading})
	m.Accepted("PPTP")
	m.Refused("L2TP", "wrong_password")
	m.Refused("L2TP", "<b>mallory's own words</b>")
	m.Verified(30 * time.Millisecond)
	text := scrape(t, m)
	for _, want := range []string{
		`vpnd_ready 1`, `vpnd_connections{encryption="MPPE-128 stateless",type="PPTP"} 3`, `vpnd_sessions_pending 2`,
		`vpnd_user_packets_total{direction="rx",type="PPTP"} 1`, `vpnd_user_bytes_total{direction="rx",type="PPTP"} 2`,
		`vpnd_user_packets_total{direction="tx",type="PPTP"} 3`, `vpnd_user_bytes_total{direction="tx",type="PPTP"} 4`,
		`vpnd_dropped_packets_total{part="dataplane",reason="multicast"} 5`,
		`vpnd_pool_addresses{pool="(default)"} 241`, `vpnd_pool_addresses_used{pool="(default)"} 3`, `vpnd_pool_addresses_used{pool="staff"} 0`,
		`vpnd_clock_offset_seconds -1.5`, `vpnd_clock_max_offset_seconds 1`, `vpnd_clock_state{state="off"} 1`, `vpnd_clock_state{state="right"} 0`,
		`vpnd_logins_waiting 6`, `vpnd_history_lost_total 7`, `vpnd_l2tp_tunnels{state="half-open"} 8`, `vpnd_l2tp_tunnels{state="open"} 1`, `vpnd_unauthenticated{of="calls",type="L2TP"} 12`,
		`vpnd_hooks{state="waiting"} 10`, `vpnd_hook_failures_total{hook="down"} 11`,
		`vpnd_logins_total{cause="",result="accepted",type="PPTP"} 1`, `vpnd_logins_total{cause="wrong_password",result="refused",type="L2TP"} 1`,
		`vpnd_logins_total{cause="other",result="refused",type="L2TP"} 1`, `vpnd_logins_total{cause="other",result="refused",type="PPTP"} 0`,
		`vpnd_login_verify_seconds_bucket{le="0.025"} 0`, `vpnd_login_verify_seconds_bucket{le="0.05"} 1`, `version="1.2"`,
	} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, want+"}") {
			t.Errorf("there is no %q", want)
		}
	}
	if strings.Contains(text, "mallory") {
		t.Error("a label has a text that is not of the set")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// An offset without a measurement is not shown as 0.
func TestClockNotMeasured(t *testing.T) {
	text := scrape(t, metrics.New(metrics.Config{Read: func() metrics.Reading { return metrics.Reading{} }}))
	if strings.Contains(text, "\nvpnd_clock_offset_seconds ") || !strings.Contains(text, "\nvpnd_clock_measured 0\n") {
		t.Error(text)
	}
}

// All series of fixed sets exist before the first event.
func TestSeriesFromTheStart(t *testing.T) {
	text := scrape(t, metrics.New(metrics.Config{Causes: []string{"wrong_password"}, Read: func() metrics.Reading { return metrics.Reading{} }}))
	var want []string
	for _, kind := range []string{"PPTP", "L2TP", "L2TP/IPsec"} {
		for _, direction := range []string{"rx", "tx"} {
			for _, name := range []string{"user_packets_total", "user_bytes_total"} {
				want = append(want, fmt.Sprintf(`%s{direction=%q,type=%q}`, name, direction, kind))
			}
		}
		for _, encryption := range []string{"none", "MPPE-40 stateful", "MPPE-128 stateless"} {
			want = append(want, fmt.Sprintf(`connections{encryption=%q,type=%q}`, encryption, kind))
		}
		want = append(want, fmt.Sprintf(`logins_total{cause="",result="accepted",type=%q}`, kind))
		for _, cause := range []string{"wrong_password", "other"} {
			want = append(want, fmt.Sprintf(`logins_total{cause=%q,result="refused",type=%q}`, cause, kind))
		}
	}
	for _, hook := range []string{"before", "up", "down"} {
		want = append(want, fmt.Sprintf(`hook_failures_total{hook=%q}`, hook))
	}
	want = append(want, `unauthenticated{of="calls",type="PPTP"}`, `unauthenticated{of="tunnels",type="L2TP"}`, `panics_total`, `history_lost_total`)
	for _, series := range want {
		if !strings.Contains(text, "\nvpnd_"+series+" 0\n") {
			t.Errorf("there is no %s at 0", series)
		}
	}
}

// exists reports whether a metric is in the output of a scrape.
func exists(text, name string) bool {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `[ {]`).MatchString(text)
}

var metricName = regexp.MustCompile(`\b(?:vpnd|go|process)_[a-z0-9_]+`)

// The metrics of the dashboard and of the alerts exist.
func TestContrib(t *testing.T) {
	text := scrape(t, metrics.New(metrics.Config{Read: reading}))
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				For                 time.Duration
				Labels, Annotations map[string]string
			}
		}
	}
	for path, to := range map[string]any{"../../contrib/grafana/vpnd.json": &dashboard, "../../contrib/prometheus/vpnd.rules.yaml": &rules} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := yaml.NewDecoder(strings.NewReader(string(data))) // JSON is YAML
		d.KnownFields(strings.HasSuffix(path, ".yaml"))
		if err := d.Decode(to); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	expressions := map[string]string{}
	for _, p := range dashboard.Panels {
		for i, target := range p.Targets {
			expressions[fmt.Sprintf("panel %q, %d", p.Title, i)] = target.Expr
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%+v lacks something", r)
			}
			expressions["alert "+r.Alert] = r.Expr
		}
	}
	if len(dashboard.Panels) < 10 || len(expressions) < 30 {
		t.Fatalf("%d panels, %d expressions: they are not found", len(dashboard.Panels), len(expressions))
	}
	var all strings.Builder
	for where, expr := range expressions {
		all.WriteString(expr)
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 && !strings.HasPrefix(expr, "up{") {
			t.Errorf("%s: no metric in %q", where, expr)
		}
		for _, name := range names {
			if !exists(text, name) {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
		if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
			t.Errorf("%s: %q is not balanced", where, expr)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (vpnd_\w+)`).FindAllStringSubmatch(text, -1) {
		if name := m[1]; name != "vpnd_build_info" && !strings.Contains(all.String(), name) {
			t.Errorf("neither dashboard nor alerts show %s", name)
		}
	}
}

// BenchmarkScrape measures a scrape without the daemon's own part, Config.Read.
func BenchmarkScrape(b *testing.B) {
	m := metrics.New(metrics.Config{Causes: []string{"wrong_password", "wrong_code", "used_code"}, Read: reading})
	var text string
	for b.Loop() {
		text = scrape(b, m)
	}
	b.ReportMetric(float64(len(text)), "octets")
}
