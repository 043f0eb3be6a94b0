package server

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/pptp"
	"vpnd/pptp/wire"
)

// call is one call: the carrier's end of a link.
type call struct {
	c         *conn
	id, peers uint16
	sink      link.Sink
	deliver   func(*pktbuf.Buf)
	over      atomic.Bool

	tx  sync.Mutex
	seq uint32

	rx       sync.Mutex
	rxOver   bool
	receiver pptp.Receiver
	received bool

	highest atomic.Uint32 // number received
	owes    atomic.Int64  // since when an acknowledgement is due, in Unix nanoseconds; 0: none is
	noticed atomic.Bool   // it is in the attention list
}

// Info tells what is known of the call.
func (k *call) Info() link.Info {
	return link.Info{Type: "PPTP", Remote: k.c.remote, Local: k.c.local, CallID: k.id}
}

// Send puts the GRE header in front of a PPP frame, with the acknowledgement that is due.
func (k *call) Send(b *pktbuf.Buf, out *link.Batch) {
	if k.over.Load() {
		b.Release()
		return
	}
	h := wire.GRE{CallID: k.peers, HasSeq: true}
	payload := b.Len()
	k.tx.Lock()
	defer k.tx.Unlock()
	if k.owes.Load() != 0 && k.owes.Swap(0) != 0 {
		h.HasAck, h.Ack = true, k.highest.Load()
	}
	header := b.Prepend(h.Len())
	if header == nil {
		b.Release()
		return
	}
	h.Seq = k.seq
	k.seq++
	h.Put(header, payload)
	out.Add(k.c.gre, k.datagram(b))
}

func (k *call) datagram(b *pktbuf.Buf) link.Datagram {
	return link.Datagram{Buf: b, Dst: netip.AddrPortFrom(k.c.remote.Addr(), 0), Src: k.c.local}
}

// Close hangs up towards the peer. It may be called from within Sink.Frame, so another goroutine does
// the work.
func (k *call) Close(reason string) {
	if k.over.Load() {
		return
	}
	go k.c.do(func(now time.Time) { k.c.ctl.Disconnect(now, k.id, reason) })
}

// frame gives the session one frame in its turn. The caller holds rx.
func (k *call) frame(b *pktbuf.Buf) {
	if b.Len() == 0 {
		b.Release()
		return
	}
	k.sink.Frame(b)
}

// receive takes the payload of a GRE packet, and ownership of b if it answers true.
func (k *call) receive(now time.Time, seq uint32, b *pktbuf.Buf) bool {
	k.rx.Lock()
	defer k.rx.Unlock()
	if k.rxOver || !k.receiver.Put(now, seq, b, k.deliver) {
		return false
	}
	if last := k.highest.Load(); !k.received || int32(seq-last) > 0 {
		k.received = true
		k.highest.Store(seq)
	}
	k.owes.CompareAndSwap(0, now.UnixNano())
	return true
}

// attend does what time alone brings: packets that have waited too long, and an acknowledgement that
// found no packet to go with. It reports whether there is more to come.
func (k *call) attend(now time.Time, out *link.Batch) (more bool) {
	k.rx.Lock()
	if !k.rxOver {
		k.receiver.Expire(now, k.deliver)
	}
	more = k.receiver.Waiting()
	k.rx.Unlock()
	since := k.owes.Load()
	switch {
	case since == 0 || k.over.Load():
		return more
	case now.UnixNano()-since < int64(pptp.AckDelay):
		return true
	}
	k.tx.Lock()
	defer k.tx.Unlock()
	if k.owes.Swap(0) != 0 {
		h := wire.GRE{CallID: k.peers, HasAck: true, Ack: k.highest.Load()}
		b := pktbuf.Get()
		h.Put(b.Prepend(h.Len()), 0)
		out.Add(k.c.gre, k.datagram(b))
	}
	return more
}

// down ends the call; the session hears of it last.
func (k *call) down(reason string) {
	if k.over.Swap(true) {
		return
	}
	k.c.s.calls[k.id].CompareAndSwap(k, nil)
	k.rx.Lock()
	k.rxOver = true
	k.receiver.Drop()
	k.rx.Unlock()
	k.sink.Down(reason)
	k.c.s.giveID(k.id)
}
