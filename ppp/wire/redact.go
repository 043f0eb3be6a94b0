package wire

// authLayer is the first number of the protocols of LCP's layer, authentication among them (RFC
// 1661 section 2).
const authLayer Protocol = 0xC000

// minHex is the shortest run of hexadecimal digits in a message of MS-CHAP that counts as a secret:
// a challenge of eight bytes.
const minHex = 16

// Redact overwrites in place the parts of a frame that must not be recorded: passwords, and all
// that allows an offline guess, such as the challenges and responses of CHAP. Lengths, names and
// messages stay. It clears the content of unknown protocols and of packets that it cannot read.
func Redact(frame []byte) {
	protocol, info, err := ParseFrame(frame)
	if err != nil {
		clear(frame)
		return
	}
	redact(protocol, info)
}

func redact(protocol Protocol, info []byte) {
	if protocol < authLayer {
		return
	}
	p, err := ParsePacket(info)
	if err != nil {
		clear(info)
		return
	}
	clear(info[HeaderLen+len(p.Body):]) // padding
	switch protocol {
	case LCP:
		redactLCP(p)
	case PAP:
		redactPAP(p)
	case CHAP:
		redactCHAP(p)
	default:
		clear(p.Body)
	}
}

// redactLCP redacts the packets inside an LCP packet.
func redactLCP(p Packet) {
	switch {
	case p.Code == CodeReject && len(p.Body) > HeaderLen:
		clear(p.Body[HeaderLen:])
	case p.Code == ProtocolReject && len(p.Body) >= 2 && p.Body[0] >= byte(authLayer>>8):
		clear(p.Body[2:])
	default:
	}
}

func redactPAP(p Packet) {
	switch p.Code {
	case PAPAck, PAPNak:
		return
	default:
	}
	user, password, err := ParsePAP(p.Body)
	if err != nil || p.Code != PAPRequest {
		clear(p.Body)
		return
	}
	cross(password)
	clear(p.Body[2+len(user)+len(password):])
}

func redactCHAP(p Packet) {
	switch p.Code {
	case CHAPChallenge, CHAPResponse:
		value, _, err := ParseCHAP(p.Body)
		if err != nil {
			value = p.Body
		}
		clear(value)
	case CHAPSuccess, CHAPFailure: // S= and C= of MS-CHAP are in hexadecimal digits
		begin := 0
		for i := 0; i <= len(p.Body); i++ {
			if i < len(p.Body) && isHex(p.Body[i]) {
				continue
			}
			if i-begin >= minHex {
				cross(p.Body[begin:i])
			}
			begin = i + 1
		}
	default:
		clear(p.Body)
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func cross(b []byte) {
	for i := range b {
		b[i] = 'X'
	}
}
