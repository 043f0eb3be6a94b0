// Package capture records PPP frames as pcapng, for Wireshark, without secrets. Callers never wait:
// if the queue is full, the frame is dropped and counted.
package capture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"
	"vpnd/ppp/wire"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

const (
	// queueLen is how many frames may wait for the reader of the recording. They take at most 1.5
	// MiB.
	queueLen = 1024
	// maxSources is how many connections one recording can distinguish.
	maxSources = 1024
	// sourceLen is the maximum length of a connection's description in bytes.
	sourceLen = 128
	// linkType is LINKTYPE_PPP_WITH_DIR: a byte that is 0 for a received frame, then the frame.
	linkType layers.LinkType = 204
	// headLen is the maximum length of the file's parts before the first frame and after the last
	// one.
	headLen = 1024
	// blockLen is the maximum length of a frame's block without the frame.
	blockLen = 40
	// statsEvery is the shortest interval between two counts of dropped frames in the file.
	statsEvery = time.Second
)

const comment = "Control frames are as they were on the link; user data is shown decrypted. Passwords of PAP, challenges, responses and " +
	"authenticators of CHAP and MS-CHAP are overwritten by X or zeros of the same length, as is any other authentication."

// Source is a connection whose frames are recorded.
type Source struct {
	Connection, Type string
	Peer             netip.Addr
}

// Frame is one frame of a connection.
type Frame struct {
	Source   *Source
	At       time.Time
	Received bool // from the peer
	data     []byte
}

// Control copies a control frame without its secrets.
func Control(s *Source, at time.Time, received bool, frame []byte) Frame {
	data := bytes.Clone(frame)
	wire.Redact(data)
	return Frame{s, at, received, data}
}

// Packet copies an IP packet of user data.
func Packet(s *Source, at time.Time, received bool, ip []byte) Frame {
	frame := make([]byte, 0, 4+len(ip))
	return Frame{s, at, received, append(wire.AppendFrame(frame, wire.IPv4), ip...)}
}

// Len is the length of the frame in bytes.
func (f Frame) Len() int { return len(f.data) }

// Recording is a running capture.
type Recording struct {
	queue   chan Frame
	dropped atomic.Uint64
}

// New makes a Recording. Write writes the frames that are added to it.
func New() *Recording { return &Recording{queue: make(chan Frame, queueLen)} }

// Add records a frame. It does not wait.
func (r *Recording) Add(f Frame) {
	select {
	case r.queue <- f:
	default:
		r.dropped.Add(1)
	}
}

// Dropped is how many frames were not recorded because the reader was slow.
func (r *Recording) Dropped() uint64 { return r.dropped.Load() }

// Write writes the added frames as a whole file until ctx is done or limit bytes are written. about
// describes the recorded connections. If w has a FlushError method, Write calls it when no frame
// waits.
func (r *Recording) Write(ctx context.Context, w io.Writer, about string, limit int64) error {
	ng, err := pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{Name: "vpnd", Description: about, LinkType: linkType},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "vpnd", Comment: comment}})
	if err != nil {
		return err
	}
	f := &file{ng: ng, out: w, size: headLen, began: time.Now(), sources: map[*Source]int{}}
	if err := f.flush(); err != nil {
		return err
	}
	for {
		select {
		case frame := <-r.queue:
			full, err := f.add(frame, limit)
			if err != nil {
				return err
			}
			if full {
				return f.end(r.Dropped())
			}
			if len(r.queue) > 0 {
				continue
			}
			if err := f.between(r.Dropped()); err != nil {
				return err
			}
		case <-ctx.Done():
			for len(r.queue) > 0 {
				if full, err := f.add(<-r.queue, limit); err != nil || full {
					break
				}
			}
			return f.end(r.Dropped())
		}
	}
}

// file is an open pcapng file.
type file struct {
	ng      *pcapgo.NgWriter
	out     io.Writer
	size    int64 // upper bound in bytes
	began   time.Time
	sources map[*Source]int // numbers of interfaces
	frames  uint64
	told    uint64 // dropped frames that the file already counts
	toldAt  time.Time
}

// add writes a frame if it fits below limit.
func (f *file) add(frame Frame, limit int64) (full bool, err error) {
	if f.size+int64(blockLen+frame.Len()) > limit {
		return true, nil
	}
	n, ok := f.sources[frame.Source]
	if !ok {
		if len(f.sources) >= maxSources {
			return true, nil
		}
		s := frame.Source
		n, err = f.ng.AddInterface(pcapgo.NgInterface{
			Name: s.Connection, Description: fmt.Sprintf("%s from %v", s.Type, s.Peer), LinkType: linkType,
		})
		if err != nil {
			return false, err
		}
		f.sources[s] = n
		f.size += sourceLen
	}
	direction := byte(1)
	if frame.Received {
		direction = 0
	}
	data := append([]byte{direction}, frame.data...)
	f.frames++
	f.size += int64(blockLen + frame.Len())
	return false, f.ng.WritePacket(gopacket.CaptureInfo{Timestamp: frame.At, CaptureLength: len(data), Length: len(data), InterfaceIndex: n}, data)
}

// between is called when no frame waits.
func (f *file) between(dropped uint64) error {
	if now := time.Now(); dropped != f.told && now.Sub(f.toldAt) >= statsEvery {
		f.told, f.toldAt = dropped, now
		if err := f.stats(dropped); err != nil {
			return err
		}
	}
	return f.flush()
}

func (f *file) stats(dropped uint64) error {
	now := time.Now()
	return f.ng.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
		LastUpdate: now, StartTime: f.began, EndTime: now, PacketsReceived: f.frames, PacketsDropped: dropped,
	})
}

func (f *file) end(dropped uint64) error {
	if err := f.stats(dropped); err != nil {
		return err
	}
	return f.flush()
}

func (f *file) flush() error {
	err := f.ng.Flush()
	if w, ok := f.out.(interface{ FlushError() error }); ok && err == nil {
		err = w.FlushError()
	}
	return err
}
