package client_test

import (
	"net"
	"testing"
	"time"
	"vpnd/internal/link/linktest"
	"vpnd/pptp/wire"
)

// The server's GRE packets can overtake its answer by TCP. They wait for the session, in order, and
// are not lost.
func TestFramesBeforeTheAnswer(t *testing.T) {
	d := newDialer(t)
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	gre, err := net.ListenPacket("ip4:47", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gre.Close() }()
	served := make(chan struct{})
	go func() {
		defer close(served)
		tcp, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_ = tcp.SetDeadline(time.Now().Add(20 * time.Second))
		var buf []byte
		hear := func() wire.Message {
			for {
				if m, n, err := wire.Parse(buf); err == nil {
					buf = buf[n:]
					return m
				}
				var b [512]byte
				n, err := tcp.Read(b[:])
				if err != nil {
					return nil
				}
				buf = append(buf, b[:n]...)
			}
		}
		hear()
		_, _ = tcp.Write((&wire.StartReply{Version: wire.Version, Result: 1}).Append(nil))
		request, ok := hear().(*wire.OutgoingCallRequest)
		if !ok {
			t.Error("no Outgoing-Call-Request")
			return
		}
		for seq := range uint32(3) {
			h := wire.GRE{CallID: request.CallID, HasSeq: true, Seq: seq}
			b := make([]byte, h.Len(), 40)
			h.Put(b, 1)
			if _, err := gre.WriteTo(append(b, 'a'+byte(seq)), &net.IPAddr{IP: clientIP.AsSlice()}); err != nil {
				t.Error(err)
			}
		}
		_, _ = tcp.Write((&wire.OutgoingCallReply{CallID: 9, PeerCallID: request.CallID, Result: 1}).Append(nil))
		if m := hear(); m != nil {
			t.Errorf("got %+v, want nothing", m)
		}
		_ = tcp.Close()
	}()
	var end *linktest.End
	if end, err = dial(t, d, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b", "c"} {
		end.Want(end.Frames, want)
	}
	end.Link.(interface{ Forsake() }).Forsake()
	<-served
}
