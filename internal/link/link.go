// Package link is the interface between a carrier (PPTP, L2TP) and a session. The carrier makes a
// Link for each call and passes it to Accept, which returns the Sink of the call. The session tells
// the carrier when a user has logged in. The carrier tells the session when the peer has confirmed
// a call. Nothing else passes between them.
package link

import (
	"errors"
	"net/netip"
	"sync"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
)

// Link is the carrier's end of one call.
type Link interface {
	// Send takes ownership of b, whose payload is one PPP frame (address and control bytes, if
	// any, protocol, information; no flags, no FCS), puts the carrier's header in front and adds
	// the datagram to out. Frames of one link leave in the order of the calls. It is safe for
	// concurrent use, allocates nothing, and after Close or Down releases b.
	Send(b *pktbuf.Buf, out *Batch)
	// Close hangs up, and tells the peer the reason as far as the carrier can. It does not wait.
	// Sink.Down follows unless it has been called already. Further calls do nothing.
	Close(why reason.Reason)
	// Info describes the call. It does not change.
	Info() Info
}

// Authenticated tells the carrier of l that a user has logged in on the call. It does not wait, and
// further calls do nothing.
func Authenticated(l Link) {
	if k, ok := l.(interface{ Authenticated() }); ok { // a client's carrier does not need it
		k.Authenticated()
	}
}

// Confirmed tells the sink of a call that the peer has confirmed it. Frames sent to the peer before
// that may be lost. Frames of the peer may come before that. Further calls do nothing.
func Confirmed(s Sink) {
	if k, ok := s.(interface{ Confirmed() }); ok { // a client sends at once
		k.Confirmed()
	}
}

// Type is a type of dial-in, as it appears in the log, the history and the pages.
type Type string

// The types of dial-in.
const (
	PPTP Type = "PPTP"
	L2TP Type = "L2TP"
)

// Info describes a call.
type Info struct {
	Type   Type
	Remote netip.AddrPort // the peer's outer address; the port is that of its control connection
	Local  netip.Addr     // the address that the peer dialled
	CallID uint16         // our identifier of the call, which the peer puts into data packets
	// Confirms says that the peer confirms the call. The carrier then calls Confirmed.
	Confirms bool
}

// Sink is the session's end of one call. The carrier never calls it from two goroutines at once
// for the same call.
type Sink interface {
	// Frame takes ownership of b, whose payload is one PPP frame as it came. It must not block.
	Frame(b *pktbuf.Buf)
	// Down is the last call. The call is over.
	Down(why reason.Reason)
}

// ErrEnded means that the server of a carrier has ended. The caller has to make another one.
var ErrEnded = errors.New("the server has ended")

// Accept takes a call that the carrier is about to confirm. The carrier calls it before it answers
// the peer, because the first frame can overtake the answer and needs the sink. An error refuses
// the call; its text is for the log.
type Accept func(l Link) (Sink, error)

// Writer is a socket that sends whole datagrams. WriteBatch does not keep the buffers: the caller
// releases them. The writer counts the datagrams that the system refuses. They are lost.
type Writer interface {
	WriteBatch(pkts []Datagram)
}

// Datagram is one carrier packet ready to be sent to Dst from Src.
type Datagram struct {
	Buf *pktbuf.Buf
	Dst netip.AddrPort // the port is 0 for GRE
	Src netip.Addr     // the address that the peer dialled
}

// BatchSize is the largest number of datagrams in one system call.
const BatchSize = 64

// Batch gathers the datagrams of one goroutine, so that one system call sends many. The zero value
// is ready. It is not safe for concurrent use: each goroutine has its own.
type Batch struct {
	w    Writer
	n    int
	pkts [BatchSize]Datagram
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

// TakeBatch lends an empty Batch for a short time. Done gives it back.
func TakeBatch() *Batch { return batches.Get().(*Batch) }

// Done flushes b and gives it back. The caller must not use b afterwards.
func (b *Batch) Done() {
	b.Flush()
	batches.Put(b)
}

// Add takes ownership of d.Buf. It first flushes the batch if w changes or the batch is full.
func (b *Batch) Add(w Writer, d Datagram) {
	if b.n == BatchSize || b.n > 0 && b.w != w {
		b.Flush()
	}
	b.w = w
	b.pkts[b.n] = d
	b.n++
}

// Flush sends the gathered datagrams and releases their buffers.
func (b *Batch) Flush() {
	if b.n == 0 {
		return
	}
	b.w.WriteBatch(b.pkts[:b.n])
	for i := range b.pkts[:b.n] {
		b.pkts[i].Buf.Release()
		b.pkts[i].Buf = nil
	}
	b.n = 0
}
