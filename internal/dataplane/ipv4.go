package dataplane

import (
	"encoding/binary"
	"vpnd/internal/pktbuf"
)

const (
	minHeader = 20

	icmpUnreachable         = 3
	icmpFragmentationNeeded = 4
	icmpTimeExceeded        = 11
	icmpLen                 = 8
	icmpQuote               = 8 // bytes quoted after the header (RFC 792)

	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
	portDHCP  = 67

	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1FFF
)

// ipv4 is an IPv4 packet (RFC 791) with a checked header.
type ipv4 []byte

// header checks that p begins with a whole IPv4 header whose lengths are right. Otherwise it
// returns nil.
func header(p []byte) ipv4 {
	if len(p) < minHeader || p[0]>>4 != 4 {
		return nil
	}
	ip := ipv4(p)
	if n := ip.headerLen(); n < minHeader || n > ip.totalLen() || ip.totalLen() > len(p) {
		return nil
	}
	return ip
}

func (p ipv4) headerLen() int     { return int(p[0]&0x0F) * 4 }
func (p ipv4) totalLen() int      { return int(binary.BigEndian.Uint16(p[2:])) }
func (p ipv4) src() [4]byte       { return [4]byte(p[12:16]) }
func (p ipv4) dst() [4]byte       { return [4]byte(p[16:20]) }
func (p ipv4) ttl() byte          { return p[8] }
func (p ipv4) fragmentBits() int  { return int(binary.BigEndian.Uint16(p[6:])) }
func (p ipv4) dontFragment() bool { return p.fragmentBits()&flagDF != 0 }

// isDHCP reports whether the packet is a whole message to a DHCP server (RFC 2131 section 4.1).
func (p ipv4) isDHCP() bool {
	n := p.headerLen()
	return p[9] == protoUDP && p.fragmentBits()&(flagMF|offsetMask) == 0 && p.totalLen() >= n+8 &&
		binary.BigEndian.Uint16(p[n+2:]) == portDHCP
}

func (p ipv4) decrementTTL() {
	old := binary.BigEndian.Uint16(p[8:])
	p[8]--
	sum := binary.BigEndian.Uint16(p[10:])
	binary.BigEndian.PutUint16(p[10:], update(sum, old, binary.BigEndian.Uint16(p[8:])))
}

// fragment writes into f, which is empty, the fragment that begins at byte at of the packet's data.
// It returns where the next one begins, or a negative number after the last one.
func (p ipv4) fragment(f *pktbuf.Buf, at, limit int) (next int) {
	n := p.headerLen()
	data := p[n:p.totalLen()]
	size := min(len(data)-at, (limit-n)&^7)
	last := at+size == len(data)
	if last {
		size = len(data) - at
	}
	f.Append(p[:n])
	f.Append(data[at : at+size])
	h := f.Bytes()
	binary.BigEndian.PutUint16(h[2:], uint16(n+size))
	bits := p.fragmentBits()
	bits = bits&^offsetMask | (bits&offsetMask + at/8)
	if !last {
		bits |= flagMF
	}
	binary.BigEndian.PutUint16(h[6:], uint16(bits))
	checksumHeader(h[:n])
	if last {
		return -1
	}
	return at + size
}

// icmp writes a message about the packet into b, which is empty. It writes none about ICMP errors
// and later fragments (RFC 1122 section 3.2.2).
func (p ipv4) icmp(b *pktbuf.Buf, from [4]byte, kind, code byte, mtu int) bool {
	n := p.headerLen()
	if p.fragmentBits()&offsetMask != 0 || p[9] == protoICMP && (len(p) <= n || p[n] != 8 && p[n] != 0) {
		return false
	}
	quote := p[:min(n+icmpQuote, p.totalLen())]
	b.SetLen(minHeader + icmpLen + len(quote))
	m := b.Bytes()
	clear(m)
	m[0] = 0x45
	binary.BigEndian.PutUint16(m[2:], uint16(len(m)))
	m[8], m[9] = 64, protoICMP
	src := p.src()
	copy(m[12:], from[:])
	copy(m[16:], src[:])
	checksumHeader(m[:minHeader])
	icmp := m[minHeader:]
	icmp[0], icmp[1] = kind, code
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu))
	copy(icmp[icmpLen:], quote)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	return true
}

func checksumHeader(h []byte) {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], checksum(h))
}

// checksum is the Internet checksum of RFC 1071.
func checksum(p []byte) uint16 {
	var sum uint32
	for ; len(p) >= 2; p = p[2:] {
		sum += uint32(binary.BigEndian.Uint16(p))
	}
	if len(p) == 1 {
		sum += uint32(p[0]) << 8
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return ^uint16(sum)
}

// update is the checksum after one 16-bit word has changed (RFC 1624).
func update(sum, old, now uint16) uint16 {
	s := uint32(^sum) + uint32(^old) + uint32(now)
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	return ^uint16(s)
}

const (
	tcpMin    = 20
	tcpSYN    = 0x02
	optEnd    = 0
	optNop    = 1
	optMSS    = 2
	optMSSLen = 4
)

// clampMSS lowers the MSS option of a TCP SYN so that segments fit into mtu bytes.
func clampMSS(p []byte, mtu int) {
	ip := ipv4(p)
	n := ip.headerLen()
	if p[9] != protoTCP || ip.fragmentBits()&offsetMask != 0 || len(p) < n+tcpMin || p[n+13]&tcpSYN == 0 {
		return
	}
	limit := mtu - minHeader - tcpMin
	tcp := p[n:]
	end := min(int(tcp[12]>>4)*4, len(tcp))
	for at := tcpMin; at < end; {
		switch tcp[at] {
		case optEnd:
			return
		case optNop:
			at++
			continue
		}
		if at+2 > end || tcp[at+1] < 2 {
			return
		}
		if tcp[at] == optMSS && tcp[at+1] == optMSSLen && at+optMSSLen <= end {
			setMSS(tcp, at+2, limit)
			return
		}
		at += int(tcp[at+1])
	}
}

// setMSS lowers the value at byte at. If at is odd, the checksum sees its bytes in reverse order.
func setMSS(tcp []byte, at, limit int) {
	old := binary.BigEndian.Uint16(tcp[at:])
	if int(old) <= limit || limit <= 0 {
		return
	}
	now := uint16(limit)
	binary.BigEndian.PutUint16(tcp[at:], now)
	if at%2 == 1 {
		old, now = old>>8|old<<8, now>>8|now<<8
	}
	binary.BigEndian.PutUint16(tcp[16:], update(binary.BigEndian.Uint16(tcp[16:]), old, now))
}
