package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/mgmt"
)

var errEnding = &mgmt.ConflictError{Text: "the daemon is ending"}

// do runs f in the daemon's own goroutine, between its other work, and gives its error.
func (d *daemon) do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case d.work <- func() { done <- f() }:
		return <-done
	case <-d.ending:
		return errEnding
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shown is what other goroutines see of the daemon's settings.
type shown struct {
	cfg             config.Config
	pools           map[string]session.Pool
	overridden      []string
	pendingShutdown *pendingShutdown
}

func (d *daemon) show() { d.shown.Store(&shown{d.cfg, d.pools, d.set.Keys(), d.pendingShutdown}) }

// loadSettings lays what was set while the daemon served before over the configuration.
func (d *daemon) loadSettings(ctx context.Context) error {
	set, err := d.store.Settings(ctx)
	if err != nil {
		return err
	}
	d.set = set
	if d.cfg, err = d.set.Over(d.file); err != nil {
		return fmt.Errorf("%w; correct the file", err)
	}
	if len(d.set) > 0 {
		d.log.Info("settings override the configuration file", "settings", d.set.String())
	}
	d.show()
	return nil
}

// keep stores what next has other than the configuration file, and has it count. What says what is done, for
// the history.
func (d *daemon) keep(ctx context.Context, next config.Config, what string) error {
	set := next.Settings(d.file)
	e, err := d.store.SetSettings(ctx, set, state.Entry{Event: state.EventSettings, Reason: what})
	if err != nil {
		return err
	}
	d.cfg, d.set = next, set
	d.show()
	d.api.Publish(e)
	d.log.Info("settings", "change", what, "by", e.By)
	return nil
}

// settings is the daemon as mgmt.Settings.
type settings struct{ d *daemon }

// Services implements mgmt.Settings.
func (s settings) Services() mgmt.ServiceSet { return mgmt.ServiceSet(s.d.shown.Load().cfg.Services) }

// Overridden implements mgmt.Settings.
func (s settings) Overridden() []string { return s.d.shown.Load().overridden }

// SetServices implements mgmt.Settings.
func (s settings) SetServices(ctx context.Context, to mgmt.ServiceSet, drop bool) error {
	d := s.d
	return d.do(ctx, func() error {
		if d.pendingShutdown != nil {
			return &mgmt.ConflictError{Text: "a shutdown is pending: cancel it first"}
		}
		next := d.cfg
		next.Services = config.Services(to)
		undo, err := d.openServices(next.Services)
		if err != nil {
			return &mgmt.ConflictError{Text: err.Error()}
		}
		what := next.Settings(d.cfg).String()
		if drop {
			what = strings.TrimPrefix(what+"; connections are dropped", "; ")
		}
		if what != "" {
			if err := d.keep(ctx, next, what); err != nil {
				undo()
				return err
			}
		}
		d.drainServices(next.Services)
		if drop {
			d.dropUnwanted(next.Services)
		}
		return nil
	})
}

// pendingShutdown is a shutdown that waits for the last connection to go.
type pendingShutdown struct {
	by    string
	since time.Time
	at    time.Time // when what is left is hung up; zero: never
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
