package wire_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/l2tp/wire"
	"vpnd/testenv/recording"
)

// secret is the secret of the captured tunnels.
const secret = "tunnel-Secret7"

// recorded has the messages of the captures, as tcpdump prints them.
var recorded = map[string]string{
	"l2tp-chap-md5":            ">SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP >ICCN <ZLB <ZLB >StopCCN <ZLB",
	"l2tp-data-bits":           ">SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP >ICCN <ZLB <ZLB >SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP >ICCN <ZLB <ZLB >SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP <ZLB >ICCN <ZLB >StopCCN <ZLB",
	"l2tp-hidden-avps":         ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP >ICCN <ZLB <ZLB >StopCCN <ZLB",
	"l2tp-loss":                ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP <ZLB >ICCN <ZLB >StopCCN <ZLB",
	"l2tp-pap":                 ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP >ICCN <ZLB <ZLB >StopCCN <ZLB",
	"l2tp-secret-wrong":        ">SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <StopCCN >ZLB <ZLB >SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP <ZLB >ICCN <ZLB >StopCCN <ZLB",
	"l2tp-secret":              ">SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP >ICCN <ZLB <ZLB >StopCCN <ZLB",
	"l2tp-terminate-by-server": ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP >ICCN <ZLB <ZLB <CDN >ZLB >ICRQ <ICRP >ICCN <ZLB <ZLB >StopCCN <ZLB",
	"l2tp-mschapv1-dns":        ">SCCRQ <SCCRP >SCCCN >ICRQ <ZLB <ICRP <ZLB >ICCN <ZLB >StopCCN <ZLB",
	"l2tp-pap-wrong":           ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP <ZLB >ICCN <ZLB >ICCN <ZLB <CDN >ZLB >StopCCN <ZLB",
	"l2tp-mschapv2-mppe128":    ">SCCRQ <SCCRP >SCCCN <ZLB >ICRQ <ICRP <ZLB >ICCN <ZLB",
}

// Every message of the captures parses to the recorded text, and is encoded again to the same
// bytes. The answers to challenges are those of xl2tpd.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob("../../ppp/*/testdata/l2tp-*.pcap")
	if err != nil || len(files) != len(recorded) {
		t.Fatalf("captures: %v, %v", files, err)
	}
	data, right, wrong := 0, 0, 0
	for _, name := range files {
		var said []string
		challenges := map[string][]byte{} // by sender
		for _, p := range recording.Packets(t, name) {
			d, mark, other := p.UDP(), ">", "<"
			if !p.Sent {
				mark, other = other, mark
			}
			if d == nil {
				continue
			}
			h, body, err := wire.ParseHeader(d)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, d, err)
			}
			if !h.Control {
				data++
				if body[0] != 0xFF && body[0] != 0x00 && body[0] != 0x21 && body[0] != 0xFD {
					t.Errorf("%s: no PPP frame: %x", name, body)
				}
				continue
			}
			avps, err := wire.ParseAVPs(body, secret)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, body, err)
			}
			kind := "ZLB"
			var again []byte
			for i, a := range avps {
				if i == 0 {
					kind = wire.MessageType(binary.BigEndian.Uint16(a.Value)).String()
				}
				switch a.Type {
				case wire.AttrChallenge:
					challenges[mark] = a.Value
				case wire.AttrChallengeResponse:
					message := wire.MessageType(binary.BigEndian.Uint16(avps[0].Value))
					if want := wire.ChallengeResponse(message, secret, challenges[other]); bytes.Equal(want[:], a.Value) {
						right++
					} else {
						wrong++
					}
				default:
				}
				if a.Hidden || !a.Known {
					t.Errorf("%s: %+v, want a known AVP that is not hidden", name, a)
				}
				again = wire.AppendAVP(again, a.Mandatory, a.Type, a.Value)
			}
			if got := wire.AppendControl(nil, h, again); !bytes.Equal(got, d) {
				t.Errorf("%s: %x, want %x", name, got, d)
			}
			said = append(said, mark+kind)
		}
		if got, want := strings.Join(said, " "), recorded[strings.TrimSuffix(filepath.Base(name), ".pcap")]; got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
	if data < 200 || right != 5 || wrong != 1 {
		t.Errorf("%d data messages, %d right and %d wrong answers to challenges", data, right, wrong)
	}
}
