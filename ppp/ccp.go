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
	// againAfter is how long packets must have been decrypted before CCP begins again another time.
	againAfter = time.Minute
	// maxComplaints of the peer in a row, with pauses of at most complaintsWithin, mean that it cannot decrypt.
	maxComplaints    = 16
	complaintsWithin = 10 * time.Second
)

// stream is what is agreed for one direction; strength 0: packets go in clear.
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

// least is the weakest encryption that each direction may have; 0: packets may go in clear.
type least struct{ in, out mppe.Strength }

// ccp is the Compression Control Protocol, RFC 1962, only for MPPE. A request says what its sender
// can decrypt: the peer's is about our Encrypter, ours about our Decrypter.
type ccp struct {
	control
	in, out stream // in: what we ask for
	least   least  // it grows with each agreement, and stays until the link ends
	beginAt time.Time
	naks    int
	open    bool // our request leaves the strength to the peer
	begun   bool // MPPE is being agreed: the client's request names it, or CCP was open before
	wished  bool // the peer has been told that stateful streams are preferred
	over    bool // given up: packets go in clear, if they may

	againAt      time.Time // when CCP was begun again last, for packets that could not be decrypted
	complaints   int       // of the peer that it cannot decrypt ours, each soon after the one before
	complainedAt time.Time

	// The two streams since CCP opened last: IPCP negotiated again does not begin them again.
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
		c.beginAt = now.Add(c.e.cfg.MPPE.Wait)
	default:
		c.begun = true
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

// required reports whether packets may not go in clear: by the configuration, or because encryption
// has been agreed on this link before.
func (c *ccp) required() bool { return c.least != least{} }

// encrypted reports whether packets are encrypted, with the required strength.
func (c *ccp) encrypted() bool {
	return c.opened() && c.in.strength+c.out.strength != 0 && c.in.strength >= c.least.in && c.out.strength >= c.least.out
}

// pending reports whether IP has to wait for CCP. A client that has begun with MPPE wants no packet in
// clear before that is settled, and while CCP is negotiated again the keys are in between.
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
			c.state, c.over, c.begun = fsm.Stopped, false, false // the peer has thought again
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
	// RFC 3078 section 8.2 needs no Reset-Ack, RFC 1962 section 3 does, and Linux decrypts nothing before
	// it: the flushed packet comes after it.
	c.e.send(wire.CCP, wire.Packet{Code: wire.ResetAck, ID: id})
	c.e.emit(CryptoReset{})
	if c.out.stateless && !c.e.cfg.MPPE.Reordered { // there is nothing to reset, and none of ours was late
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
	case !c.required(): // Windows ends CCP when its compression is not taken, and wants packets in clear at once
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
	var bits uint32 // RFC 3078 section 2.1: the initiator asks for all that it takes
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
		c.begun = c.begun || bits != 0 // without any bit it asks for no encryption, as some do for ever
		if bits == 0 && !c.required() && c.failures >= c.e.cfg.MaxFailure {
			continue // it will not be told a strength: no encryption
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

// choose takes the strength that we like best among those of bits that are not too weak; without a
// common one, and when the peer leaves it to us, our first.
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

// wish is choose, but the first time with a stateful stream if those are preferred.
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
	if !c.in.stateless { // pppd has no other answer to a stateful stream that it does not want
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

// again begins an open CCP again, with new streams: packets cannot be decrypted, nor will they be. If that comes
// to nothing the link ends.
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

// renewing reports whether CCP has begun again and is not open yet.
func (c *ccp) renewing() bool { return !c.againAt.IsZero() && !c.opened() }

// complain takes a sign of the peer that it cannot decrypt our packets. One may be by chance.
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
