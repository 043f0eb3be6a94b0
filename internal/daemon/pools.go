package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"vpnd/internal/amount"
	"vpnd/internal/config"
	"vpnd/internal/dhcp"
	"vpnd/internal/ippool"
	"vpnd/internal/resolvconf"
	"vpnd/internal/session"
	"vpnd/mgmt"
)

// makePools makes the pools of a configuration. It keeps the pools in made, which belong to old,
// whose addresses are the same.
func makePools(n, old config.Network, made map[string]session.Pool) (map[string]session.Pool, error) {
	pools := map[string]session.Pool{}
	for name, p := range n.AllPools() {
		servers := resolvconf.ForUsers(n, p.DNS)
		pool := session.Pool{
			DNS: servers, NBNS: p.WINS,
			DHCP: dhcp.Config{Server: n.Address, DNS: servers, NBNS: p.WINS, Domain: n.Domain, Routes: n.Routes}.Answer,
		}
		if before, ok := made[name]; ok && slices.Equal(old.AllPools()[name].Addresses, p.Addresses) {
			pool.Addresses = before.Addresses
		} else {
			ranges := make([]ippool.Range, len(p.Addresses))
			for i, r := range p.Addresses {
				ranges[i] = ippool.Range(r)
			}
			var err error
			if pool.Addresses, err = ippool.New(ranges, n.Address); err != nil {
				return nil, fmt.Errorf("network.pool %s: %w", name, err)
			}
		}
		pools[name] = pool
	}
	return pools, nil
}

// reloadNetwork replaces the pools, and updates the system's settings for them.
func (d *daemon) reloadNetwork(n config.Network) error {
	pools, err := makePools(n, d.cfg.Network, d.pools)
	if err != nil {
		return err
	}
	covered := n.Prefixes()
	all := slices.Clone(covered)
	for _, a := range d.sessions.Addresses() {
		if !slices.ContainsFunc(covered, func(p netip.Prefix) bool { return p.Contains(a) }) {
			all = append(all, netip.PrefixFrom(a, 32)) // until the user or the daemon has gone
		}
	}
	if err := d.tun.SetRoutes(all); err != nil {
		return err
	}
	if err := d.changes.SetPool(all); err != nil {
		return err
	}
	d.warnIf("network.nftables_table", d.changes.RestoreSets())
	d.sessions.SetPools(pools, n.PoolChange == "keep")
	d.pools = pools
	return nil
}

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
		d.revise(ctx) // the users' fixed addresses are reserved in the new pools
		return nil
	})
}

// poolSettings are the settings of the address pools. If p names no DNS servers and the file sets
// none, they stay unset.
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

// poolsInUse reports pools that the change removes although users name them.
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
