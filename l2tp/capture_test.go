package l2tp_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
	"vpnd/testenv/recording"
)

// value is the value of an AVP of a message. It is nil if the message has none.
func value(body []byte, kind wire.Attribute) []byte {
	avps, _ := wire.ParseAVPs(body, "tunnel-Secret7")
	for _, a := range avps {
		if a.Type == kind {
			return a.Value
		}
	}
	return nil
}

// The server gets xl2tpd's side of the recorded dial-ins, and gives the answers that xl2tpd gave.
// Only the answer to our challenge is computed again, because xl2tpd's challenge was another one.
func TestRecordedClients(t *testing.T) {
	names, err := filepath.Glob("../ppp/*/testdata/l2tp-*.pcap")
	if err != nil || len(names) < 9 {
		t.Fatalf("captures: %v, %v", names, err)
	}
	calls, refused := 0, 0
	for _, name := range names {
		var p *peer
		var challenge, answer []byte
		session, secret := uint16(0), ""
		for i, packet := range recording.Packets(t, name) {
			h, body, err := wire.ParseHeader(packet.UDP())
			if err != nil || !packet.Sent || !h.Control || len(body) == 0 {
				continue
			}
			want := "ZLB"
			switch kind := wire.MessageType(binary.BigEndian.Uint16(value(body, wire.AttrMessageType))); kind {
			case wire.SCCRQ:
				secret = ""
				if value(body, wire.AttrChallenge) != nil {
					secret = "tunnel-Secret7"
				}
				session, want = 0, "SCCRP"
				p = newPeer(t, l2tp.Config{Secret: secret})
			case wire.SCCCN:
				answer = value(body, wire.AttrChallengeResponse)
				if secret != "" {
					right := wire.ChallengeResponse(wire.SCCCN, secret, challenge)
					copy(answer, right[:]) // in body
				}
			case wire.ICRQ:
				session, want = 1000+binary.BigEndian.Uint16(value(body, wire.AttrSessionID)), "ZLB ICRP"
			case wire.StopCCN:
			default:
			}
			to := uint16(0)
			if h.Session != 0 {
				to = session
			}
			if got := p.say(to, body); got != want {
				t.Fatalf("%s, packet %d: %q, want %q; %v", name, i, got, want, p.ended)
			}
			if want == "SCCRP" && secret != "" {
				_, said, _ := wire.ParseHeader(p.raw[0])
				challenge = value(said, wire.AttrChallenge)
			}
			if want == "ZLB ICRP" {
				calls++
			}
			if value(body, wire.AttrResultCode) != nil {
				refused++
			}
		}
	}
	if calls < 10 || refused < 8 {
		t.Errorf("%d calls, %d ends", calls, refused)
	}
}
