package session_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"vpnd/internal/link"
	"vpnd/l2tp/client"
	"vpnd/ppp"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A user dials in by both carriers at once. L2TP data messages have sequence numbers if the client
// asks for them.
func TestBothCarriers(t *testing.T) {
	s := newStack(t, nil)
	byPPTP, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	for _, sequencing := range []bool{false, true} {
		for _, mode := range []ppp.MPPEMode{ppp.MPPEOff, ppp.MPPERequired} {
			cfg := config()
			cfg.MPPE.Mode = mode
			c, err := s.dialL2TP(&client.Dialer{Local: netip.AddrPortFrom(clientIP, 0), Sequencing: sequencing}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			s.passes(c)
			s.passes(byPPTP)
			if list := s.m.Connections(); len(list) != 2 || list[1].Type != "L2TP" || list[1].Remote != clientIP {
				t.Errorf("got %+v, want two connections, the second by L2TP from %v", list, clientIP)
			}
			c.Hangup()
			s.wait("the call is gone", func() bool { return s.l2tp.Stats().Calls == 0 && s.m.Count() == 1 })
		}
	}
	if n := s.l2tp.Stats().Dropped["late or doubled"]; n > 0 {
		t.Errorf("%d late", n)
	}
}

// One address may have a limited number of calls without a user, by both carriers together. A user
// from the same address still gets in by either carrier: the oldest calls go.
func TestCrowdOfBothCarriers(t *testing.T) {
	s := newStack(t, nil)
	silent := func(link.Link) (link.Sink, error) { return mute{}, nil }
	tunnels := client.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}
	for range 515 {
		if _, err := s.dialer.Dial(t.Context(), s.at, silent); err != nil {
			t.Fatal(err)
		}
		if _, err := tunnels.Dial(t.Context(), s.l2tpAt, silent); err != nil {
			t.Fatal(err)
		}
	}
	byPPTP, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	byL2TP, err := s.dialL2TP(&tunnels, config())
	if err != nil {
		t.Fatal(err)
	}
	s.passes(byPPTP)
	s.passes(byL2TP)
}

// Apple's MRU on Ethernet is 1280. A longer packet arrives in fragments. With DF it does not
// arrive, and the sender gets an error.
func TestPacketsOverTheMRU(t *testing.T) {
	s := newStack(t, nil)
	cfg := config()
	cfg.MRU = 1280
	c, err := s.dialL2TP(&client.Dialer{Host: "Annas-MacBook.local\x00"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	long := append(ping(inner, network.Local), make([]byte, 1372)...)
	binary.BigEndian.PutUint16(long[2:], uint16(len(long)))
	s.dev.in <- slices.Clone(long)
	s.wait("two fragments arrive", func() bool { n, _ := c.Packets(); return n == 2 })
	if _, last := c.Packets(); len(last) > 1280 || last[6]&0x20 != 0 {
		t.Errorf("%d bytes: %x", len(last), last[:20])
	}
	long[6] = 0x40 // DF
	before := len(s.dev.packets())
	s.dev.in <- long
	s.wait("ICMP says so", func() bool { return len(s.dev.packets()) > before })
	if icmp := s.dev.packets()[before]; icmp[9] != 1 || icmp[20] != 3 || icmp[21] != 4 || binary.BigEndian.Uint16(icmp[26:]) != 1280 {
		t.Errorf("got %x, want ICMP that asks for fragments of 1280 bytes", icmp)
	}
}

// Windows uses DHCPINFORM to ask for settings that IPCP does not have.
func TestInform(t *testing.T) {
	s := newStack(t, nil)
	c, err := s.dial(config())
	if err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	inform, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeInform), dhcpv4.WithClientIP(network.Local.AsSlice()))
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []netip.Addr{netip.MustParseAddr("255.255.255.255"), inner} {
		ip := &layers.IPv4{Version: 4, TTL: 128, Protocol: layers.IPProtocolUDP, SrcIP: network.Local.AsSlice(), DstIP: dst.AsSlice()}
		udp := &layers.UDP{SrcPort: 68, DstPort: 67}
		_ = udp.SetNetworkLayerForChecksum(ip)
		raw := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(raw, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(inform.ToBytes())); err != nil {
			t.Fatal(err)
		}
		n, _ := c.Packets()
		s.wait("an answer comes", func() bool {
			var out link.Batch
			c.SendIP(&out, raw.Bytes())
			now, _ := c.Packets()
			return now > n
		})
	}
	_, answer := c.Packets()
	udp, ok := gopacket.NewPacket(answer, layers.LayerTypeIPv4, gopacket.Default).Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("got %x, want an answer to DHCPINFORM", answer)
	}
	ack, err := dhcpv4.FromBytes(udp.Payload)
	if err != nil || ack.MessageType() != dhcpv4.MessageTypeAck || ack.DomainName() != "example.net" || ack.TransactionID != inform.TransactionID {
		t.Errorf("%v %v, want an acknowledgement with example.net", err, ack)
	}
	if n := len(s.dev.packets()); n != 0 {
		t.Errorf("%d packets reach the system", n)
	}
}
