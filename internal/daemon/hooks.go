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

// connectionHooks change the system when connections come and go, and run the commands. Slow work
// runs before the answer to the log-in, or in a goroutine of its own, so packets never wait for a
// slow disk.
type connectionHooks struct {
	d        *daemon
	commands *hook.Runner // nil: there are none
	inner    config.Network

	system  sync.Mutex              // held while the system is changed
	holders map[netip.Addr][]holder // two while a connection replaces one that had the address

	mu      sync.Mutex
	tasks   []func() // in their order
	working bool
}

// holder is a connection whose address is set up in the system.
type holder struct{ id, group string }

func newConnectionHooks(d *daemon) *connectionHooks {
	return &connectionHooks{d: d, commands: d.hooks, inner: d.cfg.Network, holders: map[netip.Addr][]holder{}}
}

// newHooks makes the Runner of the configured hooks; nil: there are none.
func (d *daemon) newHooks(h config.Hooks) *hook.Runner {
	if len(h.Before)+len(h.Up)+len(h.Down) == 0 {
		return nil
	}
	return hook.New(hook.Config{Before: h.Before, Up: h.Up, Down: h.Down, Timeout: h.Timeout, AtOnce: h.AtOnce, Refusals: h.Refusals, Logger: d.log})
}

// Before implements session.ConnectionHooks. It refuses the log-in of a user whose address cannot
// be put into the firewall's sets, because that user would get past its rules.
func (h *connectionHooks) Before(ctx context.Context, c session.Connection) error {
	if h.commands != nil {
		if err := h.commands.Before(ctx, h.facts(c)); err != nil {
			return err
		}
	}
	h.system.Lock()
	defer h.system.Unlock()
	if err := h.d.changes.Enter(c.Virtual, c.Group); err != nil {
		return noSets(err)
	}
	if len(h.holders[c.Virtual]) == 0 {
		h.d.warnIf("proxy ARP", h.d.changes.AddProxyARP(c.Virtual))
	}
	h.holders[c.Virtual] = append(h.holders[c.Virtual], holder{c.ID, c.Group})
	return nil
}

func noSets(err error) reason.Reason { return reason.New(reason.FirewallSets, err) }

// Up implements session.ConnectionHooks.
func (h *connectionHooks) Up(c session.Connection) {
	h.later(func() { h.regroup(c) }) // the group may have changed since Before
	if h.commands != nil {
		h.commands.Up(h.facts(c))
	}
}

// Regroup implements session.ConnectionHooks.
func (h *connectionHooks) Regroup(c session.Connection, _ string) { h.later(func() { h.regroup(c) }) }

// Discard implements session.Discarder.
func (h *connectionHooks) Discard(c session.Connection, release func()) {
	h.later(func() {
		h.takeDown(c)
		release()
	})
}

// Down implements session.ConnectionHooks. It releases the address when both the system and the
// hooks have finished with it.
func (h *connectionHooks) Down(c session.Connection, why reason.Reason, release func()) {
	var left atomic.Int32
	done := func() {
		if left.Add(-1) == 0 {
			release()
		}
	}
	left.Store(1)
	if h.commands != nil {
		left.Store(2)
		f := h.facts(c)
		f.Connected, f.Rx, f.Tx, f.Reason = time.Since(c.Since), c.Stats.RxBytes, c.Stats.TxBytes, why
		h.commands.Down(f, done)
	}
	h.later(func() {
		h.takeDown(c)
		done()
	})
}

// regroup moves the address of a connection into the set of its group. If that fails, it hangs up
// the connection.
func (h *connectionHooks) regroup(c session.Connection) {
	h.system.Lock()
	defer h.system.Unlock()
	for i, held := range h.holders[c.Virtual] {
		if held.id != c.ID || held.group == c.Group {
			continue
		}
		if err := h.d.changes.Regroup(c.Virtual, held.group, c.Group); err != nil {
			why := noSets(err)
			h.d.log.Warn("network.nftables_table", "error", err)
			h.d.sessions.DropIf(func(other session.Connection) bool { return other.ID == c.ID }, why)
			return
		}
		h.holders[c.Virtual][i].group = c.Group
	}
}

// takeDown undoes Before, unless another connection has the address by now.
func (h *connectionHooks) takeDown(c session.Connection) {
	h.system.Lock()
	defer h.system.Unlock()
	group := c.Group
	left := slices.DeleteFunc(h.holders[c.Virtual], func(held holder) bool {
		if held.id == c.ID {
			group = held.group
		}
		return held.id == c.ID
	})
	if len(left) > 0 {
		h.holders[c.Virtual] = left
		return
	}
	delete(h.holders, c.Virtual)
	h.d.warnIf("proxy ARP", h.d.changes.RemoveProxyARP(c.Virtual))
	h.d.warnIf("network.nftables_table", h.d.changes.Leave(c.Virtual, group))
}

// later queues a task behind the earlier ones. The caller does not wait for it.
func (h *connectionHooks) later(task func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tasks = append(h.tasks, task)
	if !h.working {
		h.working = true
		h.d.wg.Go(h.work)
	}
}

func (h *connectionHooks) work() {
	for {
		h.mu.Lock()
		if len(h.tasks) == 0 {
			h.working = false
			h.mu.Unlock()
			return
		}
		task := h.tasks[0]
		h.tasks = h.tasks[1:]
		h.mu.Unlock()
		task()
	}
}

func (h *connectionHooks) facts(c session.Connection) hook.Facts {
	return hook.Facts{
		Session: c.ID, User: c.User, Group: c.Group, Type: string(c.Type), Auth: c.Auth, Encryption: c.Encryption, Remote: c.Remote,
		Local: h.inner.Address, Peer: c.Virtual, Interface: h.inner.Interface, DNS: c.DNS,
	}
}
