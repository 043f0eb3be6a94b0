package session_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"vpnd/ppp"
	"vpnd/ppp/wire"
	"vpnd/testenv"
)

// Encryption that was agreed holds on the network, too, where it is optional: nothing is taken in clear, and
// nothing is sent in clear, whatever somebody forges.
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
			s.passes(c) // behind it
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
