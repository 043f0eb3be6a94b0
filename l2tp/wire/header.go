// Package wire is the format of L2TP version 2 (RFC 2661): the header of control and data messages
// (section 3.1) and the attribute-value pairs of control messages (section 4). The results of Parse
// functions point into the message, except hidden values. No length field causes an allocation.
package wire

import (
	"encoding/binary"
	"errors"
	"vpnd/internal/pktbuf"
)

// Port is the UDP port of L2TP.
const Port = 1701

// Bits of the first two bytes.
const (
	bitType     = 0x8000
	bitLength   = 0x4000
	bitSequence = 0x0800
	bitOffset   = 0x0200
	version     = 2
	versionMask = 0x000F
)

// Errors of the Parse functions.
var (
	ErrShort   = errors.New("l2tp: message too short")
	ErrVersion = errors.New("l2tp: another version")
	ErrHeader  = errors.New("l2tp: control message without length or sequence number")
	ErrLength  = errors.New("l2tp: length field lies")
	ErrHidden  = errors.New("l2tp: hidden AVP does not decode")
	ErrTooMuch = errors.New("l2tp: too many AVPs, or too long hidden ones")
)

// Header is the header of a message.
type Header struct {
	Control bool
	HasSeq  bool   // always true in a control message
	Tunnel  uint16 // the receiver's identifiers
	Session uint16
	Ns, Nr  uint16
}

// MaxHeader is the length of the longest header that Append and Put write, in bytes.
const MaxHeader = 12

// ParseHeader parses a datagram. If the header has a length, the bytes behind that length are
// padding.
func ParseHeader(b []byte) (Header, []byte, error) {
	h, at, end, err := parseHeader(b)
	if err != nil {
		return Header{}, nil, err
	}
	return h, b[at:end], nil
}

// TrimHeader removes the header and the padding from the datagram in b. After an error, b is
// unchanged.
func TrimHeader(b *pktbuf.Buf) (Header, error) {
	h, at, end, err := parseHeader(b.Bytes())
	if err != nil {
		return Header{}, err
	}
	b.SetLen(end)
	b.TrimFront(at)
	return h, nil
}

// parseHeader finds the payload of a datagram, b[at:end].
func parseHeader(b []byte) (h Header, at, end int, err error) {
	if len(b) < 2 {
		return Header{}, 0, 0, ErrShort
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&versionMask != version {
		return Header{}, 0, 0, ErrVersion
	}
	h = Header{Control: flags&bitType != 0, HasSeq: flags&bitSequence != 0}
	if h.Control && (flags&bitLength == 0 || !h.HasSeq || flags&bitOffset != 0) {
		return Header{}, 0, 0, ErrHeader
	}
	least := leastLen(flags)
	if len(b) < least {
		return Header{}, 0, 0, ErrShort
	}
	at, end = 2, len(b)
	if flags&bitLength != 0 {
		end = int(binary.BigEndian.Uint16(b[at:]))
		at += 2
	}
	switch {
	case end > len(b):
		return Header{}, 0, 0, ErrLength
	case end < least:
		return Header{}, 0, 0, ErrShort
	}
	h.Tunnel, h.Session = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	at += 4
	if h.HasSeq {
		h.Ns, h.Nr = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
		at += 4
	}
	if flags&bitOffset != 0 {
		at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	}
	if at > end {
		return Header{}, 0, 0, ErrLength
	}
	return h, at, end, nil
}

// leastLen is the length of a header with these flags, without the padding behind an offset.
func leastLen(flags uint16) int {
	n := 6
	if flags&bitLength != 0 {
		n += 2
	}
	if flags&bitSequence != 0 {
		n += 4
	}
	if flags&bitOffset != 0 {
		n += 2
	}
	return n
}

// AppendControl appends a whole control message. body has its AVPs. An empty body makes an
// acknowledgement (ZLB).
func AppendControl(b []byte, h Header, body []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, bitType|bitLength|bitSequence|version)
	b = binary.BigEndian.AppendUint16(b, uint16(MaxHeader+len(body)))
	for _, v := range [...]uint16{h.Tunnel, h.Session, h.Ns, h.Nr} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return append(b, body...)
}

// DataLen is the length of a data message's header in bytes.
func (h Header) DataLen() int {
	if h.HasSeq {
		return 10
	}
	return 6
}

// PutData writes the header of a data message into b[:h.DataLen()].
func (h Header) PutData(b []byte) {
	flags := uint16(version)
	if h.HasSeq {
		flags |= bitSequence
		binary.BigEndian.PutUint16(b[6:], h.Ns)
		binary.BigEndian.PutUint16(b[8:], h.Nr)
	}
	binary.BigEndian.PutUint16(b, flags)
	binary.BigEndian.PutUint16(b[2:], h.Tunnel)
	binary.BigEndian.PutUint16(b[4:], h.Session)
}
