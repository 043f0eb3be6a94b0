package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"vpnd/internal/dataplane"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// decode reads an ICMP packet and verifies its checksums.
func decode(t *testing.T, packet []byte) *layers.ICMPv4 {
	t.Helper()
	p := gopacket.NewPacket(packet, layers.LayerTypeIPv4, gopacket.Default)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	icmp, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || ip == nil {
		t.Fatalf("no ICMP: %x", packet)
	}
	again := serialize(&layers.IPv4{Version: 4, TTL: ip.TTL, Protocol: ip.Protocol, SrcIP: ip.SrcIP, DstIP: ip.DstIP},
		&layers.ICMPv4{TypeCode: icmp.TypeCode, Id: icmp.Id, Seq: icmp.Seq}, gopacket.Payload(icmp.Payload))
	if !bytes.Equal(again, packet) {
		t.Errorf("lengths or checksums: %x, want %x", packet, again)
	}
	return icmp
}

func TestTooBig(t *testing.T) {
	for _, src := range []netip.Addr{world, local} {
		b := setUp(t, false, dataplane.Params{PeerMRU: 1000})
		packet := udp(src, alice, 1400, df)
		b.fromSystem(packet)
		if len(b.links[alice].frames) != 0 || len(b.dev.written) != 1 {
			t.Fatalf("%d frames, %d answers", len(b.links[alice].frames), len(b.dev.written))
		}
		answer := b.dev.written[0]
		icmp := decode(t, answer)
		if icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 4) || icmp.Seq != 1000 || !bytes.Equal(icmp.Payload, packet[:28]) {
			t.Errorf("%v, next MTU %d, %x", icmp.TypeCode, icmp.Seq, icmp.Payload)
		}
		from, to := netip.AddrFrom4([4]byte(answer[12:16])), netip.AddrFrom4([4]byte(answer[16:20]))
		// The system would accept none from the server's own address.
		if to != src || from != alice {
			t.Errorf("from %v to %v", from, to)
		}
		b.wantDrops(map[string]uint64{"too big": 1})
	}
}

func TestFragments(t *testing.T) {
	for _, mru := range []int{576, 1000, 1399, 68} {
		b := setUp(t, false, dataplane.Params{PeerMRU: mru})
		packet := udp(world, alice, 1400)
		b.fromSystem(packet)
		var data []byte
		frames := b.links[alice].frames
		for i, f := range frames {
			f = f[4:]
			if len(f) > mru {
				t.Errorf("MRU %d: a fragment of %d", mru, len(f))
			}
			p := gopacket.NewPacket(f, layers.LayerTypeIPv4, gopacket.Default)
			ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			more := ip.Flags&layers.IPv4MoreFragments != 0
			if more != (i < len(frames)-1) || int(ip.FragOffset)*8 != len(data) || ip.Id != 77 || int(ip.Length) != len(f) {
				t.Errorf("MRU %d: fragment %d: %+v", mru, i, ip)
			}
			data = append(data, f[20:]...)
		}
		if !bytes.Equal(data, packet[20:]) {
			t.Errorf("MRU %d: the data is not the same: %d bytes of %d", mru, len(data), len(packet)-20)
		}
	}
}

func TestMSS(t *testing.T) {
	mss := func(v uint16) layers.TCPOption {
		return layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: binary.BigEndian.AppendUint16(nil, v)}
	}
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	sack := layers.TCPOption{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2}
	for _, c := range []struct {
		name  string
		flags string
		in    []layers.TCPOption
		out   []layers.TCPOption
		mru   int
	}{
		{"too much", "S", []layers.TCPOption{mss(1460)}, []layers.TCPOption{mss(1360)}, 1400},
		{"smaller MRU of the peer", "S", []layers.TCPOption{mss(1460)}, []layers.TCPOption{mss(960)}, 1000},
		{"at an odd place", "S", []layers.TCPOption{nop, mss(1460), nop, sack}, []layers.TCPOption{nop, mss(1360), nop, sack}, 1400},
		{"little enough", "S", []layers.TCPOption{mss(536)}, []layers.TCPOption{mss(536)}, 1400},
		{"no SYN", "A", []layers.TCPOption{mss(1460)}, []layers.TCPOption{mss(1460)}, 1400},
		{"none", "S", nil, nil, 1400},
	} {
		b := setUp(t, false, dataplane.Params{PeerMRU: c.mru})
		b.fromUser("\x21", syn(alice, world, c.flags, c.in...))
		b.fromSystem(syn(world, alice, c.flags, c.in...))
		if want := syn(alice, world, c.flags, c.out...); len(b.dev.written) != 1 || !bytes.Equal(b.dev.written[0], want) {
			t.Errorf("%s, in: %x, want %x", c.name, b.dev.written, want)
		}
		if want := syn(world, alice, c.flags, c.out...); !bytes.Equal(b.links[alice].frames[0][4:], want) {
			t.Errorf("%s, out: %x, want %x", c.name, b.links[alice].frames[0][4:], want)
		}
	}
}
