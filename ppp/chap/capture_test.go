package chap_test

import (
	"path/filepath"
	"strings"
	"testing"
	"vpnd/ppp/chap"
	"vpnd/ppp/wire"
	"vpnd/testenv/recording"
)

// pppd's proofs in the recorded dial-ins are right for its password and for no other. So is the
// server's own proof.
func TestCaptures(t *testing.T) {
	const password = "Correct-Horse9"
	names, err := filepath.Glob("../wire/testdata/*.pcap")
	if err != nil || len(names) == 0 {
		t.Fatalf("captures: %v, %v", names, err)
	}
	type proof interface{ Verify(candidate string) bool }
	right, refused := map[int]int{}, 0
	for _, name := range names {
		var challenge []byte
		var last proof
		for i, f := range recording.Frames(t, name) {
			protocol, info, err := wire.ParseFrame(f.PPP)
			if err != nil || protocol != wire.CHAP {
				continue
			}
			p, err := wire.ParsePacket(info)
			if err != nil {
				t.Fatalf("%s, frame %d: %v", name, i, err)
			}
			switch p.Code {
			case wire.CHAPChallenge:
				challenge, _, err = wire.ParseCHAP(p.Body)
			case wire.CHAPResponse:
				var value []byte
				var user string
				if value, user, err = parseResponse(p.Body); err != nil {
					break
				}
				switch {
				case len(value) == 16:
					last, err = chap.NewMD5(p.ID, challenge, value)
				case len(challenge) == 8:
					last, err = chap.NewV1([8]byte(challenge), value)
				default:
					last, err = chap.NewV2(user, [16]byte(challenge), value)
				}
			case wire.CHAPSuccess:
				if !last.Verify(password) || last.Verify("correct-horse9") {
					t.Errorf("%s, frame %d: a proof that was taken is not right", name, i)
				}
				if v, ok := last.(chap.V2); ok && (!v.VerifySuccess(string(p.Body), password) || v.VerifySuccess(string(p.Body), "x")) {
					t.Errorf("%s, frame %d: the server's proof %q", name, i, p.Body)
				}
				right[len(challenge)]++
			case wire.CHAPFailure:
				if last.Verify(password) || !isMD5(last) && !strings.HasPrefix(string(p.Body), "E=691 ") {
					t.Errorf("%s, frame %d: a proof that was refused is right; %q", name, i, p.Body)
				}
				refused++
			default:
			}
			if err != nil {
				t.Fatalf("%s, frame %d: %v", name, i, err)
			}
		}
	}
	if right[8] == 0 || right[16] < 5 || len(right) < 3 || refused < 2 {
		t.Errorf("by length of the challenge %v were taken, %d refused", right, refused)
	}
}

func isMD5(p any) bool {
	_, ok := p.(chap.MD5)
	return ok
}

// parseResponse is wire.ParseCHAP with the name as text.
func parseResponse(body []byte) (value []byte, user string, err error) {
	value, name, err := wire.ParseCHAP(body)
	return value, string(name), err
}
