package ppp

import (
	"encoding/binary"
	"slices"
	"time"
	"vpnd/internal/reason"
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

const (
	// againAfter is how long packets must decrypt before CCP may begin again once more.
	againAfter = time.Minute
	// maxComplaints in a row mean that the peer cannot decrypt. The pause between two of them is at
	// most complaintsWithin.
	maxComplaints    = 16
	complaintsWithin = 10 * time.Second
)

// stream is the agreement for one direction. With strength 0 packets go in clear.
type stream struct {
	strength  mppe.Strength
	stateless bool
}

func (s stream) data() []byte { return mppeData(mppeBits[s.strength], s.stateless) }

func mppeData(bits uint32, stateless bool) []byte {
	if stateless {
		bits |= mppeStateless
	}
	return binary.BigEndian.AppendUint32(nil, bits)
}

// least is the weakest encryption that each direction may have. 0 means that packets may go in
// clear.
type least struct{ in, out mppe.Strength }

// ccp is the Compression Control Protocol, RFC 1962, only for MPPE. A request tells what its sender
// can decrypt: the peer's request is about our Encrypter, our request about our Decrypter.
type ccp struct {
	control
	in, out stream // in: the stream that we ask for
	least   least  // grows with each agreement, and lasts until the link ends
	beginAt time.Time
	naks    int
	open    bool // our request leaves the strength to the peer
	begun   bool // MPPE is being agreed: the client's request names it, or CCP was open before
	wished  bool // we have told the peer that we prefer stateful streams
	over    bool // we gave up: packets go in clear, if they may

	againAt      time.Time // when CCP last began again because packets did not decrypt
	complaints   int       // complaints of the peer in a row that it cannot decrypt ours
	complainedAt time.Time

	// The two streams since CCP last opened. A new negotiation of IPCP does not restart them.
	encrypter *mppe.Encrypter
	decrypter *mppe.Decrypter
}

func (c *ccp) init(e *Engine) {
	*c = ccp{control: control{e: e, protocol: wire.CCP}, least: c.least, open: true}
	c.n = c
	if e.cfg.MPPE.Mode == MPPERequired && !c.required() {
		c.least = least{mppe.Bits40, mppe.Bits40}
	}
	c.in = stream{strength: c.choose(0, c.least.in).strength, stateless: !e.cfg.MPPE.Stateful}
}

// possible reports whether MPPE can be negotiated at all.
func (c *ccp) possible() bool { return c.e.keys != nil && c.e.cfg.MPPE.Mode != MPPEOff }

// start begins CCP, or waits until the peer does so.
func (c *ccp) start(now time.Time) {
	switch {
	case !c.possible():
	case c.e.cfg.MPPE.Passive && c.e.cfg.MPPE.Mode == MPPEOptional:
		c.state = fsm.Stopped
	case c.e.cfg.Role == Server:
		// pppd hangs up on a request for a strength other than its own, so the client goes first.
		c.state = fsm.Stopped
		c.beginAt = now.Add(c.e.cfg.MPPE.Wait)
	default:
		c.begun = true
		c.begin(now)
	}
}

// due is when the timer of CCP expires.
func (c *ccp) due() time.Time { return earliest(c.deadline, c.beginAt) }

func (c *ccp) tick(now time.Time) {
	if !c.beginAt.IsZero() && !now.Before(c.beginAt) {
		c.beginAt = time.Time{}
		c.state = fsm.Initial
		c.begin(now)
	}
	c.control.tick(now)
}

// required reports whether packets must be encrypted, because the configuration says so or because
// this link has already agreed on encryption.
func (c *ccp) required() bool { return c.least != least{} }

// encrypted reports whether packets are encrypted with at least the required strength.
func (c *ccp) encrypted() bool {
	return c.opened() && c.in.strength+c.out.strength != 0 && c.in.strength >= c.least.in && c.out.strength >= c.least.out
}

// pending reports whether IP has to wait for CCP. A client that has begun with MPPE wants no packet
// in clear before CCP is settled. While CCP is negotiated again, the keys are not settled either.
func (c *ccp) pending() bool {
	if c.required() {
		return !c.encrypted()
	}
	return c.begun && !c.opened() && !c.over
}

// receivePacket takes a packet of CCP.
func (c *ccp) receivePacket(now time.Time, p wire.Packet) {
	encrypted := c.encrypted()
	switch p.Code {
	case wire.ResetRequest:
		c.answerReset(now, p.ID)
	case wire.ResetAck:
	case wire.TerminateRequest:
		c.terminate(now, p)
	default:
		if c.over && p.Code == wire.ConfigureRequest && (c.state == fsm.Closed || c.state == fsm.Stopped) {
			c.state, c.over, c.begun = fsm.Stopped, false, false // the peer has changed its mind
		}
		c.receive(now, p)
	}
	if c.e.phase == phaseNetwork && c.encrypted() && !encrypted {
		c.e.ipcp.hurry(now)
	}
}

// answerReset answers a Reset-Request.
func (c *ccp) answerReset(now time.Time, id uint8) {
	if !c.opened() || c.out.strength == 0 {
		return
	}
	// RFC 3078 section 8.2 needs no Reset-Ack, but RFC 1962 section 3 does. Linux decrypts nothing
	// before the Reset-Ack, so the flushed packet follows it.
	c.e.send(wire.CCP, wire.Packet{Code: wire.ResetAck, ID: id})
	c.e.emit(CryptoReset{})
	// A stateless stream has nothing to reset, and without reordering no packet of ours was late.
	if c.out.stateless && !c.e.cfg.MPPE.Reordered {
		c.complain(now)
	}
}

// terminate takes a Terminate-Request.
func (c *ccp) terminate(now time.Time, p wire.Packet) {
	was := c.opened()
	c.receive(now, p)
	switch {
	case was:
		c.finished()
	// Windows ends CCP when we refuse its compression, and wants packets in clear at once.
	case !c.required():
		c.state, c.deadline, c.beginAt = fsm.Stopped, time.Time{}, time.Time{}
		c.finished()
	}
}

func (c *ccp) request() []wire.Option {
	if c.in.strength == 0 {
		return nil
	}
	if !c.open {
		return []wire.Option{{Type: optMPPE, Data: c.in.data()}}
	}
	var bits uint32 // RFC 3078 section 2.1: the initiator asks for all that it accepts
	for _, strength := range c.e.cfg.MPPE.Strengths {
		if strength >= c.least.in {
			bits |= mppeBits[strength]
		}
	}
	return []wire.Option{{Type: optMPPE, Data: mppeData(bits, c.in.stateless)}}
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
		c.begun = c.begun || bits != 0 // 0 asks for no encryption, as some peers do for ever
		if bits == 0 && !c.required() && c.failures >= c.e.cfg.MaxFailure {
			continue // it accepts no strength: no encryption
		}
		c.out = c.wish(bits)
		if binary.BigEndian.Uint32(c.out.data()) != bits {
			nak = append(nak, wire.Option{Type: optMPPE, Data: c.out.data()})
		}
	}
	if len(options) == 0 && c.least.out != 0 {
		c.out = c.wish(mppeStateless)
		nak = append(nak, wire.Option{Type: optMPPE, Data: c.out.data()})
	}
	if c.state == fsm.Stopped && c.out.strength != 0 {
		c.in.strength, c.open = max(c.out.strength, c.least.in), false
	}
	return nak, reject
}

// choose takes our most preferred strength among those in bits that are not too weak. If none is
// common, or if the peer leaves the choice to us, it takes our first.
func (c *ccp) choose(bits uint32, weakest mppe.Strength) stream {
	s := stream{stateless: bits&mppeStateless != 0 || c.e.cfg.MPPE.Stateless}
	for _, strength := range c.e.cfg.MPPE.Strengths {
		if strength < weakest {
			continue
		}
		common := bits&mppeBits[strength] != 0
		if common || s.strength == 0 {
			s.strength = strength
		}
		if common {
			break
		}
	}
	return s
}

// wish is like choose, but asks for a stateful stream the first time if we prefer those.
func (c *ccp) wish(bits uint32) stream {
	s := c.choose(bits, c.least.out)
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
		wish := c.choose(bits, c.least.in)
		c.naks++
		if c.naks > c.e.cfg.MaxFailure || bits&mppeBits[wish.strength] == 0 && bits&(mppe128|mppe56|mppe40) != 0 {
			return false
		}
		c.in, c.open = wish, false
	}
	return true
}

func (c *ccp) rejected(options []wire.Option) bool {
	if !c.in.stateless { // pppd rejects a stateful stream that it does not want
		c.in.stateless = true
		return true
	}
	return !slices.ContainsFunc(options, func(o wire.Option) bool { return o.Type == optMPPE })
}

func (c *ccp) up() {
	c.begun, c.over = true, false
	c.naks, c.wished = 0, false
	c.e.changed = true
	c.encrypter, c.decrypter = nil, nil
	if c.out.strength != 0 {
		c.encrypter = mppe.NewEncrypter(c.e.keys.send(c.out.strength), c.out.strength, c.out.stateless)
	}
	if c.in.strength != 0 {
		c.decrypter = mppe.NewDecrypter(c.e.keys.receive(c.in.strength), c.in.strength, c.in.stateless)
		if c.e.cfg.MPPE.Reordered {
			c.decrypter.AllowLate()
		}
	}
	if c.required() && !c.encrypted() {
		c.finished()
		return
	}
	c.least = least{max(c.least.in, c.in.strength), max(c.least.out, c.out.strength)}
}

func (c *ccp) down() { c.e.networkDown() }

func (c *ccp) finished() {
	c.over = true
	c.e.changed = true
	switch {
	case c.e.cfg.MPPE.Mode == MPPERequired:
		c.e.ended(reason.New(reason.MPPERefused))
	case c.required():
		c.e.ended(reason.New(reason.EncryptionEnded))
	}
}

// again restarts an open CCP with new streams, because packets do not decrypt and never will. If
// this does not help, the link ends.
func (c *ccp) again(now time.Time) {
	if c.e.phase != phaseNetwork || !c.opened() {
		return
	}
	if !c.againAt.IsZero() && now.Sub(c.againAt) < againAfter {
		c.e.hangUp(now, reason.New(reason.Undecryptable))
		return
	}
	c.againAt = now
	c.do(now, fsm.Down)
	c.do(now, fsm.Up)
}

// renewing reports whether CCP has begun again and has not opened yet.
func (c *ccp) renewing() bool { return !c.againAt.IsZero() && !c.opened() }

// complain counts a sign that the peer cannot decrypt our packets. A single one may be chance.
func (c *ccp) complain(now time.Time) {
	if now.Sub(c.complainedAt) > complaintsWithin {
		c.complaints = 0
	}
	c.complainedAt = now
	if c.complaints++; c.complaints >= maxComplaints {
		c.complaints = 0
		c.again(now)
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
