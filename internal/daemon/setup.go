package daemon

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"
	"vpnd/internal/amount"
	"vpnd/internal/config"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
)

// with lays settings over the configuration, and says what that changes; "": nothing. Fields names the field of mgmt that
// a key is.
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

// The fields that keys of the configuration are; ^ and $ are around a key.
var (
	pppFields  = strings.NewReplacer("^ppp.", "")
	timeFields = strings.NewReplacer("^time.", "")
	poolFields = strings.NewReplacer("^network.pool$", "ranges", "^network.", "", ".pool$", ".ranges")
)

// valid is text that YAML can hold.
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

// pppSettings are the settings of PPP General Setup, with the password that there is unless it has one.
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

// watchClock has the clock watched as the configuration says.
func (d *daemon) watchClock(t config.Time) { d.clock.Watch(t.Servers, t.Interval, t.MaxOffset) }

// Pools implements mgmt.Settings.
func (s settings) Pools() mgmt.PoolSettings {
	n := s.d.shown.Load().cfg.Network
	p := mgmt.PoolSettings{AddressPool: poolView(n.AllPools()[""]), Pools: map[string]mgmt.AddressPool{}}
	for name, pool := range n.Pools {
		p.Pools[name] = poolView(pool)
	}
	return p
}

func poolView(p config.Pool) mgmt.AddressPool {
	v := mgmt.AddressPool{Ranges: make([]mgmt.PoolRange, len(p.Addresses)), DNS: texts(p.DNS), WINS: texts(p.WINS)}
	for i, r := range p.Addresses {
		v.Ranges[i] = mgmt.PoolRange{Start: r.First, Count: r.Count()}
	}
	return v
}

// SetPools implements mgmt.Settings.
func (s settings) SetPools(ctx context.Context, to mgmt.PoolSettings) error {
	d := s.d
	return d.do(ctx, func() error {
		next, what, err := d.with(poolSettings(to, d.file.Network), poolFields)
		if err != nil || what == "" {
			return err
		}
		if err := d.poolsInUse(ctx, next.Network); err != nil {
			return err
		}
		before := d.cfg.Network
		if err := d.reloadNetwork(next.Network); err != nil {
			return err
		}
		if err := d.keep(ctx, next, what); err != nil {
			d.warnIf("restoring the old pools", d.reloadNetwork(before))
			return err
		}
		d.revise() // the users' fixed addresses are reserved in the new pools
		return nil
	})
}

// poolSettings are the settings of the address pools. Where p names no DNS servers and the file sets none, they stay
// unset.
func poolSettings(p mgmt.PoolSettings, file config.Network) config.Settings {
	servers := func(list []string, file []netip.Addr) any {
		if len(list) == 0 && file == nil {
			return nil
		}
		return allValid(list)
	}
	ranges := func(list []mgmt.PoolRange) []map[string]any {
		values := make([]map[string]any, len(list))
		for i, r := range list {
			start := ""
			if r.Start != (netip.Addr{}) {
				start = r.Start.String()
			}
			values[i] = map[string]any{"start": valid(start), "count": r.Count}
		}
		return values
	}
	pools := map[string]any{}
	for name, pool := range p.Pools {
		pools[valid(name)] = map[string]any{"pool": ranges(pool.Ranges), "dns": servers(pool.DNS, file.Pools[name].DNS), "wins": allValid(pool.WINS)}
	}
	return config.SettingsOf(map[string]any{
		"network.pool": ranges(p.Ranges), "network.dns": servers(p.DNS, file.DNS), "network.wins": allValid(p.WINS), "network.pools": pools,
	})
}

// poolsInUse reports pools that users name and that go.
func (d *daemon) poolsInUse(ctx context.Context, n config.Network) error {
	profiles, _, err := d.store.Sound(ctx) // damaged users are refused anyway
	if err != nil {
		return err
	}
	pools := n.AllPools()
	var users []string
	for _, p := range profiles {
		_, was := d.cfg.Network.Pools[p.Pool]
		if _, is := pools[p.Pool]; was && !is {
			users = append(users, p.Name+" ("+p.Pool+")")
		}
	}
	if len(users) == 0 {
		return nil
	}
	return &mgmt.ConflictError{Text: "users still use pools that the change removes: " + amount.Names(users) + "; give them another pool first"}
}
