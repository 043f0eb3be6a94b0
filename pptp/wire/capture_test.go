package wire_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"vpnd/pptp/wire"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The dial-ins of pptp-linux into pptpd in testdata hold what neither side has from us.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var control, data, acks int
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		r, err := pcapgo.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for p := range gopacket.NewPacketSource(r, r.LinkType()).Packets() {
			ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			if !ok {
				continue
			}
			if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok && ip.Protocol == layers.IPProtocolTCP && len(tcp.Payload) > 0 {
				m, n, err := wire.Parse(tcp.Payload)
				if err != nil || n != len(tcp.Payload) {
					t.Fatalf("%s: %x: %d, %v", name, tcp.Payload, n, err)
				}
				if got := m.Append(nil); !bytes.Equal(got, tcp.Payload) {
					t.Errorf("%s: %v is\n%x, want\n%x", name, m.Type(), got, tcp.Payload)
				}
				control++
			}
			if ip.Protocol != layers.IPProtocolGRE {
				continue
			}
			h, payload, err := wire.ParseGRE(ip.Payload)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, ip.Payload, err)
			}
			out := make([]byte, h.Len()+len(payload))
			h.Put(out, len(payload))
			copy(out[h.Len():], payload)
			if !bytes.Equal(out, ip.Payload) {
				t.Errorf("%s: GRE is\n%x, want\n%x", name, out, ip.Payload)
			}
			if h.HasSeq {
				data++
			} else {
				acks++
			}
		}
	}
	if control < 10 || data < 50 || acks < 5 {
		t.Errorf("only %d control messages, %d packets, %d acknowledgements", control, data, acks)
	}
}
