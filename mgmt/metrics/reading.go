package metrics

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind groups open connections.
type Kind struct{ Type, Encryption string }

// Traffic counts IP packets and their bytes, from the users (Rx) and to the users (Tx).
type Traffic struct{ RxPackets, RxBytes, TxPackets, TxBytes uint64 }

// Pool has the number of addresses of a pool, and how many are in use.
type Pool struct{ Size, Used int }

// Clock is the host's clock as time servers see it.
type Clock struct {
	State     string // one of States
	States    []string
	Measured  bool          // Offset was measured and is still valid
	Offset    time.Duration // the right time minus the host's
	MaxOffset time.Duration
}

// Reading has the figures of one moment. Counters count from the start of the daemon and never
// decrease.
type Reading struct {
	Ready           bool
	Open            map[Kind]int
	Pending         int // sessions that are not up yet
	Traffic         map[string]Traffic
	Drops           map[string]map[string]uint64 // packets that were not passed on, by part and reason
	Pools           map[string]Pool
	Clock           Clock
	Verifying       int // log-ins that are being verified
	Waiting         int // log-ins that wait for verification
	HistoryWaiting  int // entries that are not yet written
	HistoryLost     uint64
	RefusalsLeftOut uint64 // refusals over the limits of the history and the log
	EventListeners  int
	ControlPPTP     int // control connections
	Tunnels         int // L2TP tunnels, half-open ones included
	HalfOpenTunnels int
	Unauthenticated map[string]map[string]int // without a log-in, by type and kind
	HooksRunning    int
	HooksWaiting    int
	HookFailures    map[string]uint64 // by hook
	Panics          uint64            // sessions that a fault of the daemon ended
}

// complete adds each value of the labels with fixed values. Their series then begin with 0 and not
// with the first event, which a rate would miss.
func (r *Reading) complete() {
	open, traffic := map[Kind]int{}, map[string]Traffic{}
	for _, t := range types {
		traffic[t] = Traffic{}
		for _, e := range encryptions {
			open[Kind{t, e}] = 0
		}
	}
	maps.Copy(open, r.Open)
	maps.Copy(traffic, r.Traffic)
	failures := map[string]uint64{"before": 0, "up": 0, "down": 0}
	maps.Copy(failures, r.HookFailures)
	strangers := map[string]map[string]int{"PPTP": {"control connections": 0, "calls": 0}, "L2TP": {"tunnels": 0, "calls": 0}}
	maps.Copy(strangers, r.Unauthenticated)
	r.Open, r.Traffic, r.HookFailures, r.Unauthenticated = open, traffic, failures, strangers
}

// defaultPool is the label of the pool without a name. No name may have brackets.
const defaultPool = "(default)"

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vpnd_"+name, help, labels, nil)
}

var (
	descReady       = desc("ready", "1 if the daemon accepts calls.")
	descOpen        = desc("connections", "Open connections by type and encryption.", "type", "encryption")
	descPending     = desc("sessions_pending", "Calls whose connection is not up yet.")
	descPackets     = desc("user_packets_total", "IP packets of users by type and direction (rx: from the users).", "type", "direction")
	descBytes       = desc("user_bytes_total", "Bytes of users' IP packets by type and direction (rx: from the users).", "type", "direction")
	descDrops       = desc("dropped_packets_total", "Dropped packets by part of the daemon and reason.", "part", "reason")
	descPoolSize    = desc("pool_addresses", "Addresses of a pool.", "pool")
	descPoolUsed    = desc("pool_addresses_used", "Addresses of a pool that connections hold.", "pool")
	descOffset      = desc("clock_offset_seconds", "The right time minus the host's time, as last measured.")
	descMeasured    = desc("clock_measured", "1 while a measurement is valid and vpnd verifies one-time passwords with it.")
	descMaxOffset   = desc("clock_max_offset_seconds", "Largest offset of the host's clock without a warning (time.max_offset).")
	descState       = desc("clock_state", "1 for the current state of the clock.", "state")
	descVerifying   = desc("logins_verifying", "Log-ins that are being verified.")
	descWaiting     = desc("logins_waiting", "Log-ins that wait to be verified.")
	descHistory     = desc("history_queue_length", "Entries of the history that are not stored yet.")
	descHistoryLost = desc("history_lost_total", "Entries of the history that were lost.")
	descLeftOut     = desc("refusals_left_out_total", "Refusals beyond the limits of history.refusals, which are only counted.")
	descListeners   = desc("event_listeners", "Listeners of the API's events.")
	descControl     = desc("pptp_control_connections", "Control connections of PPTP.")
	descTunnels     = desc("l2tp_tunnels", "Tunnels of L2TP by state.", "state")
	descStrangers   = desc("unauthenticated", "Tunnels (except half-open ones), control connections and calls on which no user has logged in.", "type", "of")
	descHooks       = desc("hooks", "Runs of hooks by state.", "state")
	descHookFailed  = desc("hook_failures_total", "Runs of hooks that failed or could not start.", "hook")
	descPanics      = desc("panics_total", "Sessions that ended because of a fault of the daemon.")
)

// collector turns a Reading into samples.
type collector struct{ read func() Reading }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descReady, descOpen, descPending, descPackets, descBytes, descDrops, descPoolSize, descPoolUsed, descOffset, descMeasured, descMaxOffset,
		descState, descVerifying, descWaiting, descHistory, descHistoryLost, descLeftOut, descListeners, descControl, descTunnels, descStrangers, descHooks, descHookFailed, descPanics,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	r := c.read()
	r.complete()
	s := sender{ch}
	s.gauge(descReady, number(r.Ready))
	for kind, n := range r.Open {
		s.gauge(descOpen, float64(n), kind.Type, kind.Encryption)
	}
	s.gauge(descPending, float64(r.Pending))
	for kind, t := range r.Traffic {
		s.counter(descPackets, t.RxPackets, kind, "rx")
		s.counter(descPackets, t.TxPackets, kind, "tx")
		s.counter(descBytes, t.RxBytes, kind, "rx")
		s.counter(descBytes, t.TxBytes, kind, "tx")
	}
	for part, reasons := range r.Drops {
		for reason, n := range reasons {
			s.counter(descDrops, n, part, reason)
		}
	}
	for name, p := range r.Pools {
		if name == "" {
			name = defaultPool
		}
		s.gauge(descPoolSize, float64(p.Size), name)
		s.gauge(descPoolUsed, float64(p.Used), name)
	}
	s.clock(r.Clock)
	s.gauge(descVerifying, float64(r.Verifying))
	s.gauge(descWaiting, float64(r.Waiting))
	s.gauge(descHistory, float64(r.HistoryWaiting))
	s.counter(descHistoryLost, r.HistoryLost)
	s.counter(descLeftOut, r.RefusalsLeftOut)
	s.gauge(descListeners, float64(r.EventListeners))
	s.gauge(descControl, float64(r.ControlPPTP))
	s.gauge(descTunnels, float64(r.Tunnels-r.HalfOpenTunnels), "open")
	s.gauge(descTunnels, float64(r.HalfOpenTunnels), "half-open")
	for kind, of := range r.Unauthenticated {
		for what, n := range of {
			s.gauge(descStrangers, float64(n), kind, what)
		}
	}
	s.gauge(descHooks, float64(r.HooksRunning), "running")
	s.gauge(descHooks, float64(r.HooksWaiting), "waiting")
	for hook, n := range r.HookFailures {
		s.counter(descHookFailed, n, hook)
	}
	s.counter(descPanics, r.Panics)
}

type sender struct{ ch chan<- prometheus.Metric }

func (s sender) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sender) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s sender) clock(c Clock) {
	if c.Measured {
		s.gauge(descOffset, c.Offset.Seconds())
	}
	s.gauge(descMeasured, number(c.Measured))
	s.gauge(descMaxOffset, c.MaxOffset.Seconds())
	for _, state := range c.States {
		s.gauge(descState, number(state == c.State), state)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
