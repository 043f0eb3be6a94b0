package dhcp_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"vpnd/internal/dhcp"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// inform is a DHCPINFORM as Windows sends it when IPCP is up.
func inform(t testing.TB, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) []byte {
	t.Helper()
	m, err := dhcpv4.New(append(more,
		dhcpv4.WithMessageType(kind), dhcpv4.WithClientIP(net.IPv4(10, 99, 0, 10)), dhcpv4.WithHwAddr(net.HardwareAddr{0, 0x53, 0x45, 0, 0, 0}),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("MSFT 5.0")),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionDomainNameServer, dhcpv4.OptionNetBIOSOverTCPIPNameServer, dhcpv4.OptionVendorSpecificInformation,
			dhcpv4.OptionSubnetMask, dhcpv4.OptionDomainName, dhcpv4.GenericOptionCode(249), dhcpv4.OptionClasslessStaticRoute))...)
	if err != nil {
		t.Fatal(err)
	}
	m.TransactionID = dhcpv4.TransactionID{1, 2, 3, 4}
	ip := &layers.IPv4{Version: 4, TTL: 128, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(10, 99, 0, 10), DstIP: net.IPv4bcast}
	udp := &layers.UDP{SrcPort: 68, DstPort: 67}
	_ = udp.SetNetworkLayerForChecksum(ip)
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(m.ToBytes())); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func answer(t *testing.T, c dhcp.Config) *dhcpv4.DHCPv4 {
	t.Helper()
	reply, ok := c.Answer(nil, inform(t, dhcpv4.MessageTypeInform))
	if !ok {
		t.Fatal("no answer")
	}
	p := gopacket.NewPacket(reply, layers.LayerTypeIPv4, gopacket.Default)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if ip == nil || udp == nil || ip.SrcIP.String() != "10.99.0.1" || ip.DstIP.String() != "10.99.0.10" || udp.SrcPort != 67 || udp.DstPort != 68 {
		t.Fatalf("%v", p)
	}
	m, err := dhcpv4.FromBytes(udp.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType() != dhcpv4.MessageTypeAck || m.TransactionID != (dhcpv4.TransactionID{1, 2, 3, 4}) || !m.YourIPAddr.IsUnspecified() ||
		m.ClientIPAddr.String() != "10.99.0.10" || m.ServerIdentifier().String() != "10.99.0.1" || m.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
		t.Errorf("%s", m.Summary())
	}
	return m
}

func TestAnswer(t *testing.T) {
	m := answer(t, dhcp.Config{Server: netip.MustParseAddr("10.99.0.1")})
	if got := fmt.Sprint(net.IP(m.SubnetMask())); got != "255.255.255.255" || m.Options.Has(dhcpv4.OptionDomainNameServer) || m.Options.Has(dhcpv4.OptionClasslessStaticRoute) {
		t.Errorf("%s", m.Summary())
	}
	m = answer(t, dhcp.Config{
		Server: netip.MustParseAddr("10.99.0.1"), DNS: []netip.Addr{netip.MustParseAddr("192.168.1.2")}, NBNS: []netip.Addr{netip.MustParseAddr("192.168.1.3")},
		Domain: "example.net", Routes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("10.0.0.0/9")},
	})
	for code, want := range map[dhcpv4.OptionCode]string{
		dhcpv4.OptionDomainNameServer:           "c0a80102",
		dhcpv4.OptionNetBIOSOverTCPIPNameServer: "c0a80103",
		dhcpv4.OptionDomainName:                 hex.EncodeToString([]byte("example.net")),
		// RFC 3442: width, the significant bytes of the prefix, router
		dhcpv4.OptionClasslessStaticRoute: "18c0a801" + "0a630001" + "090a00" + "0a630001",
		dhcpv4.GenericOptionCode(249):     "18c0a801" + "0a630001" + "090a00" + "0a630001",
	} {
		if got := hex.EncodeToString(m.Options.Get(code)); got != want {
			t.Errorf("option %v: %s, want %s", code, got, want)
		}
	}
}

// Forty routes, the most that the configuration allows, fit into a packet.
func TestManyRoutes(t *testing.T) {
	c := dhcp.Config{Server: netip.MustParseAddr("10.99.0.1")}
	for n := range 40 {
		c.Routes = append(c.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(n)}), 32))
	}
	if got := answer(t, c).ClasslessStaticRoute(); len(got) != 40 {
		t.Errorf("%d routes", len(got))
	}
	if reply, _ := c.Answer(nil, inform(t, dhcpv4.MessageTypeInform)); len(reply) > 1400 {
		t.Errorf("%d bytes", len(reply))
	}
}

// A client is no relay: the answer repeats nothing that it sends about one.
func TestNoRelay(t *testing.T) {
	c := dhcp.Config{Server: netip.MustParseAddr("10.99.0.1")}
	plain, _ := c.Answer(nil, inform(t, dhcpv4.MessageTypeInform))
	relayed, ok := c.Answer(nil, inform(t, dhcpv4.MessageTypeInform, dhcpv4.WithGatewayIP(net.IPv4(10, 99, 0, 200)),
		dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, bytes.Repeat([]byte{1}, 600))))
	if !ok || !bytes.Equal(plain, relayed) {
		t.Errorf("%x is not %x", relayed, plain)
	}
}

// Any other packet to the port gets no answer.
func TestNoAnswer(t *testing.T) {
	c := dhcp.Config{Server: netip.MustParseAddr("10.99.0.1")}
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck} {
		if reply, ok := c.Answer(nil, inform(t, kind)); ok {
			t.Errorf("%v: %x", kind, reply)
		}
	}
	whole := inform(t, dhcpv4.MessageTypeInform)
	for n := range whole {
		reply, ok := c.Answer(nil, whole[:n])
		if ok && n < 28+240 {
			t.Errorf("%d bytes are answered: %x", n, reply)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(inform(f, dhcpv4.MessageTypeInform))
	c := dhcp.Config{Server: netip.MustParseAddr("10.99.0.1"), Domain: "example.net"}
	f.Fuzz(func(t *testing.T, request []byte) {
		before := bytes.Clone(request)
		if reply, ok := c.Answer(nil, request); ok && (len(reply) < 28+240 || len(reply) > 1500) {
			t.Errorf("%x is answered by %x", before, reply)
		}
	})
}
