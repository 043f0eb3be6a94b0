// Package client dials PPTP servers. It is the PNS of RFC 2637. One Dialer can make any number of
// calls.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/reason"
	"vpnd/pptp/gre"
	"vpnd/pptp/wire"
)

const (
	dialTime = 10 * time.Second
	stopTime = 3 * time.Second // for the server's last messages
	speed    = 100_000_000     // bits per second
	window   = 64              // packets
)

// Dialer has the GRE socket that its calls share.
type Dialer struct {
	local  netip.Addr
	socket *mmsg.Conn
	calls  *gre.Exchange
	wg     sync.WaitGroup
}

// New makes a Dialer that dials from local. If local is 0.0.0.0, it dials from any address of this
// machine. Close ends it.
func New(local netip.Addr) (*Dialer, error) {
	socket, err := gre.Listen(local)
	if err != nil {
		return nil, err
	}
	d := &Dialer{local: local, socket: socket, calls: gre.NewExchange(1<<15, rand.Reader)}
	d.wg.Go(d.calls.Run)
	d.wg.Go(func() { d.calls.Read(d.socket) })
	return d, nil
}

// Close ends the Dialer. The caller must close its calls first.
func (d *Dialer) Close() {
	_ = d.socket.Close()
	d.calls.Stop()
	d.wg.Wait()
}

// Dial opens a control connection to a server and one call on it. Frames go to the sink from
// accept. The error is a reason.Reason or ctx's, unless this machine fails.
func (d *Dialer) Dial(ctx context.Context, server netip.AddrPort, accept link.Accept) (link.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var nd net.Dialer
	if !d.local.IsUnspecified() {
		nd.LocalAddr = &net.TCPAddr{IP: d.local.AsSlice()}
	}
	tcp, err := nd.DialContext(ctx, "tcp4", server.String())
	if err != nil {
		return nil, whyNot(server, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Unix(1, 0)) })
	c, err := d.call(tcp, server, accept)
	if err == nil && !stop() {
		c.Down(reason.New(reason.GivenUp))
		err = ctx.Err()
	}
	if err != nil {
		_ = tcp.Close()
		return nil, whyNot(server, err)
	}
	go c.read()
	return c, nil
}

// whyNot turns the error of a control connection without a call into a reason.
func whyNot(server netip.AddrPort, err error) error {
	var timeout net.Error
	switch op := (*net.OpError)(nil); {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, wire.ErrMagic) || errors.Is(err, wire.ErrLength):
		return reason.New(reason.ServerNotPPTP, err)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return reason.New(reason.ServerClosedControl)
	case errors.As(err, &timeout) && timeout.Timeout():
		return reason.New(reason.ServerNoAnswer, server)
	case errors.As(err, &op):
		return reason.New(reason.ServerNoAnswer, server, op.Err)
	default:
		return err
	}
}

// The result codes of RFC 2637 sections 2.2 and 2.8 in words. 1 is success.
var (
	startResults = map[uint8]string{2: "general error", 3: "there is a control connection already", 4: "this client may not", 5: "wrong version"}
	callResults  = map[uint8]string{2: "general error", 3: "no carrier", 4: "busy", 5: "no dial tone", 6: "time-out", 7: "not accepted"}
)

func refused(message string, result uint8, words map[uint8]string) error {
	text := words[result]
	if text == "" {
		text = "unknown result"
	}
	return reason.New(reason.ServerRefusesCall, fmt.Sprintf("%s, %d in its %s", text, result, message))
}

// call is one call and its control connection.
type call struct {
	*gre.Call
	info link.Info
	peer uint16

	mu  sync.Mutex
	tcp net.Conn
	buf []byte
}

// call does what RFC 2637 section 3 asks of a PNS.
func (d *Dialer) call(tcp net.Conn, server netip.AddrPort, accept link.Accept) (*call, error) {
	local, _ := tcp.LocalAddr().(*net.TCPAddr)
	from := local.AddrPort().Addr().Unmap()
	data, err := d.calls.NewCall(gre.Route{Socket: d.socket, Remote: server.Addr(), Local: from})
	if err != nil {
		return nil, err
	}
	c := &call{Call: data, tcp: tcp, info: link.Info{Type: link.PPTP, Remote: server, Local: from, CallID: data.ID()}}
	host, _ := os.Hostname()
	c.say(&wire.StartRequest{Version: wire.Version, Framing: 3, Bearer: 3, Host: host, Vendor: "vpnd"})
	start, err := hear[*wire.StartReply](c)
	if err == nil && start.Result != 1 {
		err = refused("Start-Control-Connection-Reply", start.Result, startResults)
	}
	if err != nil {
		data.Down(reason.Reason{})
		return nil, err
	}
	data.Expect()
	c.say(&wire.OutgoingCallRequest{
		CallID: data.ID(), Serial: 1, MinBPS: 300, MaxBPS: speed, Bearer: 3, Framing: 3, Window: window,
	})
	reply, err := hear[*wire.OutgoingCallReply](c)
	if err == nil && reply.Result != 1 {
		err = refused("Outgoing-Call-Reply", reply.Result, callResults)
	}
	if err != nil {
		data.Down(reason.Reason{})
		return nil, err
	}
	c.peer = reply.CallID
	data.SetPeer(reply.CallID)
	sink, err := accept(c)
	if err != nil {
		data.Down(reason.Reason{})
		return nil, err
	}
	data.Begin(sink)
	return c, nil
}

func (c *call) say(m wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.tcp.Write(m.Append(nil)) // an error shows at the next read
}

// next reads one message. It answers Echo-Requests in between.
func (c *call) next() (wire.Message, error) {
	for {
		m, n, err := wire.Parse(c.buf)
		switch {
		case err == nil:
			c.buf = append([]byte(nil), c.buf[n:]...)
			if echo, ok := m.(*wire.EchoRequest); ok {
				c.say(&wire.EchoReply{ID: echo.ID, Result: 1})
				continue
			}
			return m, nil
		case !errors.Is(err, wire.ErrShort):
			return nil, err
		}
		var b [wire.MaxLen]byte
		got, err := c.tcp.Read(b[:])
		c.buf = append(c.buf, b[:got]...)
		if err != nil {
			return nil, fmt.Errorf("control connection: %w", err)
		}
	}
}

func hear[M wire.Message](c *call) (M, error) {
	for {
		m, err := c.next()
		if err != nil {
			var none M
			return none, err
		}
		if want, ok := m.(M); ok {
			return want, nil
		}
	}
}

// read serves the control connection until the connection or its call ends.
func (c *call) read() {
	why := reason.New(reason.ServerClosedControl)
	for {
		m, err := c.next()
		if err != nil {
			break
		}
		switch m := m.(type) {
		case *wire.CallDisconnectNotify:
			if m.CallID == c.peer {
				why = reason.New(reason.ServerHungUp)
				c.say(&wire.StopRequest{Reason: 1})
				_ = c.tcp.SetReadDeadline(time.Now().Add(stopTime))
			}
		case *wire.StopRequest:
			c.say(&wire.StopReply{Result: 1})
		case *wire.StopReply:
			_ = c.tcp.Close()
		}
		if c.Over() {
			break
		}
	}
	_ = c.tcp.Close()
	c.Down(why)
}

// Info describes the call.
func (c *call) Info() link.Info { return c.info }

// Forsake closes the control connection without a message to the server, as some clients do.
func (c *call) Forsake() { _ = c.tcp.Close() }

// Close hangs up with a Call-Clear-Request. The server answers with a Call-Disconnect-Notify, or
// the connection is closed after a while.
func (c *call) Close(reason.Reason) {
	go func() {
		c.say(&wire.CallClearRequest{CallID: c.ID()})
		_ = c.tcp.SetReadDeadline(time.Now().Add(stopTime))
	}()
}
