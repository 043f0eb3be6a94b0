package wire_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"vpnd/ppp/wire"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

const client = "192.0.2.11"

type frame struct {
	sent bool // by the client
	ppp  []byte
}

// frames reads the PPP frames out of the enhanced GRE packets, or L2TP data messages, of a recorded
// dial-in.
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
	fragments := ip4defrag.NewIPv4Defragmenter()
	for packet := range gopacket.NewPacketSource(reader, layers.LayerTypeEthernet).Packets() {
		ip, ok := packet.NetworkLayer().(*layers.IPv4)
		if !ok {
			continue
		}
		if ip, err = fragments.DefragIPv4(ip); err != nil {
			t.Fatal(err)
		}
		if ip == nil {
			continue
		}
		var p []byte
		switch ip.Protocol {
		case layers.IPProtocolGRE:
			p = pppOfGRE(ip.Payload)
		case layers.IPProtocolUDP:
			p = pppOfL2TP(ip.Payload[8:])
		default:
		}
		if len(p) > 0 {
			list = append(list, frame{sent: ip.SrcIP.String() == client, ppp: p})
		}
	}
	return list
}

// pppOfGRE is the payload of an enhanced GRE packet (RFC 2637 section 4.1).
func pppOfGRE(p []byte) []byte {
	if p[0]&0x10 == 0 {
		return nil
	}
	if p[1]&0x80 != 0 {
		return p[16:]
	}
	return p[12:]
}

// pppOfL2TP is the payload of a data message (RFC 2661 section 3.1).
func pppOfL2TP(p []byte) []byte {
	if p[0]&0x80 != 0 {
		return nil
	}
	at := 6
	if p[0]&0x40 != 0 {
		at += 2
	}
	if p[0]&0x08 != 0 {
		at += 4
	}
	if p[0]&0x02 != 0 {
		at += 2 + int(p[at])<<8 + int(p[at+1])
	}
	return p[at:]
}

// captures are the recorded dial-ins with what pppd said of each, some of them beside other tests.
func captures(t *testing.T) map[string]string {
	t.Helper()
	logs, err := filepath.Glob("testdata/*.pppd.txt")
	if err != nil || len(logs) != 18 {
		t.Fatalf("logs of pppd: %v, %v", logs, err)
	}
	byLog := map[string]string{}
	for _, log := range logs {
		name := strings.TrimSuffix(filepath.Base(log), ".pppd.txt") + ".pcap"
		for _, folder := range []string{"testdata", "../mppe/testdata", "../../l2tp/wire/testdata"} {
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
				byLog[log] = filepath.Join(folder, name)
			}
		}
		if byLog[log] == "" {
			t.Fatalf("no recording for %s", log)
		}
	}
	return byLog
}

var (
	response = regexp.MustCompile(`(Response id=\S+) <[0-9a-f]+>`)
	line     = regexp.MustCompile(`^(sent|rcvd) \[(.*)\]$`)
)

// lastWord is the frame that pppd, about to exit, may or may not have read.
const lastWord = "LCP TermAck"

// TestFormatAsPppd holds Format against what the pppd that took part said of each control frame.
func TestFormatAsPppd(t *testing.T) {
	for log, name := range captures(t) {
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
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(string(text)) {
				if m := line.FindStringSubmatch(strings.TrimSpace(l)); m != nil && !strings.HasPrefix(m[2], lastWord) {
					want[m[1]] = append(want[m[1]], response.ReplaceAllString(m[2], "$1 <hidden>"))
				}
			}
			for _, direction := range []string{"sent", "rcvd"} {
				found, missing := match(want[direction], got[direction])
				if len(missing) > 0 && !strings.Contains(name, "loss") || found < 6 {
					t.Errorf("%s: %d lines of pppd found, these not: %q\nin %q", direction, found, missing, got[direction])
				}
			}
		})
	}
}

// match looks for the lines of pppd, in order, among the frames of the recording, which may have
// those of an earlier dial-in and those that pppd was not there to read as well.
func match(lines, frames []string) (found int, missing []string) {
	for _, l := range lines {
		if at := slices.Index(frames, l); at >= 0 {
			found, frames = found+1, frames[at+1:]
		} else if !strings.HasPrefix(l, "LCP TermReq") { // a long recording ends before
			missing = append(missing, l)
		}
	}
	return found, missing
}

// TestRoundTrip takes every control frame apart and puts it together again, octet by octet the same.
func TestRoundTrip(t *testing.T) {
	seen := 0
	for _, name := range captures(t) {
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
