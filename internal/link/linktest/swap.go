package linktest

import (
	"sync"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
)

// Swapped makes a link that swaps the packets of each pair.
func Swapped(l link.Link) link.Link { return &swapper{Link: l} }

// swapper swaps the datagrams of each pair. The carrier has numbered them before.
type swapper struct {
	link.Link
	mu   sync.Mutex
	held link.Batch
	n    int
}

// Send holds every other datagram back until the next one has been sent, or for 20 ms.
func (s *swapper) Send(b *pktbuf.Buf, out *link.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.n%2 == 1 {
		s.Link.Send(b, &s.held)
		time.AfterFunc(20*time.Millisecond, s.flush)
		return
	}
	s.Link.Send(b, out)
	out.Flush()
	s.held.Flush()
}

func (s *swapper) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held.Flush()
}
