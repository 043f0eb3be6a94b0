package daemon

import (
	"context"
	"time"
	"vpnd/auth"
	"vpnd/internal/buildinfo"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/timesync"
	l2tpserver "vpnd/l2tp/server"
	"vpnd/mgmt/metrics"
	pptpserver "vpnd/pptp/server"
)

// newMetrics makes the counters that the parts of the daemon share.
func (d *daemon) newMetrics() *metrics.Metrics {
	build := buildinfo.Read()
	return metrics.New(metrics.Config{Version: build.Release, Commit: build.Commit, Causes: reason.Labels(), Read: d.reading})
}

// timed measures how long the verification of log-ins takes.
type timed struct {
	session.Authenticator
	metrics *metrics.Metrics
}

// Authenticate implements session.Authenticator.
func (t timed) Authenticate(ctx context.Context, at auth.Attempt) auth.Outcome {
	begun := time.Now()
	defer func() { t.metrics.Verified(time.Since(begun)) }()
	return t.Authenticator.Authenticate(ctx, at)
}

// reading gives metrics its view of the daemon. Before everything is set up it is empty.
func (d *daemon) reading() metrics.Reading {
	if !d.started.Load() {
		return metrics.Reading{}
	}
	c := d.sessions.Counters()
	r := metrics.Reading{
		Ready: d.ready.Load(), Pending: c.Pending, Verifying: c.Verifying, Waiting: c.Waiting, Panics: c.Panics, RefusalsLeftOut: c.LeftOut,
		Open: map[metrics.Kind]int{}, Unauthenticated: map[string]map[string]int{}, Traffic: map[string]metrics.Traffic{}, Pools: map[string]metrics.Pool{},
		Drops:          map[string]map[string]uint64{"dataplane": d.plane.Drops()},
		HistoryWaiting: len(d.recorder.queue), HistoryLost: d.recorder.lost.Load(), EventListeners: d.api.Listeners(),
	}
	for kind, n := range c.Open {
		r.Open[metrics.Kind{Type: string(kind.Type), Encryption: kind.Encryption}] = n
	}
	for kind, st := range c.Moved {
		r.Traffic[string(kind)] = metrics.Traffic{RxPackets: st.RxPackets, RxBytes: st.RxBytes, TxPackets: st.TxPackets, TxBytes: st.TxBytes}
	}
	for name, p := range c.Pools {
		r.Pools[name] = metrics.Pool(p)
	}
	v := d.clock.View()
	r.Clock = metrics.Clock{
		State: string(v.State), Measured: v.Measured, Offset: time.Duration(v.Offset * float64(time.Second)),
		MaxOffset: time.Duration(v.MaxOffset * float64(time.Second)),
	}
	for _, s := range timesync.Statuses() {
		r.Clock.States = append(r.Clock.States, string(s))
	}
	if d.hooks != nil {
		st := d.hooks.Stats()
		r.HooksRunning, r.HooksWaiting, r.HookFailures = st.Running, st.Waiting, st.Failed
	}
	for _, s := range d.services {
		switch server := s.server().(type) {
		case *pptpserver.Server:
			st := server.Stats()
			r.ControlPPTP, r.Drops[string(s.kind)] = st.Connections, st.Dropped
			r.Unauthenticated[string(s.kind)] = map[string]int{"control connections": st.UnauthenticatedConnections, "calls": st.UnauthenticatedCalls}
		case *l2tpserver.Server:
			st := server.Stats()
			r.Tunnels, r.HalfOpenTunnels, r.Drops[string(s.kind)] = st.Tunnels, st.HalfOpen, st.Dropped
			r.Unauthenticated[string(s.kind)] = map[string]int{"tunnels": st.UnauthenticatedTunnels, "calls": st.UnauthenticatedCalls}
		}
	}
	return r
}
