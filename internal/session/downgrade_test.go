package session_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
)

// Encryption that was agreed holds on the network, even if it is optional. The server takes nothing
// in clear and sends nothing in clear, with any forged packet.
func TestNothingPassesInClear(t *testing.T) {
	for name, forged := range map[string][]byte{
		"LCP Protocol-Reject of CCP": frame(wire.LCP, wire.ProtocolReject, 200, 0x80, 0xFD),
		"CCP Terminate-Request":      frame(wire.CCP, wire.TerminateRequest, 200),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, nil)
			var inClear atomic.Int64
			c := &testenv.Client{Watch: func(f []byte) bool {
				if protocol, _, err := wire.ParseFrame(f); err == nil && protocol == wire.IPv4 {
					inClear.Add(1)
				}
				return true
			}}
			cfg := config()
			cfg.MPPE.Mode = ppp.MPPEOptional
			if err := s.dialWith(c, cfg); err != nil {
				t.Fatal(err)
			}
			s.passes(c)
			network, _ := c.Network()
			evil := ping(network.Local, netip.MustParseAddr("192.168.1.1"))
			c.Send(append([]byte{0xFF, 0x03, 0x00, 0x21}, evil...))
			s.passes(c) // after it
			if slices.ContainsFunc(s.dev.packets(), func(p []byte) bool { return bytes.Equal(p, evil) }) {
				t.Error("a packet in clear is taken")
			}
			c.Send(forged)
			s.wait("the connection is over", func() bool {
				select {
				case s.dev.in <- ping(inner, network.Local):
				default:
				}
				return strings.Contains(s.log.String(), "msg=disconnected")
			})
			if n := inClear.Load(); n > 0 {
				t.Errorf("%d packets have come in clear", n)
			}
		})
	}
}

// A client that changes the encryption again and again does not fill the log.
func TestChangesOfEncryption(t *testing.T) {
	s := newStack(t, nil)
	said, own := make(chan wire.Packet, 100), atomic.Bool{}
	c := &testenv.Client{Watch: func(f []byte) bool {
		protocol, info, _ := wire.ParseFrame(f)
		if protocol != wire.CCP || !own.Load() {
			return true
		}
		if p, err := wire.ParsePacket(bytes.Clone(info)); err == nil {
			said <- p
		}
		return false
	}}
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPEOptional
	if err := s.dialWith(c, cfg); err != nil {
		t.Fatal(err)
	}
	own.Store(true)
	for id := range byte(50) {
		c.Send(frame(wire.CCP, wire.ConfigureRequest, 100+id, 18, 6, id&1, 0, 0, 0x40)) // stateful and stateless in turn
		for asked, acked := false, false; !asked || !acked; {
			select {
			case p := <-said:
				asked, acked = asked || p.Code == wire.ConfigureRequest, acked || p.Code == wire.ConfigureAck
				if p.Code == wire.ConfigureRequest {
					c.Send(frame(wire.CCP, wire.ConfigureAck, p.ID, p.Body...))
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("change %d comes to nothing", id)
			}
		}
	}
	c.Hangup()
	s.wait("the connection is over", func() bool { return strings.Contains(s.log.String(), "msg=disconnected") })
	shown, kept := strings.Count(s.log.String(), `level=INFO msg="encryption changed"`), strings.Count(s.log.String(), `level=DEBUG msg="encryption changed"`)
	if shown != 10 || kept < 30 {
		t.Errorf("%d changes in the log, %d at debug level", shown, kept)
	}
}
