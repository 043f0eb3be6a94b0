package testenv

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
	"vpnd/internal/link"
	"vpnd/l2tp/wire"
)

// floodAddresses is the number of addresses that a flood comes from.
const floodAddresses = 500

// FloodSCCRQ sends n SCCRQs as fast as it can, until stop is closed. They come from 500 addresses,
// ten at most from each port. It gives the number of SCCRQs that it has sent.
func (h *Host) FloodSCCRQ(n int, stop <-chan struct{}) int {
	h.t.Helper()
	server := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(ServerAddress + ":1701"))
	run(h.t, "-n", h.Namespace, "route", "add", "local", "198.18.0.0/16", "dev", "lo")
	run(h.t, "-n", h.Namespace, "route", "replace", "192.0.2.0/24", "dev", "eth0")
	sent := 0
	err := InNamespace(h.Namespace, func() error {
		for i := 0; sent < n; i++ {
			select {
			case <-stop:
				return nil
			default:
			}
			from := &net.UDPAddr{IP: net.IPv4(198, 18, byte(i%floodAddresses/250), byte(1+i%250))}
			conn, err := net.DialUDP("udp4", from, server)
			if err != nil {
				return err
			}
			for range min(10, n-sent) {
				body := wire.AppendAVP(nil, true, wire.AttrMessageType, []byte{0, byte(wire.SCCRQ)})
				body = wire.AppendAVP(body, true, wire.AttrProtocolVersion, []byte{1, 0})
				body = wire.AppendAVP(body, true, wire.AttrTunnelID, binary.BigEndian.AppendUint16(nil, uint16(sent%65535+1)))
				if _, err := conn.Write(wire.AppendControl(nil, wire.Header{}, body)); err != nil {
					_ = conn.Close()
					return fmt.Errorf("SCCRQ %d: %w", sent, err)
				}
				sent++
			}
			_ = conn.Close()
		}
		return nil
	})
	if err != nil {
		h.t.Errorf("flood: %v", err)
	}
	return sent
}

// Ping sends an ICMP echo request to the server's inner address, and reports whether an answer
// comes.
func (c *Client) Ping(limit time.Duration) bool {
	network, up := c.Network()
	if !up {
		return false
	}
	before, _ := c.Packets()
	p := make([]byte, 28)
	p[0], p[3], p[8], p[9] = 0x45, 28, 64, 1
	copy(p[12:], network.Local.AsSlice())
	copy(p[16:], network.Peer.AsSlice())
	p[20] = 8
	put := func(at int, part []byte) {
		sum := uint32(0)
		for i := 0; i < len(part); i += 2 {
			sum += uint32(part[i])<<8 | uint32(part[i+1])
		}
		binary.BigEndian.PutUint16(p[at:], ^uint16(sum+sum>>16))
	}
	put(10, p[:20])
	put(22, p[20:])
	var out link.Batch
	c.SendIP(&out, p)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if now, _ := c.Packets(); now > before {
			return true
		}
	}
	return false
}
