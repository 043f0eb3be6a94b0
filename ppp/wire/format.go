package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Option types.
const (
	LCPMRU       = 1
	LCPAsyncMap  = 2
	LCPAuth      = 3
	LCPMagic     = 5
	LCPPFC       = 7
	LCPACFC      = 8
	LCPCallback  = 13
	LCPMRRU      = 17
	LCPEndpoint  = 19
	CCPMPPE      = 18
	IPCPCompress = 2
	IPCPAddress  = 3
	IPCPDNS1     = 129
	IPCPNBNS1    = 130
	IPCPDNS2     = 131
	IPCPNBNS2    = 132

	ccpBSD          = 21
	ccpDeflateDraft = 24
	ccpDeflate      = 26
)

// The algorithms of LCP's authentication option for CHAP.
const (
	AlgorithmMD5  = 0x05
	AlgorithmMSv1 = 0x80
	AlgorithmMSv2 = 0x81
)

var protocolNames = map[Protocol]string{
	IPCP: "IPCP", IPV6CP: "IPV6CP", CCP: "CCP", LCP: "LCP", PAP: "PAP", CHAP: "CHAP", EAP: "EAP",
}

// String is the protocol's name, or its number.
func (p Protocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return fmt.Sprintf("protocol 0x%04x", uint16(p))
}

var codeNames = []string{
	"", "ConfReq", "ConfAck", "ConfNak", "ConfRej", "TermReq", "TermAck", "CodeRej", "ProtRej",
	"EchoReq", "EchoRep", "DiscReq", "Ident", "TimeRem", "ResetReq", "ResetAck",
}

var (
	papNames  = []string{"", "AuthReq", "AuthAck", "AuthNak"}
	chapNames = []string{"", "Challenge", "Response", "Success", "Failure"}
)

// Format writes a control frame for people to read, as pppd's debug log does:
//
//	LCP ConfReq id=0x1 <mru 1400> <auth chap MS-v2>
//
// It hides passwords and responses, escapes the bytes of a peer's strings and cuts long ones.
func Format(frame []byte) string {
	protocol, info, err := ParseFrame(frame)
	if err != nil {
		return "unreadable frame"
	}
	if _, control := protocolNames[protocol]; !control {
		return fmt.Sprintf("%v, %d bytes", protocol, len(info))
	}
	p, err := ParsePacket(info)
	if err != nil {
		return protocol.String() + " unreadable packet"
	}
	var b strings.Builder
	names := codeNames
	switch protocol {
	case PAP:
		names = papNames
	case CHAP:
		names = chapNames
	default:
	}
	name := fmt.Sprintf("code=0x%x", uint8(p.Code))
	if p.Code > 0 && int(p.Code) < len(names) {
		name = names[p.Code]
	}
	fmt.Fprintf(&b, "%v %s id=0x%x", protocol, name, p.ID)
	switch protocol {
	case PAP:
		formatPAP(&b, p)
	case CHAP:
		formatCHAP(&b, p)
	default:
		formatControl(&b, protocol, p)
	}
	return b.String()
}

func formatPAP(b *strings.Builder, p Packet) {
	if p.Code != PAPRequest {
		fmt.Fprintf(b, " %s", quote(ParseMessage(p.Body)))
		return
	}
	if user, _, err := ParsePAP(p.Body); err == nil {
		fmt.Fprintf(b, " user=%s password=<hidden>", quote(user))
	}
}

func formatCHAP(b *strings.Builder, p Packet) {
	switch p.Code {
	case CHAPChallenge, CHAPResponse:
		value, name, err := ParseCHAP(p.Body)
		if err != nil {
			return
		}
		if p.Code == CHAPResponse {
			fmt.Fprintf(b, " <hidden>, name = %s", quote(name))
		} else {
			fmt.Fprintf(b, " <%x>, name = %s", value, quote(name))
		}
	default:
		fmt.Fprintf(b, " %s", quote(p.Body))
	}
}

func formatControl(b *strings.Builder, protocol Protocol, p Packet) {
	switch p.Code {
	case ConfigureRequest, ConfigureAck, ConfigureNak, ConfigureReject:
		options, err := ParseOptions(p.Body)
		if err != nil {
			b.WriteString(" unreadable options")
		}
		for _, o := range options {
			b.WriteString(" <" + formatOption(protocol, o) + ">")
		}
	case EchoRequest, EchoReply:
		if len(p.Body) >= 4 {
			fmt.Fprintf(b, " magic=0x%x", binary.BigEndian.Uint32(p.Body))
		}
	case TerminateRequest, TerminateAck:
		if len(p.Body) > 0 {
			fmt.Fprintf(b, " %s", quote(p.Body))
		}
	case ProtocolReject:
		if len(p.Body) >= 2 {
			fmt.Fprintf(b, " for %v", Protocol(binary.BigEndian.Uint16(p.Body)))
		}
	case Identification:
		if len(p.Body) >= 4 {
			fmt.Fprintf(b, " magic=0x%x %s", binary.BigEndian.Uint32(p.Body), quote(p.Body[4:]))
		}
	default:
	}
}

func formatOption(protocol Protocol, o Option) string {
	var s string
	switch protocol {
	case LCP:
		s = formatLCPOption(o)
	case CCP:
		s = formatCCPOption(o)
	case IPCP:
		s = formatIPCPOption(o)
	case IPV6CP:
		if o.Type == 1 && len(o.Data) == 8 {
			s = fmt.Sprintf("addr fe80::%x:%x:%x:%x", o.Data[:2], o.Data[2:4], o.Data[4:6], o.Data[6:])
		}
	default:
	}
	if s == "" {
		s = fmt.Sprintf("%d", o.Type)
		for _, octet := range o.Data {
			s += fmt.Sprintf(" %02x", octet)
		}
	}
	return s
}

func formatLCPOption(o Option) string {
	switch {
	case o.Type == LCPMRU && len(o.Data) == 2:
		return fmt.Sprintf("mru %d", binary.BigEndian.Uint16(o.Data))
	case o.Type == LCPAsyncMap && len(o.Data) == 4:
		return fmt.Sprintf("asyncmap 0x%x", binary.BigEndian.Uint32(o.Data))
	case o.Type == LCPMagic && len(o.Data) == 4:
		return fmt.Sprintf("magic 0x%x", binary.BigEndian.Uint32(o.Data))
	case o.Type == LCPPFC && len(o.Data) == 0:
		return "pcomp"
	case o.Type == LCPACFC && len(o.Data) == 0:
		return "accomp"
	case o.Type == LCPAuth && len(o.Data) >= 2:
		return "auth " + formatAuth(o.Data)
	}
	return ""
}

func formatAuth(data []byte) string {
	protocol := Protocol(binary.BigEndian.Uint16(data))
	switch {
	case protocol == PAP && len(data) == 2:
		return "pap"
	case protocol == EAP && len(data) == 2:
		return "eap"
	case protocol == CHAP && len(data) == 3:
		switch data[2] {
		case AlgorithmMD5:
			return "chap MD5"
		case AlgorithmMSv1:
			return "chap MS"
		case AlgorithmMSv2:
			return "chap MS-v2"
		}
	}
	return fmt.Sprintf("%x", data)
}

func formatCCPOption(o Option) string {
	switch {
	case o.Type == CCPMPPE && len(o.Data) == 4:
		return "mppe" + formatMPPE(binary.BigEndian.Uint32(o.Data))
	case o.Type == ccpDeflate && len(o.Data) == 2:
		return fmt.Sprintf("deflate %d", o.Data[0]>>4+8)
	case o.Type == ccpDeflateDraft && len(o.Data) == 2:
		return fmt.Sprintf("deflate(old#) %d", o.Data[0]>>4+8)
	case o.Type == ccpBSD && len(o.Data) == 1:
		return fmt.Sprintf("bsd v%d %d", o.Data[0]>>5, o.Data[0]&0x1F)
	}
	return ""
}

func formatMPPE(bits uint32) string {
	var b strings.Builder
	for _, f := range []struct {
		bit  uint32
		name byte
	}{{0x01000000, 'H'}, {0x80, 'M'}, {0x40, 'S'}, {0x20, 'L'}, {0x10, 'D'}, {0x01, 'C'}} {
		sign := byte('-')
		if bits&f.bit != 0 {
			sign = '+'
		}
		b.Write([]byte{' ', sign, f.name})
	}
	return b.String()
}

func formatIPCPOption(o Option) string {
	names := map[uint8]string{
		IPCPAddress: "addr", IPCPDNS1: "ms-dns1", IPCPNBNS1: "ms-wins", IPCPDNS2: "ms-dns2", IPCPNBNS2: "ms-wins",
	}
	if name := names[o.Type]; name != "" && len(o.Data) == 4 {
		return name + " " + netip.AddrFrom4([4]byte(o.Data)).String()
	}
	if o.Type == IPCPCompress && len(o.Data) == 4 && binary.BigEndian.Uint16(o.Data) == uint16(VJTCP) {
		return fmt.Sprintf("compress VJ %02x %02x", o.Data[2], o.Data[3])
	}
	return ""
}

// maxQuoted is how many bytes of a peer's string are shown.
const maxQuoted = 64

func quote(s []byte) string {
	cut := s[:min(len(s), maxQuoted)]
	return fmt.Sprintf("%+q", cut)
}
