package pptp_test

import (
	"path/filepath"
	"testing"
	"vpnd/pptp"
	"vpnd/pptp/wire"
	"vpnd/testenv/recording"
)

// Our server gets pptp-linux's side of the recorded dial-ins, byte for byte. It gives the same
// answers as pptpd, and a cleared call is over.
func TestRecordedClients(t *testing.T) {
	names, err := filepath.Glob("../ppp/*/testdata/pptp-*.pcap")
	if err != nil || len(names) < 12 {
		t.Fatalf("captures: %v, %v", names, err)
	}
	calls, cleared := 0, 0
	for _, name := range names {
		var p *peer
		var answer wire.Message // ours to the client's last message
		for _, packet := range recording.Packets(t, name) {
			segment := packet.TCP()
			if len(segment) == 0 {
				continue
			}
			recorded, _, err := wire.Parse(segment)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, segment, err)
			}
			switch want := recorded.(type) {
			case *wire.StartRequest:
				p = newPeer(t, pptp.Config{})
			case *wire.StartReply:
				if got, ok := answer.(*wire.StartReply); !ok || got.Version != want.Version || got.Result != want.Result {
					t.Errorf("%s: %+v, want %+v", name, answer, want)
				}
			case *wire.OutgoingCallReply:
				if got, ok := answer.(*wire.OutgoingCallReply); !ok || got.PeerCallID != want.PeerCallID || got.Result != want.Result || got.Error != want.Error {
					t.Errorf("%s: %+v, want %+v", name, answer, want)
				}
				calls++
			case *wire.CallClearRequest: // pptpd does not answer it, as RFC 2637 requires
				cleared++
			}
			if !packet.Sent {
				continue
			}
			said := p.raw(segment)
			if len(said) != 1 {
				t.Fatalf("%s: %v is answered %v", name, recorded.Type(), said)
			}
			answer = said[0]
			if request, ok := recorded.(*wire.CallClearRequest); ok {
				notify, ok := answer.(*wire.CallDisconnectNotify)
				if !ok || notify.CallID != p.calls[0] || len(p.ended) != 1 {
					t.Errorf("%s: call %d: %+v, %v", name, request.CallID, answer, p.ended)
				}
			}
		}
	}
	if calls < 13 || cleared < 8 {
		t.Errorf("%d calls, %d cleared", calls, cleared)
	}
}
