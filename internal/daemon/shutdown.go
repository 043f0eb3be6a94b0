package daemon

import (
	"context"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/state"
	"vpnd/mgmt"
)

// pendingShutdown is a shutdown that waits for the last connection to go.
type pendingShutdown struct {
	by    string
	since time.Time
	at    time.Time // when the remaining calls are hung up; zero: never
}

// shutdownDue reports whether a shutdown has waited long enough.
func (d *daemon) shutdownDue(now time.Time) bool {
	l := d.pendingShutdown
	return l != nil && (d.sessions.Count() == 0 || !l.at.IsZero() && !now.Before(l.at))
}

// ShutDown implements mgmt.Settings.
func (s settings) ShutDown(ctx context.Context, within time.Duration) error {
	d := s.d
	return d.do(ctx, func() error {
		l := &pendingShutdown{by: state.Actor(ctx), since: time.Now()}
		what := "after the last connection"
		if within != mgmt.NoLimit {
			l.at = l.since.Add(within)
			what += ", within " + within.String()
		}
		if within <= 0 {
			what = "at once"
		}
		d.pendingShutdown = l
		d.ready.Store(false)
		d.drainServices(config.Services{})
		d.show()
		d.recorder.add(state.Entry{Event: state.EventShutdown, Reason: what, By: l.by})
		d.log.Info("shutdown", "when", what, "connections", d.sessions.Count(), "by", l.by)
		return nil
	})
}

// CancelShutdown implements mgmt.Settings.
func (s settings) CancelShutdown(ctx context.Context) error {
	d := s.d
	return d.do(ctx, func() error {
		if d.pendingShutdown == nil {
			return &mgmt.ConflictError{Text: "no shutdown is pending"}
		}
		if _, err := d.openServices(d.cfg.Services); err != nil {
			return &mgmt.ConflictError{Text: err.Error()}
		}
		d.pendingShutdown = nil
		d.ready.Store(true)
		d.show()
		by := state.Actor(ctx)
		d.recorder.add(state.Entry{Event: state.EventResumed, Reason: "shutdown cancelled", By: by})
		d.log.Info("shutdown cancelled", "by", by)
		return nil
	})
}

// ShutdownState implements mgmt.Settings.
func (s settings) ShutdownState() mgmt.ShutdownState {
	state := mgmt.ShutdownState{Connections: s.d.sessions.Count()}
	l := s.d.shown.Load().pendingShutdown
	if l == nil {
		return state
	}
	since, at := l.since.UTC(), l.at.UTC()
	state.Pending, state.By, state.Since = true, l.by, &since
	if !l.at.IsZero() {
		state.At = &at
	}
	return state
}
