package l2tp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// A forger sends messages without our identifier from the address of a dialling client. The client
// still gets in, whatever the messages are and however many there are: its own SCCCN counts.
func TestForgedWhileAClientDials(t *testing.T) {
	stop := message(wire.StopCCN, avp(wire.AttrResultCode, 0, 1))
	icrq := message(wire.ICRQ, avp(wire.AttrSessionID, 0, 7))
	unknown := []byte{0x80, 8, 0x01, 0x37, 0, 1, 1, 2}
	hidden := []byte{0xC0, 8, 0, 0, 0, 9, 1, 2}
	for name, forged := range map[string][][]byte{
		"SCCCN":                           {message(wire.SCCCN)},
		"SCCCN, StopCCN":                  {message(wire.SCCCN), stop},
		"SCCCN, Hello":                    {message(wire.SCCCN), message(wire.Hello), message(wire.Hello)},
		"SCCCN, ICRQ":                     {message(wire.SCCCN), icrq},
		"SCCCN, ICRQ, CDN":                {message(wire.SCCCN), icrq, message(wire.CDN, avp(wire.AttrResultCode, 0, 1), avp(wire.AttrSessionID, 0, 7))},
		"SCCCN, ICRQ, StopCCN":            {message(wire.SCCCN), icrq, stop},
		"StopCCN":                         {stop},
		"an unknown AVP in the SCCCN":     {message(wire.SCCCN, unknown)},
		"a hidden AVP in the SCCCN":       {message(wire.SCCCN, hidden)},
		"SCCCN, an unknown AVP in Hello":  {message(wire.SCCCN), message(wire.Hello, unknown)},
		"SCCCN, an unknown message":       {message(wire.SCCCN), message(wire.MessageType(99))},
		"SCCCN, a hidden AVP in the ICRQ": {message(wire.SCCCN), message(wire.ICRQ, hidden)},
	} {
		for _, secret := range []string{"", "s"} {
			t.Run(fmt.Sprintf("%s, secret %q", name, secret), func(t *testing.T) {
				p := newPeer(t, l2tp.Config{Secret: secret})
				p.say(0, sccrq())
				own := message(wire.SCCCN, p.response(secret)...)
				for i, body := range forged {
					p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Ns: uint16(1 + i), Nr: 1}, body)
					p.drain()
				}
				if !p.c.HalfOpen() {
					t.Error("the tunnel is open")
				}
				p.calls = nil
				p.want(0, own, "ZLB")
				p.say(0, message(wire.ICRQ, avp(wire.AttrSessionID, 0, 5)))
				p.say(1005, message(wire.ICCN))
				if p.wait(30 * time.Second); fmt.Sprint(p.calls) != "[1005]" || p.c.HalfOpen() {
					t.Errorf("calls %v, %v", p.calls, p.ended)
				}
				for _, end := range p.ended {
					if !strings.HasPrefix(end, "1007 ") && end != "refused wrong tunnel secret" {
						t.Error(end)
					}
				}
			})
		}
	}
}

// response is the AVP that a client with a secret adds to its SCCCN.
func (p *peer) response(secret string) [][]byte {
	p.t.Helper()
	_, body, err := wire.ParseHeader(p.raw[0])
	if err != nil {
		p.t.Fatal(err)
	}
	avps, err := wire.ParseAVPs(body, "")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, a := range avps {
		if a.Type == wire.AttrChallenge {
			r := wire.ChallengeResponse(wire.SCCCN, secret, a.Value)
			return [][]byte{avp(wire.AttrChallengeResponse, r[:]...)}
		}
	}
	return nil
}
