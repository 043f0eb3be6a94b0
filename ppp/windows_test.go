package ppp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// windows dials in as Windows 10 does, frame by frame, with one counter of identifiers for all
// protocols, and gives the start keys that its own arithmetic has. bits is what it asks of MPPE.
func windows(t *testing.T, mode ppp.MPPEMode, bits byte, stateless bool) (r *raw, up, down mppe.MasterKey) {
	t.Helper()
	r = newRaw(t, ppp.Config{MRU: 1400, MPPE: ppp.MPPE{Mode: mode}})
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 0, 1, 4, 5, 120, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2, 13, 3, 6)),
		"LCP ConfRej id=0x0 <13 06>")
	r.want(r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 1, 4, 5, 120, 5, 6, 1, 2, 3, 4, 7, 2, 8, 2)),
		"LCP ConfAck id=0x1 <mru 1400> <magic 0x1020304> <pcomp> <accomp>")
	r.want(r.ack(wire.LCP), "CHAP Challenge")
	id, challenge := r.challenged()
	for i, text := range []string{"MSRASV5.20", "MSRAS-0-COMPUTERNAME", "\x8f\x00\x1b\x0a\xff\xfe\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"} {
		r.want(r.say(frame(wire.LCP, wire.Identification, uint8(2+i), append([]byte{1, 2, 3, 4}, text...)...)))
	}
	ours := chap.RespondV2("alice", "geheim", [16]byte(challenge), [16]byte{7, 7})
	value := ours.Value()
	r.say(frame(wire.CHAP, wire.CHAPResponse, id, append(append([]byte{49}, value[:]...), `DESKTOP\alice`...)...))
	success, _ := wire.ParsePacket(r.raw[0][4:])
	if success.Code != wire.CHAPSuccess || !ours.VerifySuccess(string(success.Body), "geheim") {
		t.Fatalf("Windows hangs up on %q", r.out)
	}
	r.want(r.say(frame(wire.IPV6CP, wire.ConfigureRequest, 5, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8)), "LCP ProtRej")
	highest := byte(0)
	if stateless {
		highest = 1
	}
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, highest, 0, 0, 0x01)), "CCP ConfReq",
		fmt.Sprintf("CCP ConfNak id=0x6 <mppe %cH -M +S -L -D -C>", "-+"[highest]))
	zero := []byte{3, 6, 0, 0, 0, 0, 129, 6, 0, 0, 0, 0, 130, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0, 132, 6, 0, 0, 0, 0}
	if got := r.say(frame(wire.IPCP, wire.ConfigureRequest, 7, zero...)); (len(got) == 0) != (mode == ppp.MPPERequired) {
		t.Errorf("IPCP before CCP is answered by %q", got)
	}
	r.want(r.say(frame(wire.CCP, wire.ConfigureRequest, 8, 18, 6, highest, 0, 0, bits))[:1], "CCP ConfAck id=0x8")
	if !stateless { // it asks us for the same
		r.say(frame(wire.CCP, wire.ConfigureNak, r.ask[wire.CCP].ID, 18, 6, 0, 0, 0, bits))
	}
	r.ack(wire.CCP)
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 9, zero...)), "IPCP ConfRej id=0x9 <ms-wins 0.0.0.0> <ms-dns2 0.0.0.0> <ms-wins 0.0.0.0>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 10, zero[:12]...)), "IPCP ConfNak id=0xa <addr 10.99.0.10> <ms-dns1 10.99.0.53>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 11, 3, 6, 10, 99, 0, 10, 129, 6, 10, 99, 0, 53)), "IPCP ConfAck id=0xb")
	r.ack(wire.IPCP)
	up, down = mppe.StartKeysV2(chap.HashHash(chap.NTHash("geheim")), ours.NTResponse)
	return r, up, down
}

func TestWindows(t *testing.T) {
	for _, mode := range []ppp.MPPEMode{ppp.MPPEOptional, ppp.MPPERequired} {
		for _, stateless := range []bool{true, false} {
			t.Run(fmt.Sprintf("required %v, stateless %v", mode == ppp.MPPERequired, stateless), func(t *testing.T) {
				r, up, down := windows(t, mode, 0x40, stateless)
				r.wantStreams(up, down, stateless)
				// CCP asked for again when it is open: twice with other identifiers, once the same frame.
				for _, id := range []uint8{12, 13, 13} {
					before := r.up()
					again := frame(wire.CCP, wire.ConfigureRequest, id, 18, 6, map[bool]byte{true: 1}[stateless], 0, 0, 0x40)
					r.say(again)
					if strings.Contains(strings.Join(r.out, " "), "TermReq") || r.out[len(r.out)-1][:11] != "CCP ConfAck" {
						t.Fatalf("answered by %q", r.out)
					}
					if len(r.out) == 2 { // negotiated anew: nothing passes before it is agreed
						if r.up() != nil {
							t.Error("packets may pass while CCP is negotiated")
						}
						r.ack(wire.CCP)
						r.wantStreams(up, down, stateless)
					} else if r.up() == nil || r.up().Encrypter != before.Encrypter {
						t.Error("a doubled request changes the keys")
					}
				}
				r.want(r.say(frame(wire.LCP, wire.EchoReply, 1, 1, 2, 3, 4)))
				r.want(r.say(frame(wire.LCP, wire.TerminateRequest, 20, 1, 2, 3, 4, 0, 0x3C, 0xCD, 0x74, 0, 0, 0, 0)), "LCP TermAck id=0x14")
				notes := 0
				for _, event := range r.all {
					if n, ok := event.(ppp.Note); ok {
						notes++
						if strings.ContainsFunc(n.Text, func(c rune) bool { return c < ' ' || c > '~' }) {
							t.Errorf("raw octets in %q", n.Text)
						}
					}
				}
				if notes != 3 {
					t.Errorf("%d notes", notes)
				}
			})
		}
	}
}

// wantStreams sends packets each way past a change of keys, against streams of the test's own.
func (r *raw) wantStreams(up, down mppe.MasterKey, stateless bool) {
	r.t.Helper()
	n := r.up()
	if n == nil || n.Encrypter == nil || n.Decrypter == nil || n.PeerMRU != 1400 || !n.PFC || !n.ACFC {
		r.t.Fatalf("up: %+v, %q", n, r.out)
	}
	if want := map[bool]string{true: "MPPE-128 stateless", false: "MPPE-128 stateful"}[stateless]; n.Encryption != want {
		r.t.Errorf("encryption %q, want %q", n.Encryption, want)
	}
	in, out := mppe.NewDecrypter(down, mppe.Bits128, stateless), mppe.NewEncrypter(up, mppe.Bits128, stateless)
	for i := range 300 {
		plain := fmt.Appendf([]byte{0x21}, "packet %d", i)
		p := bytes.Clone(plain)
		if err := in.Open(n.Encrypter.Seal(p), p); err != nil || !bytes.Equal(p, plain) {
			r.t.Fatalf("packet %d to the client: %v", i, err)
		}
		if err := n.Decrypter.Open(out.Seal(p), p); err != nil || !bytes.Equal(p, plain) {
			r.t.Fatalf("packet %d from the client: %v", i, err)
		}
	}
}

// When its compression is not agreed, Windows ends CCP, with bytes of its own in the packet. The link ends
// with it if encryption was agreed.
func TestWindowsEndsCCP(t *testing.T) {
	end := frame(wire.CCP, wire.TerminateRequest, 30, 0x4F, 1, 2, 3, 0, 0x3C, 0xCD, 0x74, 0, 0, 2, 0xDC)
	for mode, code := range map[ppp.MPPEMode]reason.Code{
		ppp.MPPEOptional: reason.EncryptionEnded,
		ppp.MPPERequired: reason.MPPERefused,
	} {
		r, _, _ := windows(t, mode, 0x40, true)
		r.say(end)
		if got := r.out[0]; !strings.HasPrefix(got, "CCP TermAck id=0x1e") {
			t.Errorf("answered by %q", r.out)
		}
		r.wantClosed(reason.New(code))
	}
	// Nothing was encrypted before: the link goes on in clear.
	r := newRaw(t, ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}, MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	r.logIn()
	r.say(frame(wire.CCP, wire.ConfigureRequest, 6))
	r.say(frame(wire.CCP, wire.ConfigureReject, r.ask[wire.CCP].ID, r.ask[wire.CCP].Body...))
	r.say(end)
	r.openIPCP()
	r.now = r.now.Add(10 * time.Second)
	r.e.Tick(r.now)
	r.drain()
	if n := r.up(); n == nil || n.Encryption != "none" {
		t.Errorf("up: %+v", n)
	}
}
