// Package mmsg reads and writes datagrams in batches: one system call (recvmmsg, sendmmsg) takes
// many. It uses packet buffers directly and allocates nothing for a datagram.
package mmsg

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"

	"golang.org/x/sys/unix"
)

const (
	oobLen  = 64 // room for one IP_PKTINFO and one UDP_SEGMENT
	nameLen = unix.SizeofSockaddrInet4
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// headers holds the arguments of one system call, except the packets themselves.
type headers struct {
	msgs  []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet4
	oobs  [][oobLen]byte
}

func newHeaders(n int) headers {
	h := headers{
		msgs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n),
		names: make([]unix.RawSockaddrInet4, n), oobs: make([][oobLen]byte, n),
	}
	for i := range h.msgs {
		h.msgs[i].hdr.Iov = &h.iovs[i]
		h.msgs[i].hdr.SetIovlen(1)
		h.msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&h.names[i]))
	}
	return h
}

// Conn is an IPv4 socket, UDP or raw.
type Conn struct {
	net.PacketConn
	raw      syscall.RawConn
	refused  atomic.Uint64
	segments bool         // the system has UDP_SEGMENT for it
	singly   atomic.Int32 // batches to send without it, because the system has refused it
}

// New takes over a *net.UDPConn or *net.IPConn.
func New(c net.PacketConn) (*Conn, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.New("not a socket of the system")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	conn := &Conn{PacketConn: c, raw: raw}
	conn.segments = conn.Control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 0) }) == nil
	return conn, nil
}

// Control runs f on the socket's descriptor, to set options.
func (c *Conn) Control(f func(fd int) error) error {
	var err error
	if e := c.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// Refused counts the datagrams that the system refused. They are lost.
func (c *Conn) Refused() uint64 { return c.refused.Load() }

// Packet is a datagram that the Reader has received. From has no port on a raw socket. To is the
// datagram's destination, if the socket has IP_PKTINFO set. If the datagram is longer than a Buf,
// Buf is empty, so that nobody takes a part for the whole.
type Packet struct {
	Buf  *pktbuf.Buf
	From netip.AddrPort
	To   netip.Addr
}

// firstRoom is how many datagrams a Reader has room for at first.
const firstRoom = 4

// Reader reads a socket. It is for one goroutine. Its room is small at first, because many sockets
// never need more. It doubles each time that it is full, up to link.BatchSize.
type Reader struct {
	c    *Conn
	h    headers
	bufs []*pktbuf.Buf
	pkts []Packet
	n    int
	err  syscall.Errno
	read func(fd uintptr) bool
	call func(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) // the system's; tests replace it
}

// NewReader makes a Reader of c.
func (c *Conn) NewReader() *Reader {
	r := &Reader{c: c, call: recvmmsg}
	r.read = r.recvmmsg
	r.grow(firstRoom)
	return r
}

func (r *Reader) grow(room int) {
	r.h = newHeaders(room)
	r.bufs = append(r.bufs, make([]*pktbuf.Buf, room-len(r.bufs))...)
	r.pkts = append(r.pkts, make([]Packet, room-len(r.pkts))...)
}

// Read waits for datagrams and returns them. A caller that keeps a Buf sets its place in the result
// to nil. The Reader uses the other buffers again. The result is valid until the next Read.
func (r *Reader) Read() ([]Packet, error) {
	if room := len(r.bufs); r.n == room && room < link.BatchSize {
		r.grow(2 * room)
	}
	for i := range r.bufs {
		if r.bufs[i] != nil && (i >= r.n || r.pkts[i].Buf != nil) {
			r.bufs[i].Reset() // its reader may have cut it
			continue
		}
		r.bufs[i] = pktbuf.Get()
	}
	for i, b := range r.bufs {
		room := b.Room()
		r.h.iovs[i].Base = &room[0]
		r.h.iovs[i].SetLen(len(room))
		hdr := &r.h.msgs[i].hdr
		hdr.Namelen = nameLen
		hdr.Control = &r.h.oobs[i][0]
		hdr.SetControllen(oobLen)
	}
	r.n, r.err = 0, 0
	if err := r.c.raw.Read(r.read); err != nil {
		r.release()
		return nil, err
	}
	if r.err != 0 {
		r.release()
		return nil, r.err
	}
	for i := range r.n {
		r.bufs[i].SetLen(int(r.h.msgs[i].len))
		if r.h.msgs[i].hdr.Flags&unix.MSG_TRUNC != 0 {
			r.bufs[i].SetLen(0)
		}
		r.pkts[i] = Packet{Buf: r.bufs[i], From: addrPort(&r.h.names[i]), To: r.destination(i)}
	}
	return r.pkts[:r.n], nil
}

// release gives the buffers back, because hardly any caller reads on after an error.
func (r *Reader) release() {
	for i, b := range r.bufs {
		b.Release()
		r.bufs[i] = nil
	}
}

// recvmmsg returns false if it finds no datagram. The runtime then waits for news of the socket.
// After a signal it tries again: a datagram may be there already, and then no news comes.
func (r *Reader) recvmmsg(fd uintptr) bool {
	n, e := r.call(fd, r.h.msgs)
	for e == unix.EINTR {
		n, e = r.call(fd, r.h.msgs)
	}
	if e == unix.EAGAIN {
		return false
	}
	r.err = e
	if e == 0 {
		r.n = n
	}
	return true
}

func recvmmsg(fd uintptr, msgs []mmsghdr) (int, syscall.Errno) {
	n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// destination finds the IP_PKTINFO of datagram i.
func (r *Reader) destination(i int) netip.Addr {
	oob := r.h.oobs[i][:min(int(r.h.msgs[i].hdr.Controllen), oobLen)]
	const head = unix.SizeofCmsghdr
	if len(oob) < head+unix.SizeofInet4Pktinfo {
		return netip.Addr{}
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	if c.Level != unix.IPPROTO_IP || c.Type != unix.IP_PKTINFO {
		return netip.Addr{}
	}
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&oob[head]))
	return netip.AddrFrom4(info.Addr)
}

func addrPort(sa *unix.RawSockaddrInet4) netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&sa.Port))
	return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), binary.BigEndian.Uint16(port[:]))
}
