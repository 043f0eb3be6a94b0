// Package data carries the PPP frames of L2TP calls: data messages (RFC 2661 sections 3.1 and 5.4) over
// UDP. Server and client share it.
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

// What a socket may hold, in bytes. Of what comes it is seconds of a flood of SCCRQs: users share the socket,
// and are not to lose anything while the machine is too busy to read.
const (
	receiveBuffer = 32 << 20
	sendBuffer    = 4 << 20
)

// maxLate is how far behind a numbered message counts as late. RFC 2661 section 5.4 has half of all numbers for it: after
// an outage of 32,768 messages, or one forged number, as many more would be taken for late ones.
const maxLate = 1 << 12

// Configure sets a UDP socket up for L2TP. It asks for the address that each datagram was sent to: the
// answer comes from there.
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
				continue // more than net.core.rmem_max takes CAP_NET_ADMIN
			}
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.option, o.size); err != nil {
				return err
			}
		}
		return nil
	})
}

// Route says between whom a call's messages go.
type Route struct {
	Socket *mmsg.Conn
	Remote netip.AddrPort
	Local  netip.Addr // invalid: the system chooses
}

// Call is the data half of one call. Ready for use is what New gives.
type Call struct {
	route    Route
	peers    atomic.Uint32 // the peer's identifiers of tunnel and session
	over     atomic.Bool
	numbered atomic.Bool // our messages carry numbers

	tx sync.Mutex
	ns uint16

	rx   sync.Mutex
	sink link.Sink // nil: it has not begun, or is over
	nr   uint16    // the number that is expected next
}

// New makes a call over a route. Nothing is delivered before Begin.
func New(r Route) *Call { return &Call{route: r} }

// SetPeer says which identifiers the peer wants in our messages.
func (k *Call) SetPeer(tunnel, session uint16) { k.peers.Store(uint32(tunnel)<<16 | uint32(session)) }

// SetRemote says where our messages go, as it shows while the call is dialled. It is not for use after Begin.
func (k *Call) SetRemote(remote netip.AddrPort) { k.route.Remote = remote }

// Number has our messages carry numbers from now on.
func (k *Call) Number() { k.numbered.Store(true) }

// Begin has frames delivered to sink from now on; one that comes too late is told that the call is over.
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

// Send puts the header of a data message in front of a PPP frame, as link.Link has it.
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

// Receive takes a data message, of which b is the payload. With an error it leaves b to its caller. A peer
// that sends numbers gets numbers; messages out of order are dropped then.
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

// Down ends the call, and tells the sink, if there is one. It answers false the second time.
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
