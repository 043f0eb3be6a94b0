package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
	"vpnd/internal/alarm"
	"vpnd/internal/link"
	"vpnd/internal/link/strangers"
	"vpnd/internal/mmsg"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/gre"
)

// maxUnsent is how many bytes may wait for a peer that does not read. Above it, we read no more
// from the peer.
const maxUnsent = 16 << 10

// conn is one control connection.
type conn struct {
	s      *Server
	tcp    *net.TCPConn
	gre    *mmsg.Conn
	remote netip.AddrPort
	local  netip.Addr

	mu      sync.Mutex
	written sync.Cond // signals that write has taken the bytes in out
	ctl     *pptp.Control
	calls   map[uint16]*call
	alarm   alarm.Alarm
	out     []byte
	writing bool
	closing bool
}

// run reads until the connection ends.
func (c *conn) run() {
	defer c.s.gone(c)
	buf := make([]byte, 256)
	for {
		c.holdBack()
		n, err := c.tcp.Read(buf)
		if n > 0 {
			c.do(func(now time.Time) { c.ctl.Receive(now, buf[:n]) })
		}
		if err != nil {
			c.do(func(time.Time) { c.ctl.Down(lost(err)) })
			_ = c.tcp.Close()
			return
		}
	}
}

// holdBack waits while too many bytes wait for the peer. A peer that asks for more than it reads
// gets no more answers. write cuts off a peer that reads nothing at all.
func (c *conn) holdBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > maxUnsent {
		c.written.Wait()
	}
}

func lost(err error) reason.Reason {
	if errors.Is(err, io.EOF) {
		return reason.New(reason.ControlClosed)
	}
	return reason.New(reason.ControlLost)
}

// do runs f on the control machine. When the server is drained, a connection without a call ends.
func (c *conn) do(f func(now time.Time)) {
	c.step(f)
	if c.s.draining.Load() {
		c.step(func(now time.Time) {
			if len(c.calls) == 0 {
				c.ctl.Stop(now, errDraining)
			}
		})
	}
}

// step runs f on the control machine and handles its events. It handles the events of calls without
// the lock, because a session may be busy.
func (c *conn) step(f func(now time.Time)) {
	c.mu.Lock()
	f(time.Now())
	var later []pptp.Event
	for {
		event, ok := c.ctl.Next()
		if !ok {
			break
		}
		switch v := event.(type) {
		case pptp.Write:
			c.queue(v.Data)
		case pptp.Closed:
			c.closing = true
			c.s.cfg.Logger.Debug("control connection closed", "type", link.PPTP, "peer", c.remote, "cause", v.Reason.Code, "reason", v.Reason)
			if !c.writing {
				_ = c.tcp.Close()
			}
		default:
			later = append(later, event)
		}
	}
	c.alarm.Set(c.ctl.Deadline())
	c.mu.Unlock()
	for _, event := range later {
		switch v := event.(type) {
		case pptp.Dialled:
			c.dialled(v.PeerCall)
		case pptp.Cleared:
			c.mu.Lock()
			k := c.calls[v.Call]
			delete(c.calls, v.Call)
			c.mu.Unlock()
			if k != nil {
				k.down(v.Reason)
			}
		}
	}
}

// call is one call: the carrier's end of a link.
type call struct {
	*gre.Call
	c *conn

	// The conn's lock guards these. closing: the session has hung up, perhaps before the peer was
	// answered.
	closing bool
	why     reason.Reason
}

// Info describes the call.
func (k *call) Info() link.Info {
	return link.Info{Type: link.PPTP, Remote: k.c.remote, Local: k.c.local, CallID: k.ID()}
}

// Close hangs up. Sink.Frame may call it, so another goroutine does the work.
func (k *call) Close(why reason.Reason) {
	if k.Over() {
		return
	}
	go k.hangUp(why)
}

func (k *call) hangUp(why reason.Reason) {
	k.c.do(func(now time.Time) {
		k.closing, k.why = true, why
		k.c.ctl.Disconnect(now, k.ID(), why)
	})
}

// Authenticated says that a user has logged in. The session calls it.
func (k *call) Authenticated() { k.c.s.strangers.Authenticated(k.c, k) }

// down ends the call.
func (k *call) down(why reason.Reason) {
	k.Down(why)
	if victim, over := k.c.s.strangers.CallGone(k.c, k); over {
		victim.evict()
	}
}

// evict ends a connection without a user at once, even if the peer does not read.
func (c *conn) evict() {
	c.do(func(time.Time) { c.ctl.Down(strangers.ErrNoRoom) })
	_ = c.tcp.Close()
}

// dialled hands over a new call before it answers the peer, because the peer's first GRE packet can
// overtake the answer.
func (c *conn) dialled(peers uint16) {
	c.s.taking.RLock()
	defer c.s.taking.RUnlock()
	k, err := c.newCall(peers)
	if err != nil {
		c.s.refuse(c.remote, reason.Of(err))
		c.do(func(time.Time) { c.ctl.Refuse(peers) })
		return
	}
	taken := false
	c.do(func(now time.Time) {
		c.calls[k.ID()] = k
		if taken = c.ctl.Accept(peers, k.ID()); !taken {
			delete(c.calls, k.ID())
		} else if k.closing {
			c.ctl.Disconnect(now, k.ID(), k.why)
		}
	})
	if !taken {
		k.down(reason.New(reason.HungUpAtOnce))
	}
}

var errDraining = reason.New(reason.NoMoreCalls)

func (c *conn) newCall(peers uint16) (*call, error) {
	if c.s.draining.Load() {
		return nil, errDraining
	}
	data, err := c.s.calls.NewCall(gre.Route{Socket: c.gre, Remote: c.remote.Addr(), Local: c.local})
	if err != nil {
		return nil, err
	}
	data.SetPeer(peers)
	k := &call{Call: data, c: c}
	if victim, over := c.s.strangers.Call(k, c.remote.Addr()); over {
		victim.hangUp(strangers.ErrNoRoom)
	}
	sink, err := c.s.accept(k)
	if err != nil {
		k.down(reason.Reason{})
		return nil, err
	}
	data.Begin(sink)
	return k, nil
}

// queue writes bytes without waiting, so a peer that does not read blocks nobody. holdBack limits
// the waiting bytes. The exceptions are the answers to the last read and a notify for each call.
func (c *conn) queue(p []byte) {
	c.out = append(c.out, p...)
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

func (c *conn) write() {
	for {
		c.mu.Lock()
		p := c.out
		c.out = nil
		c.written.Broadcast()
		if len(p) == 0 {
			c.writing = false
			if c.closing {
				_ = c.tcp.Close()
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		_ = c.tcp.SetWriteDeadline(time.Now().Add(c.s.cfg.WriteTimeout))
		if _, err := c.tcp.Write(p); err != nil {
			_ = c.tcp.Close()
		}
	}
}
