package dataplane

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// Numbers of PPP protocols that carry user data.
const (
	protoIPv4 = 0x0021
	protoIPv6 = 0x0057
	protoMPPE = 0x00FD
)

const (
	// mppeLen is how much shorter the longest IP packet is when it is encrypted: the inner protocol
	// number and the MPPE header.
	mppeLen = 4
	// resetEvery, icmpEvery and dhcpEvery limit the work that bad packets can cause.
	resetEvery = 500 * time.Millisecond
	icmpEvery  = 10 * time.Millisecond
	dhcpEvery  = 100 * time.Millisecond
	// maxLost packets in a row that do not decrypt, or as many Reset-Requests without an effect,
	// mean that the stream has lost its place for good.
	maxLost = 16
)

// PortConfig configures a port.
type PortConfig struct {
	Addr      netip.Addr // the peer's inner address
	Link      link.Link
	Uplink    bool   // a client's port: it accepts all sources, and gets packets that no port has
	NeedReset func() // the Decipher is Waiting; called under a lock: it must not wait
	// Undecryptable, if not nil, is called when the peer's packets do not decrypt, for good. It
	// must not wait either.
	Undecryptable func()
	// DHCP answers a DHCP message of the peer, which is an IPv4 packet. It may append the answer to
	// reply. It returns false for no answer. A nil DHCP answers nothing.
	DHCP func(reply, request []byte) ([]byte, bool)
	// Fault, if not nil, is called after a fault of ours on the way to the peer. After the fault no
	// packet passes. Fault must not wait either.
	Fault func(fault any)
}

// Params are the agreement of the two ends of a link.
type Params struct {
	PeerMRU   int  // longest information field that the peer accepts, in bytes
	PFC, ACFC bool // the peer accepts short protocol numbers, and frames without FF 03
	Cipher    Cipher
	Decipher  Decipher
	Required  bool // drop packets in clear, as always if there is a Decipher
}

func (p *Params) maxIP() int {
	if p.Cipher != nil {
		return p.PeerMRU - mppeLen
	}
	return p.PeerMRU
}

// Port is a session's end of the data path.
type Port struct {
	plane *Plane
	cfg   PortConfig
	addr  [4]byte

	params atomic.Pointer[Params] // nil: no packet passes
	chain  atomic.Pointer[chain]  // nil: the zero policy
	gone   atomic.Bool
	rx, tx sync.Mutex // held while a packet is on its way in or out

	lost       int     // packets in a row that did not decrypt; under rx
	told       *Params // the params of the last call of Undecryptable; under rx
	keyChanges *bucket

	policyLock sync.Mutex // held while the chain changes

	received                atomic.Uint64
	rxPackets, rxBytes      atomic.Uint64
	txPackets, txBytes      atomic.Uint64
	resetAt, icmpAt, dhcpAt atomic.Int64 // time of the last one, in Unix nanoseconds
}

// Stats are a port's counters: IP packets and their bytes, from the user (Rx) and to the user (Tx).
type Stats struct {
	RxPackets, RxBytes, TxPackets, TxBytes uint64
	Received                               uint64 // user data frames, even dropped: signs of life
}

// Stats returns the counters.
func (t *Port) Stats() Stats {
	return Stats{
		RxPackets: t.rxPackets.Load(), RxBytes: t.rxBytes.Load(),
		TxPackets: t.txPackets.Load(), TxBytes: t.txBytes.Load(), Received: t.received.Load(),
	}
}

// Up lets packets pass. It is called again after each new agreement.
func (t *Port) Up(p Params) {
	t.params.Store(&p)
	if t.gone.Load() {
		t.params.Store(nil)
	}
}

// Hold lets no packet pass until the next Up.
func (t *Port) Hold() { t.params.Store(nil) }

// ResetCipher restarts the stream towards the peer.
func (t *Port) ResetCipher() {
	t.tx.Lock()
	defer t.tx.Unlock()
	if p := t.params.Load(); p != nil && p.Cipher != nil {
		p.Cipher.Reset()
	}
}

// Remove ends the port. After it returns, no packet is sent or written for the port. The link and
// the TUN device must not call it while they handle a packet.
func (t *Port) Remove() {
	t.gone.Store(true)
	t.params.Store(nil)
	t.plane.remove(t)
	t.rx.Lock()
	t.tx.Lock()
	t.tx.Unlock() //nolint:staticcheck // its holder has finished
	t.rx.Unlock()
}

// Inbound takes a PPP frame of the peer that carries user data. It leaves any other frame alone.
func (t *Port) Inbound(b *pktbuf.Buf) (taken bool) {
	protocol, n := frameProtocol(b.Bytes())
	if protocol != protoIPv4 && protocol != protoMPPE {
		return false
	}
	t.received.Add(1)
	t.rx.Lock()
	defer t.rx.Unlock()
	p := t.params.Load()
	if p == nil {
		t.plane.drop(DropHold)
		b.Release()
		return true
	}
	b.TrimFront(n)
	switch {
	case protocol == protoMPPE:
		if !t.decrypt(p, b) {
			b.Release()
			return true
		}
	case p.Required || p.Decipher != nil:
		t.plane.drop(DropClear)
		b.Release()
		return true
	}
	t.inbound(p, b)
	return true
}

// frameProtocol returns the protocol number of a frame, and how many bytes precede the information
// field. FF 03 may be absent, and the number may have one or two bytes. 0 means that no number was
// found.
func frameProtocol(f []byte) (protocol uint16, n int) {
	if len(f) >= 2 && f[0] == 0xFF && f[1] == 0x03 {
		n = 2
	}
	if len(f) > n && f[n]&1 == 1 {
		return uint16(f[n]), n + 1
	}
	if len(f) < n+2 {
		return 0, 0
	}
	return binary.BigEndian.Uint16(f[n:]), n + 2
}

// decrypt leaves the decrypted IP packet in b.
func (t *Port) decrypt(p *Params, b *pktbuf.Buf) bool {
	f := b.Bytes()
	if p.Decipher == nil || len(f) < 2 {
		t.plane.drop(DropCipher)
		return false
	}
	h := binary.BigEndian.Uint16(f)
	if n := p.Decipher.KeyChanges(h); n > 1 && !t.keyChanges.take(time.Now(), n-1) {
		t.plane.drop(DropKeys)
		return false
	}
	inner := b.TrimFront(2)
	if err := p.Decipher.Open(h, inner); err != nil {
		t.plane.drop(DropCipher)
		if p.Decipher.Waiting() && t.cfg.NeedReset != nil && due(&t.resetAt, resetEvery) {
			t.cfg.NeedReset()
			t.notDecrypted(p)
		}
		return false
	}
	if !trimIPv4(b) {
		t.plane.drop(DropCipher)
		if !isOther(inner) {
			t.notDecrypted(p)
		}
		return false
	}
	if header(b.Bytes()) == nil {
		t.plane.drop(DropMalformed)
		t.notDecrypted(p)
		return false
	}
	t.lost = 0
	return true
}

// trimIPv4 removes the protocol number of IPv4, of one or two bytes, from the front of b. It
// returns false if b has another number.
func trimIPv4(b *pktbuf.Buf) bool {
	f := b.Bytes()
	switch {
	case len(f) > 0 && f[0] == protoIPv4:
		b.TrimFront(1)
	case len(f) > 1 && f[0] == 0 && f[1] == protoIPv4:
		b.TrimFront(2)
	default:
		return false
	}
	return true
}

// isOther reports whether decrypted bytes look like a packet of another protocol than IPv4: with
// the whole protocol number in front, or IPv6. One wrong key in 500 gives that by chance.
func isOther(inner []byte) bool {
	return len(inner) > 1 && (inner[0] == 0 && inner[1]&1 == 1 || inner[0] == protoIPv6 && inner[1]>>4 == 6)
}

// notDecrypted counts signs that the stream may have lost its place. It calls Undecryptable once
// for each stream: the call takes time, and a second call could hit the next stream.
func (t *Port) notDecrypted(p *Params) {
	if t.told == p {
		return
	}
	if t.lost++; t.lost < maxLost {
		return
	}
	t.lost, t.told = 0, p
	if t.cfg.Undecryptable != nil {
		t.cfg.Undecryptable()
	}
}

// due reports whether every has passed since due last returned true.
func due(last *atomic.Int64, every time.Duration) bool {
	now := time.Now().UnixNano()
	at := last.Load()
	return now-at >= int64(every) && last.CompareAndSwap(at, now)
}

// inbound takes an IP packet of the user, and ownership of b.
func (t *Port) inbound(p *Params, b *pktbuf.Buf) {
	ip := header(b.Bytes())
	if ip == nil {
		t.plane.drop(DropMalformed)
		b.Release()
		return
	}
	b.SetLen(ip.totalLen())
	if ip.src() != t.addr && !t.cfg.Uplink {
		t.plane.drop(DropSource)
		b.Release()
		return
	}
	c := t.chain.Load()
	c.tapped(true, b)
	dst := ip.dst()
	if (dst == broadcast || dst == t.plane.local) && ip.isDHCP() && t.cfg.DHCP != nil {
		t.dhcp(b)
		return
	}
	if dst[0] >= 224 && !c.passesGroup(dst) {
		t.plane.drop(DropMulticast)
		b.Release()
		return
	}
	if c != nil && t.filtered(c.in, ip, b) {
		return
	}
	t.rxPackets.Add(1)
	t.rxBytes.Add(uint64(b.Len()))
	clampMSS(b.Bytes(), min(p.maxIP(), t.plane.tun.MTU()))
	if dst != t.plane.local {
		if other := t.plane.find(dst); other != nil {
			t.toUser(other, b)
			return
		}
	}
	t.plane.write(b.Bytes())
	b.Release()
}

var broadcast = [4]byte{255, 255, 255, 255}

// dhcp answers a DHCP message of the user at a limited rate, and releases b.
func (t *Port) dhcp(b *pktbuf.Buf) {
	defer b.Release()
	if !due(&t.dhcpAt, dhcpEvery) {
		return
	}
	reply := pktbuf.Get()
	p, ok := t.cfg.DHCP(reply.Room()[:0], b.Bytes())
	if !ok || len(p) > len(reply.Room()) {
		reply.Release()
		return
	}
	reply.Append(p)
	out := link.TakeBatch()
	t.outbound(reply, out)
	out.Done()
}

// toUser routes a packet to another user, or back to this one, as a router does.
func (t *Port) toUser(other *Port, b *pktbuf.Buf) {
	if !t.plane.cfg.UserToUser {
		t.plane.drop(DropUser)
		b.Release()
		return
	}
	ip := header(b.Bytes())
	if ip.ttl() <= 1 {
		t.plane.drop(DropTTL)
		t.answer(ip, icmpTimeExceeded, 0, 0)
		b.Release()
		return
	}
	ip.decrementTTL()
	out := link.TakeBatch()
	other.outbound(b, out)
	out.Done()
}

// outbound takes an IP packet for the user, and ownership of b. The packet comes from the device or
// from another user. A fault of ours in outbound must not end those.
func (t *Port) outbound(b *pktbuf.Buf, out *link.Batch) {
	defer t.survive()
	p := t.params.Load()
	if p == nil {
		t.plane.drop(DropHold)
		b.Release()
		return
	}
	c := t.chain.Load()
	if c != nil && t.filtered(c.out, header(b.Bytes()), b) {
		return
	}
	c.tapped(false, b)
	limit := p.maxIP()
	if b.Len() > limit {
		t.tooBig(b, limit, out)
		return
	}
	clampMSS(b.Bytes(), min(limit, t.plane.tun.MTU()))
	t.send(b, out)
}

// filtered drops a packet that one of the checks does not let pass.
func (t *Port) filtered(checks []check, ip ipv4, b *pktbuf.Buf) (taken bool) {
	for _, check := range checks {
		if why := check(ip); why != 0 {
			t.plane.drop(why)
			b.Release()
			return true
		}
	}
	return false
}

// passesGroup reports whether a is a multicast address to which the user may send.
func (c *chain) passesGroup(a [4]byte) bool { return c != nil && c.multicast && isMulticast(a) }

// isMulticast reports whether a is a group (RFC 1112 section 4).
func isMulticast(a [4]byte) bool { return a[0] >= 224 && a[0] < 240 }

func (t *Port) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	t.Hold()
	if t.cfg.Fault != nil {
		t.cfg.Fault(fault)
	}
}

// tooBig fragments a packet, or answers that it must not be fragmented.
func (t *Port) tooBig(b *pktbuf.Buf, limit int, out *link.Batch) {
	defer b.Release()
	ip := header(b.Bytes())
	if ip.dontFragment() || limit < ip.headerLen()+8 {
		t.plane.drop(DropTooBig)
		t.answer(ip, icmpUnreachable, icmpFragmentationNeeded, limit)
		return
	}
	for at := 0; at >= 0; {
		f := pktbuf.Get()
		at = ip.fragment(f, at, limit)
		t.send(f, out)
	}
}

// send puts the PPP header in front of an IP packet and encrypts it if that was agreed. Both the
// cipher and the link need the packets in the same order, so send holds one lock of the port for
// both.
func (t *Port) send(b *pktbuf.Buf, out *link.Batch) {
	size := uint64(b.Len())
	t.tx.Lock()
	defer t.tx.Unlock()
	p := t.params.Load()
	if p == nil {
		t.plane.drop(DropHold)
		b.Release()
		return
	}
	prependProtocol(b, protoIPv4, p.PFC)
	if p.Cipher != nil {
		h := p.Cipher.Seal(b.Bytes())
		binary.BigEndian.PutUint16(b.Prepend(2), h)
		prependProtocol(b, protoMPPE, p.PFC)
	}
	if !p.ACFC {
		f := b.Prepend(2)
		f[0], f[1] = 0xFF, 0x03
	}
	t.txPackets.Add(1)
	t.txBytes.Add(size)
	t.cfg.Link.Send(b, out)
}

func prependProtocol(b *pktbuf.Buf, protocol byte, short bool) {
	b.Prepend(1)[0] = protocol
	if !short {
		b.Prepend(1)[0] = 0
	}
}

// answer sends an ICMP message about a packet to its source, at a limited rate. It uses mtu only
// for "fragmentation needed".
func (t *Port) answer(about ipv4, kind, code byte, mtu int) {
	if !due(&t.icmpAt, icmpEvery) {
		return
	}
	other := t.plane.find(about.src())
	from := t.plane.local
	if other == nil {
		from = about.dst() // the system accepts no packet from itself through the device
	}
	reply := pktbuf.Get()
	defer reply.Release()
	if !about.icmp(reply, from, kind, code, mtu) {
		return
	}
	if other != nil {
		out := link.TakeBatch()
		copied := pktbuf.Get()
		copied.Append(reply.Bytes())
		other.chain.Load().tapped(false, copied)
		other.send(copied, out)
		out.Done()
		return
	}
	t.plane.write(reply.Bytes())
}
