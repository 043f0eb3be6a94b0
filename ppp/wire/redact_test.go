package wire_test

import (
	"bytes"
	"testing"
	"vpnd/ppp/wire"
)

func packed(protocol wire.Protocol, code wire.Code, body string) []byte {
	return wire.Packet{Code: code, ID: 7, Body: []byte(body)}.Append(wire.AppendFrame(nil, protocol))
}

func TestRedact(t *testing.T) {
	const hex16, hex40 = "0123456789ABCDEF", "0123456789abcdef0123456789ABCDEF01234567"
	const x16, x40 = "XXXXXXXXXXXXXXXX", "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
	for name, c := range map[string]struct {
		protocol   wire.Protocol
		code       wire.Code
		body, want string
	}{
		"PAP request":          {wire.PAP, wire.PAPRequest, "\x05alice\x06geheimmore", "\x05alice\x06XXXXXX\x00\x00\x00\x00"},
		"PAP, length lies":     {wire.PAP, wire.PAPRequest, "\x05alice\x09geheim", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		"PAP, another code":    {wire.PAP, 9, "\x05alice\x06geheim", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		"PAP ack":              {wire.PAP, wire.PAPAck, "\x07Welcome", "\x07Welcome"},
		"challenge":            {wire.CHAP, wire.CHAPChallenge, "\x04abcdvpnd", "\x04\x00\x00\x00\x00vpnd"},
		"response":             {wire.CHAP, wire.CHAPResponse, "\x03xyzalice", "\x03\x00\x00\x00alice"},
		"response, cut":        {wire.CHAP, wire.CHAPResponse, "\x09xyz", "\x00\x00\x00\x00"},
		"MS-CHAPv2 success":    {wire.CHAP, wire.CHAPSuccess, "S=" + hex40 + " M=Welcome", "S=" + x40 + " M=Welcome"},
		"MS-CHAP failure":      {wire.CHAP, wire.CHAPFailure, "E=691 R=1 C=" + hex16 + " V=2", "E=691 R=1 C=" + x16 + " V=2"},
		"digits at the end":    {wire.CHAP, wire.CHAPFailure, "C=" + hex16, "C=" + x16},
		"password change":      {wire.CHAP, 7, "secret", "\x00\x00\x00\x00\x00\x00"},
		"EAP":                  {wire.EAP, 2, "secret", "\x00\x00\x00\x00\x00\x00"},
		"Protocol-Reject, PAP": {wire.LCP, wire.ProtocolReject, "\xc0\x23\x01secret", "\xc0\x23\x00\x00\x00\x00\x00\x00\x00"},
		"Protocol-Reject, IPv6": {
			wire.LCP, wire.ProtocolReject, "\x80\x57\x01\x02", "\x80\x57\x01\x02",
		},
		"Code-Reject":       {wire.LCP, wire.CodeReject, "\x08\x01\x00\x0asecret", "\x08\x01\x00\x0a\x00\x00\x00\x00\x00\x00"},
		"Configure-Request": {wire.LCP, wire.ConfigureRequest, "\x05\x06magi", "\x05\x06magi"},
		"IPCP":              {wire.IPCP, wire.ConfigureRequest, "\x03\x06\x0a\x63\x00\x0a", "\x03\x06\x0a\x63\x00\x0a"},
	} {
		got, want := packed(c.protocol, c.code, c.body), packed(c.protocol, c.code, c.want)
		wire.Redact(got)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	padded := append(packed(wire.PAP, wire.PAPNak, "\x02no"), "geheim"...)
	wire.Redact(padded)
	if bytes.Contains(padded, []byte("geheim")) {
		t.Errorf("padding stays: %q", padded)
	}
}

// In any frame, cut at any place, the password of a PAP request is gone.
func FuzzRedact(f *testing.F) {
	f.Add(packed(wire.PAP, wire.PAPRequest, "\x05alice\x06geheim"))
	f.Add(packed(wire.CHAP, wire.CHAPFailure, "E=691 R=1 C=0123456789ABCDEF V=2"))
	f.Add(packed(wire.LCP, wire.ProtocolReject, "\xc0\x23\x01secret"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		got := bytes.Clone(frame)
		wire.Redact(got)
		again := bytes.Clone(got)
		wire.Redact(again)
		if len(got) != len(frame) || !bytes.Equal(got, again) {
			t.Errorf("%q, then %q, then %q", frame, got, again)
		}
	})
}
