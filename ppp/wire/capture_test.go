package wire_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"vpnd/ppp/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

const client = "192.0.2.11"

type frame struct {
	sent bool // by the client
	ppp  []byte
}

// frames reads the PPP frames out of the enhanced GRE packets of a recorded dial-in.
func frames(t *testing.T, name string) (list []frame) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	reader, err := pcapgo.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for packet := range gopacket.NewPacketSource(reader, layers.LayerTypeEthernet).Packets() {
		ip, ok := packet.NetworkLayer().(*layers.IPv4)
		if !ok || ip.Protocol != layers.IPProtocolGRE || ip.Payload[0]&0x10 == 0 {
			continue
		}
		p := ip.Payload[12:]
		if ip.Payload[1]&0x80 != 0 {
			p = p[4:]
		}
		list = append(list, frame{sent: ip.SrcIP.String() == client, ppp: p})
	}
	return list
}

var (
	response = regexp.MustCompile(`(Response id=\S+) <[0-9a-f]+>`)
	line     = regexp.MustCompile(`^(sent|rcvd) \[(.*)\]$`)
)

// lastWord is the frame that pppd, about to exit, may or may not have read.
const lastWord = "LCP TermAck"

// TestFormatAsPppd holds Format against what the pppd that took part said of each control frame.
func TestFormatAsPppd(t *testing.T) {
	names, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(names) < 6 {
		t.Fatalf("captures: %v, %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			got, want := map[string][]string{}, map[string][]string{}
			for _, f := range frames(t, name) {
				direction := "rcvd"
				if f.sent {
					direction = "sent"
				}
				text := wire.Format(f.ppp)
				if p, _, err := wire.ParseFrame(f.ppp); err == nil && p >= 0x8000 && !strings.HasPrefix(text, lastWord) {
					got[direction] = append(got[direction], text)
				}
			}
			text, err := os.ReadFile(strings.TrimSuffix(name, ".pcap") + ".pppd.txt")
			if err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(string(text)) {
				if m := line.FindStringSubmatch(strings.TrimSpace(l)); m != nil && !strings.HasPrefix(m[2], lastWord) {
					want[m[1]] = append(want[m[1]], response.ReplaceAllString(m[2], "$1 <hidden>"))
				}
			}
			if len(want["sent"]) < 6 || len(want["rcvd"]) < 6 {
				t.Fatalf("only %d and %d lines of pppd", len(want["sent"]), len(want["rcvd"]))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pppd and Format differ (-pppd +Format):\n%s", diff)
			}
		})
	}
}

// TestRoundTrip takes every control frame apart and puts it together again, octet by octet the same.
func TestRoundTrip(t *testing.T) {
	names, err := filepath.Glob("testdata/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		for i, f := range frames(t, name) {
			protocol, info, err := wire.ParseFrame(f.ppp)
			if err != nil {
				t.Fatalf("%s, frame %d: %v", name, i, err)
			}
			if protocol < 0x8000 {
				continue
			}
			p, err := wire.ParsePacket(info)
			if err != nil {
				t.Fatalf("%s, frame %d: %v", name, i, err)
			}
			if protocol != wire.PAP && protocol != wire.CHAP && p.Code <= wire.ConfigureReject {
				options, err := wire.ParseOptions(p.Body)
				if err != nil {
					t.Fatalf("%s, frame %d: %v", name, i, err)
				}
				p.Body = nil
				for _, o := range options {
					p.Body = wire.AppendOption(p.Body, o)
				}
			}
			again := p.Append(wire.AppendFrame(nil, protocol))
			original := f.ppp
			if original[0] != 0xFF {
				original = append([]byte{0xFF, 0x03}, original...)
			}
			if !bytes.Equal(again, original) {
				t.Errorf("%s, frame %d:\n% x\n% x", name, i, again, original)
			}
			seen++
		}
	}
	if seen < 100 {
		t.Errorf("only %d control frames seen", seen)
	}
}
