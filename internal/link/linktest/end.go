// Package linktest accepts and places calls in tests of the carriers.
package linktest

import (
	"strings"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
)

// End is one end of a call, with the frames and reasons that it has received. It is a link.Sink.
type End struct {
	Link    link.Link
	Frames  chan string
	Reasons chan string // of Down
	t       testing.TB
}

// NewEnd makes the end of a call whose link is l.
func NewEnd(t testing.TB, l link.Link) *End {
	t.Helper()
	return &End{t: t, Link: l, Frames: make(chan string, 10), Reasons: make(chan string, 1)}
}

// Frame implements link.Sink.
func (e *End) Frame(b *pktbuf.Buf) {
	e.Frames <- string(b.Bytes())
	b.Release()
}

// Down implements link.Sink.
func (e *End) Down(why reason.Reason) { e.Reasons <- why.String() }

// Say sends a frame to the other end.
func (e *End) Say(frame string) {
	var out link.Batch
	b := pktbuf.Get()
	b.Append([]byte(frame))
	e.Link.Send(b, &out)
	out.Flush()
}

// Want waits for the next text from a channel of e, and checks that it contains want.
func (e *End) Want(from chan string, want string) {
	e.t.Helper()
	select {
	case got := <-from:
		if !strings.Contains(got, want) {
			e.t.Errorf("%q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		e.t.Fatalf("no %q", want)
	}
}
