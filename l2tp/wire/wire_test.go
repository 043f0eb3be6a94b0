package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"vpnd/internal/pktbuf"
	"vpnd/l2tp/wire"
)

// windowsSCCRQ is from Windows 7. It has crashed another server.
var windowsSCCRQ = []byte("\xc8\x02\x00\x64\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x80\x08\x00\x00\x00\x00\x00\x01" + "\x80\x08\x00\x00\x00\x02\x01\x00" + "\x80\x0a\x00\x00\x00\x03\x00\x00\x00\x01" +
	"\x80\x0a\x00\x00\x00\x04\x00\x00\x00\x00" + "\x00\x08\x00\x00\x00\x06\x06\x00" + "\x80\x0d\x00\x00\x00\x07Test-PC" +
	"\x00\x0f\x00\x00\x00\x08Microsoft" + "\x80\x08\x00\x00\x00\x09\x00\x06" + "\x80\x08\x00\x00\x00\x0a\x00\x08")

func TestWindowsSCCRQ(t *testing.T) {
	h, body, err := wire.ParseHeader(windowsSCCRQ)
	if err != nil || len(windowsSCCRQ) != 100 || !h.Control || h.Tunnel != 0 || !wire.IsSCCRQ(body) {
		t.Fatalf("%d bytes, %+v, %v", len(windowsSCCRQ), h, err)
	}
	avps, err := wire.ParseAVPs(body, "")
	if err != nil || len(avps) != 9 || string(avps[5].Value) != "Test-PC" || string(avps[6].Value) != "Microsoft" {
		t.Errorf(`%+v, %v, want nine AVPs, with "Test-PC" and "Microsoft"`, avps, err)
	}
	for n := range windowsSCCRQ {
		if _, _, err := wire.ParseHeader(windowsSCCRQ[:n]); err == nil {
			t.Errorf("cut to %d bytes it is taken", n)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		err  error
		want wire.Header
		body string
	}{
		{"bare data", []byte("\x00\x02\x00\x05\x00\x07ppp"), nil, wire.Header{Tunnel: 5, Session: 7}, "ppp"},
		{"length, and padding behind", []byte("\x40\x02\x00\x0b\x00\x05\x00\x07pppxx"), nil, wire.Header{Tunnel: 5, Session: 7}, "ppp"},
		{"sequence", []byte("\x08\x02\x00\x05\x00\x07\x00\x01\x00\x02ppp"), nil, wire.Header{Tunnel: 5, Session: 7, HasSeq: true, Ns: 1, Nr: 2}, "ppp"},
		{"offset", []byte("\x02\x02\x00\x05\x00\x07\x00\x02xxppp"), nil, wire.Header{Tunnel: 5, Session: 7}, "ppp"},
		{"priority", []byte("\x01\x02\x00\x05\x00\x07ppp"), nil, wire.Header{Tunnel: 5, Session: 7}, "ppp"},
		{"offset over the end", []byte("\x02\x02\x00\x05\x00\x07\x00\x09ppp"), wire.ErrLength, wire.Header{}, ""},
		{"length over the end", []byte("\x40\x02\x00\xff\x00\x05\x00\x07"), wire.ErrLength, wire.Header{}, ""},
		{"length 0", []byte("\x80\x02\x00\x00\x00\x00\x00"), wire.ErrHeader, wire.Header{}, ""},
		{"control without length", []byte("\x88\x02\x00\x05\x00\x07\x00\x01\x00\x02"), wire.ErrHeader, wire.Header{}, ""},
		{"L2F", []byte("\x00\x01\x00\x05\x00\x07"), wire.ErrVersion, wire.Header{}, ""},
		{"L2TPv3", []byte("\xc8\x03\x00\x0c\x00\x05\x00\x07\x00\x01\x00\x02"), wire.ErrVersion, wire.Header{}, ""},
		{"all bits", []byte("\x4b\x02\x00\x13\x00\x05\x00\x07\x00\x01\x00\x02\x00\x02xxppp"), nil, wire.Header{Tunnel: 5, Session: 7, HasSeq: true, Ns: 1, Nr: 2}, "ppp"},
		{"length shorter than the header", []byte("\xc8\x02\x00\x0b\x00\x05\x00\x07\x00\x01\x00\x02"), wire.ErrShort, wire.Header{}, ""},
		{"control without numbers", []byte("\xc0\x02\x00\x08\x00\x05\x00\x07"), wire.ErrHeader, wire.Header{}, ""},
		{"control with an offset", []byte("\xca\x02\x00\x0e\x00\x05\x00\x07\x00\x01\x00\x02\x00\x00"), wire.ErrHeader, wire.Header{}, ""},
		{"nothing", nil, wire.ErrShort, wire.Header{}, ""},
	} {
		h, body, err := wire.ParseHeader(c.in)
		if !errors.Is(err, c.err) || h != c.want || string(body) != c.body {
			t.Errorf("%s: ParseHeader gives %+v, %q, %v, want %+v, %q, %v", c.name, h, body, err, c.want, c.body, c.err)
		}
		b := pktbuf.Get()
		b.Append(c.in)
		left := c.body
		if c.err != nil {
			left = string(c.in)
		}
		if h, err := wire.TrimHeader(b); !errors.Is(err, c.err) || h != c.want || string(b.Bytes()) != left {
			t.Errorf("%s: TrimHeader gives %+v, %v and leaves %q, want %+v, %v, %q", c.name, h, err, b.Bytes(), c.want, c.err, left)
		}
		b.Release()
	}
	for _, h := range []wire.Header{{Tunnel: 1, Session: 2}, {Tunnel: 1, Session: 2, HasSeq: true, Ns: 0xFFFF, Nr: 3}} {
		b := make([]byte, h.DataLen(), 20)
		h.PutData(b)
		got, body, err := wire.ParseHeader(append(b, "x"...))
		if err != nil || got != h || string(body) != "x" {
			t.Errorf("%+v becomes %+v, %v", h, got, err)
		}
	}
}

func TestAVPLengths(t *testing.T) {
	good := wire.AppendAVP(nil, true, wire.AttrHostName, []byte(strings.Repeat("h", 1017)))
	if avps, err := wire.ParseAVPs(good, ""); err != nil || len(avps) != 1 || len(avps[0].Value) != 1017 {
		t.Errorf("the longest value: %v", err)
	}
	for n := range 6 {
		if _, err := wire.ParseAVPs([]byte{0x80, byte(n), 0, 0, 0, 7, 1, 2}, ""); !errors.Is(err, wire.ErrLength) {
			t.Errorf("length %d: %v", n, err)
		}
	}
	for n := 1; n < len(good); n++ {
		if _, err := wire.ParseAVPs(good[:n], ""); err == nil {
			t.Fatalf("cut to %d bytes it is taken", n)
		}
	}
	reserved, err := wire.ParseAVPs([]byte{0x84, 8, 0, 0, 0, 7, 1, 2}, "")
	if err != nil || reserved[0].Known {
		t.Errorf("reserved bits: %+v, %v", reserved, err)
	}
}

func TestHiding(t *testing.T) {
	vector := []byte("random vector")
	for n := range 200 {
		value := bytes.Repeat([]byte{byte(n)}, n)
		body := wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
		at := len(body)
		body = wire.AppendAVP(body, true, wire.AttrChallenge, wire.Hide(wire.AttrChallenge, value, secret, vector, n%7))
		body[at] |= 0x40
		avps, err := wire.ParseAVPs(body, secret)
		if err != nil || len(avps) != 2 || !bytes.Equal(avps[1].Value, value) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if _, err := wire.ParseAVPs(body[at:], secret); !errors.Is(err, wire.ErrHidden) {
			t.Errorf("without a random vector: %v", err)
		}
		if _, err := wire.ParseAVPs(body, ""); !errors.Is(err, wire.ErrHidden) {
			t.Errorf("without a secret: %v", err)
		}
	}
	// every inner length in a value of every length up to 17 bytes
	for n := range 18 {
		for inner := range 65536 {
			if inner > 40 && inner < 65500 {
				continue
			}
			hidden := wire.Hide(wire.AttrChallenge, make([]byte, max(n-2, 0)), secret, vector, 0)
			hidden[0] ^= byte(inner >> 8) // the key is a stream, so the length becomes inner
			hidden[1] ^= byte(inner ^ max(n-2, 0))
			hidden = hidden[:n]
			body := wire.AppendAVP(nil, true, wire.AttrRandomVector, vector)
			at := len(body)
			body = wire.AppendAVP(body, true, wire.AttrChallenge, hidden)
			body[at] |= 0x40
			avps, err := wire.ParseAVPs(body, secret)
			if good := n >= 2 && inner <= n-2; good != (err == nil) || !good && !errors.Is(err, wire.ErrHidden) {
				t.Fatalf("length %d in %d bytes: %v", inner, n, err)
			} else if good && len(avps[1].Value) != inner {
				t.Fatalf("length %d in %d bytes reveals %d", inner, n, len(avps[1].Value))
			}
		}
	}
}

func TestResults(t *testing.T) {
	for in, want := range map[string]wire.Result{
		"\x00\x01":             {Code: 1},
		"\x00\x02\x00\x06text": {Code: 2, Error: 6, Message: "text"},
		"\x03\x00":             {Code: 3}, // Apple
		"\x01\x00\x00\x00":     {Code: 1},
		"":                     {},
	} {
		if got := wire.ParseResult([]byte(in)); got != want {
			t.Errorf("%x: %+v, want %+v", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x80, 0x02, 0, 0, 0, 0, 0}) // an endless loop elsewhere
	f.Add(wire.AppendControl(nil, wire.Header{Tunnel: 1}, wire.AppendAVP(nil, true, wire.AttrMessageType, []byte{0, 1})))
	f.Add([]byte("\x02\x02\x00\x05\x00\x07\x00\x02xxppp"))
	f.Add(windowsSCCRQ)
	for _, a := range attributes {
		octets, _ := hex.DecodeString(strings.ReplaceAll(a.octets, " ", ""))
		f.Add(wire.AppendControl(nil, wire.Header{Tunnel: 1}, octets))
	}
	for n := range 18 { // hidden values of every length, that decode to any
		body := wire.AppendAVP(nil, true, wire.AttrRandomVector, []byte("vector"))
		at := len(body)
		body = wire.AppendAVP(body, true, wire.AttrHostName, make([]byte, n))
		body[at] |= 0x40
		f.Add(wire.AppendControl(nil, wire.Header{Tunnel: 1}, body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := wire.ParseHeader(b)
		if err != nil {
			return
		}
		if h.Control && !h.HasSeq {
			t.Error("a control message without numbers")
		}
		avps, err := wire.ParseAVPs(body, secret)
		total := 0
		for _, a := range avps {
			total += len(a.Value)
		}
		if err == nil && total > len(b) {
			t.Errorf("%d bytes of values from %d", total, len(b))
		}
		wire.IsSCCRQ(body)
	})
}
