package server_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"vpnd/pptp/server"
)

// A client that obeys the window (RFC 2637 section 4.2 has it begin with half of ours) and sends no other packets than its
// own is not held up: acknowledgements come while it sends. At 32 packets for each delayed one it would take 40 s.
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

// Each packet is answered before the next one is sent: none waits in the server for another one, under load, with packets
// that are swapped or missing, and while acknowledgements go beside them.
func TestAnsweredBeforeTheNext(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	user := dial(t)
	srv.session()
	load := connect(t)
	// As much load in a round as the socket holds: what it drops is never answered.
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
