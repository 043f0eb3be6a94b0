package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"
	"vpnd/auth"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/usermgmt"
)

// watchUsers applies changes of the user table, by any process, to the connections: it hangs them
// up, or changes their limits.
func (d *daemon) watchUsers(ctx context.Context) {
	generation, err := d.store.Generation(ctx)
	if err == nil && generation == d.generation {
		return
	}
	var profiles []usermgmt.Profile
	var damaged map[string]error
	if err == nil {
		profiles, damaged, err = d.store.Sound(ctx)
	}
	if err != nil {
		if !d.unread {
			d.log.Warn("the user table cannot be read: changes of users have no effect until it can", "error", err)
		}
		d.unread = true
		return
	}
	d.generation, d.unread, d.damaged = generation, false, damaged
	for name, err := range damaged {
		d.log.Error("a row of the user table is damaged: vpnd refuses the user", "user", name, "error", err)
	}
	d.accounts = make(map[string]auth.Account, len(profiles))
	for _, p := range profiles {
		d.accounts[p.Name] = p.Account()
	}
	d.revise(ctx)
}

// usersChanged applies a change that the daemon itself has made in the user table. It reads the
// table only if another process has also changed it.
func (d *daemon) usersChanged(ctx context.Context, c usermgmt.Change) {
	switch {
	case c.Generation <= d.generation:
		return // the change was read already
	case c.Before != d.generation || d.accounts == nil:
		d.watchUsers(ctx)
		return
	}
	for _, name := range c.Removed {
		delete(d.accounts, name)
		delete(d.damaged, name)
	}
	for _, p := range c.Stored {
		d.accounts[p.Name] = p.Account()
	}
	d.generation = c.Generation
	d.revise(ctx)
}

// revise applies the accounts to the connections, and reserves their fixed addresses in the pools.
func (d *daemon) revise(ctx context.Context) {
	if d.accounts == nil {
		return // no users have been read yet
	}
	var fixed []netip.Addr
	plain := len(d.accounts) == 0
	for _, a := range d.accounts {
		if a.Terms.Address.IsValid() {
			fixed = append(fixed, a.Terms.Address)
		}
		plain = plain || a.Enabled && !a.IPsecMust && slices.Contains(a.Services, auth.L2TP)
	}
	for _, p := range d.pools {
		p.Addresses.Reserve(fixed)
	}
	d.sessions.RefusePlainL2TP(!plain)
	now := d.clock.Corrected()
	d.sessions.Revise(func(c session.Connection) (auth.Terms, reason.Reason) {
		a, known := d.accounts[c.User]
		why := refusal(a, known, c, now)
		if err := d.damaged[c.User]; err != nil {
			why = reason.New(reason.UserTable, err)
		}
		if why.IsZero() {
			return a.TermsAt(now), why
		}
		// The user may have logged in after a change that the accounts lack.
		if stored, known, err := d.store.Account(ctx, c.User); err == nil {
			a, why = stored, refusal(stored, known, c, now)
		}
		return a.TermsAt(now), why
	})
}

// refusal says why a user cannot have the connection; zero: the user can. A user without a known
// account was removed.
func refusal(a auth.Account, known bool, c session.Connection, now time.Time) reason.Reason {
	if !known {
		return reason.New(reason.UserRemoved)
	}
	return a.Refuses(c.Service(), c.Remote, now)
}
