package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"vpnd/internal/config"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

var errEnding = &mgmt.ConflictError{Text: "the daemon is ending"}

// do runs f in the daemon's own goroutine, between its other work, and returns its error.
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

// shown is the part of the daemon's settings that other goroutines see.
type shown struct {
	cfg             config.Config
	pools           map[string]session.Pool
	overridden      []string
	pendingShutdown *pendingShutdown
}

func (d *daemon) show() { d.shown.Store(&shown{d.cfg, d.pools, d.set.Keys(), d.pendingShutdown}) }

// loadSettings lays the settings that were stored earlier over the configuration.
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

// keep stores the settings in which next differs from the configuration file, and applies them.
// What describes the change in the history.
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

// settings implements mgmt.Settings.
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

// with lays settings over the configuration, and describes the changes; "": there are none. Fields
// translates a key into the field of mgmt.
func (d *daemon) with(set config.Settings, fields *strings.Replacer) (next config.Config, what string, err error) {
	next, err = d.cfg.With(set)
	if faults := config.Faults(nil); errors.As(err, &faults) {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = &mgmt.FieldError{Field: strings.Trim(fields.Replace("^"+f.Key+"$"), "^$"), Text: f.Text()}
		}
		return next, "", errors.Join(errs...)
	}
	return next, next.Settings(d.cfg).String(), err
}

// These translate keys of the configuration into fields; ^ and $ enclose a key.
var (
	pppFields  = strings.NewReplacer("^ppp.", "")
	timeFields = strings.NewReplacer("^time.", "")
	poolFields = strings.NewReplacer("^network.pool$", "ranges", "^network.", "", ".pool$", ".ranges")
)

// valid is text in a form that YAML can hold.
func valid(text string) string { return strings.ToValidUTF8(text, string(utf8.RuneError)) }

func allValid(texts []string) []string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = valid(text)
	}
	return list
}

// PPP implements mgmt.Settings.
func (s settings) PPP() mgmt.PPPSettings {
	p := s.d.shown.Load().cfg.PPP
	pap := mgmt.MutualPAP{User: p.MutualPAP.User, HasPassword: p.MutualPAP.Password != "", Proof: access.Proof(p.MutualPAP.Password)}
	return mgmt.PPPSettings{
		Authentication: p.Authentication, MPPE: p.MPPE, MPPEStateful: p.MPPEStateful, EchoInterval: p.EchoInterval.String(),
		EchoFailures: p.EchoFailures, CHAPInterval: p.CHAPInterval.String(),
		MutualPAP: pap,
	}
}

// SetPPP implements mgmt.Settings.
func (s settings) SetPPP(ctx context.Context, to mgmt.PPPSettings) error {
	d := s.d
	return d.do(ctx, func() error {
		next, what, err := d.with(pppSettings(to, d.cfg.PPP.MutualPAP.Password), pppFields)
		if err != nil || what == "" {
			return err
		}
		if err := d.keep(ctx, next, what); err != nil {
			return err
		}
		d.sessions.SetPPP(pppConfig(next.PPP))
		return nil
	})
}

// pppSettings are the settings of PPP General Setup. If p has no password, they keep the current
// one.
func pppSettings(p mgmt.PPPSettings, password string) config.Settings {
	pap := p.MutualPAP
	switch {
	case pap.User == "":
		pap.Password = ""
	case pap.Password == "":
		pap.Password = password
	}
	return config.SettingsOf(map[string]any{
		"ppp.authentication": p.Authentication, "ppp.mppe": p.MPPE, "ppp.mppe_stateful": p.MPPEStateful,
		"ppp.echo_interval": p.EchoInterval, "ppp.echo_failures": p.EchoFailures, "ppp.chap_interval": p.CHAPInterval,
		"ppp.mutual_pap": map[string]string{
			"user": valid(pap.User), "password": valid(pap.Password),
		},
	})
}

// Time implements mgmt.Settings.
func (s settings) Time() mgmt.TimeSettings {
	t := s.d.shown.Load().cfg.Time
	return mgmt.TimeSettings{Servers: append([]string{}, t.Servers...), Interval: t.Interval.String(), MaxOffset: t.MaxOffset.String()}
}

// SetTime implements mgmt.Settings.
func (s settings) SetTime(ctx context.Context, to mgmt.TimeSettings) error {
	d := s.d
	return d.do(ctx, func() error {
		next, what, err := d.with(config.SettingsOf(map[string]any{
			"time.servers": allValid(to.Servers), "time.interval": valid(to.Interval), "time.max_offset": valid(to.MaxOffset),
		}), timeFields)
		if err != nil || what == "" {
			return err
		}
		if err := d.keep(ctx, next, what); err != nil {
			return err
		}
		d.watchClock(next.Time)
		return nil
	})
}

// watchClock makes the clock use the time settings of the configuration.
func (d *daemon) watchClock(t config.Time) { d.clock.Watch(t.Servers, t.Interval, t.MaxOffset) }
