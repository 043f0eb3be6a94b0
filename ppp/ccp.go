package ppp

import (
	"encoding/binary"
	"slices"
	"time"
	"vpnd/ppp/fsm"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// optMPPE is the only option of CCP that we know (RFC 3078 section 2).
const optMPPE = 18

// Bits of the MPPE option.
const (
	mppeStateless = 0x01000000
	mppe56        = 0x00000080
	mppe128       = 0x00000040
	mppe40        = 0x00000020
)

var mppeBits = map[mppe.Strength]uint32{mppe.Bits128: mppe128, mppe.Bits56: mppe56, mppe.Bits40: mppe40}

// ccpDelay is how long a server waits for the client's first request.
const ccpDelay = time.Second

// stream is what is agreed for one direction; strength 0: packets go in clear.
type stream struct {
	strength  mppe.Strength
	stateless bool
}

func (s stream) data() []byte {
	bits := mppeBits[s.strength]
	if s.stateless {
		bits |= mppeStateless
	}
	return binary.BigEndian.AppendUint32(nil, bits)
}

// ccp is the Compression Control Protocol, RFC 1962, for MPPE alone. A request says what its sender
// can decrypt: the peer's is about our Encrypter, ours about our Decrypter.
type ccp struct {
	control
	in, out stream // in: what we ask for
	beginAt time.Time
	naks    int
	wished  bool // the peer has been told that stateful streams are preferred
	wasUp   bool
	over    bool // given up: packets go in clear

	// The two streams since CCP opened last: IPCP negotiated anew does not begin them anew.
	encrypter *mppe.Encrypter
	decrypter *mppe.Decrypter
}

func (c *ccp) init(e *Engine) {
	*c = ccp{control: control{e: e, protocol: wire.CCP}}
	c.n = c
	c.in = stream{strength: e.cfg.MPPE.Strengths[0], stateless: !e.cfg.MPPE.Stateful}
}

// possible reports whether there is anything to agree about.
func (c *ccp) possible() bool { return c.e.keys != nil && c.e.cfg.MPPE.Mode != MPPEOff }

// start begins CCP, or waits for the peer to do so.
func (c *ccp) start(now time.Time) {
	switch {
	case !c.possible():
	case c.e.cfg.MPPE.Passive && c.e.cfg.MPPE.Mode == MPPEOptional:
		c.state = fsm.Stopped
	case c.e.cfg.Role == Server:
		// pppd hangs up on a request for another strength than its own: the client comes first.
		c.state = fsm.Stopped
		c.beginAt = now.Add(ccpDelay)
	default:
		c.begin(now)
	}
}

// due is when the timer of CCP is.
func (c *ccp) due() time.Time { return earliest(c.deadline, c.beginAt) }

func (c *ccp) tick(now time.Time) {
	if !c.beginAt.IsZero() && !now.Before(c.beginAt) {
		c.beginAt = time.Time{}
		c.state = fsm.Initial
		c.begin(now)
	}
	c.control.tick(now)
}

// encrypted reports whether both directions are.
func (c *ccp) encrypted() bool { return c.opened() && c.in.strength != 0 && c.out.strength != 0 }

// unsettled reports whether CCP was open and is being negotiated again: the keys are in between.
func (c *ccp) unsettled() bool { return c.wasUp && !c.opened() && !c.over }

// receivePacket takes a packet of CCP.
func (c *ccp) receivePacket(now time.Time, p wire.Packet) {
	encrypted := c.encrypted()
	switch p.Code {
	case wire.ResetRequest:
		if c.opened() && c.out.strength != 0 {
			// RFC 3078 section 8.2 needs no Reset-Ack, RFC 1962 section 3 does, and Linux decrypts nothing before
			// it: the flushed packet comes after it.
			c.e.send(wire.CCP, wire.Packet{Code: wire.ResetAck, ID: p.ID})
			c.e.emit(CryptoReset{})
		}
	case wire.ResetAck:
	case wire.TerminateRequest:
		was := c.opened()
		c.receive(now, p)
		if was {
			c.finished()
		}
	default:
		if c.over && p.Code == wire.ConfigureRequest && c.state == fsm.Closed {
			c.state = fsm.Stopped // the peer has thought again
		}
		c.receive(now, p)
	}
	if c.e.phase == phaseNetwork && c.encrypted() && !encrypted {
		c.e.ipcp.hurry(now)
	}
}

func (c *ccp) request() []wire.Option {
	if c.in.strength == 0 {
		return nil
	}
	return []wire.Option{{Type: optMPPE, Data: c.in.data()}}
}

func (c *ccp) check(options []wire.Option) (nak, reject []wire.Option) {
	c.out = stream{}
	c.beginAt = time.Time{}
	for _, o := range options {
		if o.Type != optMPPE || len(o.Data) != 4 {
			reject = append(reject, o)
			continue
		}
		bits := binary.BigEndian.Uint32(o.Data)
		if bits == 0 && c.e.cfg.MPPE.Mode != MPPERequired && c.failures >= c.e.cfg.MaxFailure {
			continue // it will not be told a strength: no encryption
		}
		c.out = c.wish(bits)
		if binary.BigEndian.Uint32(c.out.data()) != bits {
			nak = append(nak, wire.Option{Type: optMPPE, Data: c.out.data()})
		}
	}
	if len(options) == 0 && c.e.cfg.MPPE.Mode == MPPERequired {
		c.out = c.wish(mppeStateless)
		nak = append(nak, wire.Option{Type: optMPPE, Data: c.out.data()})
	}
	if c.state == fsm.Stopped && c.out.strength != 0 {
		c.in.strength = c.out.strength
	}
	return nak, reject
}

// choose takes the strength that we like best among those of bits; without a common one, and when
// the peer leaves it to us, our first.
func (c *ccp) choose(bits uint32) stream {
	s := stream{strength: c.e.cfg.MPPE.Strengths[0], stateless: bits&mppeStateless != 0 || c.e.cfg.MPPE.Stateless}
	for _, strength := range c.e.cfg.MPPE.Strengths {
		if bits&mppeBits[strength] != 0 {
			s.strength = strength
			break
		}
	}
	return s
}

// wish is choose, but the first time with a stateful stream if those are preferred.
func (c *ccp) wish(bits uint32) stream {
	s := c.choose(bits)
	if s.stateless && c.e.cfg.MPPE.Stateful && !c.wished {
		c.wished, s.stateless = true, false
	}
	return s
}

func (c *ccp) nakked(options []wire.Option) bool {
	for _, o := range options {
		if o.Type != optMPPE || len(o.Data) != 4 {
			continue
		}
		bits := binary.BigEndian.Uint32(o.Data)
		wish := c.choose(bits)
		c.naks++
		if c.naks > c.e.cfg.MaxFailure || bits&mppeBits[wish.strength] == 0 && bits&(mppe128|mppe56|mppe40) != 0 {
			return false
		}
		c.in = wish
	}
	return true
}

func (c *ccp) rejected(options []wire.Option) bool {
	if !c.in.stateless { // pppd has no other answer to a stateful stream that it does not want
		c.in.stateless = true
		return true
	}
	return !slices.ContainsFunc(options, func(o wire.Option) bool { return o.Type == optMPPE })
}

func (c *ccp) up() {
	c.wasUp, c.over = true, false
	c.naks, c.wished = 0, false
	c.e.changed = true
	c.encrypter, c.decrypter = nil, nil
	if c.out.strength != 0 {
		c.encrypter = mppe.NewEncrypter(c.e.keys.send(c.out.strength), c.out.strength, c.out.stateless)
	}
	if c.in.strength != 0 {
		c.decrypter = mppe.NewDecrypter(c.e.keys.receive(c.in.strength), c.in.strength, c.in.stateless)
	}
	if c.e.cfg.MPPE.Mode == MPPERequired && !c.encrypted() {
		c.finished()
	}
}

func (c *ccp) down() { c.e.networkDown() }

func (c *ccp) finished() {
	c.over = true
	c.e.changed = true
	if c.e.cfg.MPPE.Mode == MPPERequired {
		c.e.ended("MPPE is required, but the peer does not agree to it")
	}
}

// streams are the two directions of an open CCP.
func (c *ccp) streams() (out *mppe.Encrypter, in *mppe.Decrypter, text string) {
	if !c.opened() {
		return nil, nil, "none"
	}
	out, in, text = c.encrypter, c.decrypter, "none"
	if out != nil {
		text = c.out.String()
	}
	switch {
	case out == nil && in != nil:
		text = c.in.String() + " from the peer only"
	case out != nil && in == nil:
		text += " to the peer only"
	}
	return out, in, text
}

// String is the stream as "MPPE-128 stateless".
func (s stream) String() string {
	if s.stateless {
		return s.strength.String() + " stateless"
	}
	return s.strength.String() + " stateful"
}
