package gre

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/wire"
)

// Route says between whom a call's packets go.
type Route struct {
	Socket        *mmsg.Conn
	Remote, Local netip.Addr // outer addresses; an invalid Local leaves the choice to the system
}

// Call is the data half of one call.
type Call struct {
	x       *Exchange
	route   Route
	ours    uint16
	peers   atomic.Uint32 // the peer's identifier; 0 until it is known
	sink    link.Sink
	deliver func(*pktbuf.Buf)
	over    atomic.Bool

	tx  sync.Mutex
	seq uint32

	rx       sync.Mutex
	rxOver   bool
	receiver pptp.Receiver
	received bool
	early    []*pktbuf.Buf // frames that have come before Begin

	highest atomic.Uint32 // number received
	acked   atomic.Uint32 // number acknowledged last
	overdue atomic.Bool   // it is in the list of that name
	owes    atomic.Int64  // since when an acknowledgement is due, in Unix nanoseconds; 0: none is
	noticed atomic.Bool   // it is in the attention list
}

// ID is our identifier of the call, which the peer puts into its packets.
func (k *Call) ID() uint16 { return k.ours }

// Over reports whether Down has been called.
func (k *Call) Over() bool { return k.over.Load() }

// SetPeer says which identifier the peer wants in our packets. Nothing is sent before.
func (k *Call) SetPeer(id uint16) { k.peers.Store(uint32(id)) }

// maxEarly is how many frames wait for Begin.
const maxEarly = 8

// Expect has the first frames wait for Begin: they can overtake the server's answer.
func (k *Call) Expect() {
	k.deliver = func(b *pktbuf.Buf) {
		if len(k.early) == maxEarly {
			b.Release()
			return
		}
		k.early = append(k.early, b)
	}
	k.x.calls[k.ours].Store(k)
}

// Begin has frames delivered to sink from now on, those first that have come since Expect. A sink that comes too late is
// told that the call is over.
func (k *Call) Begin(sink link.Sink) {
	if !k.begin(sink) {
		sink.Down(reason.New(reason.OverBeforeBegin))
	}
}

func (k *Call) begin(sink link.Sink) bool {
	k.rx.Lock()
	defer k.rx.Unlock()
	if k.rxOver {
		return false
	}
	k.sink = sink
	k.deliver = k.frame
	for _, b := range k.early {
		k.frame(b)
	}
	k.early = nil
	k.x.calls[k.ours].Store(k)
	return true
}

// Send puts the GRE header in front of a PPP frame, with the acknowledgement that is due, as
// link.Link has it.
func (k *Call) Send(b *pktbuf.Buf, out *link.Batch) {
	if k.over.Load() {
		b.Release()
		return
	}
	h := wire.GRE{CallID: uint16(k.peers.Load()), HasSeq: true}
	payload := b.Len()
	k.tx.Lock()
	defer k.tx.Unlock()
	if k.owes.Load() != 0 {
		h.Ack, h.HasAck = k.owed()
	}
	header := b.Prepend(h.Len())
	if header == nil {
		b.Release()
		return
	}
	h.Seq = k.seq
	k.seq++
	h.Put(header, payload)
	out.Add(k.route.Socket, k.datagram(b))
}

func (k *Call) datagram(b *pktbuf.Buf) link.Datagram {
	return link.Datagram{Buf: b, Dst: netip.AddrPortFrom(k.route.Remote, 0), Src: k.route.Local}
}

// frame gives the session one frame in its turn. The caller holds rx.
func (k *Call) frame(b *pktbuf.Buf) {
	if b.Len() == 0 {
		b.Release()
		return
	}
	k.sink.Frame(b)
}

// receive takes the payload of a GRE packet, unless it comes too late or twice.
func (k *Call) receive(now time.Time, seq uint32, b *pktbuf.Buf) (taken bool) {
	k.rx.Lock()
	defer k.rx.Unlock()
	if k.rxOver || !k.receiver.Put(now, seq, b, k.deliver) {
		return false
	}
	if !k.received {
		k.received = true
		k.highest.Store(seq)
		k.acked.Store(seq - 1)
	} else if !pptp.Late(seq, k.highest.Load()+1) {
		k.highest.Store(seq)
	}
	if k.sink == nil { // the peer's identifier is not known yet
		return true
	}
	k.owes.CompareAndSwap(0, now.UnixNano())
	if k.highest.Load()-k.acked.Load() >= pptp.AckAfter && !k.overdue.Swap(true) {
		k.x.overdue.add(k)
	}
	return true
}

// owed gives the acknowledgement that is due, if one is. The caller holds tx.
func (k *Call) owed() (ack uint32, due bool) {
	if k.owes.Swap(0) == 0 {
		return 0, false
	}
	ack = k.highest.Load()
	k.acked.Store(ack)
	return ack, true
}

// acknowledge sends the acknowledgement that is due without a packet, if one is.
func (k *Call) acknowledge(out *link.Batch) {
	k.tx.Lock()
	defer k.tx.Unlock()
	if ack, due := k.owed(); due && !k.over.Load() {
		h := wire.GRE{CallID: uint16(k.peers.Load()), HasAck: true, Ack: ack}
		b := pktbuf.Get()
		h.Put(b.Prepend(h.Len()), 0)
		out.Add(k.route.Socket, k.datagram(b))
	}
}

// attend handles what is due: packets that have waited too long, and an acknowledgement that
// found no packet to go with. It reports whether there is more to come.
func (k *Call) attend(now time.Time, out *link.Batch) (more bool) {
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
	k.acknowledge(out)
	return more
}

// Down ends the call, gives its identifier back, and tells the sink, if there is one, last of all. It
// does nothing the second time.
func (k *Call) Down(why reason.Reason) {
	if k.over.Swap(true) {
		return
	}
	k.x.calls[k.ours].CompareAndSwap(k, nil)
	k.rx.Lock()
	k.rxOver = true
	k.receiver.Drop()
	for _, b := range k.early {
		b.Release()
	}
	k.early = nil
	sink := k.sink
	k.rx.Unlock()
	if sink != nil {
		sink.Down(why)
	}
	k.x.giveID(k.ours)
}
