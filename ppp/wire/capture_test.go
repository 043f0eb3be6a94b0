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
	"vpnd/testenv/recording"
)

// captures are the recorded dial-ins, each with pppd's log.
func captures(t *testing.T) map[string]string {
	t.Helper()
	logs, err := filepath.Glob("testdata/*.pppd.txt")
	if err != nil || len(logs) != 23 {
		t.Fatalf("logs of pppd: %v, %v", logs, err)
	}
	byLog := map[string]string{}
	for _, log := range logs {
		name := strings.TrimSuffix(filepath.Base(log), ".pppd.txt") + ".pcap"
		for _, folder := range []string{"testdata", "../mppe/testdata"} {
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

// lastWord is a frame that an exiting pppd may or may not have read.
const lastWord = "LCP TermAck"

// TestFormatAsPppd compares Format with pppd's own log of each control frame.
func TestFormatAsPppd(t *testing.T) {
	for log, name := range captures(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			got, want := map[string][]string{}, map[string][]string{}
			for _, f := range recording.Frames(t, name) {
				direction := "rcvd"
				if f.Sent {
					direction = "sent"
				}
				text := wire.Format(f.PPP)
				if p, _, err := wire.ParseFrame(f.PPP); err == nil && p >= 0x8000 && !strings.HasPrefix(text, lastWord) {
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

// match looks for the lines of pppd, in order, among the frames of the recording. The recording may
// also have frames of an earlier dial-in and frames that pppd was not there to read.
func match(lines, frames []string) (found int, missing []string) {
	for _, l := range lines {
		if at := slices.Index(frames, l); at >= 0 {
			found, frames = found+1, frames[at+1:]
		} else if !strings.HasPrefix(l, "LCP TermReq") { // a long recording ends earlier
			missing = append(missing, l)
		}
	}
	return found, missing
}

// TestRoundTrip parses every control frame and builds it again with the same bytes.
func TestRoundTrip(t *testing.T) {
	seen := 0
	for _, name := range captures(t) {
		for i, f := range recording.Frames(t, name) {
			protocol, info, err := wire.ParseFrame(f.PPP)
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
			original := f.PPP
			if original[0] != 0xFF {
				original = append([]byte{0xFF, 0x03}, original...)
			}
			if !bytes.Equal(again, original) {
				t.Errorf("%s, frame %d:\n% x\n% x", name, i, again, original)
			}
			seen++
		}
	}
	if seen < 300 {
		t.Errorf("only %d control frames seen", seen)
	}
}
