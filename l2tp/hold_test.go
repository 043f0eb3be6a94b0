package l2tp_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// access is a LAC that brings its subscribers back after an outage. It sends ICRQs as fast as our
// window allows, repeats nothing, and acknowledges at once.
type access struct {
	t             *testing.T
	c             *l2tp.Tunnel
	now           time.Time
	ns, acked, nr uint16
	waiting       [][]byte
	session       []uint16 // of each message of waiting
	line          [][]byte // our datagrams
	answered      int
	ended         []string
}

func (l *access) say(session uint16, body []byte) {
	l.waiting, l.session = append(l.waiting, body), append(l.session, session)
}

// send sends as many messages as our window of 8 allows.
func (l *access) send() {
	for len(l.waiting) > 0 && l.ns-l.acked < 8 {
		h := wire.Header{Control: true, HasSeq: true, Tunnel: 77, Session: l.session[0], Ns: l.ns, Nr: l.nr}
		body := l.waiting[0]
		l.waiting, l.session = l.waiting[1:], l.session[1:]
		l.ns++
		l.c.Receive(l.now, h, body)
		clear(body) // the Tunnel must not keep it
		l.drain()
	}
}

func (l *access) drain() {
	for {
		event, ok := l.c.Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case l2tp.Transmit:
			l.line = append(l.line, v.Datagram)
		case l2tp.Dialled:
			l.c.Accept(l.now, v.PeerSession, 1000+v.PeerSession)
		case l2tp.Closed:
			l.ended = append(l.ended, v.Reason.String())
		}
	}
}

// hear takes one of our datagrams.
func (l *access) hear() {
	h, body, err := wire.ParseHeader(l.line[0])
	l.line = l.line[1:]
	if err != nil {
		l.t.Fatal(err)
	}
	l.acked = h.Nr
	if len(body) > 0 && h.Ns == l.nr {
		l.nr++
		avps, err := wire.ParseAVPs(body, "")
		if err != nil {
			l.t.Fatal(err)
		}
		switch wire.MessageType(binary.BigEndian.Uint16(avps[0].Value)) {
		case wire.SCCRP:
			l.say(0, message(wire.SCCCN))
		case wire.ICRP:
			l.answered++
			l.say(h.Session+1000, message(wire.ICCN))
		default:
		}
		l.c.Receive(l.now, wire.Header{Control: true, HasSeq: true, Tunnel: 77, Ns: l.ns, Nr: l.nr}, nil)
		l.drain()
	}
}

// All calls are answered without a repetition, for any window of the LAC and any number of calls at
// once.
func TestCallsAtOnce(t *testing.T) {
	for _, window := range []uint16{1, 2, 4, 8, 128} {
		for _, calls := range []int{50, 150, 1000} {
			t.Run(fmt.Sprintf("window %d, %d calls", window, calls), func(t *testing.T) {
				l := &access{t: t, c: l2tp.New(l2tp.Config{}, 77, start), now: start}
				l.say(0, sccrq(avp(wire.AttrReceiveWindow, u16(window)...)))
				l.send()
				l.hear()
				l.send()
				for id := range uint16(calls) {
					l.say(0, message(wire.ICRQ, avp(wire.AttrSessionID, u16(id+1)...)))
				}
				for l.send(); len(l.line) > 0; l.send() {
					l.hear()
				}
				if l.answered != calls || len(l.ended) > 0 || len(l.waiting) > 0 {
					t.Errorf("%d are answered, %d messages wait, closed: %v", l.answered, len(l.waiting), l.ended)
				}
			})
		}
	}
}

// A peer that keeps dialling and acknowledges nothing gets a limited number of calls. It is given
// up when it sends nothing else. Its StopCCN is taken at any time.
func TestNeverAcknowledges(t *testing.T) {
	for _, stop := range []bool{false, true} {
		p := newPeer(t, l2tp.Config{})
		p.say(0, sccrq())
		p.say(0, message(wire.SCCCN))
		taken := 0
		for n := range uint16(200) {
			p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Ns: p.ns, Nr: 1}, message(wire.ICRQ, avp(wire.AttrSessionID, u16(n+1)...)))
			p.drain()
			if len(p.calls) > taken {
				taken = len(p.calls)
				p.ns++
			}
		}
		if taken == 0 || taken > 64 || len(p.ended) > 0 {
			t.Fatalf("%d calls, ended: %v", taken, p.ended)
		}
		want := "closed client no longer answers"
		if stop {
			// The StopCCN is ahead of a held call.
			p.c.Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: p.tunnel, Ns: p.ns + 1, Nr: 1}, message(wire.StopCCN))
			p.drain()
			want = "closed client closed the tunnel"
		}
		p.wait(time.Minute)
		if n := len(p.ended); n != taken+1 || p.ended[n-1] != want {
			t.Errorf("stop %v: %d ended, %v", stop, n, p.ended[max(0, n-1):])
		}
	}
}
