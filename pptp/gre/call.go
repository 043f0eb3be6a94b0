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

// Route says where a call's packets come from and where they go.
type Route struct {
	Socket        *mmsg.Conn
	Remote, Local netip.Addr // outer addresses; invalid Local: the system chooses
}

// Call is the data half of one call.
type Call struct {
	x       *Exchange
	route   Route
	ours    uint16
	peers   atomic.Uint32 // the peer's identifier; 0: unknown
	sink    link.Sink
	deliver func(*pktbuf.Buf)
	over    atomic.Bool

	tx  sync.Mutex
	seq uint32

	rx       sync.Mutex
	rxOver   bool
	receiver pptp.Receiver
	received bool
	early    []*pktbuf.Buf // frames from before Begin

	highest atomic.Uint32 // the highest number received
	acked   atomic.Uint32 // the last number acknowledged
	overdue atomic.Bool   // it is in the overdue list
	owes    atomic.Int64  // since when an acknowledgement is due, in Unix nanoseconds; 0: none
	noticed atomic.Bool   // it is in the attention list
}

// ID is our identifier of the call, which the peer puts into its packets.
func (k *Call) ID() uint16 { return k.ours }

// Over reports whether Down has been called.
func (k *Call) Over() bool { return k.over.Load() }

// SetPeer sets the identifier that our packets carry. Nothing is sent before.
func (k *Call) SetPeer(id uint16) { k.peers.Store(uint32(id)) }

// maxEarly is how many frames wait for Begin.
const maxEarly = 8

// Expect lets the first frames wait for Begin, because they can overtake the server's answer.
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

// Begin delivers frames to sink from now on. The frames since Expect come first. If the call is
// over already, it calls sink.Down.
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

// Send puts the GRE header in front of a PPP frame, with the acknowledgement that is due. It
// implements link.Link.
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

// frame gives one frame to the session. The caller holds rx.
func (k *Call) frame(b *pktbuf.Buf) {
	if b.Len() == 0 {
		b.Release()
		return
	}
	k.sink.Frame(b)
}

// receive takes the payload of a GRE packet, unless the packet is late or doubled.
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
	if k.sink == nil { // the peer's identifier is still unknown
		return true
	}
	k.owes.CompareAndSwap(0, now.UnixNano())
	if k.highest.Load()-k.acked.Load() >= pptp.AckAfter && !k.overdue.Swap(true) {
		k.x.overdue.add(k)
	}
	return true
}

// owed returns the acknowledgement that is due, if any. The caller holds tx.
func (k *Call) owed() (ack uint32, due bool) {
	if k.owes.Swap(0) == 0 {
		return 0, false
	}
	ack = k.highest.Load()
	k.acked.Store(ack)
	return ack, true
}

// acknowledge sends the acknowledgement that is due, if any, in a packet without data.
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

// attend handles due work: packets that have waited too long, and an acknowledgement that no packet
// has carried. It reports whether more work will be due.
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

// Down ends the call, tells the sink, if there is one, and gives the call's identifier back. The
// second time, it does nothing.
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
