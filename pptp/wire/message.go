package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// Port is the TCP port of the control connection (RFC 2637, section 1.4).
	Port = 1723
	// Magic is the Magic Cookie of every control message (RFC 2637, section 1.4).
	Magic = 0x1A2B3C4D
	// Version is the protocol version 1.0 (RFC 2637, section 2.1).
	Version = 0x0100
	// HeaderLen is the length in bytes of the start of every control message: length, PPTP message
	// type, magic cookie, control message type and Reserved0.
	HeaderLen = 12
	// MaxLen is the length in bytes of the longest control message, Incoming-Call-Request.
	MaxLen = 220
)

// Errors of Parse and ParseGRE. After any of them except ErrShort, the stream cannot be trusted.
var (
	ErrShort  = errors.New("pptp: message is not complete")
	ErrMagic  = errors.New("pptp: wrong magic cookie")
	ErrLength = errors.New("pptp: length does not fit the message")
)

// Type is the Control Message Type (RFC 2637, section 1.4).
type Type uint16

// The control message types.
const (
	TypeStartRequest Type = iota + 1
	TypeStartReply
	TypeStopRequest
	TypeStopReply
	TypeEchoRequest
	TypeEchoReply
	TypeOutgoingCallRequest
	TypeOutgoingCallReply
	TypeIncomingCallRequest
	TypeIncomingCallReply
	TypeIncomingCallConnected
	TypeCallClearRequest
	TypeCallDisconnectNotify
	TypeWANErrorNotify
	TypeSetLinkInfo
)

// messages gives each type its name, its exact length in bytes with the header, and an empty
// message.
var messages = [...]struct {
	name  string
	len   int
	blank func() Message
}{
	TypeStartRequest:          {"Start-Control-Connection-Request", 156, blank[StartRequest]},
	TypeStartReply:            {"Start-Control-Connection-Reply", 156, blank[StartReply]},
	TypeStopRequest:           {"Stop-Control-Connection-Request", 16, blank[StopRequest]},
	TypeStopReply:             {"Stop-Control-Connection-Reply", 16, blank[StopReply]},
	TypeEchoRequest:           {"Echo-Request", 16, blank[EchoRequest]},
	TypeEchoReply:             {"Echo-Reply", 20, blank[EchoReply]},
	TypeOutgoingCallRequest:   {"Outgoing-Call-Request", 168, blank[OutgoingCallRequest]},
	TypeOutgoingCallReply:     {"Outgoing-Call-Reply", 32, blank[OutgoingCallReply]},
	TypeIncomingCallRequest:   {"Incoming-Call-Request", 220, blank[IncomingCallRequest]},
	TypeIncomingCallReply:     {"Incoming-Call-Reply", 24, blank[IncomingCallReply]},
	TypeIncomingCallConnected: {"Incoming-Call-Connected", 28, blank[IncomingCallConnected]},
	TypeCallClearRequest:      {"Call-Clear-Request", 16, blank[CallClearRequest]},
	TypeCallDisconnectNotify:  {"Call-Disconnect-Notify", 148, blank[CallDisconnectNotify]},
	TypeWANErrorNotify:        {"WAN-Error-Notify", 40, blank[WANErrorNotify]},
	TypeSetLinkInfo:           {"Set-Link-Info", 24, blank[SetLinkInfo]},
}

// String is the name that RFC 2637 gives the message.
func (t Type) String() string {
	if t.known() {
		return messages[t].name
	}
	return fmt.Sprintf("control message %d", uint16(t))
}

func (t Type) known() bool { return t > 0 && int(t) < len(messages) }

// Message is one control message.
type Message interface {
	// Type is the Control Message Type.
	Type() Type
	// Append writes the whole message, header included, behind b.
	Append(b []byte) []byte
	parse(b []byte)
}

// Raw is a message of a type that RFC 2637 does not define, or is not a control message.
type Raw struct {
	MessageType uint16 // 1: control message
	ControlType Type
	Body        []byte // the bytes after the header; borrowed from the parsed bytes
}

// Type is the Control Message Type as received.
func (m *Raw) Type() Type { return m.ControlType }

// Append writes the message as received. A body over MaxLen-HeaderLen bytes is cut.
func (m *Raw) Append(b []byte) []byte {
	body := m.Body[:min(len(m.Body), MaxLen-HeaderLen)]
	b = header(b, m.MessageType, m.ControlType, HeaderLen+len(body))
	return append(b, body...)
}

func (m *Raw) parse(b []byte) { m.Body = b }

// Parse reads the message at the start of b and returns how many bytes it took. ErrShort asks for
// more bytes. Parse reports a wrong cookie or length as soon as it can. The length field causes no
// allocation: no message is over MaxLen bytes.
func Parse(b []byte) (Message, int, error) {
	if len(b) >= 2 {
		if n := int(binary.BigEndian.Uint16(b)); n < HeaderLen || n > MaxLen {
			return nil, 0, ErrLength
		}
	}
	if len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) != Magic {
		return nil, 0, ErrMagic
	}
	if len(b) < HeaderLen {
		return nil, 0, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b))
	kind, typ := binary.BigEndian.Uint16(b[2:]), Type(binary.BigEndian.Uint16(b[8:]))
	var m Message = &Raw{MessageType: kind, ControlType: typ}
	if kind == 1 && typ.known() {
		if n != messages[typ].len {
			return nil, 0, ErrLength
		}
		m = messages[typ].blank()
	}
	if len(b) < n {
		return nil, 0, ErrShort
	}
	m.parse(b[HeaderLen:n])
	return m, n, nil
}

// blank makes a message of one type.
func blank[T any, M interface {
	*T
	Message
}]() Message {
	return M(new(T))
}

func header(b []byte, kind uint16, t Type, n int) []byte {
	b = u16(u16(b, uint16(n)), kind)
	b = u32(b, Magic)
	return u16(u16(b, uint16(t)), 0)
}

// begin writes the header of a control message of RFC 2637.
func begin(b []byte, t Type) []byte { return header(b, 1, t, messages[t].len) }

func u16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// text writes s, cut to n bytes and filled up to n with zeros.
func text(b []byte, s string, n int) []byte {
	s = s[:min(len(s), n)]
	b = append(b, s...)
	for range n - len(s) {
		b = append(b, 0)
	}
	return b
}

// reader takes fields from the front of a message of checked length.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	f := r.b[:n]
	r.b = r.b[n:]
	return f
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func (r *reader) text(n int) string {
	f := r.take(n)
	for i, c := range f {
		if c == 0 {
			return string(f[:i])
		}
	}
	return string(f)
}
