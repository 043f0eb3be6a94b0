package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"vpnd/internal/config"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	l2tpserver "vpnd/l2tp/server"
	"vpnd/pptp"
	pptpserver "vpnd/pptp/server"
)

// carrier is a server of one type of dial-in.
type carrier interface {
	Serve()
	Drain()
	Resume() error
	Shutdown(ctx context.Context)
}

// service is a type of dial-in. Its server comes and goes: a drained one ends with its last call.
type service struct {
	kind    link.Type
	wanted  func(config.Services) bool
	listen  func() (carrier, error)
	current atomic.Pointer[carrier] // nil: none yet
	on      bool                    // the service takes calls
	serving *sync.WaitGroup         // nil: the daemon does not serve yet
}

// server is the current one, or nil.
func (s *service) server() carrier {
	if c := s.current.Load(); c != nil {
		return *c
	}
	return nil
}

// newServices makes all services, switched off.
func (d *daemon) newServices() []*service {
	return []*service{{
		kind: link.PPTP, wanted: func(s config.Services) bool { return s.PPTP },
		listen: func() (carrier, error) {
			return pptpserver.Listen(pptpserver.Config{
				Listen: d.cfg.Listen, Logger: d.log, Control: pptp.Config{Host: d.cfg.L2TP.Hostname}, Refused: d.recorder.refusedCall(link.PPTP, d.sessions.KeepsRefusal),
				Strangers: unauthenticated(d.cfg.Limits),
			}, d.sessions.Accept)
		},
	}, {
		kind: link.L2TP, wanted: func(s config.Services) bool { return s.L2TP },
		listen: func() (carrier, error) {
			return l2tpserver.Listen(l2tpserver.Config{
				Listen: d.cfg.Listen, Logger: d.log, Refused: d.recorder.refusedCall(link.L2TP, d.sessions.KeepsRefusal), Strangers: unauthenticated(d.cfg.Limits), Tunnel: l2tp.Config{
					Host: d.cfg.L2TP.Hostname, Secret: d.cfg.L2TP.Secret,
					Hide: d.cfg.L2TP.HideAVPs, HelloInterval: d.cfg.L2TP.HelloInterval,
				},
			}, d.sessions.Accept)
		},
	}}
}

func unauthenticated(l config.Limits) strangers.Limits {
	return strangers.Limits{Total: l.Unauthenticated, PerSource: l.UnauthenticatedPerAddress}
}

// open starts taking calls. It uses the current server if that still has calls.
func (s *service) open() error {
	err := link.ErrEnded
	if s.server() != nil {
		err = s.server().Resume()
	}
	if errors.Is(err, link.ErrEnded) {
		err = s.begin()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.kind, err)
	}
	s.on = true
	return nil
}

func (s *service) begin() error {
	server, err := s.listen()
	if err != nil {
		return err
	}
	s.current.Store(&server)
	if s.serving != nil {
		s.serving.Go(server.Serve)
	}
	return nil
}

// serve runs the current server, and later ones as they come.
func (s *service) serve(serving *sync.WaitGroup) {
	s.serving = serving
	if s.server() != nil {
		serving.Go(s.server().Serve)
	}
}

func (s *service) drain() {
	if s.on {
		s.server().Drain()
		s.on = false
	}
}

// openServices opens the wanted services. Either all of them open, or nothing has changed. Undo
// reverts it.
func (d *daemon) openServices(to config.Services) (undo func(), err error) {
	var opened []*service
	undo = func() {
		for _, s := range opened {
			s.drain()
		}
	}
	for _, s := range d.services {
		if s.on || !s.wanted(to) {
			continue
		}
		if err := s.open(); err != nil {
			undo()
			return nil, err
		}
		opened = append(opened, s)
	}
	return undo, nil
}

// drainServices drains the unwanted services: they accept no new calls.
func (d *daemon) drainServices(to config.Services) {
	for _, s := range d.services {
		if !s.wanted(to) {
			s.drain()
		}
	}
}

// dropUnwanted hangs up the calls of unwanted services.
func (d *daemon) dropUnwanted(to config.Services) {
	for _, s := range d.services {
		if !s.wanted(to) {
			d.sessions.DropType(s.kind, reason.New(reason.ServiceOff, s.kind))
		}
	}
}

func (d *daemon) stopServers() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var stopping sync.WaitGroup
	for _, s := range d.services {
		if s.server() != nil {
			stopping.Go(func() { s.server().Shutdown(ctx) })
		}
	}
	stopping.Wait()
}
