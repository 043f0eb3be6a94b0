package capture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/internal/capture"
	"vpnd/ppp/wire"

	"github.com/google/gopacket/pcapgo"
)

var source = &capture.Source{Connection: "3fj2k7ah5m2q", Type: "PPTP", Peer: netip.MustParseAddr("203.0.113.9")}

func pap(password string) []byte {
	body := append([]byte("\x05alice"), byte(len(password)))
	return wire.Packet{Code: wire.PAPRequest, ID: 1, Body: append(body, password...)}.Append(wire.AppendFrame(nil, wire.PAP))
}

// read reads a file to its end, which must be a proper one.
func read(t *testing.T, file []byte) (*pcapgo.NgReader, [][]byte) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return r, frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, data)
	}
}

func TestFile(t *testing.T) {
	r := capture.New()
	at := time.Date(2026, 11, 25, 1, 2, 3, 456789012, time.UTC)
	frame := pap("geheim")
	r.Add(capture.Control(source, at, true, frame))
	r.Add(capture.Packet(source, at, false, []byte("an IP packet")))
	if !bytes.Contains(frame, []byte("geheim")) {
		t.Error("the frame itself is changed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := r.Write(ctx, &out, "user alice", 1<<20); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out.Bytes(), []byte("geheim")) {
		t.Error("the password is recorded")
	}
	ng, frames := read(t, out.Bytes())
	if ng.LinkType() != 204 || ng.NInterfaces() != 2 || !bytes.Contains([]byte(ng.SectionInfo().Comment), []byte("overwritten")) {
		t.Errorf("%v, %d interfaces, %q", ng.LinkType(), ng.NInterfaces(), ng.SectionInfo().Comment)
	}
	if i, err := ng.Interface(1); err != nil || i.Name != source.Connection || i.Description != "PPTP from 203.0.113.9" {
		t.Errorf("%+v, %v", i, err)
	}
	want := [][]byte{append([]byte{0}, pap("XXXXXX")...), []byte("\x01\xff\x03\x00\x21an IP packet")}
	if len(frames) != 2 || !bytes.Equal(frames[0], want[0]) || !bytes.Equal(frames[1], want[1]) {
		t.Errorf("%q, want %q", frames, want)
	}
	first, _ := pcapgo.NewNgReader(bytes.NewReader(out.Bytes()), pcapgo.NgReaderOptions{})
	if _, ci, err := first.ReadPacketData(); err != nil || !ci.Timestamp.Equal(at) {
		t.Errorf("%v, %v", ci.Timestamp, err)
	}
}

// A file never exceeds its size limit, and is complete all the same.
func TestSizeIsBounded(t *testing.T) {
	r := capture.New()
	for range 500 {
		r.Add(capture.Packet(source, time.Now(), true, make([]byte, 1000)))
	}
	var out bytes.Buffer
	const limit = 100_000
	if err := r.Write(t.Context(), &out, "", limit); err != nil {
		t.Fatal(err)
	}
	_, frames := read(t, out.Bytes())
	if out.Len() > limit || out.Len() < limit-2500 || len(frames) < 90 {
		t.Errorf("%d bytes, %d frames", out.Len(), len(frames))
	}
}

// stuck is a reader that reads nothing until it is released.
type stuck struct {
	bytes.Buffer
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.Buffer.Write(p)
}

// A reader that stops costs frames, which the file counts, but no time.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := capture.New(), &stuck{free: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := r.Write(ctx, out, "", 1<<30); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		before := time.Now()
		for range 10_000 {
			r.Add(capture.Packet(source, time.Now(), true, make([]byte, 100)))
		}
		if time.Since(before) != 0 || r.Dropped() != 10_000-1024 {
			t.Errorf("%v, %d dropped", time.Since(before), r.Dropped())
		}
		close(out.free)
		cancel()
		wg.Wait()
		ng, frames := read(t, out.Bytes())
		if i, err := ng.Interface(0); err != nil || len(frames) != 1024 || i.Statistics.PacketsDropped != 10_000-1024 {
			t.Errorf("%d frames, %+v, %v", len(frames), i.Statistics, err)
		}
	})
}
