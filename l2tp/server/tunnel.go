package server

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/data"
	"vpnd/l2tp/wire"
)

// noSlot is the slot of a tunnel that is not half-open.
const noSlot = -1

// tunnel is one tunnel with its peer.
type tunnel struct {
	s      *Server
	socket *mmsg.Conn
	id     uint16
	key    peerKey
	peer   netip.AddrPort
	local  netip.Addr   // the address that the peer dialled
	heard  atomic.Int64 // when data came last, in Unix nanoseconds
	open   atomic.Bool  // the peer has shown that it hears us
	over   atomic.Bool  // it is closed
	made   time.Time
	before *tunnel // the peer's earlier one with the same identifier; under Server.mu
	slot   int     // in Server.halfOpen; under Server.mu

	mu    sync.Mutex
	ctl   *l2tp.Tunnel
	calls map[uint16]*call
	alarm alarm.Alarm
}

// do runs f on the tunnel's machine. When the server is drained, a tunnel without a call ends.
func (t *tunnel) do(f func()) {
	t.step(f)
	if t.s.draining.Load() {
		t.step(func() {
			if len(t.calls) == 0 {
				t.ctl.Stop(time.Now(), errDraining)
			}
		})
	}
}

// step runs f on the tunnel's machine and handles its events. It handles the events of calls
// without the lock, because a session may be busy.
func (t *tunnel) step(f func()) {
	t.mu.Lock()
	if heard := t.heard.Load(); heard != 0 {
		t.ctl.Heard(time.Unix(0, heard))
	}
	f()
	out := link.TakeBatch()
	var later []l2tp.Event
	for {
		event, ok := t.ctl.Next()
		if !ok {
			break
		}
		if tx, ok := event.(l2tp.Transmit); ok {
			t.send(tx.Datagram, out)
			continue
		}
		later = append(later, event)
	}
	opened := !t.ctl.HalfOpen() && !t.open.Swap(true)
	out.Done()
	t.alarm.Set(t.ctl.Deadline())
	t.mu.Unlock()
	if opened {
		t.opened()
	}
	for _, event := range later {
		t.handle(event)
	}
}

func (t *tunnel) opened() {
	t.s.cfg.Logger.Debug("tunnel open", "type", link.L2TP, "peer", t.peer, "host", wire.Text(t.ctl.Host()))
	before, victim := t.s.opened(t)
	if before != nil {
		before.do(func() { before.ctl.Forget(reason.New(reason.TunnelReopened)) })
	}
	if victim != nil {
		victim.evict()
	}
	t.s.taking.RLock()
	defer t.s.taking.RUnlock()
	t.mu.Lock()
	early := slices.Collect(maps.Values(t.calls))
	t.mu.Unlock()
	for _, k := range early { // one at most
		var err error = errDraining
		if !t.s.draining.Load() {
			err = k.begin()
		}
		if err != nil {
			t.s.refuse(t.peer, reason.Of(err))
			k.Close(reason.Of(err))
		}
	}
}

// evict ends a tunnel without a user. The peer is told once.
func (t *tunnel) evict() {
	t.do(func() {
		t.ctl.Stop(time.Now(), strangers.ErrNoRoom)
		t.ctl.Forget(strangers.ErrNoRoom)
	})
}

// stale reports whether an SCCRQ cannot be a repetition of the SCCRQ that opened t.
func (t *tunnel) stale(now time.Time) bool {
	return t.over.Load() || t.open.Load() && now.Sub(t.made) > t.ctl.Handshake()
}

func (t *tunnel) handle(event l2tp.Event) {
	switch v := event.(type) {
	case l2tp.Dialled:
		t.dialled(v.PeerSession)
	case l2tp.Sequencing:
		if k := t.call(v.Session, false); k != nil {
			k.Number()
		}
	case l2tp.Connected:
		if k := t.call(v.Session, false); k != nil {
			k.Confirm()
		}
	case l2tp.Cleared:
		if k := t.call(v.Session, true); k != nil {
			k.down(v.Reason)
		}
	case l2tp.Refused:
		t.s.refuse(t.peer, v.Reason)
	case l2tp.Closed:
		t.closed(v.Reason)
	}
}

func (t *tunnel) call(id uint16, remove bool) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.calls[id]
	if remove {
		delete(t.calls, id)
	}
	return k
}

func (t *tunnel) send(datagram []byte, out *link.Batch) {
	b := pktbuf.Get()
	b.Append(datagram)
	out.Add(t.socket, link.Datagram{Buf: b, Dst: t.peer, Src: t.local})
}

func (t *tunnel) closed(why reason.Reason) {
	if t.over.Swap(true) {
		return
	}
	s := t.s
	s.cfg.Logger.Debug("tunnel closed", "type", link.L2TP, "peer", t.peer, "cause", why.Code, "reason", why)
	s.tunnels[t.id].CompareAndSwap(t, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers[t.key] == t {
		delete(s.peers, t.key)
		if before := t.before; before != nil && !before.over.Load() {
			s.peers[t.key] = before
		}
	}
	t.before = nil
	s.noLongerHalfOpen(t)
	s.strangers.HostGone(t)
	if s.addrs[t.peer] == t {
		delete(s.addrs, t.peer)
	}
	s.nTunnels--
	s.gone.Done()
	s.endDrained()
}

// dialled hands over a new call before it answers the peer. It hands over the call of a half-open
// tunnel when the peer has shown that it hears us.
func (t *tunnel) dialled(peers uint16) {
	t.s.taking.RLock()
	defer t.s.taking.RUnlock()
	k, err := t.newCall(peers)
	if err == nil && t.open.Load() {
		if err = k.begin(); err != nil {
			k.down(reason.Reason{})
		}
	}
	if err != nil {
		t.s.refuse(t.peer, reason.Of(err))
		t.do(func() { t.ctl.Refuse(time.Now(), peers, reason.Of(err)) })
		return
	}
	taken := false
	t.do(func() {
		t.calls[k.id] = k
		if taken = t.ctl.Accept(time.Now(), peers, k.id); !taken {
			delete(t.calls, k.id)
		} else if k.closing {
			t.ctl.Disconnect(time.Now(), k.id, k.why)
		}
	})
	if !taken {
		k.down(reason.New(reason.HungUpAtOnce))
	}
}

var (
	errBusy     = reason.New(reason.CallLimit)
	errDraining = reason.New(reason.NoMoreCalls)
)

func (t *tunnel) newCall(peers uint16) (*call, error) {
	s := t.s
	if s.draining.Load() {
		return nil, errDraining
	}
	k := &call{t: t, Call: data.New(data.Route{Socket: t.socket, Remote: t.peer, Local: t.local})}
	k.SetPeer(t.ctl.Peer(), peers)
	s.mu.Lock()
	if s.nCalls >= s.cfg.MaxCalls {
		s.mu.Unlock()
		return nil, errBusy
	}
	id, ok := draw(s.cfg.Random, func(id uint16) bool { return s.calls[id].Load() == nil })
	if ok {
		k.id = id
		s.nCalls++
		s.calls[id].Store(k)
	}
	s.mu.Unlock()
	if !ok {
		return nil, errBusy
	}
	return k, nil
}
