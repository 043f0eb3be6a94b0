package wire

// OutgoingCallRequest is Outgoing-Call-Request (RFC 2637, section 2.7). A PNS dials with it.
type OutgoingCallRequest struct {
	CallID     uint16 // the PNS's
	Serial     uint16
	MinBPS     uint32 // bits per second
	MaxBPS     uint32 // bits per second
	Bearer     uint32
	Framing    uint32
	Window     uint16 // packets that the PNS buffers
	Delay      uint16 // packet processing delay in tenths of a second
	NumberLen  uint16 // digits in Number
	Number     string // at most 64 bytes
	Subaddress string // at most 64 bytes
}

// Type is TypeOutgoingCallRequest.
func (*OutgoingCallRequest) Type() Type { return TypeOutgoingCallRequest }

// Append writes the message behind b.
func (m *OutgoingCallRequest) Append(b []byte) []byte {
	b = begin(b, TypeOutgoingCallRequest)
	b = u16(b, m.CallID)
	b = u16(b, m.Serial)
	b = u32(b, m.MinBPS)
	b = u32(b, m.MaxBPS)
	b = u32(b, m.Bearer)
	b = u32(b, m.Framing)
	b = u16(b, m.Window)
	b = u16(b, m.Delay)
	b = u16(b, m.NumberLen)
	b = append(b, 0, 0)
	b = text(b, m.Number, 64)
	return text(b, m.Subaddress, 64)
}

func (m *OutgoingCallRequest) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
	m.Serial = r.u16()
	m.MinBPS = r.u32()
	m.MaxBPS = r.u32()
	m.Bearer = r.u32()
	m.Framing = r.u32()
	m.Window = r.u16()
	m.Delay = r.u16()
	m.NumberLen = r.u16()
	r.take(2)
	m.Number = r.text(64)
	m.Subaddress = r.text(64)
}

// OutgoingCallReply is Outgoing-Call-Reply (RFC 2637, section 2.8).
type OutgoingCallReply struct {
	CallID     uint16 // the PAC's
	PeerCallID uint16 // that of the request
	Result     uint8  // 1: connected
	Error      uint8
	Cause      uint16
	Speed      uint32 // bits per second
	Window     uint16 // packets that the PAC buffers
	Delay      uint16 // packet processing delay in tenths of a second
	Channel    uint32 // physical channel, for logs
}

// Type is TypeOutgoingCallReply.
func (*OutgoingCallReply) Type() Type { return TypeOutgoingCallReply }

// Append writes the message behind b.
func (m *OutgoingCallReply) Append(b []byte) []byte {
	b = begin(b, TypeOutgoingCallReply)
	b = u16(b, m.CallID)
	b = u16(b, m.PeerCallID)
	b = append(b, m.Result)
	b = append(b, m.Error)
	b = u16(b, m.Cause)
	b = u32(b, m.Speed)
	b = u16(b, m.Window)
	b = u16(b, m.Delay)
	return u32(b, m.Channel)
}

func (m *OutgoingCallReply) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
	m.PeerCallID = r.u16()
	m.Result = r.u8()
	m.Error = r.u8()
	m.Cause = r.u16()
	m.Speed = r.u32()
	m.Window = r.u16()
	m.Delay = r.u16()
	m.Channel = r.u32()
}

// IncomingCallRequest is Incoming-Call-Request (RFC 2637, section 2.9). A PAC announces a call with
// it.
type IncomingCallRequest struct {
	CallID     uint16 // the PAC's
	Serial     uint16
	Bearer     uint32
	Channel    uint32 // physical channel, for logs
	DialedLen  uint16 // digits in Dialed
	DialingLen uint16 // digits in Dialing
	Dialed     string // at most 64 bytes
	Dialing    string // at most 64 bytes
	Subaddress string // at most 64 bytes
}

// Type is TypeIncomingCallRequest.
func (*IncomingCallRequest) Type() Type { return TypeIncomingCallRequest }

// Append writes the message behind b.
func (m *IncomingCallRequest) Append(b []byte) []byte {
	b = begin(b, TypeIncomingCallRequest)
	b = u16(b, m.CallID)
	b = u16(b, m.Serial)
	b = u32(b, m.Bearer)
	b = u32(b, m.Channel)
	b = u16(b, m.DialedLen)
	b = u16(b, m.DialingLen)
	b = text(b, m.Dialed, 64)
	b = text(b, m.Dialing, 64)
	return text(b, m.Subaddress, 64)
}

func (m *IncomingCallRequest) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
	m.Serial = r.u16()
	m.Bearer = r.u32()
	m.Channel = r.u32()
	m.DialedLen = r.u16()
	m.DialingLen = r.u16()
	m.Dialed = r.text(64)
	m.Dialing = r.text(64)
	m.Subaddress = r.text(64)
}

// IncomingCallReply is Incoming-Call-Reply (RFC 2637, section 2.10).
type IncomingCallReply struct {
	CallID     uint16 // the PNS's
	PeerCallID uint16 // that of the request
	Result     uint8  // 1 connect, 3 do not accept
	Error      uint8
	Window     uint16 // packets that the PNS buffers
	Delay      uint16 // packet transmit delay in tenths of a second
}

// Type is TypeIncomingCallReply.
func (*IncomingCallReply) Type() Type { return TypeIncomingCallReply }

// Append writes the message behind b.
func (m *IncomingCallReply) Append(b []byte) []byte {
	b = begin(b, TypeIncomingCallReply)
	b = u16(b, m.CallID)
	b = u16(b, m.PeerCallID)
	b = append(b, m.Result)
	b = append(b, m.Error)
	b = u16(b, m.Window)
	b = u16(b, m.Delay)
	return append(b, 0, 0)
}

func (m *IncomingCallReply) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
	m.PeerCallID = r.u16()
	m.Result = r.u8()
	m.Error = r.u8()
	m.Window = r.u16()
	m.Delay = r.u16()
}

// IncomingCallConnected is Incoming-Call-Connected (RFC 2637, section 2.11).
type IncomingCallConnected struct {
	PeerCallID uint16 // that of the reply
	Speed      uint32 // bits per second
	Window     uint16 // packets that the PAC buffers
	Delay      uint16 // packet transmit delay in tenths of a second
	Framing    uint32
}

// Type is TypeIncomingCallConnected.
func (*IncomingCallConnected) Type() Type { return TypeIncomingCallConnected }

// Append writes the message behind b.
func (m *IncomingCallConnected) Append(b []byte) []byte {
	b = begin(b, TypeIncomingCallConnected)
	b = u16(b, m.PeerCallID)
	b = append(b, 0, 0)
	b = u32(b, m.Speed)
	b = u16(b, m.Window)
	b = u16(b, m.Delay)
	return u32(b, m.Framing)
}

func (m *IncomingCallConnected) parse(b []byte) {
	r := reader{b}
	m.PeerCallID = r.u16()
	r.take(2)
	m.Speed = r.u32()
	m.Window = r.u16()
	m.Delay = r.u16()
	m.Framing = r.u32()
}

// CallClearRequest is Call-Clear-Request (RFC 2637, section 2.12). A PNS hangs up with it.
type CallClearRequest struct {
	CallID uint16 // the PNS's
}

// Type is TypeCallClearRequest.
func (*CallClearRequest) Type() Type { return TypeCallClearRequest }

// Append writes the message behind b.
func (m *CallClearRequest) Append(b []byte) []byte {
	b = begin(b, TypeCallClearRequest)
	b = u16(b, m.CallID)
	return append(b, 0, 0)
}

func (m *CallClearRequest) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
}

// CallDisconnectNotify is Call-Disconnect-Notify (RFC 2637, section 2.13). A PAC reports the end of
// a call with it.
type CallDisconnectNotify struct {
	CallID     uint16 // the PAC's
	Result     uint8  // 1 lost carrier, 2 general error, 3 administrative, 4 request
	Error      uint8
	Cause      uint16
	Statistics string // at most 128 bytes
}

// Type is TypeCallDisconnectNotify.
func (*CallDisconnectNotify) Type() Type { return TypeCallDisconnectNotify }

// Append writes the message behind b.
func (m *CallDisconnectNotify) Append(b []byte) []byte {
	b = begin(b, TypeCallDisconnectNotify)
	b = u16(b, m.CallID)
	b = append(b, m.Result)
	b = append(b, m.Error)
	b = u16(b, m.Cause)
	b = append(b, 0, 0)
	return text(b, m.Statistics, 128)
}

func (m *CallDisconnectNotify) parse(b []byte) {
	r := reader{b}
	m.CallID = r.u16()
	m.Result = r.u8()
	m.Error = r.u8()
	m.Cause = r.u16()
	r.take(2)
	m.Statistics = r.text(128)
}

// WANErrorNotify is WAN-Error-Notify (RFC 2637, section 2.14). The counters run since the start of
// the call.
type WANErrorNotify struct {
	PeerCallID uint16 // the PNS's
	CRC        uint32
	Framing    uint32
	Hardware   uint32 // hardware overruns
	Buffer     uint32 // buffer overruns
	Timeout    uint32
	Alignment  uint32
}

// Type is TypeWANErrorNotify.
func (*WANErrorNotify) Type() Type { return TypeWANErrorNotify }

// Append writes the message behind b.
func (m *WANErrorNotify) Append(b []byte) []byte {
	b = begin(b, TypeWANErrorNotify)
	b = u16(b, m.PeerCallID)
	b = append(b, 0, 0)
	b = u32(b, m.CRC)
	b = u32(b, m.Framing)
	b = u32(b, m.Hardware)
	b = u32(b, m.Buffer)
	b = u32(b, m.Timeout)
	return u32(b, m.Alignment)
}

func (m *WANErrorNotify) parse(b []byte) {
	r := reader{b}
	m.PeerCallID = r.u16()
	r.take(2)
	m.CRC = r.u32()
	m.Framing = r.u32()
	m.Hardware = r.u32()
	m.Buffer = r.u32()
	m.Timeout = r.u32()
	m.Alignment = r.u32()
}

// SetLinkInfo is Set-Link-Info (RFC 2637, section 2.15).
type SetLinkInfo struct {
	PeerCallID  uint16 // the PAC's
	SendACCM    uint32
	ReceiveACCM uint32
}

// Type is TypeSetLinkInfo.
func (*SetLinkInfo) Type() Type { return TypeSetLinkInfo }

// Append writes the message behind b.
func (m *SetLinkInfo) Append(b []byte) []byte {
	b = begin(b, TypeSetLinkInfo)
	b = u16(b, m.PeerCallID)
	b = append(b, 0, 0)
	b = u32(b, m.SendACCM)
	return u32(b, m.ReceiveACCM)
}

func (m *SetLinkInfo) parse(b []byte) {
	r := reader{b}
	m.PeerCallID = r.u16()
	r.take(2)
	m.SendACCM = r.u32()
	m.ReceiveACCM = r.u32()
}
