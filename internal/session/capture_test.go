package session_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"vpnd/auth/motp"
	"vpnd/internal/capture"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/ppp/wire"

	"github.com/google/gopacket/pcapgo"
)

// running is a capture of a test.
type running struct {
	rec  *capture.Recording
	stop func()
}

func (s *stack) capture(c session.Capture) running {
	s.tb.Helper()
	c.To = capture.New()
	stop, err := s.m.Capture(c)
	if err != nil {
		s.tb.Fatal(err)
	}
	return running{c.To, stop}
}

// frames ends the capture. It gives the frames of each connection in readable form, and the file.
func (r running) frames(t *testing.T) (by map[string][]string, file []byte) {
	t.Helper()
	r.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := r.rec.Write(ctx, &out, "", 1<<30); err != nil {
		t.Fatal(err)
	}
	ng, err := pcapgo.NewNgReader(bytes.NewReader(out.Bytes()), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	by = map[string][]string{}
	for {
		data, ci, err := ng.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return by, out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		i, err := ng.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		by[i.Name] = append(by[i.Name], []string{"received ", "sent "}[data[0]]+wire.Format(data[1:]))
	}
}

// has fails the test unless lines contains want in that order.
func has(t *testing.T, what string, lines []string, want ...string) {
	t.Helper()
	n := 0
	for _, line := range lines {
		if n < len(want) && strings.HasPrefix(line, want[n]) {
			n++
		}
	}
	if n < len(want) {
		t.Errorf("%s: %q is missing in\n%s", what, want[n], strings.Join(lines, "\n"))
	}
}

// A capture of a user begins before the user dials. It has the negotiation from its first frame,
// nothing of other users, and no secret. A capture of a peer has all calls of the peer, and user
// data on request.
func TestCapture(t *testing.T) {
	for _, method := range []ppp.Method{ppp.PAP, ppp.CHAPMD5, ppp.MSCHAPv1, ppp.MSCHAPv2} {
		t.Run(method.String(), func(t *testing.T) { captureOf(t, method) })
	}
}

func captureOf(t *testing.T, method ppp.Method) {
	s := newStack(t, func(c *session.Config) { c.PPP.Auth = []ppp.Method{method} })
	user, peer := s.capture(session.Capture{User: "ALICE"}), s.capture(session.Capture{Peer: clientIP, All: true})
	other := config(method)
	other.User, other.Password = "otto", token.Code(motp.Step(time.Now()))
	if _, err := s.dial(other); err != nil {
		t.Fatal(err)
	}
	wrong := config(method)
	wrong.Password = "falsch"
	if _, err := s.dial(wrong); err == nil {
		t.Fatal("a wrong password is taken")
	}
	c, err := s.dial(config(method))
	if err != nil {
		t.Fatal(err)
	}
	s.passes(c)
	c.Hangup()
	s.wait("alice is gone", func() bool { return s.m.Count() == 1 })
	ask, answer := "sent CHAP Challenge", "received CHAP Response"
	verdicts := []string{"sent CHAP Failure", "sent CHAP Success"}
	if method == ppp.PAP {
		ask, answer, verdicts = "sent LCP ConfAck", "received PAP AuthReq", []string{"sent PAP AuthNak", "sent PAP AuthAck"}
	}
	of, file := user.frames(t)
	if len(of) != 2 { // the one that was refused, and the one that was let in
		t.Fatalf("%v: %q, want two connections", method, of)
	}
	seen := 0
	for id, lines := range of {
		all := strings.Join(lines, "\n")
		for _, verdict := range verdicts {
			if strings.Contains(all, verdict) {
				seen++
				has(t, id, lines, "received LCP ConfReq", "sent LCP ConfAck", answer, verdict)
				has(t, id, lines, "sent LCP ConfReq", "received LCP ConfAck")
			}
		}
		has(t, id, lines, ask)
		if strings.Contains(all, "protocol 0x") {
			t.Errorf("%v: there is user data among control frames:\n%s", method, all)
		}
		if strings.Contains(all, verdicts[1]) {
			has(t, id, lines, "sent IPCP ConfReq", "received IPCP ConfAck", "received LCP TermReq", "sent LCP TermAck")
		}
	}
	if seen != 2 {
		t.Errorf("%v: %q, want a verdict for each of two", method, of)
	}
	from, whole := peer.frames(t)
	if len(from) != 3 {
		t.Errorf("%v: %d connections of the peer", method, len(from))
	}
	ups := 0
	for id, lines := range from {
		if strings.Contains(strings.Join(lines, "\n"), "received LCP TermReq") && strings.Contains(strings.Join(lines, "\n"), verdicts[1]) {
			ups++
			has(t, id, lines, verdicts[1], "received protocol 0x0021, 28 bytes", "sent protocol 0x0021, 28 bytes", "received LCP TermReq")
		}
	}
	if ups != 1 {
		t.Errorf("%v: %q, want one that came up", method, from)
	}
	for _, secret := range []string{"geheim", "falsch", other.Password} {
		if bytes.Contains(file, []byte(secret)) || bytes.Contains(whole, []byte(secret)) {
			t.Errorf("%v: %s is recorded", method, secret)
		}
	}
}

// A capture of one connection can begin in the middle of it. The number of simultaneous captures
// has a limit.
func TestCaptureOfConnection(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	id := s.m.Connections()[0].ID
	if _, err := s.m.Capture(session.Capture{Connection: "nothing", To: capture.New()}); !errors.Is(err, session.ErrNoConnection) {
		t.Errorf("got %v, want %v", err, session.ErrNoConnection)
	}
	control, all := s.capture(session.Capture{Connection: id}), s.capture(session.Capture{Connection: id, All: true})
	for range 2 {
		s.capture(session.Capture{User: "nobody"})
	}
	if _, err := s.m.Capture(session.Capture{User: "alice", To: capture.New()}); !errors.Is(err, session.ErrCaptures) {
		t.Errorf("got %v, want %v", err, session.ErrCaptures)
	}
	s.passes(c)
	if of, _ := all.frames(t); len(of[id]) != 2 {
		t.Errorf("got %q, want two frames of %s", of, id)
	}
	again := s.capture(session.Capture{User: "alice", All: true}) // a place is free again
	s.passes(c)
	again.stop()
	s.passes(c) // nobody records now
	if of, _ := again.frames(t); len(of[id]) != 2 {
		t.Errorf("got %q, want two frames of %s", of, id)
	}
	c.Hangup()
	s.empty()
	of, _ := control.frames(t)
	has(t, id, of[id], "received LCP TermReq", "sent LCP TermAck")
	if len(of) != 1 || len(of[id]) != 2 {
		t.Errorf("got %q, want two frames, all of %s", of, id)
	}
}

// A recording that nobody reads delays no packet.
func TestCaptureThatNobodyReads(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	r := s.capture(session.Capture{User: "alice", All: true})
	for range 600 {
		s.passes(c)
	}
	if of, _ := r.frames(t); len(of) != 1 || r.rec.Dropped() < 2*600-1024 {
		t.Errorf("%d connections, %d frames dropped", len(of), r.rec.Dropped())
	}
}
