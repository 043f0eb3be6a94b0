package daemon

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/config"
	"vpnd/internal/hook"
	"vpnd/internal/reason"
	"vpnd/internal/session"
)

// watcher does what is to be done in the system as connections come and go, and runs the hooks. What takes its time is
// done before the log-in is answered, or in a goroutine of its own: a disk that hangs keeps no packet waiting.
type watcher struct {
	d     *daemon
	hooks *hook.Runner // nil: there are none
	inner config.Network

	system  sync.Mutex              // held while the system is changed
	holders map[netip.Addr][]holder // two while a connection replaces one that had the address

	mu      sync.Mutex
	tasks   []func() // in their order
	working bool
}

// holder is a connection whose address is set up in the system.
type holder struct{ id, group string }

func newWatcher(d *daemon) *watcher {
	return &watcher{d: d, hooks: d.hooks, inner: d.cfg.Network, holders: map[netip.Addr][]holder{}}
}

// newHooks makes what runs the hooks of a configuration; nil: it has none.
func (d *daemon) newHooks(h config.Hooks) *hook.Runner {
	if len(h.Before)+len(h.Up)+len(h.Down) == 0 {
		return nil
	}
	return hook.New(hook.Config{Before: h.Before, Up: h.Up, Down: h.Down, Timeout: h.Timeout, AtOnce: h.AtOnce, Refusals: h.Refusals, Logger: d.log})
}

// Before implements session.Watcher. A user whose address is not in the firewall's sets would get past its rules: the
// log-in is refused then.
func (w *watcher) Before(ctx context.Context, c session.Connection) error {
	if w.hooks != nil {
		if err := w.hooks.Before(ctx, w.facts(c)); err != nil {
			return err
		}
	}
	w.system.Lock()
	defer w.system.Unlock()
	if err := w.d.changes.Enter(c.Virtual, c.Group); err != nil {
		return noSets(err)
	}
	if len(w.holders[c.Virtual]) == 0 {
		w.d.warnIf("proxy ARP", w.d.changes.AddProxyARP(c.Virtual))
	}
	w.holders[c.Virtual] = append(w.holders[c.Virtual], holder{c.ID, c.Group})
	return nil
}

func noSets(err error) reason.Reason { return reason.New(reason.FirewallSets, err) }

// Up implements session.Watcher.
func (w *watcher) Up(c session.Connection) {
	w.later(func() { w.regroup(c) }) // the group may have changed since Before
	if w.hooks != nil {
		w.hooks.Up(w.facts(c))
	}
}

// Regroup implements session.Watcher.
func (w *watcher) Regroup(c session.Connection, _ string) { w.later(func() { w.regroup(c) }) }

// Discard implements session.Discarder.
func (w *watcher) Discard(c session.Connection, release func()) {
	w.later(func() {
		w.takeDown(c)
		release()
	})
}

// Down implements session.Watcher. The address is released when both the system and the hooks are done with it.
func (w *watcher) Down(c session.Connection, why reason.Reason, release func()) {
	var left atomic.Int32
	done := func() {
		if left.Add(-1) == 0 {
			release()
		}
	}
	left.Store(1)
	if w.hooks != nil {
		left.Store(2)
		f := w.facts(c)
		f.Connected, f.Rx, f.Tx, f.Reason = time.Since(c.Since), c.Stats.RxBytes, c.Stats.TxBytes, why
		w.hooks.Down(f, done)
	}
	w.later(func() {
		w.takeDown(c)
		done()
	})
}

// regroup moves the address of a connection into the set of its group. One that cannot be moved is hung up.
func (w *watcher) regroup(c session.Connection) {
	w.system.Lock()
	defer w.system.Unlock()
	for i, h := range w.holders[c.Virtual] {
		if h.id != c.ID || h.group == c.Group {
			continue
		}
		if err := w.d.changes.Regroup(c.Virtual, h.group, c.Group); err != nil {
			why := noSets(err)
			w.d.log.Warn("network.nftables_table", "error", err)
			w.d.sessions.DropIf(func(other session.Connection) bool { return other.ID == c.ID }, why)
			return
		}
		w.holders[c.Virtual][i].group = c.Group
	}
}

// takeDown takes back what Before has set up, unless another connection has the address by now.
func (w *watcher) takeDown(c session.Connection) {
	w.system.Lock()
	defer w.system.Unlock()
	group := c.Group
	left := slices.DeleteFunc(w.holders[c.Virtual], func(h holder) bool {
		if h.id == c.ID {
			group = h.group
		}
		return h.id == c.ID
	})
	if len(left) > 0 {
		w.holders[c.Virtual] = left
		return
	}
	delete(w.holders, c.Virtual)
	w.d.warnIf("proxy ARP", w.d.changes.RemoveProxyARP(c.Virtual))
	w.d.warnIf("network.nftables_table", w.d.changes.Leave(c.Virtual, group))
}

// later does a task after those before it, in no caller's time.
func (w *watcher) later(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks = append(w.tasks, task)
	if !w.working {
		w.working = true
		w.d.wg.Go(w.work)
	}
}

func (w *watcher) work() {
	for {
		w.mu.Lock()
		if len(w.tasks) == 0 {
			w.working = false
			w.mu.Unlock()
			return
		}
		task := w.tasks[0]
		w.tasks = w.tasks[1:]
		w.mu.Unlock()
		task()
	}
}

func (w *watcher) facts(c session.Connection) hook.Facts {
	return hook.Facts{
		Session: c.ID, User: c.User, Group: c.Group, Type: string(c.Type), Auth: c.Auth, Encryption: c.Encryption, Remote: c.Remote,
		Local: w.inner.Address, Peer: c.Virtual, Interface: w.inner.Interface, DNS: c.DNS,
	}
}
