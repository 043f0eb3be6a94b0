package daemon

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
	"vpnd/auth"
	"vpnd/internal/session"
	"vpnd/usermgmt"
)

// watchUsers brings to the connections what any process has changed in the user table: they are hung up,
// or their limits change.
func (d *daemon) watchUsers(ctx context.Context) {
	generation, err := d.store.Generation(ctx)
	if err != nil || generation == d.generation {
		return
	}
	profiles, err := d.store.List(ctx)
	if err != nil {
		d.log.Warn("reading the user table", "error", err)
		return
	}
	d.generation = generation
	d.accounts = make(map[string]auth.Account, len(profiles))
	var fixed []netip.Addr
	for _, p := range profiles {
		d.accounts[p.Name] = p.Account()
		if p.Address.IsValid() {
			fixed = append(fixed, p.Address)
		}
	}
	for _, p := range d.pools {
		p.Addresses.Reserve(fixed)
	}
	plain := len(profiles) == 0 || slices.ContainsFunc(profiles, func(p usermgmt.Profile) bool {
		return p.Enabled && p.IPsec != usermgmt.IPsecMust && slices.Contains(p.Services, auth.L2TP)
	})
	d.sessions.RefusePlainL2TP(!plain)
	now := d.clock.Corrected()
	d.sessions.Revise(func(c session.Connection) (auth.Terms, string) {
		a, ok := d.accounts[c.User]
		if !ok {
			return auth.Terms{}, "user was removed"
		}
		if r := a.Refuses(auth.Service(strings.ToLower(c.Type)), c.Remote, now); r.Code != 0 {
			return auth.Terms{}, r.Reason
		}
		return a.TermsAt(now), ""
	})
}

// account adds what users have moved to their months, and hangs those up that have used up their quota.
func (d *daemon) account(ctx context.Context) {
	month := usermgmt.Month(d.clock.Corrected())
	for user, u := range d.sessions.Usage() {
		sum := d.moved[user]
		d.moved[user] = usermgmt.Traffic{Rx: sum.Rx + u.Rx, Tx: sum.Tx + u.Tx}
	}
	if len(d.moved) == 0 {
		return
	}
	if err := d.store.AddTraffic(ctx, month, d.moved); err != nil {
		d.log.Warn("the users' traffic could not be stored; it is added later", "error", err)
		return
	}
	moved := d.moved
	d.moved = map[string]usermgmt.Traffic{}
	for user := range moved {
		quota := d.accounts[user].Terms.Quota
		if quota == 0 {
			continue
		}
		if used, err := d.used(ctx, user); err == nil && used >= quota {
			d.sessions.DropIf(func(c session.Connection) bool { return c.User == user }, "monthly quota used up")
		}
	}
}

// used is the octets that a user has moved in this month.
func (d *daemon) used(ctx context.Context, user string) (uint64, error) {
	t, err := d.store.Traffic(ctx, user, usermgmt.Month(d.clock.Corrected()))
	return t.Total(), err
}

// prune bounds the history. A clock that is wrong after a start has an hour to be put right, before entries are forgotten for
// their age.
func (d *daemon) prune(ctx context.Context) {
	var before time.Time
	if now := d.clock.Corrected(); time.Since(d.since) >= pruneEvery {
		before = now.Add(-d.cfg.History.Age)
	}
	d.recorder.written.Store(0)
	d.complain("pruning the history", d.store.Prune(ctx, before, d.cfg.History.Entries))
}

// crowded reports whether the history has grown so much that pruning cannot wait.
func (d *daemon) crowded() bool { return d.recorder.written.Load() > int64(d.cfg.History.Entries/10) }
