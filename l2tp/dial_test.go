package l2tp_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
)

// pair is the two ends of a tunnel over a line that loses, doubles and swaps messages.
type pair struct {
	t      *testing.T
	rnd    *rand.Rand
	now    time.Time
	ends   [2]*l2tp.Tunnel // client, server
	line   [2][][]byte     // towards each
	events []string
	cut    bool
}

func newPair(t *testing.T, seed uint64, client, server l2tp.Config) *pair {
	t.Helper()
	p := &pair{t: t, now: start}
	if seed > 0 {
		p.rnd = rand.New(rand.NewPCG(seed, 7))
	}
	p.ends = [2]*l2tp.Tunnel{l2tp.Dial(client, 55, start), l2tp.New(server, 77, start)}
	return p
}

func (p *pair) drain(end int) {
	name := [2]string{"client", "server"}[end]
	for {
		event, ok := p.ends[end].Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case l2tp.Transmit:
			if p.cut {
				continue
			}
			copies := 1
			if p.rnd != nil {
				copies = []int{0, 1, 1, 2}[p.rnd.IntN(4)]
			}
			for range copies {
				p.line[1-end] = append(p.line[1-end], v.Datagram)
			}
			if q := p.line[1-end]; p.rnd != nil && len(q) > 1 && p.rnd.IntN(3) == 0 {
				q[0], q[len(q)-1] = q[len(q)-1], q[0]
			}
		case l2tp.Opened:
			p.events = append(p.events, "opened")
			p.ends[end].Call(p.now, 5)
		case l2tp.Dialled:
			p.ends[end].Accept(p.now, v.PeerSession, 1005)
		case l2tp.Answered:
			p.events = append(p.events, fmt.Sprintf("answered %d %d", v.Session, v.PeerSession))
		case l2tp.Cleared:
			p.events = append(p.events, fmt.Sprintf("%s cleared %d: %s", name, v.Session, v.Reason.String()))
		case l2tp.Closed:
			p.events = append(p.events, fmt.Sprintf("%s closed: %s", name, v.Reason.String()))
		}
	}
}

// run lets time pass until done is true, or for two minutes.
func (p *pair) run(done func() bool) {
	for range 100000 {
		p.drain(0)
		p.drain(1)
		moved := false
		for end := range 2 {
			if len(p.line[end]) > 0 {
				datagram := p.line[end][0]
				p.line[end] = p.line[end][1:]
				h, body, err := wire.ParseHeader(datagram)
				if err != nil {
					p.t.Fatalf("%x: %v", datagram, err)
				}
				p.ends[end].Receive(p.now, h, body)
				moved = true
			}
		}
		if moved {
			continue
		}
		if done() || p.now.Sub(start) > 2*time.Minute {
			return
		}
		next := p.now.Add(time.Minute)
		for _, end := range p.ends {
			if d := end.Deadline(); !d.IsZero() && d.Before(next) {
				next = d
			}
		}
		p.now = next
		for _, end := range p.ends {
			end.Tick(p.now)
		}
	}
	p.t.Fatal("it goes on for ever")
}

func (p *pair) said(what string) func() bool {
	return func() bool { return strings.Contains(strings.Join(p.events, "\n"), what) }
}

// Our client and our server agree over any line: with a secret, without one, and with hidden
// identifiers. Each end learns that the other has hung up.
func TestDial(t *testing.T) {
	for seed := range uint64(300) {
		cfg := l2tp.Config{Secret: []string{"", "s"}[seed%2], Hide: seed%4 == 3}
		p := newPair(t, seed/4, cfg, cfg)
		p.run(p.said("answered 5 1005"))
		if !p.said("opened\nanswered 5 1005")() {
			if seed/4 == 0 || !p.said("no answer")() { // five losses in a row are a dead line
				t.Fatalf("seed %d: %q", seed, p.events)
			}
			continue
		}
		from := int(seed / 2 % 2)
		p.ends[from].Disconnect(p.now, []uint16{5, 1005}[from], reason.New(reason.Dropped, "enough"))
		p.ends[from].Stop(p.now, reason.New(reason.Dropped, "the end"))
		p.run(func() bool { return p.said("client closed: ")() && p.said("server closed: ")() })
		for _, want := range []string{"client cleared 5: ", "server cleared 1005: ", "client closed: ", "server closed: "} {
			if n := strings.Count(strings.Join(p.events, "\n"), want); n != 1 {
				t.Fatalf("seed %d: %q happens %d times: %q", seed, want, n, p.events)
			}
		}
	}
}

func TestDialRefused(t *testing.T) {
	for _, c := range []struct {
		name           string
		client, server l2tp.Config
		want           string
	}{
		{"wrong secret", l2tp.Config{Secret: "a"}, l2tp.Config{Secret: "b"}, "client closed: server does not know the tunnel secret"},
		{"a secret that the server has not", l2tp.Config{Secret: "a"}, l2tp.Config{}, `client closed: server refuses the tunnel (result 4, "no tunnel secret here")`},
		{"a secret that we have not", l2tp.Config{}, l2tp.Config{Secret: "b"}, "client closed: server wants a tunnel secret"},
	} {
		p := newPair(t, 0, c.client, c.server)
		p.run(p.said("client closed"))
		if !p.said(c.want)() {
			t.Errorf("%s: %q, want %q", c.name, p.events, c.want)
		}
	}
	p := newPair(t, 0, l2tp.Config{}, l2tp.Config{})
	p.cut = true
	p.run(p.said("client closed"))
	if fmt.Sprint(p.events) != "[client closed: no answer]" {
		t.Errorf(`got %q, want "[client closed: no answer]"`, p.events)
	}
}

// If the server ends an open tunnel, the reason names the server, not a client.
func TestDialTellsOfTheServer(t *testing.T) {
	for want, body := range map[string][]byte{
		"client closed: server does not accept our tunnel secret": message(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrResultCode, u16(4))),
		"client closed: server closed the tunnel":                 message(wire.StopCCN, wire.AppendAVP(nil, true, wire.AttrResultCode, u16(1))),
		"client closed: server sent an unknown ":                  message(99),
		"client closed: server sent an unknown mandatory AVP":     message(wire.Hello, wire.AppendAVP(nil, true, 4000, nil)),
	} {
		p := newPair(t, 0, l2tp.Config{}, l2tp.Config{})
		p.run(p.said("answered 5 1005"))
		p.ends[0].Receive(p.now, wire.Header{Control: true, HasSeq: true, Tunnel: 55, Ns: 2, Nr: 4}, body)
		p.run(p.said("client closed"))
		if !p.said(want)() {
			t.Errorf("%q, want %q", p.events, want)
		}
	}
}
