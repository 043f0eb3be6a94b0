package client_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
	"vpnd/l2tp/client"
	"vpnd/l2tp/wire"
)

// answerer is a server of one call, at the level of messages. It answers from a port of its choice.
type answerer struct {
	well, other *net.UDPConn
	from        *net.UDPAddr // the client
	tunnel      uint16       // the client's
	ns, nr      uint16
}

func newAnswerer(t *testing.T) *answerer {
	t.Helper()
	a := new(answerer)
	for _, c := range []struct {
		conn **net.UDPConn
		port int
	}{{&a.well, int(at.Port())}, {&a.other, 0}} {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice(), Port: c.port})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		*c.conn = conn
	}
	return a
}

// hear waits for a message of a kind on a socket, and returns an attribute of it.
func (a *answerer) hear(t *testing.T, by *net.UDPConn, kind wire.MessageType, attr wire.Attribute) uint16 {
	t.Helper()
	b := make([]byte, 2048)
	for {
		n, from, err := by.ReadFromUDP(b)
		if err != nil {
			t.Errorf("no %v: %v", kind, err)
			return 0
		}
		h, body, err := wire.ParseHeader(b[:n])
		if err != nil || !h.Control || len(body) == 0 || h.Ns != a.nr {
			continue
		}
		a.nr++
		a.from = from
		avps, _ := wire.ParseAVPs(body, "")
		if got := wire.MessageType(binary.BigEndian.Uint16(avps[0].Value)); got != kind {
			t.Errorf("%v, want %v", got, kind)
		}
		for _, v := range avps {
			if v.Type == attr {
				return binary.BigEndian.Uint16(v.Value)
			}
		}
		return 0
	}
}

func (a *answerer) say(t *testing.T, by *net.UDPConn, h wire.Header, kind wire.MessageType, avps ...[]byte) {
	t.Helper()
	b := wire.AppendAVP(nil, true, wire.AttrMessageType, binary.BigEndian.AppendUint16(nil, uint16(kind)))
	for _, v := range avps {
		b = append(b, v...)
	}
	h.Ns, h.Nr = a.ns, a.nr
	if _, err := by.WriteToUDP(wire.AppendControl(nil, h, b), a.from); err != nil {
		t.Error(err)
	}
}

// RFC 2661 section 8.1: a server answers from a port of its choice, and keeps it. The client then
// sends everything there, and ignores datagrams from elsewhere.
func TestServerPicksAPort(t *testing.T) {
	a := newAnswerer(t)
	served := make(chan struct{})
	id := func(attr wire.Attribute, v uint16) []byte {
		return wire.AppendAVP(nil, true, attr, binary.BigEndian.AppendUint16(nil, v))
	}
	version := wire.AppendAVP(nil, true, wire.AttrProtocolVersion, []byte{1, 0})
	go func() {
		defer close(served)
		a.tunnel = a.hear(t, a.well, wire.SCCRQ, wire.AttrTunnelID)
		stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 4, 9)})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = stranger.Close() }()
		a.say(t, stranger, wire.Header{Tunnel: a.tunnel}, wire.SCCRP, version, id(wire.AttrTunnelID, 66))    // another address
		a.say(t, a.other, wire.Header{Tunnel: a.tunnel + 1}, wire.SCCRP, version, id(wire.AttrTunnelID, 66)) // another tunnel
		a.say(t, a.other, wire.Header{Tunnel: a.tunnel}, wire.Hello)                                         // not an answer
		a.say(t, a.other, wire.Header{Tunnel: a.tunnel}, wire.SCCRP, version, id(wire.AttrTunnelID, 5))
		a.ns++
		a.hear(t, a.other, wire.SCCCN, 0)
		a.say(t, a.well, wire.Header{Tunnel: a.tunnel}, wire.StopCCN, id(wire.AttrResultCode, 1), id(wire.AttrTunnelID, 5))
		session := a.hear(t, a.other, wire.ICRQ, wire.AttrSessionID)
		a.say(t, a.other, wire.Header{Tunnel: a.tunnel, Session: session}, wire.ICRP, id(wire.AttrSessionID, 6))
		a.ns++
		a.hear(t, a.other, wire.ICCN, 0)
		for _, d := range []struct {
			by     *net.UDPConn
			tunnel uint16
			frame  string
		}{{a.well, a.tunnel, "from the old port"}, {a.other, a.tunnel + 1, "of another tunnel"}, {a.other, a.tunnel, "hello"}} {
			h := wire.Header{Tunnel: d.tunnel, Session: session}
			b := make([]byte, h.DataLen(), 100)
			h.PutData(b)
			if _, err := d.by.WriteToUDP(append(b, d.frame...), a.from); err != nil {
				t.Error(err)
			}
		}
	}()
	end, err := dial(t, &client.Dialer{})
	if err != nil {
		t.Fatal(err)
	}
	end.Want(end.Frames, "hello")
	<-served
	end.Say("to the port")
	b := make([]byte, 2048)
	for {
		n, err := a.other.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if h, frame, err := wire.ParseHeader(b[:n]); err == nil && !h.Control {
			if string(frame) != "to the port" || h.Tunnel != 5 || h.Session != 6 {
				t.Errorf(`%+v %q, want tunnel 5, session 6, "to the port"`, h, frame)
			}
			break
		}
	}
}
