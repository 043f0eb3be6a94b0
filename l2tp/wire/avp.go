package wire

import (
	"crypto/md5" //nolint:gosec // RFC 2661 hides by MD5
	"encoding/binary"
	"fmt"
	"strconv"
)

// MessageType is the value of the first AVP.
type MessageType uint16

// The message types of RFC 2661 section 3.2.
const (
	SCCRQ   MessageType = 1
	SCCRP   MessageType = 2
	SCCCN   MessageType = 3
	StopCCN MessageType = 4
	Hello   MessageType = 6
	OCRQ    MessageType = 7
	OCRP    MessageType = 8
	OCCN    MessageType = 9
	ICRQ    MessageType = 10
	ICRP    MessageType = 11
	ICCN    MessageType = 12
	CDN     MessageType = 14
	WEN     MessageType = 15
	SLI     MessageType = 16
)

var messageNames = map[MessageType]string{
	SCCRQ: "SCCRQ", SCCRP: "SCCRP", SCCCN: "SCCCN", StopCCN: "StopCCN", Hello: "Hello", OCRQ: "OCRQ", OCRP: "OCRP",
	OCCN: "OCCN", ICRQ: "ICRQ", ICRP: "ICRP", ICCN: "ICCN", CDN: "CDN", WEN: "WEN", SLI: "SLI",
}

// String is the message's name in RFC 2661.
func (t MessageType) String() string {
	if name, ok := messageNames[t]; ok {
		return name
	}
	return fmt.Sprintf("message %d", uint16(t))
}

// Known reports whether RFC 2661 defines the type.
func (t MessageType) Known() bool { return messageNames[t] != "" }

// OfCall reports whether a message concerns one call, and not the whole tunnel.
func (t MessageType) OfCall() bool { return t >= OCRQ && t <= SLI }

// Attribute is the type of an AVP without a vendor.
type Attribute uint16

// The attributes of RFC 2661 section 4.4.
const (
	AttrMessageType        Attribute = 0
	AttrResultCode         Attribute = 1
	AttrProtocolVersion    Attribute = 2
	AttrFraming            Attribute = 3
	AttrBearer             Attribute = 4
	AttrTieBreaker         Attribute = 5
	AttrFirmware           Attribute = 6
	AttrHostName           Attribute = 7
	AttrVendorName         Attribute = 8
	AttrTunnelID           Attribute = 9
	AttrReceiveWindow      Attribute = 10
	AttrChallenge          Attribute = 11
	AttrCauseCode          Attribute = 12
	AttrChallengeResponse  Attribute = 13
	AttrSessionID          Attribute = 14
	AttrSerial             Attribute = 15
	AttrFramingType        Attribute = 19
	AttrSpeed              Attribute = 24
	AttrRandomVector       Attribute = 36
	AttrSequencingRequired Attribute = 39

	unassigned    Attribute = 20
	lastAttribute Attribute = 39
)

// The limits of the work for one message. Anybody can send one, and all peers wait for it. Real
// ones have at most 30 AVPs. Even if all of them are hidden, they cost less than this.
const (
	maxAVPs   = 64
	maxBlocks = 128 // of MD5
)

// Bits of an AVP's first two bytes.
const (
	avpMandatory = 0x8000
	avpHidden    = 0x4000
	avpReserved  = 0x3C00
	avpLength    = 0x03FF
	avpHeader    = 6
)

// AVP is an attribute-value pair.
type AVP struct {
	Mandatory bool
	Hidden    bool // Value has been decoded, if the AVP is known
	Known     bool // an attribute of RFC 2661 without reserved bits
	Vendor    uint16
	Type      Attribute
	Value     []byte
}

// ParseAVPs parses the body of a control message. It decodes hidden values with secret, except in
// AVPs that must be ignored. The error is ErrHidden if that fails, ErrShort or ErrLength if the
// lengths are wrong, and ErrTooMuch if no real peer sends such a message. After an error, the
// caller must not use the message.
func ParseAVPs(body []byte, secret string) ([]AVP, error) {
	var avps []AVP
	var vector []byte
	blocks := 0
	for len(body) > 0 {
		if len(avps) == maxAVPs {
			return nil, ErrTooMuch
		}
		a, n, err := parseAVP(body)
		if err != nil {
			return nil, err
		}
		if a.Hidden && (a.Known || a.Mandatory) {
			if blocks += hidingBlocks(len(a.Value), len(secret), len(vector)); blocks > maxBlocks {
				return nil, ErrTooMuch
			}
			var ok bool
			if a.Value, ok = reveal(a.Type, a.Value, secret, vector); !ok {
				return nil, ErrHidden
			}
		}
		if a.Known && a.Type == AttrRandomVector {
			vector = a.Value
		}
		avps = append(avps, a)
		body = body[n:]
	}
	return avps, nil
}

// parseAVP reads the AVP at the start of body. The AVP is n bytes long. A hidden value stays
// hidden.
func parseAVP(body []byte) (a AVP, n int, err error) {
	if len(body) < avpHeader {
		return AVP{}, 0, ErrShort
	}
	bits := binary.BigEndian.Uint16(body)
	n = int(bits & avpLength)
	if n < avpHeader || n > len(body) {
		return AVP{}, 0, ErrLength
	}
	a = AVP{
		Mandatory: bits&avpMandatory != 0, Hidden: bits&avpHidden != 0,
		Vendor: binary.BigEndian.Uint16(body[2:]), Type: Attribute(binary.BigEndian.Uint16(body[4:])),
		Value: body[avpHeader:n],
	}
	a.Known = bits&avpReserved == 0 && a.Vendor == 0 && a.Type <= lastAttribute && a.Type != unassigned
	return a, n, nil
}

// AppendAVP appends an AVP that is not hidden.
func AppendAVP(b []byte, mandatory bool, t Attribute, value []byte) []byte {
	bits := uint16(avpHeader + len(value))
	if mandatory {
		bits |= avpMandatory
	}
	b = binary.BigEndian.AppendUint16(b, bits)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(t))
	return append(b, value...)
}

// AppendHidden appends a hidden AVP (RFC 2661 section 4.3). vector is the value of the Random
// Vector AVP before it.
func AppendHidden(b []byte, mandatory bool, t Attribute, value []byte, secret string, vector []byte) []byte {
	at := len(b)
	b = AppendAVP(b, mandatory, t, Hide(t, value, secret, vector, 0))
	b[at] |= avpHidden >> 8
	return b
}

// hidingBlocks is how many blocks of MD5 it takes to reveal a value of n bytes.
func hidingBlocks(n, secret, vector int) int {
	of := func(text int) int { return (text+8)/md5.BlockSize + 1 }
	return of(2+secret+vector) + (n-1)/md5.Size*of(secret+md5.Size)
}

// reveal reverses the hiding of RFC 2661 section 4.3. Each block of 16 bytes is hidden by the MD5
// of the secret and the block before. The first two bytes of the text are the value's length.
func reveal(t Attribute, hidden []byte, secret string, vector []byte) ([]byte, bool) {
	if secret == "" || len(vector) == 0 || len(hidden) < 2 {
		return nil, false
	}
	text := make([]byte, len(hidden))
	key := append(binary.BigEndian.AppendUint16(nil, uint16(t)), secret...)
	key = append(key, vector...)
	for at := 0; at < len(hidden); at += md5.Size {
		pad := md5.Sum(key) //nolint:gosec // RFC 2661
		end := min(at+md5.Size, len(hidden))
		for i := at; i < end; i++ {
			text[i] = hidden[i] ^ pad[i-at]
		}
		key = append(append(key[:0], secret...), hidden[at:end]...)
	}
	n := int(binary.BigEndian.Uint16(text))
	if n > len(text)-2 {
		return nil, false
	}
	return text[2 : 2+n], true
}

// Hide returns the hidden form of value for reveal, with pad zero bytes of padding.
func Hide(t Attribute, value []byte, secret string, vector []byte, pad int) []byte {
	text := binary.BigEndian.AppendUint16(nil, uint16(len(value)))
	text = append(append(text, value...), make([]byte, pad)...)
	key := append(binary.BigEndian.AppendUint16(nil, uint16(t)), secret...)
	key = append(key, vector...)
	for at := 0; at < len(text); at += md5.Size {
		mask := md5.Sum(key) //nolint:gosec // RFC 2661
		end := min(at+md5.Size, len(text))
		for i := at; i < end; i++ {
			text[i] ^= mask[i-at]
		}
		key = append(append(key[:0], secret...), text[at:end]...)
	}
	return text
}

// ChallengeResponse is the answer to a challenge, in a message of type t (RFC 2661 section 4.4.3).
func ChallengeResponse(t MessageType, secret string, challenge []byte) [16]byte {
	text := append([]byte{byte(t)}, secret...)
	return md5.Sum(append(text, challenge...)) //nolint:gosec // RFC 2661
}

// Result is the value of a Result Code AVP.
type Result struct {
	Code, Error uint16 // Error 0: none
	Message     string
}

// ParseResult parses a result as real peers send it: with or without an error code, and also in the
// wrong byte order of Apple's clients.
func ParseResult(value []byte) Result {
	var r Result
	if len(value) >= 2 {
		r.Code = turned(binary.BigEndian.Uint16(value))
	}
	if len(value) >= 4 {
		r.Error = turned(binary.BigEndian.Uint16(value[2:]))
		r.Message = string(value[4:])
	}
	return r
}

func turned(v uint16) uint16 {
	if v&0xFF == 0 {
		return v >> 8
	}
	return v
}

// maxText is the longest text of a peer in a log, in bytes.
const maxText = 64

// Text escapes and cuts a peer's text for a log.
func Text(s string) string {
	q := strconv.QuoteToASCII(s[:min(len(s), maxText)])
	return q[1 : len(q)-1]
}

// String is the result for a log. The peer's text is escaped and cut.
func (r Result) String() string {
	s := fmt.Sprintf("result %d", r.Code)
	if r.Error != 0 {
		s += fmt.Sprintf(", error %d", r.Error)
	}
	if r.Message != "" {
		s += `, "` + Text(r.Message) + `"`
	}
	return s
}

// Append appends the value of a Result Code AVP.
func (r Result) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, r.Code)
	b = binary.BigEndian.AppendUint16(b, r.Error)
	return append(b, r.Message...)
}

// IsSCCRQ reports whether the body of a control message begins like that of an SCCRQ.
func IsSCCRQ(body []byte) bool {
	return len(body) >= 8 && binary.BigEndian.Uint16(body[4:]) == uint16(AttrMessageType) && MessageType(binary.BigEndian.Uint16(body[6:])) == SCCRQ
}
