package server_test

import (
	"testing"
	"vpnd/pptp/server"
	"vpnd/pptp/wire"
)

// One connection has its maximum of calls. When the server stops, all are hung up: the client gets
// a notify for each, and a request to close the connection.
func TestManyCallsAreNotified(t *testing.T) {
	const calls = 256
	srv := start(t, server.Config{})
	c := connect(t)
	c.say(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3})
	c.hear()
	for id := range uint16(calls) {
		c.dial(id + 1)
		srv.session()
	}
	stopped := make(chan struct{})
	go func() {
		srv.Shutdown(t.Context())
		close(stopped)
	}()
	for notified := 0; ; {
		switch c.hear().(type) {
		case *wire.CallDisconnectNotify:
			notified++
			continue
		case *wire.StopRequest:
			c.say(&wire.StopReply{Result: 1})
		default:
			t.Error("no Stop-Control-Connection-Request")
		}
		if notified != calls {
			t.Errorf("%d of %d calls are notified", notified, calls)
		}
		break
	}
	<-stopped
}

// A client that asks for more than it reads keeps its connection. It gets every answer when it
// reads.
func TestSlowReader(t *testing.T) {
	start(t, server.Config{})
	c := connect(t)
	b := (&wire.StartRequest{Version: wire.Version}).Append(nil)
	const echoes = 400_000 // more than the buffers of both sides hold
	for id := range uint32(echoes) {
		b = (&wire.EchoRequest{ID: id}).Append(b)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.tcp.Write(b)
		sent <- err
	}()
	if _, ok := c.hear().(*wire.StartReply); !ok {
		t.Fatal("no Start-Control-Connection-Reply")
	}
	for id := range uint32(echoes) {
		if r, ok := c.hear().(*wire.EchoReply); !ok || r.ID != id {
			t.Fatalf("%+v is the answer to Echo-Request %d", r, id)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
