package ppp_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// Windows sends a CCP Configure-Request again after CCP is open. Data is held, the link stays, and
// both streams restart.
func TestCCPRequestWhenOpen(t *testing.T) {
	for _, mode := range []ppp.MPPEMode{ppp.MPPEOptional, ppp.MPPERequired} {
		client := clientConfig()
		client.MPPE.Mode = ppp.MPPERequired
		l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: mode}})
		l.start()
		l.run(10 * time.Second)
		l.wantUp()
		ups := l.b.ups
		for i := range uint8(20) {
			l.b.Receive(l.now, frame(wire.CCP, wire.ConfigureRequest, 100+i, 18, 6, 1, 0, 0, 0x40))
			l.drain(l.b)
			if l.b.up != nil {
				t.Fatal("packets may pass while CCP is negotiated")
			}
			l.run(5 * time.Second)
			l.wantUp()
		}
		if l.b.ups < ups+20 {
			t.Errorf("%d times up", l.b.ups)
		}
	}
}

func TestCCPNakHasOneKeyBit(t *testing.T) {
	client := clientConfig()
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	l.start()
	l.run(10 * time.Second)
	for _, c := range []struct {
		bits [4]byte
		want string
	}{
		{[4]byte{1, 0, 0, 0}, "CCP ConfNak id=0x63 <mppe +H -M +S -L -D -C>"},
		{[4]byte{1, 0, 0, 0xE1}, "CCP ConfNak id=0x63 <mppe +H -M +S -L -D -C>"},
		{[4]byte{0, 0, 0, 0x60}, "CCP ConfNak id=0x63 <mppe -H -M +S -L -D -C>"},
		{[4]byte{1, 0, 0, 0xA0}, "CCP ConfNak id=0x63 <mppe +H +M -S -L -D -C>"},
		{[4]byte{1, 0, 0, 0x01}, "CCP ConfNak id=0x63 <mppe +H -M +S -L -D -C>"},
		{[4]byte{0, 0, 0, 0x20}, "CCP ConfAck id=0x63 <mppe -H -M -S +L -D -C>"},
	} {
		l.frames = nil
		l.b.Receive(l.now, frame(wire.CCP, wire.ConfigureRequest, 99, append([]byte{18, 6}, c.bits[:]...)...))
		l.drain(l.b)
		got := ""
		for _, f := range l.frames {
			if strings.Contains(f, "ConfNak") || strings.Contains(f, "ConfAck") {
				got = strings.TrimPrefix(f, "< ")
			}
		}
		if got != c.want {
			t.Errorf("%x: %s, want %s", c.bits, got, c.want)
		}
	}
}

// A peer that asks for no strength for ever neither blocks the link nor keeps us busy.
func TestCCPForEver(t *testing.T) {
	l := newLink(t, clientConfig(), ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	l.start()
	l.run(10 * time.Second)
	for i := range uint8(100) {
		l.b.Receive(l.now, frame(wire.CCP, wire.ConfigureRequest, i, 18, 6, 0, 0, 0, 0))
		l.run(time.Second)
	}
	l.run(time.Minute)
	if l.b.up == nil || l.b.up.Encryption != "none" || l.b.closed != nil {
		t.Errorf("up %v, closed %v\n%s", l.b.up, l.b.closed, l.tail())
	}
}

// IPCP that comes before required encryption is held without an answer.
func TestIPCPWaitsForMPPE(t *testing.T) {
	client := clientConfig()
	client.MPPE.Mode = ppp.MPPERequired
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
	l.start()
	for range 100 {
		l.run(5 * time.Millisecond)
		if !strings.Contains(l.tail(), "CCP ConfAck") {
			l.b.Receive(l.now, frame(wire.IPCP, wire.ConfigureRequest, 200, 3, 6, 0, 0, 0, 0))
		}
	}
	l.run(10 * time.Second)
	l.wantUp()
	ccp := false
	for _, f := range l.frames {
		ccp = ccp || strings.HasPrefix(f, "< CCP ConfAck")
		if !ccp && strings.Contains(f, "IPCP") {
			t.Errorf("%s before CCP", f)
		}
	}
}

func TestStatefulReset(t *testing.T) {
	client := clientConfig()
	client.MPPE = ppp.MPPE{Mode: ppp.MPPERequired}
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{mppe.Bits128}}})
	l.start()
	l.run(10 * time.Second)
	// The client wants it stateful.
	l.b.Receive(l.now, frame(wire.CCP, wire.ConfigureRequest, 77, 18, 6, 0, 0, 0, 0x40))
	l.run(10 * time.Second)
	if got := l.b.up; got == nil || got.Encryption != "MPPE-128 stateless" && got.Encryption != "MPPE-128 stateful" {
		t.Fatalf("up: %v\n%s", got, l.tail())
	}
	for range 100 {
		l.a.ResetRequest(l.now)
	}
	l.run(time.Second / 2)
	if l.b.resets != 1 {
		t.Errorf("%d resets, want one", l.b.resets)
	}
}
