package tun_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"vpnd/internal/pktbuf"
	"vpnd/internal/tun"
	"vpnd/testenv"
)

var config = tun.Config{
	Name: "vpn0", Address: netip.MustParseAddr("10.99.0.1"), MTU: 1400,
	Routes: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/25")},
}

// inside opens the device in its own namespace.
func inside(t *testing.T, f func(d *tun.Device) error) {
	t.Helper()
	lab := testenv.New(t)
	err := testenv.InNamespace(lab.Namespace, func() error {
		d, err := tun.Open(config)
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		return f(d)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackets(t *testing.T) {
	inside(t, func(d *tun.Device) error {
		if d.MTU() != 1400 || d.Name() != "vpn0" {
			t.Errorf("%s, MTU %d", d.Name(), d.MTU())
		}
		conn, err := net.Dial("udp4", "10.99.0.77:9")
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if got := conn.LocalAddr().(*net.UDPAddr).IP.String(); got != "10.99.0.1" {
			t.Errorf("packets leave from %s", got)
		}
		for i := range byte(5) {
			if _, err := conn.Write([]byte{'n', i}); err != nil {
				return err
			}
		}
		var packets [][]byte
		for deadline := time.Now().Add(10 * time.Second); len(packets) < 5 && time.Now().Before(deadline); {
			bufs := []*pktbuf.Buf{pktbuf.Get(), pktbuf.Get(), pktbuf.Get()}
			n, err := d.ReadBatch(bufs)
			if err != nil {
				return err
			}
			for _, b := range bufs[:n] {
				if b.Bytes()[0]>>4 == 4 { // the system also sends IPv6 by itself
					packets = append(packets, bytes.Clone(b.Bytes()))
				}
			}
		}
		for i, p := range packets {
			if len(p) != 30 || p[28] != 'n' || p[29] != byte(i) {
				t.Errorf("packet %d: %x", i, p)
			}
		}
		// The system answers an echo request from a user.
		request := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0}, 10, 99, 0, 77, 10, 99, 0, 1, 8, 0, 0xF7, 0xFF, 0, 0, 0, 0)
		sum := uint32(0)
		for i := 0; i < 20; i += 2 {
			sum += uint32(request[i])<<8 | uint32(request[i+1])
		}
		sum = sum>>16 + sum&0xFFFF
		request[10], request[11] = byte(^sum>>8), byte(^sum)
		if err := d.WritePacket(request); err != nil {
			return err
		}
		for {
			b := pktbuf.Get()
			if _, err := d.ReadBatch([]*pktbuf.Buf{b}); err != nil {
				return err
			}
			if p := b.Bytes(); p[0]>>4 == 4 {
				if p[9] != 1 || p[20] != 0 {
					t.Errorf("no echo reply: %x", p)
				}
				return nil
			}
		}
	})
}

// A packet costs no allocation, and none is written after Close.
func TestWrite(t *testing.T) {
	inside(t, func(d *tun.Device) error {
		packet := append([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0}, 10, 99, 0, 77, 10, 99, 0, 1)
		if n := testing.AllocsPerRun(1000, func() {
			if err := d.WritePacket(packet); err != nil {
				t.Error(err)
			}
		}); n >= 1 {
			t.Errorf("%v allocations for a packet", n)
		}
		if err := d.Close(); err != nil {
			return err
		}
		if err := d.WritePacket(packet); err == nil {
			t.Error("a packet is written after the end")
		}
		return nil
	})
}

func TestClose(t *testing.T) {
	inside(t, func(d *tun.Device) error {
		done := make(chan error, 1)
		go func() {
			for {
				if _, err := d.ReadBatch([]*pktbuf.Buf{pktbuf.Get()}); err != nil {
					done <- err
					return
				}
			}
		}()
		if err := d.Close(); err != nil {
			return err
		}
		if err := <-done; !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%v", err)
		}
		return nil
	})
}

func TestErrors(t *testing.T) {
	inside(t, func(*tun.Device) error {
		_, err := tun.Open(config)
		if err == nil || !strings.Contains(err.Error(), "the interface vpn0 exists already") {
			t.Errorf("%v", err)
		}
		other := config
		other.Name = "vpn1"
		_, err = tun.Open(other)
		if err == nil || !strings.Contains(err.Error(), "is network.pool used elsewhere on this machine?") {
			t.Errorf("%v", err)
		}
		if _, err := net.InterfaceByName("vpn1"); err == nil {
			t.Error("an interface is left over")
		}
		return nil
	})
}
