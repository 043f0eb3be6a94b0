package session_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/session"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
)

// windows makes of what our engine sends what Windows 10 sent in a trace against another server: one
// counter of identifiers for all protocols of the link, callback in the first LCP request, three
// Identifications when LCP is open, IPV6CP before CCP, and a CCP request that leaves the strength to us. A
// stateful one insists on streams that are not stateless.
type windows struct {
	link.Link
	heard
	c        *testenv.Client
	stateful bool

	mu       sync.Mutex
	next     uint8
	ids      map[uint8]uint8 // the engine's, by the one on the wire
	lcp      wire.Packet     // the engine's request
	rejected bool            // callback was
	begun    map[wire.Protocol]bool
}

const callback = "\x0d\x03\x06"

var guid = bytes.Repeat([]byte{0xAB, 0x00, 0x1B, 0x0A}, 4)

func (w *windows) put(out *link.Batch, protocol wire.Protocol, p wire.Packet) {
	b := pktbuf.Get()
	b.Append(p.Append(wire.AppendFrame(nil, protocol)))
	w.Link.Send(b, out)
}

// ask sends a request of the engine under the next identifier.
func (w *windows) ask(out *link.Batch, protocol wire.Protocol, p wire.Packet) {
	w.ids[w.next] = p.ID
	p.ID = w.next
	w.next++
	w.put(out, protocol, p)
}

func (w *windows) Send(b *pktbuf.Buf, out *link.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	protocol, info, _ := wire.ParseFrame(b.Bytes())
	p, err := wire.ParsePacket(info)
	first := !w.begun[protocol]
	asks := slices.Contains([]wire.Protocol{wire.LCP, wire.CCP, wire.IPCP, wire.IPV6CP}, protocol) &&
		slices.Contains([]wire.Code{wire.ConfigureRequest, wire.TerminateRequest, wire.EchoRequest, wire.Identification}, p.Code)
	switch {
	case err != nil || !asks && protocol != wire.CHAP:
		w.Link.Send(b, out)
		return
	case protocol == wire.CHAP:
		for _, text := range []string{"MSRASV5.20", "MSRAS-0-COMPUTERNAME", string(guid)} {
			if first {
				w.ask(out, wire.LCP, wire.Packet{Code: wire.Identification, Body: append([]byte{1, 2, 3, 4}, text...)})
			}
		}
		w.Link.Send(b, out)
	default:
		defer b.Release()
		p.Body = bytes.Clone(p.Body)
		if p.Code == wire.ConfigureRequest {
			if p = w.configure(out, protocol, p, first); p.Code == 0 {
				break
			}
		}
		w.ask(out, protocol, p)
	}
	w.begun[protocol] = true
}

// configure makes a Configure-Request what Windows makes of it; one without a code is not sent.
func (w *windows) configure(out *link.Batch, protocol wire.Protocol, p wire.Packet, first bool) wire.Packet {
	switch {
	case protocol == wire.LCP:
		w.lcp = p
		if !w.rejected {
			p.Body = append(bytes.Clone(p.Body), callback...)
		}
	case protocol == wire.CCP && first:
		w.ask(out, wire.IPV6CP, wire.Packet{Code: wire.ConfigureRequest, Body: []byte{1, 10, 1, 2, 3, 4, 5, 6, 7, 8}})
		if w.stateful { // the engine is told what it wants
			b := pktbuf.Get()
			b.Append(frame(wire.CCP, wire.ConfigureNak, p.ID, 18, 6, 0, 0, 0, 0x40))
			go w.c.Frame(b)
			return wire.Packet{}
		}
		p.Body = []byte{18, 6, 1, 0, 0, 0}
	}
	return p
}

// watch gives what has come to the engine as if it had asked it.
func (w *windows) watch(f []byte) bool {
	w.heard.watch(f)
	w.mu.Lock()
	defer w.mu.Unlock()
	protocol, info, _ := wire.ParseFrame(f)
	p, err := wire.ParsePacket(info)
	if err != nil || !slices.Contains([]wire.Protocol{wire.LCP, wire.CCP, wire.IPCP}, protocol) {
		return true
	}
	var out link.Batch
	defer out.Flush()
	switch p.Code {
	case wire.ConfigureReject:
		if protocol == wire.LCP && string(p.Body) == callback {
			w.rejected = true
			w.ask(&out, wire.LCP, w.lcp)
			return false
		}
		info[1] = w.ids[p.ID]
	case wire.ConfigureAck, wire.ConfigureNak, wire.TerminateAck, wire.EchoReply:
		info[1] = w.ids[p.ID]
	case wire.ConfigureRequest:
		if protocol == wire.CCP && w.stateful && len(p.Body) == 6 && p.Body[2] != 0 {
			w.put(&out, wire.CCP, wire.Packet{Code: wire.ConfigureNak, ID: p.ID, Body: []byte{18, 6, 0, 0, 0, 0x40}})
			return false
		}
	default:
	}
	return true
}

func TestPersonaWindows10(t *testing.T) {
	for _, mode := range []ppp.MPPEMode{ppp.MPPEOptional, ppp.MPPERequired} {
		for _, stateful := range []bool{false, true} {
			t.Run(fmt.Sprintf("mode %d stateful %v", mode, stateful), func(t *testing.T) { windows10(t, mode, stateful) })
		}
	}
}

func windows10(t *testing.T, mode ppp.MPPEMode, stateful bool) {
	t.Helper()
	s := newStack(t, func(c *session.Config) { c.PPP.MPPE.Mode = mode })
	w := &windows{stateful: stateful, ids: map[uint8]uint8{}, begun: map[wire.Protocol]bool{}}
	w.c = &testenv.Client{Watch: w.watch, Swap: true, Wrap: func(l link.Link) link.Link { w.Link = l; return w }}
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPERequired
	if err := s.dialWith(w.c, cfg); err != nil {
		t.Fatalf("%v\n%s", err, w.all())
	}
	s.passes(w.c)
	crypto, bits, nak := "MPPE-128 stateless", byte(1), "CCP ConfNak id=0x6 <mppe +H -M +S -L -D -C>"
	if stateful {
		crypto, bits, nak = "MPPE-128 stateful", 0, "CCP ConfAck id=0x6 <mppe -H -M +S -L -D -C>"
	}
	for _, text := range []string{"LCP ConfRej id=0x0 <13 06>", "LCP ConfAck id=0x1 ", "LCP ProtRej", nak} {
		if !w.has(text) {
			t.Errorf("no %q in\n%s", text, w.all())
		}
	}
	s.wait("three identifications", func() bool { return strings.Count(s.log.String(), "text=\"identification") == 3 })
	for _, raw := range []string{"\x1b", "\xab"} {
		if strings.Contains(s.log.String(), raw) {
			t.Error("octets of the peer are in the log as they came")
		}
	}
	for range 3 { // CCP is asked for again, with the bits that were agreed
		before, _ := w.c.Network()
		w.c.Send(frame(wire.CCP, wire.ConfigureRequest, 0, 18, 6, bits, 0, 0, 0x40))
		s.wait("the link is up with new streams", func() bool {
			network, up := w.c.Network()
			return up && network.Encrypter != before.Encrypter
		})
		s.passes(w.c)
		if list := s.m.Connections(); len(list) != 1 || list[0].Encryption != crypto {
			t.Errorf("%+v, want %s", list, crypto)
		}
	}
	network, _ := w.c.Network()
	var out link.Batch
	before := len(s.dev.packets())
	for range 300 { // over the end of a stateful key's packets
		w.c.SendIP(&out, ping(network.Local, inner), ping(network.Local, inner))
	}
	s.wait("all packets arrive", func() bool { return len(s.dev.packets()) == before+600 })
	w.c.Send(frame(wire.LCP, wire.EchoReply, 9, 1, 2, 3, 4))
	w.c.Send(frame(wire.LCP, wire.EchoReply, 9, 1, 2, 3, 4))
	s.passes(w.c)
	w.c.Hangup()
	s.empty()
}
