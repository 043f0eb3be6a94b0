// Package daemon connects the parts. It is the only package that knows all of them.
package daemon

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/internal/dataplane"
	"vpnd/internal/hook"
	"vpnd/internal/https"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/sysnet"
	"vpnd/internal/timesync"
	"vpnd/internal/tun"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/mgmt/metrics"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
	"vpnd/usermgmt"
)

const (
	// hangUpTime is the time that clients have for an orderly hang-up when the daemon ends.
	hangUpTime = 7 * time.Second
	stopTime   = 3 * time.Second
	// watchEvery is how often the daemon checks the user table for changes by other processes.
	watchEvery = time.Second
	// accountEvery is how often traffic is added to the users' months and checked against their
	// quotas.
	accountEvery = 10 * time.Second
	pruneEvery   = time.Hour
	pruneMost    = 3 * 24 * time.Hour // of history deleted at once because of its age
)

// Options are what a Daemon needs besides the configuration.
type Options struct {
	Log    io.Writer // the log goes here
	Ready  func()    // called once when everything is set up
	Reload <-chan struct{}
	// Load reads the configuration again. Nil: it cannot be reloaded.
	Load func() (config.Config, error)
	// Watch is how often the daemon checks the user table for changes by other processes; 0: each
	// second.
	Watch time.Duration
}

// Run serves until ctx is done, and then hangs up all calls. It either starts completely before it
// calls Ready, or undoes its changes and returns an error that says what is wrong and how to fix
// it.
func Run(ctx context.Context, cfg config.Config, opts Options) error {
	d := &daemon{
		file: cfg, cfg: cfg, since: time.Now(), level: new(slog.LevelVar), traffic: newTraffic(), work: make(chan func()), ending: make(chan struct{}),
	}
	d.level.Set(logLevel(cfg.Log.Level))
	d.log = newLogger(opts.Log, cfg.Log.Format, d.level)
	defer d.undoAll()
	if err := d.setUp(ctx); err != nil {
		close(d.ending)
		return err
	}
	d.show()
	d.watchUsers(ctx)
	d.recorder.add(state.Entry{Event: state.EventStarted})
	failed := d.start(ctx)
	d.started.Store(true)
	d.ready.Store(true)
	d.log.Info("serving", "pptp", d.cfg.Services.PPTP, "l2tp", d.cfg.Services.L2TP, "address", cfg.Network.Address, "interface", cfg.Network.Interface)
	if opts.Ready != nil {
		opts.Ready()
	}
	err := d.serve(ctx, opts, failed)
	d.shutDown()
	return err
}

// serve runs the main loop until the daemon has to end. An error means that something has failed.
func (d *daemon) serve(ctx context.Context, opts Options, failed <-chan error) error {
	ticker := time.NewTicker(cmp.Or(opts.Watch, watchEvery))
	defer ticker.Stop()
	accounting := time.NewTicker(accountEvery)
	defer accounting.Stop()
	pruning := time.NewTicker(pruneEvery)
	defer pruning.Stop()
	d.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-opts.Reload:
			d.reload(ctx, opts.Load)
		case <-ticker.C:
			d.watchUsers(ctx)
			if d.https != nil {
				d.https.Watch(ctx)
			}
			if d.crowded() {
				d.prune(ctx)
			}
			if d.shutdownDue(time.Now()) {
				return nil
			}
		case f := <-d.work:
			f()
		case <-accounting.C:
			d.account(ctx)
		case <-pruning.C:
			d.prune(ctx)
			if d.https != nil {
				d.warnIf("renewing the certificate of management.listen", d.https.RenewCertificate())
			}
		}
	}
}

type daemon struct {
	file  config.Config // as read from the file
	cfg   config.Config // file with set laid over it
	set   config.Settings
	shown atomic.Pointer[shown]
	since time.Time // when the daemon began
	log   *slog.Logger
	level *slog.LevelVar
	undo  []func() // in the order of the changes

	store           state.Store
	metrics         *metrics.Metrics
	recorder        *recorder
	generation      uint64                  // of the user table, as accounts and damaged have it
	accounts        map[string]auth.Account // by name; nil: not read yet
	damaged         map[string]error        // why users are refused, by name
	unread          bool                    // the last read of the user table failed
	traffic         *traffic
	pools           map[string]session.Pool
	tun             *tun.Device
	changes         *sysnet.Changes
	plane           *dataplane.Plane
	hooks           *hook.Runner // nil: there are none
	sessions        *session.Manager
	clock           *timesync.Clock
	api             *mgmt.API
	gate            *access.Gate
	https           *https.Server // nil: off
	started         atomic.Bool   // the daemon serves
	ready           atomic.Bool   // the daemon takes calls: no shutdown is pending
	services        []*service
	pendingShutdown *pendingShutdown // nil: no shutdown is pending
	work            chan func()      // from other goroutines, to run in the daemon's own
	ending          chan struct{}    // closed when no more work is taken
	wg              sync.WaitGroup
}

func (d *daemon) later(f func()) { d.undo = append(d.undo, f) }

func (d *daemon) undoAll() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
}

func (d *daemon) setUp(ctx context.Context) error {
	var err error
	if d.store, err = sqlite.Open(ctx, d.cfg.StateDir, state.Options{
		CheckAddress: func(a netip.Addr) error { return d.shown.Load().cfg.Network.CheckAddress(a) },
		CheckPool:    func(name string) error { return d.shown.Load().cfg.Network.CheckPool(name) },
		Changed: func(ctx context.Context, c usermgmt.Change) {
			d.api.UsersChanged(c)
			_ = d.do(ctx, func() error { // a daemon that ends needs no changes
				d.usersChanged(ctx, c)
				return nil
			})
		},
	}); err != nil {
		return err
	}
	d.later(func() { d.warnIf("closing the user table", d.store.Close()) })
	if err := d.loadSettings(ctx); err != nil {
		return err
	}
	n := d.cfg.Network
	if d.pools, err = makePools(n, config.Network{}, nil); err != nil {
		return err
	}
	if d.tun, err = tun.Open(tun.Config{Name: n.Interface, Address: n.Address, MTU: d.cfg.PPP.MRU, Routes: n.Prefixes()}); err != nil {
		return err
	}
	d.later(func() {
		d.warnIf("closing the TUN device", d.tun.Close())
		d.wg.Wait()
	})
	d.changes, err = sysnet.Setup(sysnet.Config{
		StateDir: d.cfg.StateDir, Interface: n.Interface, Masquerade: n.Masquerade, ProxyARP: n.ProxyARP, Sets: n.NFTablesTable, Pool: n.Prefixes(),
	})
	if err != nil {
		return err
	}
	d.later(func() { d.warnIf("undoing the changes to the system", d.changes.Undo()) })
	for _, w := range d.changes.Warnings() {
		d.log.Warn(w)
	}
	d.plane = dataplane.New(d.tun, dataplane.Config{Local: n.Address, UserToUser: n.UserToUser})
	d.plane.SetKeyChanges(d.cfg.PPP.MPPEKeyChanges)
	d.metrics = d.newMetrics()
	d.recorder = newRecorder(d.store, d.log, d.metrics)
	d.later(d.recorder.close)
	d.clock = newClock(d.cfg, d.log)
	authenticator := auth.New(auth.Config{Window: d.cfg.MOTP.Window, MaxFailures: d.cfg.MOTP.MaxFailures, Now: d.clock.Corrected}, d.store, d.store)
	d.later(authenticator.Close)
	d.hooks = d.newHooks(d.cfg.Hooks)
	d.sessions = session.NewManager(d.sessionConfig(authenticator))
	if err := d.manage(ctx); err != nil {
		return err
	}
	d.services = d.newServices()
	_, err = d.openServices(d.cfg.Services)
	return err
}

// carriers are PPTP and L2TP. Each makes room when an address reaches its limit, so sessions need
// room for both: otherwise newcomers would be refused.
const carriers = 2

func (d *daemon) sessionConfig(authenticator *auth.Authenticator) session.Config {
	return session.Config{
		PPP: pppConfig(d.cfg.PPP), Local: d.cfg.Network.Address, Auth: timed{authenticator, d.metrics}, Pools: d.pools, Leases: d.store, Recorder: d.recorder, Used: d.used,
		Plane: d.plane, Now: d.clock.Corrected, Hooks: newConnectionHooks(d), Logger: d.log, Trace: d.cfg.Log.Trace,
		Refusals: refusals(d.cfg.History), MaxPending: carriers * d.cfg.Limits.UnauthenticatedPerAddress,
		LogIns: d.cfg.Limits.LogInsPerUser,
	}
}

func refusals(h config.History) session.Refusals {
	return session.Refusals{OfSource: h.RefusalsOfSource, Total: h.Refusals}
}

// pppConfig is the configuration that is negotiated with every client.
func pppConfig(p config.PPP) ppp.Config {
	methods := make([]ppp.Method, 0, len(p.Authentication))
	for _, name := range p.Authentication {
		if m, err := ppp.ParseMethod(name); err == nil { // config has checked them
			methods = append(methods, m)
		}
	}
	cfg := ppp.Config{
		MRU: uint16(p.MRU), Auth: methods,
		EchoInterval: orNever(p.EchoInterval), EchoFailures: p.EchoFailures, Rechallenge: p.CHAPInterval,
		Mutual: ppp.Mutual(p.MutualPAP),
	}
	switch p.MPPE {
	case "off":
		cfg.MPPE.Mode = ppp.MPPEOff
	case "optional":
		cfg.MPPE.Mode = ppp.MPPEOptional
	case "required":
		cfg.MPPE.Mode = ppp.MPPERequired
	case "maximum":
		cfg.MPPE = ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{mppe.Bits128}}
	}
	cfg.MPPE.Stateful = p.MPPEStateful
	if p.EchoFailures == 0 {
		cfg.EchoFailures = -1
	}
	return cfg
}

// orNever turns the configuration's 0, which means off, into the engine's value.
func orNever(interval time.Duration) time.Duration {
	if interval == 0 {
		return -1
	}
	return interval
}

func (d *daemon) warnIf(what string, err error) {
	if err != nil {
		d.log.Warn(what, "error", err)
	}
}

// newClock makes the clock for verifying one-time passwords.
func newClock(cfg config.Config, log *slog.Logger) *timesync.Clock {
	return timesync.New(timesync.Config{Servers: cfg.Time.Servers, Interval: cfg.Time.Interval, MaxOffset: cfg.Time.MaxOffset, Logger: log})
}

// start runs the servers. The channel gives the error of a server that has failed.
func (d *daemon) start(ctx context.Context) <-chan error {
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	d.later(cancel)
	d.wg.Go(func() { d.clock.Run(ctx) })
	d.wg.Go(func() { d.api.Run(ctx) })
	d.wg.Go(func() {
		if err := d.plane.Run(); err != nil {
			select {
			case failed <- fmt.Errorf("TUN device %s: %w", d.tun.Name(), err):
			default:
			}
		}
	})
	for _, s := range d.services {
		s.serve(&d.wg)
	}
	return failed
}

// shutDown hangs up all calls.
func (d *daemon) shutDown() {
	close(d.ending)
	d.log.Info("shutting down", "connections", len(d.sessions.Connections()))
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTime)
	d.sessions.Shutdown(ctx, reason.New(reason.ShuttingDown))
	cancel()
	if d.hooks != nil {
		ctx, cancel := context.WithTimeout(context.Background(), d.cfg.Hooks.Timeout)
		d.hooks.Close(ctx)
		cancel()
	}
	d.account(context.Background())
	d.stopServers()
}
