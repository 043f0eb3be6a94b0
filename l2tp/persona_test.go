package l2tp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// vendor makes a vendor's AVP that is not mandatory.
func vendor(id, kind uint16, value ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(6+len(value)))
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, kind)
	return append(b, value...)
}

// want sends a message and expects exactly these answers.
func (p *peer) want(session uint16, body []byte, want string) {
	p.t.Helper()
	if got := p.say(session, body); got != want {
		p.t.Fatalf("%q, want %q; %v", got, want, p.ended)
	}
}

// Windows 7 (its SCCRQ of 100 bytes has crashed another server) and Vista (the GUID in its ICRQ).
func TestPersonaWindows(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	sccrq := message(wire.SCCRQ,
		avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrFraming, 0, 0, 0, 1), avp(wire.AttrBearer, 0, 0, 0, 0),
		wire.AppendAVP(nil, false, wire.AttrFirmware, []byte{6, 0}), avp(wire.AttrHostName, []byte("Test-PC")...),
		wire.AppendAVP(nil, false, wire.AttrVendorName, []byte("Microsoft")), avp(wire.AttrTunnelID, 0, 6), avp(wire.AttrReceiveWindow, 0, 8))
	if wire.MaxHeader+len(sccrq) != 100 {
		t.Errorf("%d bytes", wire.MaxHeader+len(sccrq))
	}
	p.want(0, sccrq, "SCCRP")
	p.want(0, message(wire.SCCCN), "ZLB")
	p.want(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 1), avp(wire.AttrSerial, 0, 0, 0, 0), avp(18, 0, 0, 0, 2),
		vendor(311, 1, bytes.Repeat([]byte{0xAB}, 16)...)), "ZLB ICRP")
	p.want(1001, message(wire.ICCN, avp(wire.AttrSpeed, 0x3B, 0x9A, 0xCA, 0), avp(wire.AttrFramingType, 0, 0, 0, 1), avp(29, 0, 4)), "ZLB")
	if p.c.Host() != "Test-PC" || len(p.ended) > 0 {
		t.Errorf(`%q %v, want "Test-PC", and no end`, p.c.Host(), p.ended)
	}
	p.want(1001, message(wire.CDN, avp(wire.AttrResultCode, 0, 3, 0, 0), avp(wire.AttrSessionID, 0, 1)), "ZLB")
	p.want(0, message(wire.StopCCN, avp(wire.AttrTunnelID, 0, 6), avp(wire.AttrResultCode, 0, 6, 0, 0)), "ZLB")
}

// Android's mtpd takes a control message only if the message acknowledges all of its own. It takes
// a ZLB only with twelve bytes. It needs the usual header and first AVP. It never acknowledges a
// Hello once data flows, and goes on for hours.
func TestPersonaAndroid(t *testing.T) {
	p := newPeer(t, l2tp.Config{Secret: "s"})
	said := func() {
		t.Helper()
		for _, raw := range p.raw {
			if flags := binary.BigEndian.Uint16(raw); flags&0xCB0F != 0xC802 {
				t.Errorf("flags %04x", flags)
			}
			if nr := binary.BigEndian.Uint16(raw[10:]); nr != p.ns {
				t.Errorf("acknowledges %d of %d", nr, p.ns)
			}
			if len(raw) != 12 && binary.BigEndian.Uint16(raw[12:]) != 0x8008 {
				t.Errorf("first AVP of %x", raw)
			}
		}
	}
	challenge := bytes.Repeat([]byte{7}, 32)
	p.want(0, message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrHostName, []byte("anonymous")...), avp(wire.AttrFraming, 0, 0, 0, 3),
		avp(wire.AttrTunnelID, 0x12, 0x34), avp(wire.AttrReceiveWindow, 0, 1), avp(wire.AttrChallenge, challenge...)), "SCCRP")
	said()
	_, body, _ := wire.ParseHeader(p.raw[0])
	avps, _ := wire.ParseAVPs(body, "")
	var ours []byte
	for _, a := range avps {
		if a.Type == wire.AttrChallenge {
			ours = a.Value
		}
	}
	response := wire.ChallengeResponse(wire.SCCCN, "s", ours)
	p.want(0, message(wire.SCCCN, avp(wire.AttrChallengeResponse, response[:]...)), "ZLB")
	said()
	p.want(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5), avp(wire.AttrSerial, 1, 2, 3, 4)), "ZLB ICRP")
	p.want(1005, message(wire.ICCN, avp(wire.AttrSpeed, 5, 0xF5, 0xE1, 0), avp(wire.AttrFramingType, 0, 0, 0, 3)), "ZLB")
	said()
	for range 3 * 60 {
		p.wait(50 * time.Second)
		p.c.Heard(p.now) // a packet of data
		p.wait(10 * time.Second)
	}
	if len(p.ended) > 0 {
		t.Errorf("got %v, want no end", p.ended)
	}
}

// Apple's host name ends in NUL, its result codes have the wrong byte order and its CDN has no
// error code. It cannot answer a challenge.
func TestPersonaApple(t *testing.T) {
	sccrq := message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrFraming, 0, 0, 0, 3),
		avp(wire.AttrHostName, []byte("Annas-MacBook.local\x00")...), avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrReceiveWindow, 0, 4))
	p := newPeer(t, l2tp.Config{})
	p.want(0, sccrq, "SCCRP")
	p.want(0, message(wire.SCCCN), "ZLB")
	p.want(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0x12, 0x34), avp(wire.AttrSerial, 0, 0, 0, 1)), "ZLB ICRP")
	p.want(1000+0x1234, message(wire.ICCN, avp(wire.AttrSpeed, 0, 0x0F, 0x42, 0x40), avp(wire.AttrFramingType, 0, 0, 0, 3)), "ZLB")
	if p.c.Host() != "Annas-MacBook.local" {
		t.Errorf(`got %q, want "Annas-MacBook.local"`, p.c.Host())
	}
	p.want(1000+0x1234, message(wire.CDN, avp(wire.AttrResultCode, 3, 0), avp(wire.AttrSessionID, 0x12, 0x34)), "ZLB")
	if fmt.Sprint(p.ended) != "[5660 client disconnected the call (result 3)]" {
		t.Errorf("got %v, want [5660 client disconnected the call (result 3)]", p.ended)
	}
	p.want(0, message(wire.StopCCN, avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrResultCode, 1, 0)), "ZLB")
	p = newPeer(t, l2tp.Config{Secret: "s"})
	p.want(0, sccrq, "SCCRP")
	p.want(0, message(wire.SCCCN), "StopCCN")
}

// MikroTik's result codes have two bytes and no error code. It opens several calls in one tunnel,
// and hangs them up one by one.
func TestPersonaMikroTik(t *testing.T) {
	p := newPeer(t, l2tp.Config{})
	p.want(0, message(wire.SCCRQ, avp(wire.AttrProtocolVersion, 1, 0), avp(wire.AttrFraming, 0, 0, 0, 1), avp(wire.AttrBearer, 0, 0, 0, 0),
		wire.AppendAVP(nil, false, wire.AttrFirmware, []byte{0, 1}), avp(wire.AttrHostName, []byte("MikroTik")...),
		wire.AppendAVP(nil, false, wire.AttrVendorName, []byte("MikroTik")), avp(wire.AttrTunnelID, 0, 9), avp(wire.AttrReceiveWindow, 0, 4)), "SCCRP")
	p.want(0, message(wire.SCCCN), "ZLB")
	for id := range byte(5) {
		p.want(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, id+1), avp(wire.AttrSerial, 0, 0, 0, id)), "ZLB ICRP")
		p.want(1001+uint16(id), message(wire.ICCN, avp(wire.AttrSpeed, 0, 0, 0, 0), avp(wire.AttrFramingType, 0, 0, 0, 1)), "ZLB")
	}
	for id := range byte(5) {
		p.want(1001+uint16(id), message(wire.CDN, avp(wire.AttrResultCode, 0, 3), avp(wire.AttrSessionID, 0, id+1)), "ZLB")
	}
	if want := "1001 client disconnected the call (result 3)"; len(p.ended) != 5 || p.ended[0] != want {
		t.Errorf("%v, want %s first", p.ended, want)
	}
	p.wait(70 * time.Second)
	if got := p.ended[len(p.ended)-1]; !strings.HasPrefix(got, "closed ") {
		t.Errorf("a tunnel without a call stays: %v", p.ended)
	}
}
