package ppp_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
)

// encrypted is a link with MPPE-128 between two of our engines.
func encrypted(t *testing.T) *wireLink {
	t.Helper()
	client := clientConfig()
	client.MPPE.Mode = ppp.MPPEOptional
	l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	l.start()
	l.run(10 * time.Second)
	l.wantUp()
	return l
}

// If packets no longer decrypt, CCP begins again from either end, with new streams in both
// directions. It does so once in a minute. After a second failure the link ends, and each end knows
// the reason.
func TestUndecryptable(t *testing.T) {
	for _, role := range []ppp.Role{ppp.Server, ppp.Client} {
		l := encrypted(t)
		e, other := l.b, l.a
		if role == ppp.Client {
			e, other = l.a, l.b
		}
		for range 3 {
			out, in := e.up.Encrypter, e.up.Decrypter
			e.Undecryptable(l.now)
			l.drain(e)
			if e.up != nil {
				t.Error("packets may pass before the streams have begun again")
			}
			e.Undecryptable(l.now) // again, while CCP is negotiated
			l.run(10 * time.Second)
			l.wantUp()
			if e.up.Encrypter == out || e.up.Decrypter == in {
				t.Error("the streams are the old ones")
			}
			l.run(time.Minute)
		}
		e.Undecryptable(l.now)
		l.run(10 * time.Second)
		l.wantUp()
		e.Undecryptable(l.now)
		l.run(time.Minute)
		if e.closed == nil || e.closed.Reason.Code != reason.Undecryptable || other.closed == nil || l.a.clear+l.b.clear > 0 {
			t.Errorf("role %d: closed %v, the peer %v", role, e.closed, other.closed)
		}
	}
	// On a link that is not encrypted, or not up, nothing can begin again.
	r := newRaw(t, papOnly)
	r.e.Undecryptable(r.now)
	r.openPAP()
	r.openIPCP()
	r.e.Undecryptable(r.now)
	r.drain()
	if r.up() == nil {
		t.Error("a link in clear has gone down")
	}
}

// pppd does not negotiate CCP again: it hangs up. The reason names the cause before that.
func TestPeerHangsUpInsteadOfCCP(t *testing.T) {
	r := newRaw(t, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional}})
	r.logIn()
	r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, 1, 0, 0, 0x40))
	r.ack(wire.CCP)
	r.openIPCP()
	r.e.Undecryptable(r.now)
	r.drain()
	r.say(frame(wire.LCP, wire.TerminateRequest, 7, []byte("MPPE disabled")...))
	r.wantClosed(reason.New(reason.HungUpUndecryptable, `"MPPE disabled"`))
}

// A peer decrypts none of our packets if it asks for resets of a stateless stream or rejects
// protocols that nobody has sent. A single sign may be chance. On a carrier that swaps packets,
// resets may be chance too.
func TestPeerCannotDecrypt(t *testing.T) {
	reset := frame(wire.CCP, wire.ResetRequest, 9)
	rejects := frame(wire.LCP, wire.ProtocolReject, 9, 0x12, 0x35, 1, 2, 3)
	ours := frame(wire.LCP, wire.ProtocolReject, 9, 0x00, 0x21, 1, 2, 3)
	for name, c := range map[string]struct {
		frame     []byte
		pause     time.Duration
		reordered bool
		again     bool
	}{
		"resets":                     {reset, 100 * time.Millisecond, false, true},
		"resets, now and then":       {reset, 11 * time.Second, false, false},
		"resets, packets swapped":    {reset, 100 * time.Millisecond, true, false},
		"rejects":                    {rejects, 100 * time.Millisecond, true, true},
		"rejects, now and then":      {rejects, 11 * time.Second, false, false},
		"rejects of what we do send": {ours, 100 * time.Millisecond, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientConfig()
			client.MPPE.Mode = ppp.MPPEOptional
			l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional, Reordered: c.reordered}})
			l.start()
			l.run(10 * time.Second)
			l.wantUp()
			out := l.b.up.Encrypter
			for range 20 {
				l.b.Receive(l.now, c.frame)
				l.run(c.pause)
			}
			l.run(10 * time.Second)
			l.wantUp()
			if again := l.b.up.Encrypter != out; again != c.again {
				t.Errorf("begun again: %v\n%s", again, l.tail())
			}
		})
	}
}

// A count from the past is a late packet only if the carrier may swap packets.
func TestLatePackets(t *testing.T) {
	for _, reordered := range []bool{false, true} {
		client := clientConfig()
		client.MPPE.Mode = ppp.MPPEOptional
		l := newLink(t, client, ppp.Config{MPPE: ppp.MPPE{Mode: ppp.MPPEOptional, Reordered: reordered}})
		l.start()
		l.run(10 * time.Second)
		p := []byte{0x00, 0x21, 1, 2, 3}
		header := l.a.up.Encrypter.Seal(p)
		_ = l.b.up.Decrypter.Open(header, p)
		if n := l.b.up.Decrypter.KeyChanges(header); (n == 0) != reordered {
			t.Errorf("reordered %v: %d key changes for the same packet again", reordered, n)
		}
	}
}

// After a later challenge, MPPE's next keys come from that challenge at either end, as with pppd.
// Open streams continue.
func TestKeysAfterRechallenge(t *testing.T) {
	r := newRaw(t, ppp.Config{Rechallenge: time.Minute, MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
	r.logIn()
	r.say(frame(wire.CCP, wire.ConfigureRequest, 6, 18, 6, 1, 0, 0, 0x40))
	r.ack(wire.CCP)
	r.openIPCP()
	first := r.up().Encrypter
	r.now = r.now.Add(time.Minute)
	r.out = nil
	r.e.Tick(r.now)
	r.drain()
	if !strings.Contains(strings.Join(r.out, "\n"), "CHAP Challenge") {
		t.Fatalf("got %q, want a CHAP Challenge in it", r.out)
	}
	response := r.prove()
	if up := r.up(); up == nil || up.Encrypter != first {
		t.Fatal("a later challenge changes the open streams")
	}
	r.say(frame(wire.CCP, wire.ConfigureRequest, 7, 18, 6, 1, 0, 0, 0x40))
	r.ack(wire.CCP)
	_, down := mppe.StartKeysV2(chap.HashHash(chap.NTHash("geheim")), response.NTResponse)
	packet := []byte{0x00, 0x21, 'h', 'i'}
	header := r.up().Encrypter.Seal(packet)
	if err := mppe.NewDecrypter(down, mppe.Bits128, true).Open(header, packet); err != nil || string(packet) != "\x00\x21hi" {
		t.Errorf(`%v, %q, want nil, "\x00\x21hi"`, err, packet)
	}

	client := clientConfig()
	client.MPPE.Mode = ppp.MPPERequired
	l := newLink(t, client, ppp.Config{Rechallenge: time.Minute, MPPE: ppp.MPPE{Mode: ppp.MPPERequired}})
	l.start()
	l.run(90 * time.Second)
	l.wantUp()
	l.b.Undecryptable(l.now)
	l.run(10 * time.Second)
	l.wantUp()
}
