package wire

import "encoding/binary"

const (
	// GREProtocol is the Protocol Type of a GRE packet that carries PPP (RFC 2637, section 4.1).
	GREProtocol = 0x880B
	// GREMaxLen is the length in bytes of a GRE header with both numbers.
	GREMaxLen = 16

	greMin  = 8
	flagKey = 0x2000
	flagSeq = 0x1000
	flagAck = 0x0080
	// greFixed has the bits C, R, K, s and Ver. greWant has their required values. Recur and Flags
	// are ignored, because they do not change how the packet is read.
	greFixed = 0xE807
	greWant  = flagKey | 1
)

// GRE is the enhanced GRE header of RFC 2637, section 4.1.
//
//	|C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
//	|    Key (HW) Payload Length    |       Key (LW) Call ID        |
//	|                  Sequence Number (Optional)                   |
//	|               Acknowledgment Number (Optional)                |
type GRE struct {
	CallID uint16 // the receiver's
	HasSeq bool   // a payload follows
	HasAck bool
	Seq    uint32
	Ack    uint32 // the highest sequence number received
}

// Len is the length of the header in bytes: 8, 12 or 16.
func (h GRE) Len() int {
	n := greMin
	if h.HasSeq {
		n += 4
	}
	if h.HasAck {
		n += 4
	}
	return n
}

// Put writes the header of a packet with payload bytes of payload into b[:h.Len()].
func (h GRE) Put(b []byte, payload int) {
	flags := uint16(greWant)
	n := greMin
	if h.HasSeq {
		flags |= flagSeq
		binary.BigEndian.PutUint32(b[n:], h.Seq)
		n += 4
	}
	if h.HasAck {
		flags |= flagAck
		binary.BigEndian.PutUint32(b[n:], h.Ack)
	}
	binary.BigEndian.PutUint16(b, flags)
	binary.BigEndian.PutUint16(b[2:], GREProtocol)
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	binary.BigEndian.PutUint16(b[6:], h.CallID)
}

// ParseGRE reads the header at the start of b and returns the payload. It cuts the payload to the
// length in the header, because a link pads short packets. The error is ErrLength if there is a
// payload without a sequence number, or if the length in the header is too long.
func ParseGRE(b []byte) (GRE, []byte, error) {
	if len(b) < greMin {
		return GRE{}, nil, ErrShort
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&greFixed != greWant || binary.BigEndian.Uint16(b[2:]) != GREProtocol {
		return GRE{}, nil, ErrMagic
	}
	h := GRE{CallID: binary.BigEndian.Uint16(b[6:]), HasSeq: flags&flagSeq != 0, HasAck: flags&flagAck != 0}
	n := h.Len()
	if len(b) < n {
		return GRE{}, nil, ErrShort
	}
	p := b[greMin:]
	if h.HasSeq {
		h.Seq = binary.BigEndian.Uint32(p)
		p = p[4:]
	}
	if h.HasAck {
		h.Ack = binary.BigEndian.Uint32(p)
		p = p[4:]
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size > len(p) || size > 0 && !h.HasSeq {
		return GRE{}, nil, ErrLength
	}
	return h, p[:size], nil
}
