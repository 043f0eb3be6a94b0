package ppp_test

import (
	"fmt"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// With a password that is not ASCII, the server accepts both spellings by each method, and both
// ends have the same keys.
func TestSpellings(t *testing.T) {
	const password = "Käse-2026"
	for _, m := range methods {
		for _, other := range []bool{false, true} {
			for _, strength := range []mppe.Strength{mppe.Bits128, mppe.Bits40} {
				t.Run(fmt.Sprintf("%v, other %v, %v", m, other, strength), func(t *testing.T) {
					client, server := clientConfig(m), ppp.Config{}
					client.Password, client.OtherSpelling = password, other
					if m >= ppp.MSCHAPv1 {
						client.MPPE = ppp.MPPE{Mode: ppp.MPPERequired, Strengths: []mppe.Strength{strength}}
						server.MPPE = ppp.MPPE{Mode: ppp.MPPERequired}
					}
					l := newLink(t, client, server)
					l.b.password = password
					l.start()
					l.run(20 * time.Second)
					l.wantUp()
				})
			}
		}
	}
}

// A name in Windows' code page is shown as text.
func TestNameInCodePage(t *testing.T) {
	for _, m := range methods {
		r, id, challenge := openAuth(t, m, ppp.Config{})
		r.say(proof(t, m, id, challenge, "k\xE4the", "geheim"))
		a, ok := r.all[len(r.all)-1].(ppp.Authenticate)
		if !ok || a.User != "käthe" || !a.Proof.Verify("geheim") {
			t.Errorf("%v: %+v, want a proof of käthe by geheim", m, r.all)
		}
	}
}

// A client reads the error number of a server's refusal. Only the text after M= can tell that no
// address is free.
func TestRefusalOfMSCHAP(t *testing.T) {
	for message, want := range map[string]reason.Code{
		"E=691 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=no":                      reason.ServerRefusesLogIn,
		"E=648R=0C=00112233445566778899AABBCCDDEEFFV=3M=E=691":                       reason.ServerForbidsLogIn,
		"E=649 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=" + reason.NoAddressFree: reason.ServerNoAddress,
		"go away": reason.ServerRefusesLogIn,
	} {
		r := newRaw(t, ppp.Config{Role: ppp.Client, Auth: []ppp.Method{ppp.MSCHAPv2}, User: "alice", Password: "geheim"})
		r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 3, 5, 0xC2, 0x23, 0x81))
		r.ack(wire.LCP)
		r.say(frame(wire.CHAP, wire.CHAPChallenge, 7, append([]byte{16}, make([]byte, 16)...)...))
		r.say(frame(wire.CHAP, wire.CHAPFailure, 7, []byte(message)...))
		r.pass(10 * time.Second)
		closed, ok := r.all[len(r.all)-1].(ppp.Closed)
		if !ok || closed.Reason.Code != want {
			t.Errorf("%s: %+v, want the code %s", message, r.all, want)
		}
	}
}

// If a server wants another protocol, and then asks for none, the two disagree about the protocol.
func TestServerInsistsOnAnotherProtocol(t *testing.T) {
	r := newRaw(t, ppp.Config{Role: ppp.Client, Auth: []ppp.Method{ppp.PAP}, User: "alice", Password: "geheim", MustProve: true})
	r.say(frame(wire.LCP, wire.ConfigureRequest, 1, 3, 5, 0xc2, 0x23, 0x81))
	r.say(frame(wire.LCP, wire.ConfigureRequest, 2))
	r.ack(wire.LCP)
	r.wantClosed(reason.New(reason.ServerAsksOtherAuth))
}

// A client that wants authentication refuses a server that asks for none.
func TestServerAsksForNothing(t *testing.T) {
	for _, must := range []bool{false, true} {
		r := newRaw(t, ppp.Config{Role: ppp.Client, Auth: []ppp.Method{ppp.MSCHAPv2}, User: "alice", Password: "geheim", MustProve: must})
		r.say(frame(wire.LCP, wire.ConfigureRequest, 1))
		r.ack(wire.LCP)
		if !must {
			if _, asked := r.ask[wire.IPCP]; !asked {
				t.Errorf("no IPCP: %q", r.out)
			}
			continue
		}
		r.wantClosed(reason.New(reason.ServerAsksNoAuth))
	}
}
