// Package wire is the format of PPP: frames (RFC 1661 section 2), the packets of LCP and the
// control protocols (section 5), their options (section 6), and a readable form of them. The
// results of Parse functions point into the frame. No length field of a peer causes an allocation.
package wire

import (
	"encoding/binary"
	"errors"
)

// Protocol is the number of a PPP protocol.
type Protocol uint16

// The protocols that vpnd knows by name.
const (
	IPv4     Protocol = 0x0021
	VJTCP    Protocol = 0x002D // compressed
	VJUncomp Protocol = 0x002F
	IPv6     Protocol = 0x0057
	Comp     Protocol = 0x00FD // agreed by CCP: MPPE
	IPCP     Protocol = 0x8021
	IPV6CP   Protocol = 0x8057
	CCP      Protocol = 0x80FD
	LCP      Protocol = 0xC021
	PAP      Protocol = 0xC023
	CHAP     Protocol = 0xC223
	EAP      Protocol = 0xC227
)

// Code is the first byte of a packet of a control protocol.
type Code uint8

// The codes of RFC 1661 section 5, RFC 1570 sections 2.1 and 2.2, RFC 1962 section 3, and those
// of PAP (RFC 1334 section 2.2) and CHAP (RFC 1994 section 4).
const (
	ConfigureRequest Code = 1
	ConfigureAck     Code = 2
	ConfigureNak     Code = 3
	ConfigureReject  Code = 4
	TerminateRequest Code = 5
	TerminateAck     Code = 6
	CodeReject       Code = 7
	ProtocolReject   Code = 8
	EchoRequest      Code = 9
	EchoReply        Code = 10
	DiscardRequest   Code = 11
	Identification   Code = 12
	TimeRemaining    Code = 13
	ResetRequest     Code = 14
	ResetAck         Code = 15

	PAPRequest Code = 1
	PAPAck     Code = 2
	PAPNak     Code = 3

	CHAPChallenge Code = 1
	CHAPResponse  Code = 2
	CHAPSuccess   Code = 3
	CHAPFailure   Code = 4
)

// Errors of the Parse functions.
var (
	ErrShort  = errors.New("ppp: frame too short")
	ErrLength = errors.New("ppp: length field lies")
	ErrNumber = errors.New("ppp: protocol number is not odd")
	ErrMany   = errors.New("ppp: too many options")
)

// HeaderLen is the length of a control packet's header in bytes: code, identifier, length.
const HeaderLen = 4

// ParseFrame takes a frame with or without address and control bytes (FF 03) and with a protocol
// number of one or two bytes, with any negotiated options. The error is ErrShort or ErrNumber.
func ParseFrame(frame []byte) (Protocol, []byte, error) {
	if len(frame) >= 2 && frame[0] == 0xFF && frame[1] == 0x03 {
		frame = frame[2:]
	}
	if len(frame) == 0 {
		return 0, nil, ErrShort
	}
	if frame[0]&1 == 1 {
		return Protocol(frame[0]), frame[1:], nil
	}
	if len(frame) < 2 {
		return 0, nil, ErrShort
	}
	if frame[1]&1 == 0 {
		return 0, nil, ErrNumber
	}
	return Protocol(binary.BigEndian.Uint16(frame)), frame[2:], nil
}

// AppendFrame appends an uncompressed frame header: FF 03 and a protocol number of two bytes. LCP
// packets always have this form (RFC 1661 section 6.5), and any peer accepts it.
func AppendFrame(b []byte, p Protocol) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0xFF, 0x03), uint16(p))
}

// Packet is a packet of LCP, a network control protocol, PAP or CHAP.
type Packet struct {
	Code Code
	ID   uint8
	Body []byte // the bytes that the length field counts, without the header
}

// ParsePacket takes the information field of a frame. It ignores padding after the length (RFC 1661
// section 5). The error is ErrShort or ErrLength.
func ParsePacket(p []byte) (Packet, error) {
	if len(p) < HeaderLen {
		return Packet{}, ErrShort
	}
	length := int(binary.BigEndian.Uint16(p[2:]))
	if length < HeaderLen || length > len(p) {
		return Packet{}, ErrLength
	}
	return Packet{Code: Code(p[0]), ID: p[1], Body: p[HeaderLen:length]}, nil
}

// Append appends the packet.
func (p Packet) Append(b []byte) []byte {
	b = append(b, byte(p.Code), p.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(HeaderLen+len(p.Body)))
	return append(b, p.Body...)
}

// Option is one option of a Configure packet.
type Option struct {
	Type uint8
	Data []byte
}

// maxOptions limits the options of a packet, because all peers wait while one is judged. Real
// packets have ten.
const maxOptions = 32

// ParseOptions splits the body of a Configure packet. The error is ErrShort, ErrLength or ErrMany;
// then the caller must not use the packet.
func ParseOptions(body []byte) ([]Option, error) {
	var options []Option
	for len(body) > 0 {
		if len(body) < 2 {
			return nil, ErrShort
		}
		if len(options) == maxOptions {
			return nil, ErrMany
		}
		length := int(body[1])
		if length < 2 || length > len(body) {
			return nil, ErrLength
		}
		options = append(options, Option{Type: body[0], Data: body[2:length]})
		body = body[length:]
	}
	return options, nil
}

// AppendOption appends an option with at most 253 bytes of data and cuts the rest.
func AppendOption(b []byte, o Option) []byte {
	data := o.Data[:min(len(o.Data), 253)]
	return append(append(b, o.Type, byte(2+len(data))), data...)
}

// ParsePAP takes the body of an Authenticate-Request (RFC 1334 section 2.2.1).
func ParsePAP(body []byte) (user, password []byte, err error) {
	user, rest, err := lengthPrefixed(body)
	if err != nil {
		return nil, nil, err
	}
	password, _, err = lengthPrefixed(rest)
	return user, password, err
}

// ParseCHAP takes the body of a Challenge or Response (RFC 1994 section 4.1).
func ParseCHAP(body []byte) (value, name []byte, err error) {
	return lengthPrefixed(body)
}

// ParseMessage takes the body of PAP's Ack or Nak.
func ParseMessage(body []byte) []byte {
	message, _, err := lengthPrefixed(body)
	if err != nil {
		return nil
	}
	return message
}

func lengthPrefixed(b []byte) (field, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, ErrShort
	}
	n := int(b[0])
	if n > len(b)-1 {
		return nil, nil, ErrLength
	}
	return b[1 : 1+n], b[1+n:], nil
}
