package server

import (
	"time"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/reason"
	"vpnd/l2tp/data"
)

// call is one call: the carrier's end of a link.
type call struct {
	*data.Call
	t  *tunnel
	id uint16

	// The tunnel's lock guards these. closing: the call is hung up, perhaps before the peer was
	// answered.
	closing bool
	why     reason.Reason
}

// begin hands the call over, unless it is over. The call of a half-open tunnel may end while the
// tunnel opens. The later one of begin and down then gives back the place that begin takes.
func (k *call) begin() error {
	s := k.t.s
	if victim, over := s.strangers.Call(k, k.t.peer.Addr()); over {
		victim.hangUp(strangers.ErrNoRoom)
	}
	if k.Over() {
		s.strangers.CallGone(k.t, k)
		return nil
	}
	sink, err := s.accept(k)
	if err != nil {
		return err
	}
	k.Begin(sink)
	return nil
}

// Info describes the call.
func (k *call) Info() link.Info {
	return link.Info{Type: link.L2TP, Remote: k.t.peer, Local: k.t.local, CallID: k.id, Confirms: true}
}

// Authenticated says that a user has logged in. The session calls it.
func (k *call) Authenticated() { k.t.s.strangers.Authenticated(k.t, k) }

// Close hangs up. Sink.Frame may call it, so another goroutine does the work.
func (k *call) Close(why reason.Reason) {
	if k.Over() {
		return
	}
	go k.hangUp(why)
}

func (k *call) hangUp(why reason.Reason) {
	k.t.do(func() {
		k.closing, k.why = true, why
		k.t.ctl.Disconnect(time.Now(), k.id, why)
	})
}

// down ends the call. The session learns of it before its place becomes free.
func (k *call) down(why reason.Reason) {
	k.t.s.calls[k.id].CompareAndSwap(k, nil)
	if !k.Down(why) {
		return
	}
	s := k.t.s
	s.mu.Lock()
	s.nCalls--
	s.mu.Unlock()
	if victim, over := s.strangers.CallGone(k.t, k); over {
		victim.evict()
	}
}
