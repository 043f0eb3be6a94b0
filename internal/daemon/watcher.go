package daemon

import (
	"context"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/hook"
	"vpnd/internal/session"
)

// watcher does what is to be done in the system as connections come and go, and runs the hooks.
type watcher struct {
	d     *daemon
	hooks *hook.Runner // nil: there are none
	inner config.Network
}

// newHooks makes what runs the hooks of a configuration; nil: it has none.
func (d *daemon) newHooks(h config.Hooks) *hook.Runner {
	if len(h.Before)+len(h.Up)+len(h.Down) == 0 {
		return nil
	}
	return hook.New(hook.Config{Before: h.Before, Up: h.Up, Down: h.Down, Timeout: h.Timeout, AtOnce: h.AtOnce, Logger: d.log})
}

// Before implements session.Watcher.
func (w watcher) Before(ctx context.Context, c session.Connection) error {
	if w.hooks == nil {
		return nil
	}
	return w.hooks.Before(ctx, w.facts(c))
}

// Up implements session.Watcher.
func (w watcher) Up(c session.Connection) {
	w.d.complain("network.nftables_table", w.d.changes.Enter(c.Virtual, c.Group))
	w.d.complain("proxy ARP", w.d.changes.AddProxyARP(c.Virtual))
	if w.hooks != nil {
		w.hooks.Up(w.facts(c))
	}
}

// Regroup implements session.Watcher.
func (w watcher) Regroup(c session.Connection, before string) {
	w.d.complain("network.nftables_table", w.d.changes.Regroup(c.Virtual, before, c.Group))
}

// Down implements session.Watcher.
func (w watcher) Down(c session.Connection, reason string, release func()) {
	w.d.complain("proxy ARP", w.d.changes.RemoveProxyARP(c.Virtual))
	w.d.complain("network.nftables_table", w.d.changes.Leave(c.Virtual, c.Group))
	if w.hooks == nil {
		release()
		return
	}
	f := w.facts(c)
	f.Connected, f.Rx, f.Tx, f.Reason = time.Since(c.Since), c.Stats.RxBytes, c.Stats.TxBytes, reason
	w.hooks.Down(f, release)
}

func (w watcher) facts(c session.Connection) hook.Facts {
	return hook.Facts{
		Session: c.ID, User: c.User, Group: c.Group, Type: c.Type, Auth: c.Auth, Encryption: c.Encryption, Remote: c.Remote,
		Local: w.inner.Address, Peer: c.Virtual, Interface: w.inner.Interface, DNS: c.DNS,
	}
}
