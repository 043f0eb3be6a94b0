package server_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
)

// descriptors is the number of open descriptors in this process.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// drain takes the sessions until stop is called. stop waits for the end of each session and returns
// their number.
func (c *concentrator) drain() (stop func() int) {
	done, n := make(chan struct{}), make(chan int)
	go func() {
		made := 0
		for {
			select {
			case s := <-c.sessions:
				made++
				s.ended(c.t)
				continue
			case <-done:
			}
			break
		}
		for len(c.sessions) > 0 {
			made++
			(<-c.sessions).ended(c.t)
		}
		n <- made
	}()
	return func() int { close(done); return <-n }
}

// warm starts all goroutines of the server, and returns the numbers of goroutines and descriptors.
func (c *concentrator) warm() (goroutines, fds int) {
	first := dial(c.t)
	_, _ = first.tcp.Close(), first.gre.Close()
	c.session().ended(c.t)
	waitFor(c.t, func() bool { return c.Stats().Connections == 0 })
	return runtime.NumGoroutine(), descriptors(c.t)
}

// nothingLeft checks that the numbers are again those of warm.
func (c *concentrator) nothingLeft(goroutines, fds int) {
	c.t.Helper()
	waitFor(c.t, func() bool { st := c.Stats(); return st.Calls == 0 && st.Connections == 0 })
	waitFor(c.t, func() bool { return runtime.NumGoroutine() <= goroutines && descriptors(c.t) <= fds })
}

// A client that dials and resets the connection before the answer leaves nothing behind.
func TestResetAfterDialling(t *testing.T) {
	srv := start(t, server.Config{})
	goroutines, fds := srv.warm()
	made := srv.drain()
	dials := 10_000
	if testing.Short() {
		dials = 1000
	}
	hello := (&wire.OutgoingCallRequest{CallID: 7}).Append((&wire.StartRequest{Version: wire.Version}).Append(nil))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range dials / 4 {
				c, err := net.Dial("tcp4", "127.0.1.1:17230")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = c.Write(hello)
				if i%4 == 0 {
					_, _ = c.Read(make([]byte, 1+i%200))
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	if n := made(); n < dials/4 {
		t.Errorf("only %d calls were made", n)
	}
	srv.nothingLeft(goroutines, fds)
}

// Calls are made and cleared, and their connection is reset, while packets for them come
// (CVE-2022-21972, CVE-2022-23270).
func TestCallsBeginAndEndUnderPackets(t *testing.T) {
	const batch = 20
	calls := 100_000
	if testing.Short() {
		calls = 10_000
	}
	srv := start(t, server.Config{})
	srv.echo = true
	goroutines, fds := srv.warm()
	made := srv.drain()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 10 {
				c := connect(t)
				c.say(&wire.StartRequest{Version: wire.Version})
				c.hear()
				var current atomic.Uint32
				var packets sync.WaitGroup
				stop := make(chan struct{})
				packets.Go(func() {
					for seq := uint32(0); ; seq++ {
						select {
						case <-stop:
							return
						default:
							c.sendFrom(c.gre, uint16(current.Load()), seq, "data")
						}
					}
				})
				for range calls / 20 / batch {
					var b []byte
					for id := range uint16(batch) {
						b = (&wire.OutgoingCallRequest{CallID: id}).Append(b)
						b = (&wire.CallClearRequest{CallID: id}).Append(b)
					}
					_, _ = c.tcp.Write(b)
					for range 2 * batch {
						if r, ok := c.hear().(*wire.OutgoingCallReply); ok {
							current.Store(uint32(r.CallID))
						}
					}
				}
				_, _ = c.tcp.Write((&wire.OutgoingCallRequest{CallID: 99}).Append(nil))
				_ = c.tcp.(*net.TCPConn).SetLinger(0)
				_ = c.tcp.Close()
				close(stop)
				packets.Wait()
				_ = c.gre.Close()
			}
		})
	}
	wg.Wait()
	waitFor(t, func() bool { return srv.Stats().Connections == 0 })
	if n := made(); n < calls {
		t.Errorf("%d calls were made", n)
	}
	srv.nothingLeft(goroutines, fds)
}

// Anybody who knows the identifier and address of a call can send a flood of late packets. It ends
// no call and delays nobody.
func TestLateFlood(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	victim := dial(t)
	ofVictim := srv.session()
	user := dial(t)
	ofUser := srv.session()
	victim.send(5000, "far ahead")
	ofVictim.frame(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() { stop(); wg.Wait() }()
	for seq := range uint32(2) {
		wg.Go(func() {
			for ctx.Err() == nil {
				victim.sendFrom(victim.gre, victim.call, seq, "late")
			}
		})
	}
	for seq := range uint32(500) {
		user.sendUntil(ofUser, seq, "user's")
	}
	waitFor(t, func() bool { return srv.Stats().Dropped["late or doubled"] > 1000 })
	stop()
	wg.Wait()
	victim.sendUntil(ofVictim, 5001, "in time")
}

// Anybody who knows the identifier and address of a call can forge one packet with a number far
// ahead. It does not silence the client: the client's next packets are taken, and acknowledged by
// their own numbers.
func TestForgedNumber(t *testing.T) {
	srv := start(t, server.Config{})
	srv.echo = true
	victim := dial(t)
	s := srv.session()
	for seq := range uint32(100) {
		if seq == 50 {
			victim.send(1<<30, "forged")
			if got := s.frame(t); got != "forged" {
				t.Fatalf(`got %q, want "forged"`, got)
			}
			victim.packet()
		}
		victim.send(seq, fmt.Sprint(seq))
		if got := s.frame(t); got != fmt.Sprint(seq) {
			t.Fatalf("%q is taken for %d", got, seq)
		}
		h, frame := victim.packet()
		for !h.HasSeq {
			h, frame = victim.packet()
		}
		// The answer to 50 carries the acknowledgement of the forged packet.
		if frame != fmt.Sprint(seq) || h.HasAck && h.Ack > seq && seq != 50 {
			t.Fatalf("%+v %q answers %d", h, frame, seq)
		}
	}
	if n := srv.Stats().Dropped["late or doubled"]; n != 0 {
		t.Errorf("%d are taken for late ones", n)
	}
}

// sendUntil sends a frame until it arrives, because a flood may fill the server's socket, and then
// the frame is lost.
func (c *client) sendUntil(s *session, seq uint32, frame string) {
	c.t.Helper()
	for range 60 {
		c.send(seq, frame)
		select {
		case got := <-s.frames:
			if string(got) != frame {
				c.t.Fatalf("got %q, want %q", got, frame)
			}
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
	c.t.Fatalf("frame %d does not arrive", seq)
}
