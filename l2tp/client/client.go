// Package client dials L2TP servers. It is the LAC of RFC 2661, with one call per tunnel.
package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/data"
	"vpnd/l2tp/wire"
)

// Dialer has the options of a dial. The zero value dials from any address of this machine, without
// a secret.
type Dialer struct {
	Local  netip.AddrPort // invalid: the system chooses; port 0: any
	Secret string         // of the tunnel
	Hide   bool           // with a Secret: hide our session identifier
	Host   string         // our name; default: the machine's
	// Sequencing asks the server for numbers in data messages.
	Sequencing bool
}

// Dial opens a tunnel to a server and one call in it, and waits for both. Frames go to the sink
// from accept. The error is a reason.Reason or ctx's, unless this machine fails.
func (d *Dialer) Dial(ctx context.Context, server netip.AddrPort, accept link.Accept) (link.Link, error) {
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if d.Local.IsValid() {
		at = d.Local
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	socket, err := mmsg.New(udp)
	if err == nil {
		err = data.Configure(socket)
	}
	if err != nil {
		_ = udp.Close()
		return nil, fmt.Errorf("setting up a UDP socket: %w", err)
	}
	cfg := l2tp.Config{Host: d.Host, Secret: d.Secret, Hide: d.Hide, Sequencing: d.Sequencing}
	if cfg.Host == "" {
		cfg.Host, _ = os.Hostname()
	}
	c := &call{
		Call: data.New(data.Route{Socket: socket, Remote: server}), socket: socket, server: server, answers: server,
		accept: accept, outcome: make(chan error, 1),
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		_ = socket.Close()
		return nil, err
	}
	c.tunnel = max(binary.BigEndian.Uint16(id[:]), 1)
	c.id = max(binary.BigEndian.Uint16(id[2:]), 1)
	c.ctl = l2tp.Dial(cfg, c.tunnel, time.Now())
	c.alarm = alarm.New(func() { c.do(func() { c.ctl.Tick(time.Now()) }) })
	go c.read()
	c.do(func() {})
	select {
	case err = <-c.outcome:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		c.do(func() { c.ctl.Stop(time.Now(), reason.New(reason.GivenUp)) })
		return nil, err
	}
	return c, nil
}

// call is one call and its tunnel.
type call struct {
	*data.Call
	socket  *mmsg.Conn
	server  netip.AddrPort // the dialled address
	answers netip.AddrPort // where it answers from (RFC 2661 section 8.1); only read sets it
	tunnel  uint16
	id      uint16
	accept  link.Accept
	outcome chan error   // of dialling: one value
	heard   atomic.Int64 // when data came last, in Unix nanoseconds

	mu    sync.Mutex
	ctl   *l2tp.Tunnel
	alarm alarm.Alarm
}

// do runs f on the tunnel's machine and handles its events. It handles the session's events without
// the lock.
func (c *call) do(f func()) {
	c.mu.Lock()
	if heard := c.heard.Load(); heard != 0 {
		c.ctl.Heard(time.Unix(0, heard))
	}
	f()
	out := link.TakeBatch()
	var later []l2tp.Event
	for {
		event, ok := c.ctl.Next()
		if !ok {
			break
		}
		switch v := event.(type) {
		case l2tp.Transmit:
			c.send(v.Datagram, out)
		case l2tp.Opened:
			c.ctl.Call(time.Now(), c.id)
		case l2tp.Dialled:
			c.ctl.Refuse(time.Now(), v.PeerSession, reason.New(reason.NoMoreCalls))
		default:
			later = append(later, event)
		}
	}
	out.Done()
	c.alarm.Set(c.ctl.Deadline())
	c.mu.Unlock()
	for _, event := range later {
		c.handle(event)
	}
}

func (c *call) handle(event l2tp.Event) {
	switch v := event.(type) {
	case l2tp.Answered:
		c.begin(v)
	case l2tp.Sequencing:
		c.Number()
	case l2tp.Cleared:
		c.settle(refusal(v.Reason))
		c.do(func() { c.ctl.Stop(time.Now(), v.Reason) })
		c.Down(v.Reason)
	case l2tp.Closed:
		why := v.Reason
		if v.Silent {
			why = reason.New(reason.ServerNoAnswer, c.server)
		}
		c.settle(why)
		c.Down(v.Reason)
		_ = c.socket.Close()
	}
}

// refusal turns the end of a call that was being dialled into a refusal.
func refusal(end reason.Reason) reason.Reason {
	if end.Code == reason.ServerEndsCall {
		end.Code = reason.ServerRefusesCall
	}
	return end
}

// settle reports the outcome of dialling, once.
func (c *call) settle(err error) {
	select {
	case c.outcome <- err:
	default:
	}
}

func (c *call) begin(v l2tp.Answered) {
	c.SetPeer(c.ctl.Peer(), v.PeerSession)
	sink, err := c.accept(c)
	if err == nil {
		c.Begin(sink)
	}
	c.settle(err)
}

func (c *call) send(datagram []byte, out *link.Batch) {
	b := pktbuf.Get()
	b.Append(datagram)
	out.Add(c.socket, link.Datagram{Buf: b, Dst: c.answers})
}

// read takes the server's datagrams until the socket is closed.
func (c *call) read() {
	r := c.socket.NewReader()
	for {
		pkts, err := r.Read()
		if err != nil {
			return
		}
		for i := range pkts {
			if c.datagram(time.Now(), &pkts[i]) {
				pkts[i].Buf = nil
			}
		}
	}
}

// datagram takes one datagram. It leaves the Buf to its caller if it drops the datagram, or if the
// datagram is a control message.
func (c *call) datagram(now time.Time, p *mmsg.Packet) (taken bool) {
	if p.From.Addr() != c.server.Addr() {
		return false
	}
	h, err := wire.TrimHeader(p.Buf)
	if err != nil {
		return false
	}
	if h.Control {
		c.control(now, p.From, h, p.Buf.Bytes())
		return false
	}
	if p.From != c.answers || h.Tunnel != c.tunnel || h.Session != c.id || c.Receive(h, p.Buf) != nil {
		return false
	}
	c.heard.Store(now.UnixNano())
	return true
}

// control takes a control message. The first answer fixes the server's port for all later ones.
func (c *call) control(now time.Time, from netip.AddrPort, h wire.Header, body []byte) {
	c.do(func() {
		if from == c.answers {
			c.ctl.Receive(now, h, body)
			return
		}
		if !c.ctl.Dialling() || h.Tunnel != c.tunnel || len(body) == 0 {
			return
		}
		dialled := c.answers
		c.answers = from
		c.ctl.Receive(now, h, body)
		if c.ctl.Dialling() { // it was not an answer
			c.answers = dialled
			return
		}
		c.SetRemote(from)
	})
}

// Info describes the call.
func (c *call) Info() link.Info {
	return link.Info{Type: link.L2TP, Remote: c.server, CallID: c.id}
}

// Close hangs up the call, and then the tunnel.
func (c *call) Close(why reason.Reason) {
	if !c.Over() {
		go c.do(func() { c.ctl.Disconnect(time.Now(), c.id, why) })
	}
}

// Forsake closes the socket without a message to the server.
func (c *call) Forsake() {
	_ = c.socket.Close()
	c.do(func() { c.ctl.Forget(reason.New(reason.GivenUp)) })
}
