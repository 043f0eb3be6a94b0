// Package hook runs an administrator's commands before, at and after connections. It limits their
// time and number, and runs them in order for each connection. Packets never wait for them.
package hook

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/reason"
)

// maxWaiting is how many runs may wait. Beyond that nobody else is let in. Runs for existing
// connections still join: each connection holds an address, so their number is limited by the
// number of addresses.
const maxWaiting = 1000

// Config is the configuration of a Runner. A command is a program's path with its arguments; empty:
// none.
type Config struct {
	Before  []string // may refuse the log-in with its exit status
	Up      []string
	Down    []string
	Timeout time.Duration // of a run, after which it is killed
	AtOnce  int           // runs
	// Refusals is how many runs may refuse a user from one address at once, before only one run per
	// half minute is allowed; 0: 10.
	Refusals int
	Logger   *slog.Logger
}

// Facts are the facts about a connection that a command is told.
type Facts struct {
	Session, User, Group, Type, Auth, Encryption string
	Remote                                       netip.Addr // the client's outer address
	Local, Peer                                  netip.Addr // inner addresses
	Interface                                    string
	DNS                                          []netip.Addr
	Connected                                    time.Duration // down: for how long
	Rx, Tx                                       uint64        // down: bytes from and to the user
	Reason                                       reason.Reason // down: why it ended
}

// Stats are the current figures, and the number of failed runs since the start, by hook.
type Stats struct {
	Running, Waiting int
	Failed           map[string]uint64
}

// Runner runs hooks. It is safe for concurrent use.
type Runner struct {
	cfg    Config
	no     refusals
	failed [len(names)]atomic.Uint64
	ctx    context.Context
	kill   context.CancelFunc

	mu      sync.Mutex
	chains  map[string][]*run // by session: runs in order; the first one runs or is ready
	ready   []*run
	waiting int // runs that have not begun
	running int
	idle    chan struct{} // closed when nothing is left and Close waits
}

// kind is a hook.
type kind int

const (
	before kind = iota
	up
	down
)

var names = [...]string{before: "before", up: "up", down: "down"}

// run is one run of a hook.
type run struct {
	kind  kind
	facts Facts
	begun atomic.Bool // set when it begins, or when nobody waits for it any longer
	done  func(error)
}

// New makes a Runner.
func New(cfg Config) *Runner {
	r := &Runner{cfg: cfg, no: newRefusals(cfg.Refusals), chains: map[string][]*run{}}
	r.ctx, r.kill = context.WithCancel(context.Background())
	return r
}

var (
	errBehind = reason.New(reason.HooksBehind)
	errLate   = reason.New(reason.HookLate)
	errOften  = reason.New(reason.HookOften)
)

// Before asks the command whether a log-in may go on. It waits for its turn and for the command,
// each up to the time-out. The error is the reason for a refusal. A user whom the command keeps
// refusing is refused without it for a while.
func (r *Runner) Before(ctx context.Context, f Facts) error {
	r.mu.Lock()
	behind := r.waiting >= maxWaiting
	r.mu.Unlock()
	if behind {
		return errBehind
	}
	if len(r.cfg.Before) == 0 {
		return nil
	}
	if !r.no.allow(f, time.Now()) {
		r.failed[before].Add(1)
		return errOften
	}
	turn, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	answer := make(chan error, 1)
	next := &run{kind: before, facts: f, done: func(err error) { answer <- err }}
	r.add(next)
	select {
	case err := <-answer:
		return err
	case <-turn.Done():
	}
	if next.begun.CompareAndSwap(false, true) {
		r.failed[before].Add(1)
		return errLate
	}
	return <-answer
}

// Up queues the up hook. It does not wait.
func (r *Runner) Up(f Facts) {
	if len(r.cfg.Up) > 0 {
		r.add(&run{kind: up, facts: f, done: func(error) {}})
	}
}

// Down queues the down hook. It does not wait: it calls done when the last hook of the connection
// has ended.
func (r *Runner) Down(f Facts, done func()) {
	r.add(&run{kind: down, facts: f, done: func(error) { done() }})
}

// Stats gives the counters.
func (r *Runner) Stats() Stats {
	st := Stats{Failed: map[string]uint64{}}
	for k, name := range names {
		st.Failed[name] = r.failed[k].Load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Running, st.Waiting = r.running, r.waiting
	return st
}

// Close waits until all hooks have ended, or until ctx is done. It then kills the running ones, and
// those that wait do not run.
func (r *Runner) Close(ctx context.Context) {
	r.mu.Lock()
	idle := make(chan struct{})
	if r.idle = idle; len(r.chains) == 0 {
		close(idle)
	}
	r.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		r.mu.Lock()
		waiting := r.waiting
		r.mu.Unlock()
		r.cfg.Logger.Warn("hooks are cut short: the server ends", "waiting", waiting)
		r.kill()
		<-idle
	}
	r.kill()
}

func (r *Runner) add(next *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := next.facts.Session
	r.chains[id] = append(r.chains[id], next)
	r.waiting++
	if len(r.chains[id]) == 1 {
		r.ready = append(r.ready, next)
	}
	r.dispatch()
}

// dispatch starts the runs that may start. The lock must be held.
func (r *Runner) dispatch() {
	for len(r.ready) > 0 && r.running < r.cfg.AtOnce {
		next := r.ready[0]
		r.ready[0] = nil
		r.ready = r.ready[1:]
		r.waiting--
		r.running++
		go func() {
			err := r.execute(next)
			next.done(err)
			r.ended(next.facts.Session)
		}()
	}
}

// ended lets the session's next run take its turn.
func (r *Runner) ended(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if rest := r.chains[id][1:]; len(rest) > 0 {
		r.chains[id] = rest
		r.ready = append(r.ready, rest[0])
	} else {
		delete(r.chains, id)
	}
	r.dispatch()
	if r.idle != nil && len(r.chains) == 0 {
		close(r.idle)
		r.idle = nil
	}
}

// execute runs the command of a hook, if it has one.
func (r *Runner) execute(next *run) error {
	command := [...][]string{before: r.cfg.Before, up: r.cfg.Up, down: r.cfg.Down}[next.kind]
	switch {
	case len(command) == 0:
		return nil
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case !next.begun.CompareAndSwap(false, true):
		return errLate
	// Other runs have refused the user while this one waited.
	case next.kind == before && !r.no.allow(next.facts, time.Now()):
		r.failed[before].Add(1)
		return errOften
	}
	begun := time.Now()
	output, err := r.command(command, environment(next.kind, next.facts))
	attrs := []any{"session", next.facts.Session, "user", next.facts.User, "hook", names[next.kind], "duration", time.Since(begun).Round(time.Millisecond)}
	if output != "" {
		attrs = append(attrs, "output", output)
	}
	if err == nil {
		r.cfg.Logger.Debug("hook", attrs...)
		return nil
	}
	r.failed[next.kind].Add(1)
	if next.kind == before {
		r.no.count(next.facts, time.Now())
	}
	r.cfg.Logger.Warn("hook failed", append(attrs, "error", err)...)
	return reason.New(reason.HookRefused, err)
}
