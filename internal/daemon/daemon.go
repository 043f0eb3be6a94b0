// Package daemon puts the parts together: the only place that knows all of them.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/internal/dataplane"
	"vpnd/internal/dhcp"
	"vpnd/internal/ippool"
	"vpnd/internal/session"
	"vpnd/internal/sysnet"
	"vpnd/internal/timesync"
	"vpnd/internal/tun"
	"vpnd/l2tp"
	l2tpserver "vpnd/l2tp/server"
	"vpnd/ppp"
	"vpnd/pptp"
	pptpserver "vpnd/pptp/server"
	"vpnd/usermgmt"
)

const (
	// hangUpTime is how long clients have for a proper good-bye when the daemon ends.
	hangUpTime = 7 * time.Second
	stopTime   = 3 * time.Second
	// watchEvery is how often the user table is looked at for changes.
	watchEvery = time.Second
)

// Options are what a Daemon is told besides the configuration.
type Options struct {
	Log    io.Writer // the log goes here
	Ready  func()    // called once when all stands
	Reload <-chan struct{}
	// Load reads the configuration again; nil: it cannot be reloaded.
	Load func() (config.Config, error)
}

// Run serves until ctx is done, and then hangs everybody up. It either stands completely before it
// calls Ready, or undoes what it has begun and says what is in the way and how to mend it.
func Run(ctx context.Context, cfg config.Config, opts Options) error {
	d := &daemon{cfg: cfg, level: new(slog.LevelVar)}
	d.level.Set(logLevel(cfg.Log.Level))
	d.log = newLogger(opts.Log, cfg.Log.Format, d.level)
	defer d.undoAll()
	if err := d.setUp(ctx); err != nil {
		return err
	}
	d.watchUsers(ctx)
	failed := d.start(ctx)
	d.log.Info("serving", "pptp", cfg.Services.PPTP, "l2tp", cfg.Services.L2TP, "address", cfg.Network.Address, "interface", cfg.Network.Interface)
	if opts.Ready != nil {
		opts.Ready()
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			d.shutDown()
			return nil
		case err := <-failed:
			d.shutDown()
			return err
		case <-opts.Reload:
			d.reload(opts.Load)
		case <-ticker.C:
			d.watchUsers(ctx)
		}
	}
}

type daemon struct {
	cfg   config.Config
	log   *slog.Logger
	level *slog.LevelVar
	undo  []func() // in the order in which it was done

	store      *usermgmt.Store
	generation uint64
	pool       *ippool.Pool
	tun        *tun.Device
	changes    *sysnet.Changes
	plane      *dataplane.Plane
	sessions   *session.Manager
	clock      *timesync.Clock
	pptp       *pptpserver.Server
	l2tp       *l2tpserver.Server
	wg         sync.WaitGroup
}

func (d *daemon) later(f func()) { d.undo = append(d.undo, f) }

func (d *daemon) undoAll() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
}

func (d *daemon) setUp(ctx context.Context) error {
	n := d.cfg.Network
	var err error
	if d.store, err = usermgmt.Open(ctx, d.cfg.StateDir, usermgmt.Options{}); err != nil {
		return err
	}
	d.later(func() { d.complain("closing the user table", d.store.Close()) })
	ranges := make([]ippool.Range, len(n.Pool))
	for i, r := range n.Pool {
		ranges[i] = ippool.Range(r)
	}
	if d.pool, err = ippool.New(ranges, n.Address); err != nil {
		return fmt.Errorf("network.pool: %w", err)
	}
	if d.tun, err = tun.Open(tun.Config{Name: n.Interface, Address: n.Address, MTU: d.cfg.PPP.MRU, Routes: prefixes(n.Pool)}); err != nil {
		return err
	}
	d.later(func() {
		d.complain("closing the TUN device", d.tun.Close())
		d.wg.Wait()
	})
	d.changes, err = sysnet.Setup(sysnet.Config{
		StateDir: d.cfg.StateDir, Interface: n.Interface, Masquerade: n.Masquerade, ProxyARP: n.ProxyARP, Pool: prefixes(n.Pool),
	})
	if err != nil {
		return err
	}
	d.later(func() { d.complain("taking back what was set up", d.changes.Undo()) })
	for _, w := range d.changes.Warnings() {
		d.log.Warn(w)
	}
	d.plane = dataplane.New(d.tun, dataplane.Config{
		Local: n.Address, UserToUser: n.UserToUser,
		DHCP: dhcp.Config{Server: n.Address, DNS: n.DNS, NBNS: n.WINS, Domain: n.Domain, Routes: n.Routes}.Answer,
	})
	d.clock = newClock(d.cfg, d.log)
	authenticator := auth.New(auth.Config{Window: d.cfg.MOTP.Window, MaxFailures: d.cfg.MOTP.MaxFailures, Now: d.clock.Corrected}, d.store, d.store)
	d.later(authenticator.Close)
	d.sessions = session.NewManager(d.sessionConfig(authenticator))
	if d.cfg.Services.PPTP {
		d.pptp, err = pptpserver.Listen(pptpserver.Config{
			Listen: d.cfg.Listen, Logger: d.log, Control: pptp.Config{Host: d.cfg.L2TP.Hostname},
		}, d.sessions.Accept)
		if err != nil {
			return fmt.Errorf("PPTP: %w", err)
		}
	}
	if d.cfg.Services.L2TP {
		d.l2tp, err = l2tpserver.Listen(l2tpserver.Config{
			Listen: d.cfg.Listen, Logger: d.log, Tunnel: l2tp.Config{
				Host: d.cfg.L2TP.Hostname, Secret: d.cfg.L2TP.Secret,
				Hide: d.cfg.L2TP.HideAVPs, HelloInterval: d.cfg.L2TP.HelloInterval,
			},
		}, d.sessions.Accept)
		if err != nil {
			d.stopServers()
			return fmt.Errorf("L2TP: %w", err)
		}
	}
	return nil
}

// prefixes covers ranges with as few prefixes as there can be.
func prefixes(ranges []config.Range) []netip.Prefix {
	var all []netip.Prefix
	for _, r := range ranges {
		for a := r.First; a.IsValid() && a.Compare(r.Last) <= 0; {
			bits := 32
			for bits > 0 {
				p := netip.PrefixFrom(a, bits-1)
				if p.Masked().Addr() != a || lastOf(p).Compare(r.Last) > 0 {
					break
				}
				bits--
			}
			p := netip.PrefixFrom(a, bits)
			all = append(all, p)
			a = lastOf(p).Next()
		}
	}
	return all
}

func lastOf(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}

func (d *daemon) sessionConfig(authenticator *auth.Authenticator) session.Config {
	p, n := d.cfg.PPP, d.cfg.Network
	methods := make([]ppp.Method, 0, len(p.Authentication))
	for _, name := range p.Authentication {
		if m, err := ppp.ParseMethod(name); err == nil { // config has checked them
			methods = append(methods, m)
		}
	}
	mode := map[string]ppp.MPPEMode{"off": ppp.MPPEOff, "optional": ppp.MPPEOptional, "required": ppp.MPPERequired}[p.MPPE]
	cfg := session.Config{
		PPP: ppp.Config{
			MRU: uint16(p.MRU), Auth: methods, MPPE: ppp.MPPE{Mode: mode},
			EchoInterval: orNever(p.EchoInterval), EchoFailures: p.EchoFailures, Rechallenge: p.CHAPInterval,
		},
		Local: n.Address, DNS: n.DNS, NBNS: n.WINS, Auth: authenticator, Pool: d.pool, Leases: d.store,
		Plane: d.plane, Logger: d.log, Trace: d.cfg.Log.Trace,
	}
	if p.EchoFailures == 0 {
		cfg.PPP.EchoFailures = -1
	}
	if n.ProxyARP != "" {
		cfg.Up = func(a netip.Addr) { d.complain("proxy ARP", d.changes.AddProxyARP(a)) }
		cfg.Down = func(a netip.Addr) { d.complain("proxy ARP", d.changes.RemoveProxyARP(a)) }
	}
	return cfg
}

// orNever turns the configuration's 0, off, into the engine's.
func orNever(interval time.Duration) time.Duration {
	if interval == 0 {
		return -1
	}
	return interval
}

func (d *daemon) complain(what string, err error) {
	if err != nil {
		d.log.Warn(what, "error", err)
	}
}

// newClock makes the clock that one-time passwords are verified by.
func newClock(cfg config.Config, log *slog.Logger) *timesync.Clock {
	return timesync.New(timesync.Config{Servers: cfg.Time.Servers, Interval: cfg.Time.Interval, MaxOffset: cfg.Time.MaxOffset, Logger: log})
}

// start runs what serves. What fails for good comes out of the channel.
func (d *daemon) start(ctx context.Context) <-chan error {
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	d.later(cancel)
	d.wg.Go(func() { d.clock.Run(ctx) })
	d.wg.Go(func() {
		if err := d.plane.Run(); err != nil {
			select {
			case failed <- fmt.Errorf("TUN device %s: %w", d.cfg.Network.Interface, err):
			default:
			}
		}
	})
	if d.pptp != nil {
		d.wg.Go(d.pptp.Serve)
	}
	if d.l2tp != nil {
		d.wg.Go(d.l2tp.Serve)
	}
	return failed
}

// shutDown hangs everybody up.
func (d *daemon) shutDown() {
	d.log.Info("shutting down", "connections", len(d.sessions.Connections()))
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTime)
	d.sessions.Shutdown(ctx, "server is shutting down")
	cancel()
	d.stopServers()
}

func (d *daemon) stopServers() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var stopping sync.WaitGroup
	if d.pptp != nil {
		stopping.Go(func() { d.pptp.Shutdown(ctx) })
	}
	if d.l2tp != nil {
		stopping.Go(func() { d.l2tp.Shutdown(ctx) })
	}
	stopping.Wait()
}

func (d *daemon) reload(load func() (config.Config, error)) {
	if load == nil {
		return
	}
	cfg, err := load()
	if err != nil {
		d.log.Error("the configuration is not reloaded", "error", err)
		return
	}
	d.level.Set(logLevel(cfg.Log.Level))
	d.log.Info("reloaded: the log level; all else takes a restart", "level", cfg.Log.Level)
}

// watchUsers hangs up the connections of users that were disabled, removed, or kept from the type of
// dial-in, by whatever process.
func (d *daemon) watchUsers(ctx context.Context) {
	generation, err := d.store.Generation(ctx)
	if err != nil || generation == d.generation {
		return
	}
	d.generation = generation
	profiles, err := d.store.List(ctx)
	if err != nil {
		d.log.Warn("reading the user table", "error", err)
		return
	}
	users := map[string]usermgmt.Profile{}
	var fixed []netip.Addr
	for _, p := range profiles {
		users[p.Name] = p
		if p.Address.IsValid() {
			fixed = append(fixed, p.Address)
		}
	}
	d.pool.Reserve(fixed)
	for reason, unwanted := range map[string]func(usermgmt.Profile, bool) bool{
		"user was removed":  func(_ usermgmt.Profile, ok bool) bool { return !ok },
		"user was disabled": func(p usermgmt.Profile, ok bool) bool { return ok && !p.Enabled },
	} {
		d.sessions.DropIf(func(c session.Connection) bool {
			p, ok := users[c.User]
			return unwanted(p, ok)
		}, reason)
	}
	d.sessions.DropIf(func(c session.Connection) bool {
		return !slices.Contains(users[c.User].Services, auth.Service(strings.ToLower(c.Type)))
	}, "this type of dial-in is no longer allowed")
}
