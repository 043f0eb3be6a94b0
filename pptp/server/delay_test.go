package server_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"vpnd/pptp/server"
)

// A client that obeys the window (it begins with half of ours, RFC 2637 section 4.2) and sends only
// its own packets is not delayed: acknowledgements come while it sends. With one delayed
// acknowledgement for 32 packets, it would take 40 s.
func TestClientThatObeysTheWindow(t *testing.T) {
	srv := start(t, server.Config{})
	c := dial(t)
	s := srv.session()
	begun := time.Now()
	const packets, window = 3200, 32
	for sent, acked := 0, 0; acked < packets; {
		for ; sent < packets && sent-acked < window; sent++ {
			c.send(uint32(sent), "upload")
		}
		if h, _ := c.packet(); h.HasAck {
			acked = int(h.Ack) + 1
		}
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := s.frame(t); got != "upload" {
		t.Errorf(`got %q, want "upload"`, got)
	}
}

// Each packet is answered before the next one is sent. No packet waits in the server for another
// one. This holds under load, with swapped or missing packets, and beside acknowledgements.
func TestAnsweredBeforeTheNext(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	user := dial(t)
	srv.session()
	load := connect(t)
	// The load of a round fits into the socket, because a packet that the socket drops is never
	// answered.
	var wg sync.WaitGroup
	defer wg.Wait()
	burden := func() {
		for range 2 {
			wg.Go(func() {
				for range 20 {
					load.sendFrom(load.gre, 1, 0, "load")
				}
			})
		}
	}
	answered := func(n uint32) {
		t.Helper()
		for {
			if h, frame := user.packet(); h.HasSeq && h.CallID == 7 {
				if frame != fmt.Sprint(n) {
					t.Errorf("%q is the answer to %d", frame, n)
				}
				return
			}
		}
	}
	seq := uint32(0)
	for round := range uint32(300) {
		burden()
		switch {
		case round%20 == 19: // one is lost
			seq++
			user.send(seq, fmt.Sprint(seq))
			answered(seq)
		case round%5 == 4: // two are swapped
			user.send(seq+1, fmt.Sprint(seq+1))
			user.send(seq, fmt.Sprint(seq))
			answered(seq)
			seq++
			answered(seq)
		default:
			user.send(seq, fmt.Sprint(seq))
			answered(seq)
		}
		seq++
		wg.Wait()
	}
}
