// Package recording reads recorded dial-ins. Tests use them to compare the protocols with the bytes
// of other programs.
package recording

import (
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Client is the address of the client that dials in.
const Client = "192.0.2.11"

// Packet is an IPv4 packet. If it came in fragments, it is reassembled.
type Packet struct {
	Sent bool // by the client
	*layers.IPv4
}

// Packets reads a recording, a pcap file of Ethernet frames.
func Packets(t testing.TB, name string) (packets []Packet) {
	t.Helper()
	file, err := os.Open(name) //nolint:gosec // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	reader, err := pcapgo.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	fragments := ip4defrag.NewIPv4Defragmenter()
	for packet := range gopacket.NewPacketSource(reader, reader.LinkType()).Packets() {
		ip, ok := packet.NetworkLayer().(*layers.IPv4)
		if !ok {
			continue
		}
		if ip, err = fragments.DefragIPv4(ip); err != nil {
			t.Fatal(err)
		}
		if ip != nil {
			packets = append(packets, Packet{ip.SrcIP.String() == Client, ip})
		}
	}
	return packets
}

// UDP is the payload of a UDP datagram; nil: the packet is no UDP datagram.
func (p Packet) UDP() []byte {
	if p.Protocol != layers.IPProtocolUDP || len(p.Payload) < 8 {
		return nil
	}
	return p.Payload[8:]
}

// TCP is the payload of a TCP segment; nil: the packet is no TCP segment.
func (p Packet) TCP() []byte {
	if p.Protocol != layers.IPProtocolTCP || len(p.Payload) < 20 {
		return nil
	}
	return p.Payload[p.Payload[12]>>4*4:]
}

// GRE is a GRE packet with its header; nil: the packet is no GRE packet.
func (p Packet) GRE() []byte {
	if p.Protocol != layers.IPProtocolGRE {
		return nil
	}
	return p.Payload
}

// Frame is a PPP frame.
type Frame struct {
	Sent bool // by the client
	PPP  []byte
}

// Frames gives the PPP frames of a recording, by PPTP or L2TP.
func Frames(t testing.TB, name string) (frames []Frame) {
	t.Helper()
	for _, p := range Packets(t, name) {
		if ppp := p.PPP(); ppp != nil {
			frames = append(frames, Frame{p.Sent, ppp})
		}
	}
	return frames
}

// PPP is the frame that a packet of PPTP or L2TP carries; nil: there is none.
func (p Packet) PPP() []byte {
	if d := p.UDP(); len(d) >= 12 {
		return inL2TP(d)
	}
	if g := p.GRE(); len(g) >= 12 {
		return inGRE(g)
	}
	return nil
}

// inGRE gives the payload of an enhanced GRE packet (RFC 2637 section 4.1); nil: it has none.
func inGRE(g []byte) []byte {
	at := 12
	if g[1]&0x80 != 0 {
		at += 4
	}
	if g[0]&0x10 == 0 || len(g) < at {
		return nil
	}
	return g[at:]
}

// inL2TP gives the payload of an L2TP data message (RFC 2661 section 3.1); nil: it is no data
// message.
func inL2TP(d []byte) []byte {
	if d[0]&0x80 != 0 {
		return nil
	}
	at := 6
	if d[0]&0x40 != 0 {
		at += 2
	}
	if d[0]&0x08 != 0 {
		at += 4
	}
	if d[0]&0x02 != 0 && len(d) >= at+2 {
		at += 2 + int(d[at])<<8 + int(d[at+1])
	}
	if len(d) < at {
		return nil
	}
	return d[at:]
}
