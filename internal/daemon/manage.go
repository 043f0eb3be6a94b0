package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"vpnd/internal/buildinfo"
	"vpnd/internal/https"
	"vpnd/internal/peercred"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/access"
	"vpnd/mgmt/guide"
	"vpnd/mgmt/web"
)

const maxManaged = 256 // connections to the socket at once

// managed gives mgmt its view of the daemon.
type managed struct{ d *daemon }

// Connections implements mgmt.Sessions.
func (m managed) Connections() []mgmt.Connection {
	open := m.d.sessions.Connections()
	list := make([]mgmt.Connection, len(open))
	for i, c := range open {
		list[i] = view(c)
	}
	return list
}

func view(c session.Connection) mgmt.Connection {
	return mgmt.Connection{
		ID: c.ID, User: c.User, Type: string(c.Type), Encryption: c.Encryption, Auth: c.Auth, RemoteIP: c.Remote, VirtualIP: c.Virtual,
		TxPackets: c.Stats.TxPackets, RxPackets: c.Stats.RxPackets, TxBytes: c.Stats.TxBytes, RxBytes: c.Stats.RxBytes, Since: c.Since.UTC(),
	}
}

// Drop implements mgmt.Sessions.
func (m managed) Drop(ctx context.Context, id, text string) bool {
	e := state.Entry{Event: state.EventDropped, Connection: id, Reason: text, By: state.Actor(ctx)}
	dropped := m.d.sessions.DropIf(func(c session.Connection) bool {
		if c.ID != id {
			return false
		}
		e.User, e.Type, e.Peer = c.User, string(c.Type), c.Remote
		return true
	}, reason.New(reason.Dropped, text)) > 0
	if dropped {
		m.d.recorder.add(e)
		m.d.log.Info("connection dropped", "session", id, "user", e.User, "by", e.By)
	}
	return dropped
}

// managedClock gives mgmt its view of the daemon's clock.
type managedClock struct{ *timesync.Clock }

// Inquire implements mgmt.Clock.
func (c managedClock) Inquire(ctx context.Context) error {
	_, err := c.Clock.Inquire(ctx)
	return err
}

// manage serves the API by HTTPS and on the socket, as configured.
func (d *daemon) manage(ctx context.Context) error {
	d.gate = access.New(access.Config{Store: d.store, Now: d.clock.Corrected, Logger: d.log})
	cfg := mgmt.Config{
		Sessions: managed{d}, Users: d.store, History: d.store, Settings: settings{d}, Clock: managedClock{d.clock}, System: managed{d},
		Captures: captures{d}, Guide: func() guide.Server { return GuideServer(d.shown.Load().cfg) },
		Window: d.cfg.MOTP.Window, Version: buildinfo.Read().Release, Ready: d.ready.Load, Access: d.gate,
		Metrics: d.metrics.Handler(),
	}
	d.api = mgmt.New(cfg)
	d.recorder.tell = d.api.Publish
	if err := d.manageByHTTPS(ctx, web.New(web.Config{API: d.api, Gate: d.gate, Issuer: d.cfg.L2TP.Hostname, Log: d.log})); err != nil {
		return err
	}
	return d.manageBySocket()
}

// manageByHTTPS serves the API and the pages on management.listen.
func (d *daemon) manageByHTTPS(ctx context.Context, pages http.Handler) error {
	m := d.cfg.Management
	if m.Listen == "" {
		return nil
	}
	listen, err := netip.ParseAddrPort(m.Listen)
	if err != nil {
		return err // config has checked it
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/api/", "/metrics", "/healthz", "/readyz"} {
		mux.Handle(path, d.api)
	}
	mux.Handle("/", pages)
	d.https, err = https.New(https.Config{
		Listen: listen, Certificate: m.Certificate, Key: m.Key, StateDir: d.cfg.StateDir, Handler: d.gate.Guard(mux), Administrators: d.gate, Logger: d.log,
	})
	if err != nil {
		d.log.Error("HTTPS for management is off until the daemon restarts", "error", err)
		return nil
	}
	d.later(d.https.Close)
	return d.https.Listen(ctx)
}

func (d *daemon) manageBySocket() error {
	path := d.cfg.Management.Socket
	if path == "" {
		return nil
	}
	l, err := peercred.Listen(path, maxManaged)
	if err != nil {
		return fmt.Errorf("management.socket: %w", err)
	}
	server := &http.Server{
		Handler: d.api, ReadHeaderTimeout: https.HeaderTime, IdleTimeout: https.IdleTime, MaxHeaderBytes: https.MaxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return access.With(ctx, access.Identity{Name: peercred.Name(c), Role: access.Administrator})
		},
	}
	d.later(func() { _ = server.Close() })
	d.wg.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("management socket", "error", err)
		}
	})
	return nil
}
