package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"vpnd/l2tp/wire"
)

// attributes has each attribute of RFC 2661 section 4.4 as a peer may send it: type, M bit, and the
// whole AVP in bytes.
var attributes = []struct {
	name      string
	kind      wire.Attribute
	mandatory bool
	octets    string
}{
	{"Message Type", wire.AttrMessageType, true, "8008 0000 0000 0001"},
	{"Result Code", wire.AttrResultCode, true, "8010 0000 0001 0002 0006 627573792e2e"},
	{"Result Code alone", wire.AttrResultCode, true, "8008 0000 0001 0003"},
	{"Protocol Version", wire.AttrProtocolVersion, true, "8008 0000 0002 0100"},
	{"Framing Capabilities", wire.AttrFraming, true, "800a 0000 0003 00000003"},
	{"Bearer Capabilities", wire.AttrBearer, true, "800a 0000 0004 00000000"},
	{"Tie Breaker", wire.AttrTieBreaker, false, "000e 0000 0005 0102030405060708"},
	{"Firmware Revision", wire.AttrFirmware, false, "0008 0000 0006 0600"},
	{"Host Name", wire.AttrHostName, true, "800d 0000 0007 546573742d5043"},
	{"Vendor Name", wire.AttrVendorName, false, "000f 0000 0008 4d6963726f736f6674"},
	{"Assigned Tunnel ID", wire.AttrTunnelID, true, "8008 0000 0009 0006"},
	{"Receive Window Size", wire.AttrReceiveWindow, true, "8008 0000 000a 0008"},
	{"Challenge", wire.AttrChallenge, true, "800a 0000 000b deadbeef"},
	{"Q.931 Cause Code", wire.AttrCauseCode, true, "8009 0000 000c 0010 01"},
	{"Challenge Response", wire.AttrChallengeResponse, true, "8016 0000 000d 000102030405060708090a0b0c0d0e0f"},
	{"Assigned Session ID", wire.AttrSessionID, true, "8008 0000 000e 1234"},
	{"Call Serial Number", wire.AttrSerial, true, "800a 0000 000f 00000001"},
	{"Minimum BPS", 16, true, "800a 0000 0010 000003e8"},
	{"Maximum BPS", 17, true, "800a 0000 0011 05f5e100"},
	{"Bearer Type", 18, true, "800a 0000 0012 00000002"},
	{"Framing Type", wire.AttrFramingType, true, "800a 0000 0013 00000001"},
	{"Called Number", 21, true, "8009 0000 0015 313233"},
	{"Calling Number", 22, true, "8009 0000 0016 343536"},
	{"Sub-Address", 23, true, "8007 0000 0017 37"},
	{"(Tx) Connect Speed", wire.AttrSpeed, true, "800a 0000 0018 05f5e100"},
	{"Physical Channel ID", 25, false, "000a 0000 0019 00000007"},
	{"Initial Received LCP CONFREQ", 26, false, "000a 0000 001a 010405dc"},
	{"Last Sent LCP CONFREQ", 27, false, "000a 0000 001b 010405dc"},
	{"Last Received LCP CONFREQ", 28, false, "000a 0000 001c 010405dc"},
	{"Proxy Authen Type", 29, false, "0008 0000 001d 0004"},
	{"Proxy Authen Name", 30, false, "000b 0000 001e 616c696365"},
	{"Proxy Authen Challenge", 31, false, "0008 0000 001f abcd"},
	{"Proxy Authen ID", 32, false, "0008 0000 0020 0001"},
	{"Proxy Authen Response", 33, false, "0008 0000 0021 abcd"},
	{"Call Errors", 34, true, "8020 0000 0022 0000 000000010000000200000003000000040000000500000006"},
	{"ACCM", 35, true, "8010 0000 0023 0000 ffffffff 00000000"},
	{"Random Vector", wire.AttrRandomVector, true, "8016 0000 0024 000102030405060708090a0b0c0d0e0f"},
	{"Private Group ID", 37, false, "000a 0000 0025 67726f75"},
	{"Rx Connect Speed", 38, false, "000a 0000 0026 05f5e100"},
	{"Sequencing Required", wire.AttrSequencingRequired, true, "8006 0000 0027"},
}

// Each attribute is read to its value and written to the same bytes. An attribute that is cut
// anywhere is refused. A hidden attribute between two others is revealed.
func TestAttributes(t *testing.T) {
	seen := map[wire.Attribute]bool{20: true}
	for _, a := range attributes {
		seen[a.kind] = true
		octets, err := hex.DecodeString(strings.ReplaceAll(a.octets, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		value := octets[6:]
		avps, err := wire.ParseAVPs(octets, "")
		if err != nil || len(avps) != 1 {
			t.Errorf("%s: %v, want one AVP", a.name, err)
			continue
		}
		if g := avps[0]; !g.Known || g.Hidden || g.Vendor != 0 || g.Type != a.kind || g.Mandatory != a.mandatory || !bytes.Equal(g.Value, value) {
			t.Errorf("%s: %+v, want the attribute %d, mandatory %v, with %x", a.name, g, a.kind, a.mandatory, value)
		}
		if got := wire.AppendAVP(nil, a.mandatory, a.kind, value); !bytes.Equal(got, octets) {
			t.Errorf("%s: %x, want %x", a.name, got, octets)
		}
		for n := 1; n < len(octets); n++ {
			if _, err := wire.ParseAVPs(octets[:n], ""); !errors.Is(err, wire.ErrShort) && !errors.Is(err, wire.ErrLength) {
				t.Errorf("%s cut to %d bytes: %v", a.name, n, err)
			}
		}
		if a.kind == wire.AttrMessageType || a.kind == wire.AttrRandomVector {
			continue // never hidden
		}
		vector := []byte("0123456789abcdef")
		body := wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
		body = wire.AppendHidden(body, a.mandatory, a.kind, value, secret, vector)
		body = wire.AppendAVP(body, true, wire.AttrHostName, []byte("after"))
		avps, err = wire.ParseAVPs(body, secret)
		if err != nil || len(avps) != 3 || !avps[1].Hidden || avps[1].Mandatory != a.mandatory || !bytes.Equal(avps[1].Value, value) || string(avps[2].Value) != "after" {
			t.Errorf("%s hidden: %+v, %v", a.name, avps, err)
		}
	}
	for kind := range wire.Attribute(40) {
		if !seen[kind] {
			t.Errorf("attribute %d is not tested", kind)
		}
	}
	for _, a := range []struct {
		name  string
		avp   []byte
		known bool
	}{
		{"20, which RFC 2661 does not assign", wire.AppendAVP(nil, true, 20, nil), false},
		{"40", wire.AppendAVP(nil, true, 40, nil), false},
		{"of a vendor", []byte{0x80, 8, 0x01, 0x37, 0, 1, 1, 2}, false},
		{"reserved bit 0x2000", []byte{0xA0, 8, 0, 0, 0, 7, 'x', 'y'}, false},
		{"reserved bit 0x0400", []byte{0x84, 8, 0, 0, 0, 7, 'x', 'y'}, false},
		{"the last", wire.AppendAVP(nil, true, 39, nil), true},
	} {
		avps, err := wire.ParseAVPs(a.avp, "")
		if err != nil || len(avps) != 1 || avps[0].Known != a.known || !avps[0].Mandatory {
			t.Errorf("%s: %+v, %v, want one mandatory AVP, known %v", a.name, avps, err, a.known)
		}
	}
}

// A hidden AVP uses the nearest Random Vector before it (RFC 2661 section 4.4.1). A wrong secret
// reveals nothing.
func TestTwoVectors(t *testing.T) {
	a, b := []byte("the first vector"), []byte("the second one..")
	body := wire.AppendAVP(nil, true, wire.AttrRandomVector, a)
	body = wire.AppendHidden(body, true, wire.AttrHostName, []byte("one"), secret, a)
	body = wire.AppendAVP(body, true, wire.AttrRandomVector, b)
	body = wire.AppendHidden(body, true, wire.AttrHostName, []byte("two"), secret, b)
	avps, err := wire.ParseAVPs(body, secret)
	if err != nil || len(avps) != 4 || string(avps[1].Value) != "one" || string(avps[3].Value) != "two" {
		t.Errorf(`%+v, %v, want four AVPs, with "one" and "two"`, avps, err)
	}
	if avps, err := wire.ParseAVPs(body, "wrong"); !errors.Is(err, wire.ErrHidden) || avps != nil {
		t.Errorf("under a wrong secret: %+v, %v", avps, err)
	}
	// An unknown AVP without the M bit is ignored, even if it is hidden.
	optional := []byte{0x40, 8, 0x01, 0x37, 0, 1, 1, 2}
	if avps, err := wire.ParseAVPs(optional, ""); err != nil || len(avps) != 1 || avps[0].Known {
		t.Errorf("%+v, %v, want one AVP, not known", avps, err)
	}
	optional[0] |= 0x80
	if _, err := wire.ParseAVPs(optional, ""); !errors.Is(err, wire.ErrHidden) {
		t.Errorf("with M: %v", err)
	}
}

// A message with all attributes, hidden, is read. A message that costs a multiple of that is
// refused, because anybody can send it and all peers wait.
func TestCostIsBounded(t *testing.T) {
	vector := []byte("0123456789abcdef")
	body := wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
	hidden := 0
	for _, a := range attributes {
		if a.kind == wire.AttrMessageType || a.kind == wire.AttrRandomVector {
			continue // never hidden
		}
		hidden++
		octets, err := hex.DecodeString(strings.ReplaceAll(a.octets, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		body = wire.AppendHidden(body, a.mandatory, a.kind, octets[6:], secret, vector)
	}
	if avps, err := wire.ParseAVPs(body, secret); err != nil || len(avps) != 1+hidden {
		t.Errorf("all attributes, hidden: %d, %v", len(avps), err)
	}
	for name, c := range map[string]struct{ vector, value, count int }{
		"long vector": {1017, 2, 40}, "long vector, short values": {1017, 0, 60}, "long values": {16, 900, 3}, "both": {900, 900, 2},
		"many": {16, 2, 80},
	} {
		vector := make([]byte, c.vector)
		body := wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
		for range c.count {
			body = wire.AppendHidden(body, true, wire.AttrHostName, make([]byte, c.value), secret, vector)
		}
		if avps, err := wire.ParseAVPs(body, secret); !errors.Is(err, wire.ErrTooMuch) || avps != nil {
			t.Errorf("%s: %d, %v, want none, %v", name, len(avps), err, wire.ErrTooMuch)
		}
		body = wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
		body = wire.AppendHidden(body, true, wire.AttrHostName, make([]byte, c.value), secret, vector)
		if avps, err := wire.ParseAVPs(body, secret); err != nil || len(avps) != 2 {
			t.Errorf("%s: one is not taken: %v", name, err)
		}
	}
	if _, err := wire.ParseAVPs(bytes.Repeat(wire.AppendAVP(nil, false, wire.AttrVendorName, nil), 65), ""); !errors.Is(err, wire.ErrTooMuch) {
		t.Errorf("65 in clear: %v", err)
	}
}

func TestResultText(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "result 0",
		"\x03":                  "result 0",
		"\x00\x03":              "result 3",
		"\x00\x03\x00":          "result 3",
		"\x03\x00\x06\x00":      "result 3, error 6",
		"\x00\x02\x00\x06\x1b[": `result 2, error 6, "\x1b["`,
		"\xff\xff\xff\xff":      "result 65535, error 65535",
		"\x00\x01\x00\x00" + strings.Repeat("ü", 500): `result 1, "` + strings.Repeat(`\u00fc`, 32) + `"`,
	} {
		if got := wire.ParseResult([]byte(in)).String(); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
