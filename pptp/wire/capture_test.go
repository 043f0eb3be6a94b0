package wire_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"vpnd/pptp/wire"
	"vpnd/testenv/recording"
)

// The recorded dial-ins of pptp-linux into pptpd are independent of our code.
func TestCaptures(t *testing.T) {
	var files []string
	for _, dir := range []string{"wire", "mppe"} {
		names, err := filepath.Glob("../../ppp/" + dir + "/testdata/pptp-*.pcap")
		if err != nil || len(names) == 0 {
			t.Fatalf("no captures: %v", err)
		}
		files = append(files, names...)
	}
	var control, data, acks int
	said := map[string][]string{}
	for _, name := range files {
		for _, p := range recording.Packets(t, name) {
			if segment := p.TCP(); len(segment) > 0 {
				m, n, err := wire.Parse(segment)
				if err != nil || n != len(segment) {
					t.Fatalf("%s: %x: %d, %v, want %d, nil", name, segment, n, err, len(segment))
				}
				if got := m.Append(nil); !bytes.Equal(got, segment) {
					t.Errorf("%s: %v is\n%x, want\n%x", name, m.Type(), got, segment)
				}
				control++
				said[name] = append(said[name], m.Type().String())
			}
			packet := p.GRE()
			if packet == nil {
				continue
			}
			h, payload, err := wire.ParseGRE(packet)
			if err != nil {
				t.Fatalf("%s: %x: %v", name, packet, err)
			}
			out := make([]byte, h.Len()+len(payload))
			h.Put(out, len(payload))
			copy(out[h.Len():], payload)
			if !bytes.Equal(out, packet) {
				t.Errorf("%s: GRE is\n%x, want\n%x", name, out, packet)
			}
			if h.HasSeq {
				data++
			} else {
				acks++
			}
		}
		dialIn := []string{"Start-Control-Connection-Request", "Start-Control-Connection-Reply", "Outgoing-Call-Request", "Outgoing-Call-Reply"}
		if len(said[name]) < 4 || !slices.Equal(said[name][:4], dialIn) {
			t.Errorf("%s: %v, want %v at the start", name, said[name], dialIn)
		}
	}
	if control < 40 || data < 800 || acks < 40 {
		t.Errorf("only %d control messages, %d packets, %d acknowledgements", control, data, acks)
	}
}
