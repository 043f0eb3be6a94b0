package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"vpnd/pptp/wire"

	"github.com/google/go-cmp/cmp"
)

func zeros(n int) string { return strings.Repeat("00", n) }

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

const cookie = "0001 1a2b3c4d "

// messages are bytes written by hand after the diagrams of RFC 2637, sections 2.1 to 2.15. The
// messages that pptp-linux and pptpd send are the bytes of a recorded dial-in.
var messages = []struct {
	msg wire.Message
	hex string
}{
	{
		&wire.StartRequest{Version: 0x100, Framing: 3, Bearer: 3, MaxChannels: 65535, Firmware: 1, Host: "local", Vendor: "cananian"},
		"009c" + cookie + "0001 0000 0100 0000 00000003 00000003 ffff 0001 6c6f63616c" + zeros(59) + "63616e616e69616e" + zeros(56),
	},
	{
		&wire.StartReply{Version: 0x100, Result: 1, MaxChannels: 1, Firmware: 1, Host: "local", Vendor: "linux"},
		"009c" + cookie + "0002 0000 0100 01 00 00000000 00000000 0001 0001 6c6f63616c" + zeros(59) + "6c696e7578" + zeros(59),
	},
	{&wire.StopRequest{Reason: 3}, "0010" + cookie + "0003 0000 03 00 0000"},
	{&wire.StopReply{Result: 2, Error: 6}, "0010" + cookie + "0004 0000 02 06 0000"},
	{&wire.EchoRequest{ID: 0xdeadbeef}, "0010" + cookie + "0005 0000 deadbeef"},
	{&wire.EchoReply{ID: 0xdeadbeef, Result: 1}, "0014" + cookie + "0006 0000 deadbeef 01 00 0000"},
	{
		&wire.OutgoingCallRequest{CallID: 0xda12, MinBPS: 2400, MaxBPS: 10000000, Bearer: 3, Framing: 3, Window: 3},
		"00a8" + cookie + "0007 0000 da12 0000 00000960 00989680 00000003 00000003 0003 0000 0000 0000" + zeros(128),
	},
	{
		&wire.OutgoingCallRequest{CallID: 1, Serial: 2, MinBPS: 3, MaxBPS: 4, Bearer: 1, Framing: 2, Window: 5, Delay: 6, NumberLen: 3, Number: "123", Subaddress: "x"},
		"00a8" + cookie + "0007 0000 0001 0002 00000003 00000004 00000001 00000002 0005 0006 0003 0000 313233" + zeros(61) + "78" + zeros(63),
	},
	{
		&wire.OutgoingCallReply{CallID: 0, PeerCallID: 0xda12, Result: 1, Speed: 10000000, Window: 3},
		"0020" + cookie + "0008 0000 0000 da12 01 00 0000 00989680 0003 0000 00000000",
	},
	{
		&wire.OutgoingCallReply{CallID: 0x1234, PeerCallID: 0x5678, Result: 2, Error: 4, Cause: 17, Speed: 1, Window: 64, Delay: 9, Channel: 7},
		"0020" + cookie + "0008 0000 1234 5678 02 04 0011 00000001 0040 0009 00000007",
	},
	{
		&wire.IncomingCallRequest{CallID: 0x0102, Serial: 3, Bearer: 2, Channel: 5, DialedLen: 1, DialingLen: 2, Dialed: "7", Dialing: "89", Subaddress: "s"},
		"00dc" + cookie + "0009 0000 0102 0003 00000002 00000005 0001 0002 37" + zeros(63) + "3839" + zeros(62) + "73" + zeros(63),
	},
	{
		&wire.IncomingCallReply{CallID: 0x0102, PeerCallID: 0x0304, Result: 3, Error: 1, Window: 8, Delay: 2},
		"0018" + cookie + "000a 0000 0102 0304 03 01 0008 0002 0000",
	},
	{
		&wire.IncomingCallConnected{PeerCallID: 0x0304, Speed: 64000, Window: 4, Delay: 1, Framing: 2},
		"001c" + cookie + "000b 0000 0304 0000 0000fa00 0004 0001 00000002",
	},
	{&wire.CallClearRequest{CallID: 0xda12}, "0010" + cookie + "000c 0000 da12 0000"},
	{
		&wire.CallDisconnectNotify{CallID: 0x1234, Result: 4, Error: 0, Cause: 16, Statistics: "ok"},
		"0094" + cookie + "000d 0000 1234 04 00 0010 0000 6f6b" + zeros(126),
	},
	{
		&wire.WANErrorNotify{PeerCallID: 0xda12, CRC: 1, Framing: 2, Hardware: 3, Buffer: 4, Timeout: 5, Alignment: 6},
		"0028" + cookie + "000e 0000 da12 0000 00000001 00000002 00000003 00000004 00000005 00000006",
	},
	{
		&wire.SetLinkInfo{PeerCallID: 0x1234, SendACCM: 0xffffffff, ReceiveACCM: 0x000a0000},
		"0018" + cookie + "000f 0000 1234 0000 ffffffff 000a0000",
	},
	{&wire.Raw{MessageType: 2, ControlType: 1, Body: []byte{1, 2}}, "000e 0002 1a2b3c4d 0001 0000 0102"},
	{&wire.Raw{MessageType: 1, ControlType: 0xffff, Body: []byte{}}, "000c 0001 1a2b3c4d ffff 0000"},
}

func TestMessages(t *testing.T) {
	seen := map[wire.Type]bool{}
	for _, tt := range messages {
		want := unhex(t, tt.hex)
		t.Run(tt.msg.Type().String(), func(t *testing.T) {
			seen[tt.msg.Type()] = true
			if diff := cmp.Diff(want, tt.msg.Append(nil)); diff != "" {
				t.Errorf("Append (-want +got):\n%s", diff)
			}
			got, n, err := wire.Parse(append(bytes.Clone(want), 0xAA, 0xBB))
			if err != nil || n != len(want) {
				t.Fatalf("Parse: n=%d err=%v, want n=%d", n, err, len(want))
			}
			if diff := cmp.Diff(tt.msg, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			for i := range want {
				if m, n, err := wire.Parse(want[:i]); !errors.Is(err, wire.ErrShort) || m != nil || n != 0 {
					t.Fatalf("Parse of %d bytes: %v, %d, %v; want ErrShort", i, m, n, err)
				}
			}
		})
	}
	for typ := wire.TypeStartRequest; typ <= wire.TypeSetLinkInfo; typ++ {
		if !seen[typ] {
			t.Errorf("%v has no test", typ)
		}
	}
}

func TestParseWrongLength(t *testing.T) {
	for _, tt := range messages {
		good := unhex(t, tt.hex)
		for n := 0; n < 65536; n++ {
			if _, raw := tt.msg.(*wire.Raw); n == len(good) || raw && n >= wire.HeaderLen && n <= wire.MaxLen {
				continue
			}
			b := append(bytes.Clone(good), make([]byte, wire.MaxLen)...)
			b[0], b[1] = byte(n>>8), byte(n)
			if _, _, err := wire.Parse(b); !errors.Is(err, wire.ErrLength) {
				t.Fatalf("%v with length %d: %v, want ErrLength", tt.msg.Type(), n, err)
			}
			if n > 300 {
				n += 7000
			}
		}
	}
	// An unknown type of length 0 once made a parser loop forever.
	if _, _, err := wire.Parse(unhex(t, "0000"+cookie+"ffff 0000")); !errors.Is(err, wire.ErrLength) {
		t.Errorf("unknown type of length 0: %v, want ErrLength", err)
	}
}

func TestParseMagic(t *testing.T) {
	if _, _, err := wire.Parse(unhex(t, "0010 0001 1a2b3c4e")); !errors.Is(err, wire.ErrMagic) {
		t.Errorf("wrong cookie: %v, want ErrMagic before the rest has come", err)
	}
	if _, _, err := wire.Parse([]byte("GET / HTTP/1.1\r\n")); err == nil || errors.Is(err, wire.ErrShort) {
		t.Errorf("HTTP: %v, want a refusal", err)
	}
}

func TestTextIsCut(t *testing.T) {
	long := strings.Repeat("h", 100)
	b := (&wire.StartRequest{Host: long, Vendor: long}).Append(nil)
	m, n, err := wire.Parse(b)
	if err != nil || n != 156 {
		t.Fatalf("Parse: %d, %v", n, err)
	}
	if got := m.(*wire.StartRequest).Host; got != long[:64] {
		t.Errorf("host %q, want 64 bytes", got)
	}
	if b := (&wire.Raw{MessageType: 1, ControlType: 99, Body: make([]byte, 1000)}).Append(nil); len(b) != wire.MaxLen {
		t.Errorf("raw message of %d bytes, want %d", len(b), wire.MaxLen)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range messages {
		f.Add(unhex(f, tt.hex))
	}
	f.Add(unhex(f, "0000"+cookie+"ffff 0000"))
	f.Add(unhex(f, "0004"+cookie+"0001 0000"))
	f.Add(unhex(f, "ffff"+cookie+"0007 0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := wire.Parse(b)
		if err != nil {
			if n != 0 || m != nil {
				t.Fatalf("%v, %d with error %v", m, n, err)
			}
			return
		}
		if n < wire.HeaderLen || n > len(b) {
			t.Fatalf("took %d of %d bytes", n, len(b))
		}
		again, n2, err := wire.Parse(m.Append(nil))
		if err != nil || n2 != n {
			t.Fatalf("own message: %d bytes, %v; want %d", n2, err, n)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
