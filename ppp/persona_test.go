package ppp_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv/persona"
)

// The engine answers real clients correctly.
func TestPersonas(t *testing.T) {
	for _, p := range persona.All(t) {
		t.Run(p.Name, func(t *testing.T) {
			cfg := ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MRU: 1400, Random: p.Random()}
			cfg.MPPE = ppp.MPPE{Mode: ppp.MPPEOptional, Passive: p.Carrier == "L2TP"}
			if p.Required {
				cfg.MPPE.Mode = ppp.MPPERequired
			}
			r := newRaw(t, cfg)
			r.grant.Password = p.Password
			p.Play(t, &dialled{raw: r, said: r.raw})
			for _, event := range r.all {
				if a, ok := event.(ppp.Authenticate); ok && !a.Proof.Verify(p.Password) {
					t.Error("the client's proof, which is not of our making, is not right")
				}
			}
		})
	}
}

// dialled is the engine that a persona dials, with a plain data path.
type dialled struct {
	*raw
	said [][]byte // by the engine, and not read yet
	in   [][]byte
}

// Say implements persona.Server.
func (d *dialled) Say(f []byte) {
	protocol, info, err := wire.ParseFrame(f)
	if up := d.up(); up != nil && err == nil && protocol == wire.Comp && up.Decrypter != nil {
		info = bytes.Clone(info)
		if up.Decrypter.Open(binary.BigEndian.Uint16(info), info[2:]) == nil {
			protocol, info, _ = wire.ParseFrame(info[2:])
		}
	}
	switch protocol {
	case wire.IPv4:
		d.in = append(d.in, info)
	case wire.Comp, wire.IPv6:
	default:
		d.say(f)
		d.said = append(d.said, d.raw.raw...)
	}
}

// Hear implements persona.Server.
func (d *dialled) Hear() (f []byte) {
	if len(d.said) > 0 {
		f, d.said = d.said[0], d.said[1:]
	}
	return f
}

// Noted implements persona.Server.
func (d *dialled) Noted(text string) bool {
	for _, event := range d.all {
		if n, ok := event.(ppp.Note); ok && n.Text == text {
			return true
		}
	}
	return false
}

// Up implements persona.Server.
func (d *dialled) Up(encryption string) bool {
	up := d.up()
	return up != nil && up.Encryption == encryption && up.Peer == given && (encryption == "none") == (up.Encrypter == nil)
}

// In implements persona.Server.
func (d *dialled) In() (packet []byte) {
	if len(d.in) > 0 {
		packet, d.in = d.in[0], d.in[1:]
	}
	return packet
}

// Out implements persona.Server.
func (d *dialled) Out(packet []byte) {
	up := d.up()
	head := func(protocol byte) []byte {
		if up.PFC {
			return []byte{protocol}
		}
		return []byte{0, protocol}
	}
	f := append(head(byte(wire.IPv4)), packet...)
	if up.Encrypter != nil {
		count := up.Encrypter.Seal(f)
		f = append(binary.BigEndian.AppendUint16(head(byte(wire.Comp)), count), f...)
	}
	if !up.ACFC {
		f = append([]byte{0xFF, 0x03}, f...)
	}
	d.said = append(d.said, f)
}

// Gone implements persona.Server.
func (d *dialled) Gone() {
	d.e.Down(reason.New(reason.ControlClosed))
	d.drain()
}

// Closed implements persona.Server.
func (d *dialled) Closed() reason.Code {
	if closed, ok := d.all[len(d.all)-1].(ppp.Closed); ok {
		return closed.Reason.Code
	}
	return "nothing"
}
