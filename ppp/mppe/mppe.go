package mppe

import "errors"

const (
	flushed   = 0x8000 // bit A
	encrypted = 0x1000 // bit D
	countMask = 0x0FFF
	// maxBehind is how far a count may lie behind the expected one, modulo 4096, to be taken as
	// late; anything else is ahead.
	maxBehind = 0x0800
)

// Errors of Open. The packet is to be dropped.
var (
	// ErrLate is a packet from the past: its key is gone.
	ErrLate = errors.New("mppe: packet from the past")
	// ErrLost means that a stateful stream has lost a packet: a CCP Reset-Request is due.
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
		// The next "flag" packet is sent out of turn: at a flag packet the key changes by one
		// step in every implementation, while some also change it at any other flushed packet
		// and some, as RFC 3078 section 8.2 has it, do not.
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

// Reset answers a CCP Reset-Request of the peer: the next packet is a flushed one.
func (e *Encrypter) Reset() { e.reset = !e.stateless }

// Decrypter decrypts the packets of one direction. It is not safe for concurrent use.
type Decrypter struct {
	key       sessionKey
	count     uint16
	stateless bool
	discard   bool
}

// NewDecrypter begins a stream with the start key of its direction.
func NewDecrypter(start MasterKey, strength Strength, stateless bool) *Decrypter {
	return &Decrypter{key: newSessionKey(start, strength), stateless: stateless, count: countMask}
}

// Open decrypts p, what follows the MPPE header, in place. On an error p holds nothing of use.
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
	ahead := (header - d.count) & countMask
	if ahead == 0 || ahead > countMask-maxBehind {
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
	ahead := (count - d.count) & countMask
	switch {
	case ahead == 0 || ahead > countMask-maxBehind:
		return ErrLate
	case header&flushed != 0:
		d.resync(count, p)
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

// resync takes a flushed packet: it makes the key changes of the flag packets since the last one
// taken, this one included. Peers differ in whether a flushed packet that is no flag packet
// changes the key too (RFC 3078 section 8.2: no; Linux: yes): the protocol number, which must be
// IPv4's, tells which.
func (d *Decrypter) resync(count uint16, p []byte) {
	flags := ((count+1)>>8 - (d.count+1)>>8) & 0x0F
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

// startsIPv4 reports whether p decrypts to a packet of protocol 0021, and leaves all as it was.
func (d *Decrypter) startsIPv4(p []byte) bool {
	trial := d.key.rc4
	head := [2]byte{p[0], p[1]}
	trial.xor(head[:])
	return head[0] == 0x21 || head == [2]byte{0x00, 0x21}
}

// Waiting reports whether a stateful stream has lost a packet and waits for a flushed one: a CCP
// Reset-Request is due.
func (d *Decrypter) Waiting() bool { return d.discard }
