package mppe

import "errors"

const (
	flushed   = 0x8000 // bit A
	encrypted = 0x1000 // bit D
	countMask = 0x0FFF
	counts    = countMask + 1
	// maxLate is how many counts mean a late packet, if the carrier may deliver packets late.
	maxLate = 256
)

// Errors of Open. The caller must drop the packet.
var (
	// ErrLate is a packet from the past: its key is gone.
	ErrLate = errors.New("mppe: packet from the past")
	// ErrLost means that a stateful stream has lost a packet. A CCP Reset-Request is due.
	ErrLost = errors.New("mppe: packet lost")
	// ErrDiscarding is a packet between a loss and the peer's answer to the Reset-Request.
	ErrDiscarding = errors.New("mppe: waiting for a flushed packet")
	// ErrClear is a packet in an MPPE frame that is not encrypted.
	ErrClear = errors.New("mppe: packet is not encrypted")
	// ErrShort is a packet with no room for a protocol number.
	ErrShort = errors.New("mppe: packet too short")
	// ErrNotFlushed is a stateless packet without the flushed bit.
	ErrNotFlushed = errors.New("mppe: stateless packet without the flushed bit")
)

// Encrypter encrypts the packets of one direction. It is not safe for concurrent use.
type Encrypter struct {
	key       sessionKey
	count     uint16
	stateless bool
	reset     bool
}

// NewEncrypter begins a stream with the start key of its direction.
func NewEncrypter(start MasterKey, strength Strength, stateless bool) *Encrypter {
	return &Encrypter{key: newSessionKey(start, strength), stateless: stateless, count: countMask}
}

// Seal encrypts p, a protocol number and its payload, in place, and returns the MPPE header that
// goes in front (RFC 3078 section 3.1).
func (e *Encrypter) Seal(p []byte) uint16 {
	e.count = (e.count + 1) & countMask
	if e.reset {
		// The next "flag" packet comes early: at a flag packet, every implementation changes the
		// key by one step. At any other flushed packet some change it, and some do not, as RFC 3078
		// section 8.2 says.
		e.reset = false
		e.count |= 0xFF
	}
	header := e.count | encrypted
	if e.stateless || e.count&0xFF == 0xFF {
		e.key.change()
		header |= flushed
	}
	e.key.rc4.xor(p)
	return header
}

// Reset answers a CCP Reset-Request of the peer: it makes the next packet a flushed one.
func (e *Encrypter) Reset() { e.reset = !e.stateless }

// Decrypter decrypts the packets of one direction. It is not safe for concurrent use.
type Decrypter struct {
	key       sessionKey
	count     uint16
	stateless bool
	discard   bool
	late      int // how many counts mean a late packet
}

// NewDecrypter begins a stream with the start key of its direction. Its packets come in order.
func NewDecrypter(start MasterKey, strength Strength, stateless bool) *Decrypter {
	return &Decrypter{key: newSessionKey(start, strength), stateless: stateless, count: countMask}
}

// AllowLate prepares for a carrier that may deliver packets late, and reserves some counts for late
// packets. The fewer counts it reserves, the more packets in a row may be lost.
func (d *Decrypter) AllowLate() { d.late = maxLate }

// ahead is how many packets a header is ahead of the last one, 1 to 4096. 0 means that it is late.
// If packets come in order, all counts are ahead (RFC 3078 section 8.1).
func (d *Decrypter) ahead(header uint16) int {
	ahead := int((header-d.count-1)&countMask) + 1
	if ahead > counts-d.late {
		return 0
	}
	return ahead
}

// flags counts the packets, up to the given distance ahead, at which a stateful key changes.
func (d *Decrypter) flags(ahead int) int { return (int((d.count+1)&0xFF) + ahead) >> 8 }

// KeyChanges is how often Open will change the key for a packet with this header. The peer chooses
// the number, and each change costs as much as a small packet.
func (d *Decrypter) KeyChanges(header uint16) int {
	switch {
	case header&flushed == 0:
		return 0
	case d.stateless:
		return d.ahead(header)
	default:
		return d.flags(d.ahead(header))
	}
}

// Open decrypts p in place. p is the part after the MPPE header. After an error, p has no useful
// content.
func (d *Decrypter) Open(header uint16, p []byte) error {
	if len(p) < 2 {
		return ErrShort
	}
	if header&encrypted == 0 {
		return ErrClear
	}
	if d.stateless {
		return d.openStateless(header, p)
	}
	return d.openStateful(header, p)
}

func (d *Decrypter) openStateless(header uint16, p []byte) error {
	if header&flushed == 0 {
		return ErrNotFlushed
	}
	ahead := d.ahead(header)
	if ahead == 0 {
		return ErrLate
	}
	for range ahead {
		d.key.change()
	}
	d.count = header & countMask
	d.key.rc4.xor(p)
	return nil
}

func (d *Decrypter) openStateful(header uint16, p []byte) error {
	count := header & countMask
	ahead := d.ahead(header)
	switch {
	case ahead == 0:
		return ErrLate
	case header&flushed != 0:
		d.resync(count, d.flags(ahead), p)
		return nil
	case d.discard:
		return ErrDiscarding
	case ahead != 1:
		d.discard = true
		return ErrLost
	}
	d.count = count
	d.key.rc4.xor(p)
	return nil
}

// resync takes a flushed packet. It makes the key changes of the flag packets since the last packet
// that we received, including this one. At a flushed packet that is no flag packet, some peers
// change the key too (Linux) and some do not (RFC 3078 section 8.2). The right key decrypts it to
// an IPv4 packet.
func (d *Decrypter) resync(count uint16, flags int, p []byte) {
	for range flags {
		d.key.change()
	}
	d.key.rc4.setKey(d.key.bytes())
	if count&0xFF != 0xFF && !d.startsIPv4(p) {
		d.key.change()
	}
	d.count, d.discard = count, false
	d.key.rc4.xor(p)
}

// startsIPv4 reports whether p decrypts to a packet of protocol 0021 with a header of version 4 and
// valid lengths. It changes nothing. One wrong key in 256 gives the right protocol number.
func (d *Decrypter) startsIPv4(p []byte) bool {
	trial := d.key.rc4
	var head [6]byte
	size := len(p)
	n := copy(head[:], p)
	trial.xor(head[:n])
	h := head[:n]
	if h[0] == 0x00 {
		h, size = h[1:], size-1
	}
	if h[0] != 0x21 || len(h) < 5 {
		return false
	}
	h, size = h[1:], size-1
	header, total := int(h[0]&0x0F)*4, int(h[2])<<8|int(h[3])
	return h[0]>>4 == 4 && header >= 20 && header <= total && total <= size
}

// Waiting reports whether a stateful stream has lost a packet and waits for a flushed one. A CCP
// Reset-Request is due then.
func (d *Decrypter) Waiting() bool { return d.discard }
