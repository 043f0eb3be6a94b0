package wire

// StartRequest is Start-Control-Connection-Request (RFC 2637, section 2.1). It opens a control
// connection.
type StartRequest struct {
	Version     uint16 // 0x0100
	Framing     uint32 // 1 asynchronous, 2 synchronous, 3 both
	Bearer      uint32 // 1 analog, 2 digital, 3 both
	MaxChannels uint16 // 0 from a PNS
	Firmware    uint16
	Host        string // at most 64 bytes
	Vendor      string // at most 64 bytes
}

// Type is TypeStartRequest.
func (*StartRequest) Type() Type { return TypeStartRequest }

// Append writes the message behind b.
func (m *StartRequest) Append(b []byte) []byte {
	b = begin(b, TypeStartRequest)
	b = u16(b, m.Version)
	b = append(b, 0, 0)
	b = u32(b, m.Framing)
	b = u32(b, m.Bearer)
	b = u16(b, m.MaxChannels)
	b = u16(b, m.Firmware)
	b = text(b, m.Host, 64)
	return text(b, m.Vendor, 64)
}

func (m *StartRequest) parse(b []byte) {
	r := reader{b}
	m.Version = r.u16()
	r.take(2)
	m.Framing = r.u32()
	m.Bearer = r.u32()
	m.MaxChannels = r.u16()
	m.Firmware = r.u16()
	m.Host = r.text(64)
	m.Vendor = r.text(64)
}

// StartReply is Start-Control-Connection-Reply (RFC 2637, section 2.2).
type StartReply struct {
	Version     uint16 // 0x0100
	Result      uint8  // 1: successful
	Error       uint8
	Framing     uint32 // 1 asynchronous, 2 synchronous, 3 both
	Bearer      uint32 // 1 analog, 2 digital, 3 both
	MaxChannels uint16
	Firmware    uint16
	Host        string // at most 64 bytes
	Vendor      string // at most 64 bytes
}

// Type is TypeStartReply.
func (*StartReply) Type() Type { return TypeStartReply }

// Append writes the message behind b.
func (m *StartReply) Append(b []byte) []byte {
	b = begin(b, TypeStartReply)
	b = u16(b, m.Version)
	b = append(b, m.Result)
	b = append(b, m.Error)
	b = u32(b, m.Framing)
	b = u32(b, m.Bearer)
	b = u16(b, m.MaxChannels)
	b = u16(b, m.Firmware)
	b = text(b, m.Host, 64)
	return text(b, m.Vendor, 64)
}

func (m *StartReply) parse(b []byte) {
	r := reader{b}
	m.Version = r.u16()
	m.Result = r.u8()
	m.Error = r.u8()
	m.Framing = r.u32()
	m.Bearer = r.u32()
	m.MaxChannels = r.u16()
	m.Firmware = r.u16()
	m.Host = r.text(64)
	m.Vendor = r.text(64)
}

// StopRequest is Stop-Control-Connection-Request (RFC 2637, section 2.3). It ends the connection
// and all its calls.
type StopRequest struct {
	Reason uint8 // 1 none, 2 protocol version, 3 local shutdown
}

// Type is TypeStopRequest.
func (*StopRequest) Type() Type { return TypeStopRequest }

// Append writes the message behind b.
func (m *StopRequest) Append(b []byte) []byte {
	b = begin(b, TypeStopRequest)
	b = append(b, m.Reason)
	return append(b, 0, 0, 0)
}

func (m *StopRequest) parse(b []byte) {
	r := reader{b}
	m.Reason = r.u8()
}

// StopReply is Stop-Control-Connection-Reply (RFC 2637, section 2.4).
type StopReply struct {
	Result uint8 // 1: closed
	Error  uint8
}

// Type is TypeStopReply.
func (*StopReply) Type() Type { return TypeStopReply }

// Append writes the message behind b.
func (m *StopReply) Append(b []byte) []byte {
	b = begin(b, TypeStopReply)
	b = append(b, m.Result)
	b = append(b, m.Error)
	return append(b, 0, 0)
}

func (m *StopReply) parse(b []byte) {
	r := reader{b}
	m.Result = r.u8()
	m.Error = r.u8()
}

// EchoRequest is Echo-Request (RFC 2637, section 2.5).
type EchoRequest struct {
	ID uint32 // repeated in the reply
}

// Type is TypeEchoRequest.
func (*EchoRequest) Type() Type { return TypeEchoRequest }

// Append writes the message behind b.
func (m *EchoRequest) Append(b []byte) []byte {
	b = begin(b, TypeEchoRequest)
	return u32(b, m.ID)
}

func (m *EchoRequest) parse(b []byte) {
	r := reader{b}
	m.ID = r.u32()
}

// EchoReply is Echo-Reply (RFC 2637, section 2.6).
type EchoReply struct {
	ID     uint32 // that of the request
	Result uint8  // 1: valid
	Error  uint8
}

// Type is TypeEchoReply.
func (*EchoReply) Type() Type { return TypeEchoReply }

// Append writes the message behind b.
func (m *EchoReply) Append(b []byte) []byte {
	b = begin(b, TypeEchoReply)
	b = u32(b, m.ID)
	b = append(b, m.Result)
	b = append(b, m.Error)
	return append(b, 0, 0)
}

func (m *EchoReply) parse(b []byte) {
	r := reader{b}
	m.ID = r.u32()
	m.Result = r.u8()
	m.Error = r.u8()
}
