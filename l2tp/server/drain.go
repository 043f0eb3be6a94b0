package server

import (
	"context"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/reason"
)

// Drain accepts no new calls. A peer that asks for a tunnel gets the answer that there is no room.
// Tunnels without a call are closed. Open calls stay. The server ends with the last tunnel, as
// after Shutdown. Until then, Resume cancels the drain. After Drain has returned, the server does
// not call link.Accept.
func (s *Server) Drain() {
	s.taking.Lock()
	s.draining.Store(true)
	s.taking.Unlock()
	s.mu.Lock()
	all := s.all()
	s.endDrained()
	s.mu.Unlock()
	for _, t := range all {
		t.do(func() {})
	}
}

// endDrained ends a draining server that has lost its last tunnel. The caller holds the lock.
func (s *Server) endDrained() {
	if s.draining.Load() && s.nTunnels == 0 && !s.stopping {
		s.stopping = true
		s.closeSockets()
	}
}

// Resume takes calls again after Drain. If the server has ended, it returns link.ErrEnded.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return link.ErrEnded
	}
	s.draining.Store(false)
	return nil
}

// all returns the tunnels. The caller holds the lock.
func (s *Server) all() []*tunnel {
	var all []*tunnel
	for id := range s.tunnels {
		if t := s.tunnels[id].Load(); t != nil {
			all = append(all, t)
		}
	}
	return all
}

// Shutdown hangs up every call, stops every tunnel and closes the sockets. It waits until that is
// done, or until ctx ends. Then it ends the rest at once.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stopping = true
	all := s.all()
	s.mu.Unlock()
	for _, t := range all {
		t.do(func() { t.ctl.Stop(time.Now(), reason.New(reason.ShuttingDown)) })
	}
	done := make(chan struct{})
	go func() {
		s.gone.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, t := range all {
			t.do(func() { t.ctl.Forget(reason.New(reason.ShuttingDown)) })
		}
		<-done
	}
	s.closeSockets()
	s.wg.Wait()
}
