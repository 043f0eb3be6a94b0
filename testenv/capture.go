package testenv

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"vpnd/internal/netlab"
	"vpnd/ppp/wire"
	"vpnd/testenv/recording"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Capture is a recording of the packets on an interface of a Lab.
type Capture struct {
	t     testing.TB
	path  string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Capture begins to record an interface with tcpdump. The recording ends with the test, or with
// Packets.
func (l *Lab) Capture(t testing.TB, iface string) *Capture {
	t.Helper()
	c := &Capture{t: t, path: filepath.Join(t.TempDir(), "capture.pcap")}
	c.cmd = l.Command("tcpdump", "-Z", "root", "-U", "--immediate-mode", "-n", "-s", "256", "-i", iface, "-w", c.path)
	var said bytes.Buffer
	c.cmd.Stderr = &said
	c.ended = make(chan struct{})
	if err := netlab.Start(c.cmd, c.ended); err != nil {
		t.Fatalf("tcpdump: %v", err)
	}
	t.Cleanup(func() {
		c.stop()
		c.keep()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(c.path); err == nil && info.Size() >= 24 {
			return c
		}
		if time.Now().After(deadline) {
			c.stop()
			t.Fatalf("tcpdump does not begin: %s", said.String())
		}
	}
}

func (c *Capture) stop() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.cmd.Wait()
	close(c.ended)
	c.cmd = nil
}

// keep saves the recording as pcapng if the test has failed. It is then in the folder that the
// environment variable VPND_CAPTURES names, or else in the folder for temporary files.
func (c *Capture) keep() {
	if !c.t.Failed() {
		return
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(c.t.Name())
	out, err := os.CreateTemp(os.Getenv("VPND_CAPTURES"), name+"-*.pcapng")
	if err == nil {
		err = errors.Join(writePcapng(out, c.Packets()), out.Close())
	}
	if err != nil {
		c.t.Logf("the recording cannot be kept: %v", err)
		return
	}
	c.t.Logf("what passed the wire: %s", out.Name())
}

func writePcapng(out io.Writer, packets []gopacket.Packet) error {
	w, err := pcapgo.NewNgWriter(out, layers.LinkTypeEthernet)
	if err != nil {
		return err
	}
	for _, p := range packets {
		info := p.Metadata().CaptureInfo
		info.InterfaceIndex = 0
		if err := w.WritePacket(info, p.Data()); err != nil {
			return err
		}
	}
	return w.Flush()
}

// Packets ends the recording and gives its packets.
func (c *Capture) Packets() []gopacket.Packet {
	c.t.Helper()
	c.stop()
	f, err := os.Open(c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		c.t.Fatal(err)
	}
	var packets []gopacket.Packet
	for p := range gopacket.NewPacketSource(r, r.LinkType()).Packets() {
		packets = append(packets, p)
	}
	return packets
}

// Count ends the recording. It counts the PPP frames with an IP packet in clear, and the encrypted
// ones.
func (c *Capture) Count() (open, sealed int) {
	c.t.Helper()
	for _, p := range c.Packets() {
		ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if !ok {
			continue
		}
		switch protocol, _, _ := wire.ParseFrame(recording.Packet{IPv4: ip}.PPP()); protocol {
		case wire.IPv4:
			open++
		case wire.Comp:
			sealed++
		default:
		}
	}
	return open, sealed
}

// Datagram is a UDP datagram of a recording.
type Datagram struct {
	From    string // address
	Payload []byte
}

// UDP ends the recording and gives the datagrams from or to a port.
func (c *Capture) UDP(port uint16) []Datagram {
	c.t.Helper()
	var all []Datagram
	for _, p := range c.Packets() {
		ip, isIP := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		udp, isUDP := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if isIP && isUDP && (udp.SrcPort == layers.UDPPort(port) || udp.DstPort == layers.UDPPort(port)) {
			all = append(all, Datagram{ip.SrcIP.String(), udp.Payload})
		}
	}
	return all
}
