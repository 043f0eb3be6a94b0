// Package dhcp answers the DHCPINFORM that Windows sends over an open link (RFC 2131 section 3.4)
// to ask for settings that IPCP does not have, mainly routes.
package dhcp

import (
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	serverPort = 67
	clientPort = 68
	// msRoutes is Microsoft's older number for option 121.
	msRoutes = dhcpv4.GenericOptionCode(249)
)

// Config is the content of the answers.
type Config struct {
	Server    netip.Addr // our inner address, the gateway of the routes
	DNS, NBNS []netip.Addr
	Domain    string
	Routes    []netip.Prefix
}

// Answer appends the answer to a client's DHCPINFORM to reply. Both are whole IPv4 packets. It
// returns false for any other message and for one that it cannot read.
func (c Config) Answer(reply, request []byte) ([]byte, bool) {
	packet := gopacket.NewPacket(request, layers.LayerTypeIPv4, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	ip, isIP := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, isUDP := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !isIP || !isUDP {
		return nil, false
	}
	inform, err := dhcpv4.FromBytes(udp.Payload)
	if err != nil || inform.OpCode != dhcpv4.OpcodeBootRequest || inform.MessageType() != dhcpv4.MessageTypeInform {
		return nil, false
	}
	inform.ClientIPAddr = ip.SrcIP
	// A link has no relay. An answer to a relay would only come back to the client.
	inform.GatewayIPAddr = net.IPv4zero
	inform.Options.Del(dhcpv4.OptionRelayAgentInformation)
	ack, err := c.ack(inform)
	if err != nil {
		return nil, false
	}
	out := gopacket.NewSerializeBuffer()
	network := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: c.Server.AsSlice(), DstIP: ip.SrcIP,
	}
	transport := &layers.UDP{SrcPort: serverPort, DstPort: clientPort}
	if transport.SetNetworkLayerForChecksum(network) != nil {
		return nil, false
	}
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if gopacket.SerializeLayers(out, options, network, transport, gopacket.Payload(ack.ToBytes())) != nil {
		return nil, false
	}
	return append(reply, out.Bytes()...), true
}

// ack is the answer of RFC 2131 section 4.3.5: parameters, but no address and no lease.
func (c Config) ack(inform *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	server := net.IP(c.Server.AsSlice())
	with := []dhcpv4.Modifier{
		dhcpv4.WithMessageType(dhcpv4.MessageTypeAck),
		dhcpv4.WithClientIP(inform.ClientIPAddr),
		dhcpv4.WithServerIP(server),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)),
		dhcpv4.WithNetmask(net.CIDRMask(32, 32)),
	}
	if len(c.DNS) > 0 {
		with = append(with, dhcpv4.WithDNS(ips(c.DNS)...))
	}
	if len(c.NBNS) > 0 {
		with = append(with, dhcpv4.WithOption(dhcpv4.OptNetBIOSNameServers(ips(c.NBNS)...)))
	}
	if c.Domain != "" {
		with = append(with, dhcpv4.WithOption(dhcpv4.OptDomainName(c.Domain)))
	}
	if len(c.Routes) > 0 {
		routes := make(dhcpv4.Routes, len(c.Routes))
		for i, p := range c.Routes {
			dest := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
			routes[i] = &dhcpv4.Route{Dest: dest, Router: server}
		}
		with = append(with,
			dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(routes...)),
			dhcpv4.WithOption(dhcpv4.OptGeneric(msRoutes, routes.ToBytes())))
	}
	return dhcpv4.NewReplyFromRequest(inform, with...)
}

func ips(addrs []netip.Addr) []net.IP {
	out := make([]net.IP, len(addrs))
	for i, a := range addrs {
		out[i] = a.AsSlice()
	}
	return out
}
