package testenv

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/songgao/water"
)

// Link says what happens to the frames on a host's wire, in each direction. The zero value is a
// good wire.
type Link struct {
	Loss   float64       // the part of the frames that gets lost, 0 to 1
	Double float64       // the part of the frames that arrives twice
	Delay  time.Duration // of each frame
	Jitter time.Duration // at most this much more, at random: frames overtake each other
	Seed   uint64        // of the random numbers
}

// maxFrames is the largest number of frames on their way on a wire. More are lost, as in a full
// queue.
const maxFrames = 1000

// HostBehind makes a host behind a wire that does what link says. The host ends with the test.
func (l *Lab) HostBehind(t testing.TB, link Link) *Host {
	t.Helper()
	h := l.newHost(t)
	port := fmt.Sprintf("port%d", l.taps)
	ends := [2]*water.Interface{tapIn(t, l.Namespace, port), tapIn(t, h.Namespace, "eth0")}
	l.IP("link", "set", port, "master", "br0", "up")
	h.configure()
	var wg sync.WaitGroup
	for i, from := range ends {
		w := &direction{link: link, to: ends[1-i], rnd: rand.New(rand.NewPCG(link.Seed, uint64(i))), wake: make(chan struct{}, 1), done: make(chan struct{})} //nolint:gosec // chance that a test repeats
		wg.Go(func() { w.read(from) })
		wg.Go(w.write)
	}
	t.Cleanup(func() {
		for _, end := range ends {
			_ = end.Close()
		}
		wg.Wait()
	})
	return h
}

func tapIn(t testing.TB, namespace, name string) *water.Interface {
	t.Helper()
	var tap *water.Interface
	err := InNamespace(namespace, func() (err error) {
		tap, err = water.New(water.Config{DeviceType: water.TAP, PlatformSpecificParams: water.PlatformSpecificParams{Name: name}})
		return err
	})
	if err != nil {
		t.Fatalf("tap %s: %v", name, err)
	}
	return tap
}

// direction is one direction of a Link.
type direction struct {
	link Link
	to   *water.Interface
	rnd  *rand.Rand
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	frames frames
	n      uint64
}

// frames is a heap of frames. The next one to arrive is first.
type frames []frame

type frame struct {
	at   time.Time
	n    uint64 // frames of the same time keep their order
	data []byte
}

func (f frames) Len() int { return len(f) }
func (f frames) Less(i, j int) bool {
	return f[i].at.Before(f[j].at) || f[i].at.Equal(f[j].at) && f[i].n < f[j].n
}
func (f frames) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push implements heap.Interface.
func (f *frames) Push(x any) {
	if v, ok := x.(frame); ok {
		*f = append(*f, v)
	}
}

// Pop implements heap.Interface.
func (f *frames) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func (w *direction) read(from *water.Interface) {
	defer close(w.done)
	b := make([]byte, 2048)
	for {
		n, err := from.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		copies := 1
		switch p := w.rnd.Float64(); {
		case p < w.link.Loss:
			continue
		case p < w.link.Loss+w.link.Double:
			copies = 2
		}
		for range copies {
			w.put(b[:n])
		}
	}
}

func (w *direction) put(data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.frames) >= maxFrames {
		return
	}
	at := time.Now().Add(w.link.Delay)
	if w.link.Jitter > 0 {
		at = at.Add(time.Duration(w.rnd.Int64N(int64(w.link.Jitter))))
	}
	w.n++
	heap.Push(&w.frames, frame{at, w.n, append([]byte(nil), data...)})
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *direction) write() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(w.deliver())
		select {
		case <-w.wake:
		case <-timer.C:
		case <-w.done:
			return
		}
	}
}

// deliver writes the frames that have arrived, and gives the time until the next one.
func (w *direction) deliver() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.frames) > 0 {
		if wait := time.Until(w.frames[0].at); wait > 0 {
			return wait
		}
		f, ok := heap.Pop(&w.frames).(frame)
		if ok {
			_, _ = w.to.Write(f.data)
		}
	}
	return time.Hour
}
