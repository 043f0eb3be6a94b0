package wire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"vpnd/ppp/wire"
)

func TestParseFrame(t *testing.T) {
	for _, c := range []struct {
		frame    string
		protocol wire.Protocol
		info     string
		err      error
	}{
		{"\xFF\x03\xC0\x21x", wire.LCP, "x", nil},
		{"\xC0\x21x", wire.LCP, "x", nil},
		{"\x21x", wire.IPv4, "x", nil},
		{"\xFF\x03\x21", wire.IPv4, "", nil},
		{"\x00\x21", wire.IPv4, "", nil},
		{"", 0, "", wire.ErrShort},
		{"\xFF\x03", 0, "", wire.ErrShort},
		{"\xC0", 0, "", wire.ErrShort},
		{"\xC0\x20x", 0, "", wire.ErrNumber},
	} {
		protocol, info, err := wire.ParseFrame([]byte(c.frame))
		if protocol != c.protocol || string(info) != c.info || !errors.Is(err, c.err) {
			t.Errorf("% x: got %v, %q, %v", c.frame, protocol, info, err)
		}
	}
}

func TestParsePacketTruncated(t *testing.T) {
	whole := wire.Packet{Code: wire.EchoRequest, ID: 7, Body: []byte("12345678")}.Append(nil)
	for n := range whole {
		if _, err := wire.ParsePacket(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
	padded := append(bytes.Clone(whole), 0, 0, 0)
	if p, err := wire.ParsePacket(padded); err != nil || string(p.Body) != "12345678" {
		t.Errorf("with padding: %q, %v", p.Body, err)
	}
	for length := range byte(4) {
		if _, err := wire.ParsePacket([]byte{1, 1, 0, length}); !errors.Is(err, wire.ErrLength) {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

func TestParseOptionsBroken(t *testing.T) {
	for body, want := range map[string]error{
		"\x01": wire.ErrShort, "\x01\x00": wire.ErrLength, "\x01\x01": wire.ErrLength,
		"\x01\x05\x05\xdc": wire.ErrLength, "\x07\x02\x08": wire.ErrShort,
		strings.Repeat("\x07\x02", 33): wire.ErrMany, strings.Repeat("\x01\x04\x05\xdc", 300): wire.ErrMany,
	} {
		if _, err := wire.ParseOptions([]byte(body)); !errors.Is(err, want) {
			t.Errorf("% x: %v, want %v", body, err, want)
		}
	}
}

// TestFormatHides checks that no password and no response gets into a log.
func TestFormatHides(t *testing.T) {
	pap := wire.Packet{Code: wire.PAPRequest, ID: 1, Body: []byte("\x05alice\x06s3cret")}.Append(wire.AppendFrame(nil, wire.PAP))
	if got := wire.Format(pap); got != `PAP AuthReq id=0x1 user="alice" password=<hidden>` {
		t.Error(got)
	}
	chap := wire.Packet{Code: wire.CHAPResponse, ID: 1, Body: []byte("\x04\xAA\xBB\xCC\xDDalice")}.Append(wire.AppendFrame(nil, wire.CHAP))
	if got := wire.Format(chap); got != `CHAP Response id=0x1 <hidden>, name = "alice"` {
		t.Error(got)
	}
	raw := wire.Packet{Code: wire.Identification, Body: []byte("\x00\x00\x00\x00\x1b[2J\n<script>\xff")}.Append(wire.AppendFrame(nil, wire.LCP))
	if got := wire.Format(raw); strings.Contains(got, "\x1b") || strings.Contains(got, "\n") || strings.Contains(got, "\xff") {
		t.Errorf("raw bytes of the peer in %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\xFF\x03\xC0\x21\x01\x00\x00\x12\x01\x04\x05\xdc\x05\x06\x00\x00\x00\x00\x07\x02\x08\x02"))
	f.Add([]byte("\x80\x21\x01\x01\x00\x0a\x03\x06\x00\x00\x00\x00"))
	f.Add([]byte("\xC2\x27\x01\x01\xFF\xFF\x0d\x80\xFF\xFF\xFF\xFF")) // EAP-TLS with a huge length
	f.Add([]byte("\xC0\x23\x01\x01\x00\x06\xFF\x00"))
	f.Add([]byte("\xC2\x23\x02\x01\x00\x05\x31"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(wire.Format(frame)) > 64+40*len(frame) {
			t.Error("the text is out of proportion")
		}
		_, info, err := wire.ParseFrame(frame)
		if err != nil {
			return
		}
		p, err := wire.ParsePacket(info)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(info, p.Append(nil)) {
			t.Error("a packet does not survive the round trip")
		}
		if options, err := wire.ParseOptions(p.Body); err == nil {
			var again []byte
			for _, o := range options {
				again = wire.AppendOption(again, o)
			}
			if !bytes.Equal(again, p.Body) {
				t.Error("options do not survive the round trip")
			}
		}
	})
}
