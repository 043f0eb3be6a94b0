// Package data carries the PPP frames of L2TP calls in data messages (RFC 2661 sections 3.1 and
// 5.4) over UDP. Server and client share it.
package data

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"

	"golang.org/x/sys/unix"
)

// The socket buffers, in bytes. The receive buffer holds seconds of a flood of SCCRQs. Users share
// the socket, and must not lose data while the machine is too busy to read.
const (
	receiveBuffer = 32 << 20
	sendBuffer    = 4 << 20
)

// maxLate is how far behind a numbered message counts as late. RFC 2661 section 5.4 uses half of
// all numbers. Then, after an outage of 32,768 messages, or one forged number, as many more
// messages would count as late.
const maxLate = 1 << 12

// Configure sets up a UDP socket for L2TP. It asks for the destination of each datagram, because
// the answer comes from there.
func Configure(c *mmsg.Conn) error {
	return c.Control(func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT); err != nil {
			return err
		}
		for _, o := range []struct{ force, option, size int }{
			{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer},
		} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.force, o.size) == nil {
				continue // a size above net.core.rmem_max needs CAP_NET_ADMIN
			}
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.option, o.size); err != nil {
				return err
			}
		}
		return nil
	})
}

// Route says where a call's messages come from and where they go.
type Route struct {
	Socket *mmsg.Conn
	Remote netip.AddrPort
	Local  netip.Addr // invalid: the system chooses
}

// Call is the data half of one call. New makes it.
type Call struct {
	route    Route
	peers    atomic.Uint32 // the peer's identifiers of tunnel and session
	over     atomic.Bool
	numbered atomic.Bool // our messages carry numbers

	tx sync.Mutex
	ns uint16

	rx   sync.Mutex
	sink link.Sink // nil: the call has not begun, or is over
	nr   uint16    // the next expected number
}

// New makes a call over a route. It delivers nothing before Begin.
func New(r Route) *Call { return &Call{route: r} }

// SetPeer sets the identifiers that our messages to the peer carry.
func (k *Call) SetPeer(tunnel, session uint16) { k.peers.Store(uint32(tunnel)<<16 | uint32(session)) }

// SetRemote sets the destination of our messages, once it is known during dialling. It is not for
// use after Begin.
func (k *Call) SetRemote(remote netip.AddrPort) { k.route.Remote = remote }

// Number puts numbers into our messages from now on.
func (k *Call) Number() { k.numbered.Store(true) }

// Begin delivers frames to sink from now on. If the call is over already, it calls sink.Down.
func (k *Call) Begin(sink link.Sink) {
	k.rx.Lock()
	over := k.over.Load()
	if !over {
		k.sink = sink
	}
	k.rx.Unlock()
	if over {
		sink.Down(reason.New(reason.OverBeforeBegin))
	}
}

// Confirm tells the sink that the peer has confirmed the call.
func (k *Call) Confirm() {
	k.rx.Lock()
	defer k.rx.Unlock()
	if k.sink != nil {
		link.Confirmed(k.sink)
	}
}

// Over reports whether Down has been called.
func (k *Call) Over() bool { return k.over.Load() }

// Send puts the header of a data message in front of a PPP frame. It implements link.Link.
func (k *Call) Send(b *pktbuf.Buf, out *link.Batch) {
	if k.over.Load() {
		b.Release()
		return
	}
	peers := k.peers.Load()
	h := wire.Header{Tunnel: uint16(peers >> 16), Session: uint16(peers), HasSeq: k.numbered.Load()}
	k.tx.Lock()
	defer k.tx.Unlock()
	header := b.Prepend(h.DataLen())
	if header == nil {
		b.Release()
		return
	}
	if h.HasSeq {
		h.Ns = k.ns
		k.ns++
	}
	h.PutData(header)
	out.Add(k.route.Socket, link.Datagram{Buf: b, Dst: k.route.Remote, Src: k.route.Local})
}

// Errors of Receive.
var (
	ErrOver = errors.New("l2tp: the call is over, or the message is empty")
	ErrLate = errors.New("l2tp: late or doubled")
)

// Receive takes a data message with the payload b. If it returns an error, the caller keeps b. If
// the peer sends numbers, so do we, and messages out of order are dropped.
func (k *Call) Receive(h wire.Header, b *pktbuf.Buf) error {
	if b.Len() == 0 {
		return ErrOver
	}
	k.rx.Lock()
	defer k.rx.Unlock()
	if k.sink == nil {
		return ErrOver
	}
	if h.HasSeq {
		if behind := k.nr - h.Ns; 0 < behind && behind <= maxLate {
			return ErrLate
		}
		k.nr = h.Ns + 1
		if !k.numbered.Load() {
			k.numbered.Store(true)
		}
	}
	k.sink.Frame(b)
	return nil
}

// Down ends the call, and tells the sink, if there is one. The second time, it returns false.
func (k *Call) Down(why reason.Reason) bool {
	if k.over.Swap(true) {
		return false
	}
	k.rx.Lock()
	sink := k.sink
	k.sink = nil
	k.rx.Unlock()
	if sink != nil {
		sink.Down(why)
	}
	return true
}
