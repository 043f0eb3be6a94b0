package mmsg

import (
	"encoding/binary"
	"sync"
	"unsafe"
	"vpnd/internal/link"

	"golang.org/x/sys/unix"
)

const (
	// maxRun is the length limit, in bytes, of the UDP payloads that go to the system as one. The
	// system takes a run as one datagram until it cuts it, so the limit of a datagram applies.
	maxRun = 65000
	// singlyFor is how many batches go without UDP_SEGMENT after the system has refused it. The
	// cause may be a single peer: IPsec does not allow it, nor does a path whose MTU is shorter
	// than the datagrams.
	singlyFor = 1000
)

// sender writes one batch at a time.
type sender struct {
	h        headers
	pkts     []link.Datagram // not sent yet
	at, n    int             // of the messages that hold them: the next one, and how many
	refused  uint64
	whole    bool // the system has refused a run
	sendmmsg func(fd uintptr) bool
}

var senders = sync.Pool{New: func() any {
	s := &sender{h: newHeaders(link.BatchSize)}
	s.sendmmsg = s.send
	return s
}}

// WriteBatch sends pkts, at most link.BatchSize, from their source addresses. Datagrams that the
// system does not take at once are counted and lost, so that a full queue delays nobody.
// Consecutive datagrams of one length for one peer pass the system's layers as one, if it has
// generic segmentation offload for UDP. They leave as they would without it.
func (c *Conn) WriteBatch(pkts []link.Datagram) {
	s, ok := senders.Get().(*sender)
	if !ok {
		return
	}
	s.pkts, s.refused, s.whole = pkts[:min(len(pkts), link.BatchSize)], 0, false
	segments := c.segments
	if segments && c.singly.Load() > 0 {
		c.singly.Add(-1)
		segments = false
	}
	s.gather(segments)
	if c.raw.Write(s.sendmmsg) != nil {
		s.refused += uint64(len(s.pkts))
	}
	if s.refused > 0 {
		c.refused.Add(s.refused)
	}
	if s.whole {
		c.singly.Store(singlyFor)
	}
	s.pkts = nil
	senders.Put(s)
}

// gather makes messages of the packets to send. With segments, each run is one message.
func (s *sender) gather(segments bool) {
	s.at, s.n = 0, 0
	for i := 0; i < len(s.pkts); s.n++ {
		n := 1
		if segments {
			n = run(s.pkts[i:])
		}
		s.set(s.n, i, s.pkts[i:i+n])
		i += n
	}
}

// run is how many datagrams at the start of pkts have the same length, source and destination. The
// last one of them may be shorter.
func run(pkts []link.Datagram) int {
	first := &pkts[0]
	size := first.Buf.Len()
	total := size
	for i := 1; i < len(pkts); i++ {
		d := &pkts[i]
		n := d.Buf.Len()
		if total += n; n == 0 || n > size || total > maxRun || d.Dst != first.Dst || d.Src != first.Src {
			return i
		}
		if n < size {
			return i + 1
		}
	}
	return len(pkts)
}

// set makes message m of pkts. The first of them has place i.
func (s *sender) set(m, i int, pkts []link.Datagram) {
	for n := range pkts {
		payload := pkts[n].Buf.Bytes()
		s.h.iovs[i+n].Base = unsafe.SliceData(payload)
		s.h.iovs[i+n].SetLen(len(payload))
	}
	d := &pkts[0]
	name := &s.h.names[m]
	name.Family = unix.AF_INET
	name.Addr = d.Dst.Addr().As4()
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	binary.BigEndian.PutUint16(port[:], d.Dst.Port())
	hdr := &s.h.msgs[m].hdr
	hdr.Namelen = nameLen
	hdr.Iov = &s.h.iovs[i]
	hdr.SetIovlen(len(pkts))
	oob := s.h.oobs[m][:0]
	if d.Src.Is4() {
		info := (*unix.Inet4Pktinfo)(control(&oob, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo))
		*info = unix.Inet4Pktinfo{Spec_dst: d.Src.As4()}
	}
	if len(pkts) > 1 {
		*(*uint16)(control(&oob, unix.SOL_UDP, unix.UDP_SEGMENT, 2)) = uint16(d.Buf.Len())
	}
	hdr.Control = unsafe.SliceData(oob)
	hdr.SetControllen(len(oob))
}

// control appends a control message whose value has n bytes, and returns a pointer to the value.
func control(oob *[]byte, level, kind int32, n int) unsafe.Pointer {
	at := len(*oob)
	*oob = (*oob)[:at+unix.CmsgSpace(n)]
	c := (*unix.Cmsghdr)(unsafe.Pointer(&(*oob)[at]))
	c.Level, c.Type = level, kind
	c.SetLen(unix.CmsgLen(n))
	return unsafe.Pointer(&(*oob)[at+unix.CmsgLen(0)])
}

// send never waits. It skips a message that the system refuses. If the system cannot cut a run, it
// sends the datagrams of the run one by one.
func (s *sender) send(fd uintptr) bool {
	for s.at < s.n {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.h.msgs[s.at])), uintptr(s.n-s.at), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == unix.EINTR:
		case e == 0:
			for range n {
				s.done()
			}
		case (e == unix.EIO || e == unix.EINVAL || e == unix.EMSGSIZE) && s.h.msgs[s.at].hdr.Iovlen > 1:
			s.whole = true
			s.gather(false)
		default:
			s.refused += uint64(s.done())
		}
	}
	return true
}

// done moves on to the next message, and returns how many datagrams this one had.
func (s *sender) done() int {
	n := int(s.h.msgs[s.at].hdr.Iovlen)
	s.pkts = s.pkts[n:]
	s.at++
	return n
}
