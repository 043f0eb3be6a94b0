package server

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
	"vpnd/pptp"
)

// Bytes for a peer that does not read are given up after WriteTimeout, however few they are.
func TestWriteTimeout(t *testing.T) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	deaf, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	tcp, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{cfg: Config{WriteTimeout: 100 * time.Millisecond}.withDefaults()}
	c := &conn{s: s, tcp: tcp, ctl: pptp.New(pptp.Config{}, time.Now())}
	for deadline := time.Now().Add(20 * time.Second); !errors.Is(tcp.SetReadDeadline(time.Time{}), net.ErrClosed); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays open")
		}
		c.mu.Lock()
		if len(c.out) <= maxUnsent { // the server reads no more above it
			c.queue(make([]byte, 1000))
		}
		c.mu.Unlock()
	}
}
