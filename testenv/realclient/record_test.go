package realclient

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"vpnd/testenv"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

var record = flag.String("record", "", "folder for new recordings of dial-ins between programs of others (ppp/wire/testdata)")

// TestRecord makes recordings for the tests of the protocols. pptp-linux and xl2tpd dial pptpd and
// xl2tpd, and we only listen. It tests nothing, and does nothing without -record.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("skipped: it makes fixtures (-record FOLDER)")
	}
	lab := testenv.New(t)
	client, server := lab.Guest(t), lab.Guest(t)
	for _, c := range []struct{ name, serve, dial, hangup string }{
		{"pptp-pap-dns", "serve_pptp require-pap nomppe 'ms-wins 10.88.0.54'", "pptp alice Correct-Horse9 usepeerdns mru 1000", "hangup"},
		{"pptp-pap-wrong", "serve_pptp require-pap nomppe", "pptp alice wrong", "true"},
		{"pptp-chap-wrong", "serve_pptp require-chap nomppe", "pptp alice wrong", "true"},
		{"l2tp-mschapv1-dns", "lns= serve_l2tp require-mschap nomppe", "lac=; l2tp alice Correct-Horse9 usepeerdns 'mru 1000' nopcomp", "l2tp_hangup"},
		{"l2tp-pap-wrong", "lns= serve_l2tp require-pap nomppe", "lac=; l2tp alice wrong", "true"},
	} {
		if out, code := server.Run(`users='"alice" * "Correct-Horse9" *'; ` + c.serve); code != 0 {
			t.Fatalf("%s: %s", c.name, out)
		}
		capture := lab.Capture(t, client.Interface())
		out, code := client.Run("server=" + server.Address + "; " + c.dial + " && ping -c 2 -i 0.2 -W 5 10.88.0.1 && " + c.hangup)
		if (code == 0) != (c.hangup != "true") {
			t.Fatalf("%s: status %d: %s", c.name, code, out)
		}
		log, _ := client.Run("cat /run/pppd0")
		save(t, filepath.Join(*record, c.name), capture, log)
	}
}

func save(t *testing.T, name string, capture *testenv.Capture, log string) {
	t.Helper()
	out, err := os.Create(name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	w := pcapgo.NewWriter(out)
	if err := w.WriteFileHeader(256, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, p := range capture.Packets() {
		if p.Layer(layers.LayerTypeIPv4) == nil {
			continue
		}
		if err := w.WritePacket(p.Metadata().CaptureInfo, p.Data()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name+".pppd.txt", []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
}
