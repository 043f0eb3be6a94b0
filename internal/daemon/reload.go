package daemon

import (
	"context"
	"reflect"
	"strings"
	"vpnd/internal/config"
)

// reload applies the parts of a new configuration that can change while serving, and reports the
// others.
func (d *daemon) reload(ctx context.Context, load func() (config.Config, error)) {
	if load == nil {
		return
	}
	file, err := load()
	var cfg config.Config
	if err == nil {
		cfg, err = d.set.Over(file)
	}
	if err == nil {
		err = d.reloadOpen(cfg)
	}
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", err)
		return
	}
	d.level.Set(logLevel(cfg.Log.Level))
	attrs := []any{"level", cfg.Log.Level}
	if left := needRestart(d.cfg, cfg); len(left) > 0 {
		attrs = append(attrs, "need_restart", strings.Join(left, ", "))
	}
	d.file, d.cfg = file, live(d.cfg, cfg)
	d.show()
	d.sessions.SetPPP(pppConfig(d.cfg.PPP))
	d.plane.SetKeyChanges(d.cfg.PPP.MPPEKeyChanges)
	d.sessions.SetRefusals(refusals(d.cfg.History))
	d.watchClock(d.cfg.Time)
	d.watchUsers(ctx)
	d.revise(ctx)
	d.prune(ctx)
	d.log.Info("reloaded", attrs...)
}

// reloadOpen applies the parts that may fail: services and pools. A pending shutdown keeps the
// services as they are.
func (d *daemon) reloadOpen(cfg config.Config) error {
	services := cfg.Services
	if d.pendingShutdown != nil {
		services = config.Services{}
	}
	undo, err := d.openServices(services)
	if err != nil {
		return err
	}
	if err := d.reloadNetwork(cfg.Network); err != nil {
		undo()
		return err
	}
	d.drainServices(services)
	return nil
}

// live is the old configuration with the parts of the new one that a reload applies. If a section
// is copied whole, a reload has to apply each of its keys, or the key has to be kept as PPP.MRU is.
func live(old, now config.Config) config.Config {
	old.Log.Level = now.Log.Level
	old.Services = now.Services
	mru := old.PPP.MRU // the interface has it too
	old.PPP = now.PPP
	old.PPP.MRU = mru
	old.History = now.History
	old.Time = now.Time
	old.Network.Pool, old.Network.Pools, old.Network.PoolChange = now.Network.Pool, now.Network.Pools, now.Network.PoolChange
	old.Network.DNS, old.Network.WINS = now.Network.DNS, now.Network.WINS
	old.Network.Routes, old.Network.Domain = now.Network.Routes, now.Network.Domain
	return old
}

// needRestart names the sections with changes that a reload does not apply.
func needRestart(old, now config.Config) []string {
	old = live(old, now)
	var names []string
	for _, section := range []struct {
		name     string
		old, now any
	}{
		{"state_dir", old.StateDir, now.StateDir},
		{"listen", old.Listen, now.Listen},
		{"ppp", old.PPP, now.PPP},
		{"network", old.Network, now.Network},
		{"l2tp", old.L2TP, now.L2TP},
		{"limits", old.Limits, now.Limits},
		{"motp", old.MOTP, now.MOTP},
		{"management", old.Management, now.Management},
		{"hooks", old.Hooks, now.Hooks},
		{"log", old.Log, now.Log},
	} {
		if !reflect.DeepEqual(section.old, section.now) {
			names = append(names, section.name)
		}
	}
	return names
}
