package wire_test

import (
	"bytes"
	"errors"
	"testing"
	"vpnd/pptp/wire"
)

func TestGRE(t *testing.T) {
	tests := []struct {
		name, hex string
		want      wire.GRE
		payload   int
	}{
		{"data", "3001880b 0004 da12 00000005 ff03c021", wire.GRE{CallID: 0xda12, HasSeq: true, Seq: 5}, 4},
		{"data and acknowledgement", "3081880b 0002 da12 00000005 00000009 fd01", wire.GRE{CallID: 0xda12, HasSeq: true, Seq: 5, HasAck: true, Ack: 9}, 2},
		{"bare acknowledgement", "2081880b 0000 da12 00000013", wire.GRE{CallID: 0xda12, HasAck: true, Ack: 0x13}, 0},
		{"nothing", "2001880b 0000 0001", wire.GRE{CallID: 1}, 0},
		{"sequence number without payload", "3001880b 0000 0001 ffffffff", wire.GRE{CallID: 1, HasSeq: true, Seq: 0xffffffff}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.hex)
			h, p, err := wire.ParseGRE(b)
			if err != nil || h != tt.want || len(p) != tt.payload {
				t.Fatalf("ParseGRE: %+v, %x, %v; want %+v", h, p, err, tt.want)
			}
			out := make([]byte, h.Len()+len(p))
			h.Put(out, len(p))
			copy(out[h.Len():], p)
			if !bytes.Equal(out, b) {
				t.Errorf("Put: %x, want %x", out, b)
			}
			for i := range b {
				if _, _, err := wire.ParseGRE(b[:i]); err == nil {
					t.Errorf("%d bytes of %d taken", i, len(b))
				}
			}
			if _, p, err := wire.ParseGRE(append(b, 0, 0, 0)); err != nil || len(p) != tt.payload {
				t.Errorf("with padding: %x, %v", p, err)
			}
		})
	}
}

func TestGRERefused(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		want      error
	}{
		{"version 0", "3000880b 0004 da12 00000005 ff03c021", wire.ErrMagic},
		{"IPv4 in GRE", "30010800 0004 da12 00000005 ff03c021", wire.ErrMagic},
		{"no key", "1001880b 0004 da12 00000005 ff03c021", wire.ErrMagic},
		{"checksum", "b001880b 0004 da12 00000005 ff03c021", wire.ErrMagic},
		{"routing", "7001880b 0004 da12 00000005 ff03c021", wire.ErrMagic},
		{"payload longer than the packet", "3001880b 0005 da12 00000005 ff03c021", wire.ErrLength},
		{"payload of 65535", "3001880b ffff da12 00000005 ff03c021", wire.ErrLength},
		{"payload without sequence number", "2001880b 0004 da12 ff03c021", wire.ErrLength},
		{"no room for the acknowledgement", "3081880b 0000 da12 00000005 ff03", wire.ErrShort},
	} {
		if _, p, err := wire.ParseGRE(unhex(t, tt.hex)); !errors.Is(err, tt.want) || p != nil {
			t.Errorf("%s: %x, %v; want %v", tt.name, p, err, tt.want)
		}
	}
}

func FuzzParseGRE(f *testing.F) {
	for n := range 17 {
		f.Add(unhex(f, "3081880b0000da1200000005000000090000")[:n])
	}
	f.Add(unhex(f, "3081880bffffda120000000500000009c021"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, p, err := wire.ParseGRE(b)
		if err != nil {
			return
		}
		if h.Len()+len(p) > len(b) || len(p) > 0 && !h.HasSeq {
			t.Fatalf("%+v with %d bytes of payload in %d", h, len(p), len(b))
		}
		out := make([]byte, h.Len()+len(p))
		h.Put(out, len(p))
		copy(out[h.Len():], p)
		h2, p2, err := wire.ParseGRE(out)
		if err != nil || h2 != h || !bytes.Equal(p, p2) {
			t.Fatalf("own packet: %+v, %x, %v; want %+v, %x", h2, p2, err, h, p)
		}
	})
}
