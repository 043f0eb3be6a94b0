package ppp

import (
	"bytes"
	"slices"
	"time"
	"vpnd/ppp/fsm"
	"vpnd/ppp/wire"
)

// negotiator is the part that differs between LCP, CCP and IPCP: the options, and the effect of an
// open layer.
type negotiator interface {
	// request returns the options that we ask for.
	request() []wire.Option
	// check judges the peer's request. It returns the options to Nak, with our values, and those to
	// Reject. If both are empty, the request is agreed.
	check(options []wire.Option) (nak, reject []wire.Option)
	// nakked and rejected take the peer's answer to our request. They return false to end the
	// layer.
	nakked(options []wire.Option) bool
	rejected(options []wire.Option) bool
	up()
	down()
	// finished is called when the layer has given up or ended.
	finished()
}

// control runs the automaton of one control protocol (RFC 1661 section 4).
type control struct {
	e        *Engine
	n        negotiator
	protocol wire.Protocol
	state    fsm.State
	restart  int // restart counter
	deadline time.Time
	id       uint8  // of our last Configure- or Terminate-Request
	waiting  bool   // the last request has no answer yet
	sent     []byte // its options
	ackedID  uint8
	acked    []byte  // the options of the peer that we acknowledged last
	failures int     // Naks and Rejects sent since the last Ack
	refused  []uint8 // types of the peer's options that were rejected
	reply    wire.Packet
	farewell string // the text of a Terminate-Request
}

func (c *control) opened() bool { return c.state == fsm.Opened }

func (c *control) do(now time.Time, event fsm.Event) {
	tr, ok := fsm.Step(c.state, event)
	if !ok {
		return
	}
	before := c.state
	c.state = tr.Next
	if c.state < fsm.ReqSent {
		c.waiting = false
	}
	if tr.Actions.Has(fsm.TLD) {
		c.n.down()
	}
	c.setRestart(now, tr.Actions)
	c.send(now, tr.Actions)
	c.setDeadline(now, before)
	if tr.Actions.Has(fsm.TLU) {
		c.failures = 0
		c.n.up()
	}
	if tr.Actions.Has(fsm.TLF) {
		c.n.finished()
	}
}

// setRestart sets the restart counter as actions say.
func (c *control) setRestart(now time.Time, actions fsm.Action) {
	if actions.Has(fsm.IRC) {
		c.restart = c.e.cfg.MaxConfigure
		if actions.Has(fsm.STR) {
			c.restart = c.e.cfg.MaxTerminate
		}
	}
	if actions.Has(fsm.ZRC) {
		c.restart = 0
		c.deadline = now.Add(c.e.cfg.RestartTimer)
	}
}

// send sends the packets of actions.
func (c *control) send(now time.Time, actions fsm.Action) {
	if actions.Has(fsm.SCR) {
		c.sendRequest(now)
	}
	if actions.Has(fsm.STR) {
		c.sendTerminate(now)
	}
	if actions.Has(fsm.SCA) || actions.Has(fsm.SCN) || actions.Has(fsm.STA) || actions.Has(fsm.SCJ) || actions.Has(fsm.SER) {
		c.e.send(c.protocol, c.reply)
	}
}

// setDeadline sets the restart timer for the state that follows the state before.
func (c *control) setDeadline(now time.Time, before fsm.State) {
	switch c.state {
	case fsm.Opened, fsm.Initial, fsm.Starting, fsm.Closed, fsm.Stopped:
		c.deadline = time.Time{}
	case fsm.AckRcvd:
		if before == fsm.ReqSent {
			c.deadline = now.Add(c.e.cfg.RestartTimer)
		}
	case fsm.Closing, fsm.Stopping, fsm.ReqSent, fsm.AckSent:
	}
}

func (c *control) sendRequest(now time.Time) {
	c.restart--
	if !c.waiting {
		c.id, c.waiting = c.e.nextID(), true
		c.sent = c.sent[:0]
		for _, o := range c.n.request() {
			c.sent = wire.AppendOption(c.sent, o)
		}
	}
	c.e.send(c.protocol, wire.Packet{Code: wire.ConfigureRequest, ID: c.id, Body: c.sent})
	c.deadline = now.Add(c.e.cfg.RestartTimer)
}

func (c *control) sendTerminate(now time.Time) {
	c.restart--
	c.id = c.e.nextID()
	c.e.send(c.protocol, wire.Packet{Code: wire.TerminateRequest, ID: c.id, Body: []byte(c.farewell)})
	c.deadline = now.Add(c.e.cfg.RestartTimer)
}

// tick is the restart timer.
func (c *control) tick(now time.Time) {
	if c.deadline.IsZero() || now.Before(c.deadline) {
		return
	}
	if c.restart > 0 {
		c.do(now, fsm.TOPlus)
	} else {
		c.do(now, fsm.TOMinus)
	}
}

// receive takes a packet of codes 1 to 7. Any other code is unknown.
func (c *control) receive(now time.Time, p wire.Packet) {
	switch p.Code {
	case wire.ConfigureRequest:
		c.receiveRequest(now, p)
	case wire.ConfigureAck, wire.ConfigureNak, wire.ConfigureReject:
		c.receiveAnswer(now, p)
	case wire.TerminateRequest:
		c.reply = wire.Packet{Code: wire.TerminateAck, ID: p.ID}
		c.do(now, fsm.RTR)
	case wire.TerminateAck:
		c.do(now, fsm.RTA)
	case wire.CodeReject:
		c.do(now, fsm.RXJPlus)
	default:
		c.reply = wire.Packet{Code: wire.CodeReject, ID: c.e.nextID(), Body: c.e.cut(p.Append(nil))}
		c.do(now, fsm.RUC)
	}
}

func (c *control) receiveRequest(now time.Time, p wire.Packet) {
	options, err := wire.ParseOptions(p.Body)
	if err != nil {
		return
	}
	switch c.state {
	case fsm.Closing, fsm.Stopping, fsm.Initial, fsm.Starting:
	case fsm.Closed:
		c.reply = wire.Packet{Code: wire.TerminateAck, ID: p.ID}
		c.do(now, fsm.RCRPlus)
	case fsm.Opened:
		if p.ID == c.ackedID && bytes.Equal(p.Body, c.acked) {
			// Our Ack was lost, or the frame was doubled: the peer asks for nothing new.
			c.e.send(c.protocol, wire.Packet{Code: wire.ConfigureAck, ID: p.ID, Body: p.Body})
			return
		}
		c.answer(now, p, options)
	case fsm.Stopped, fsm.ReqSent, fsm.AckRcvd, fsm.AckSent:
		c.answer(now, p, options)
	}
}

// answer acknowledges the options of a request, or refuses some of them.
func (c *control) answer(now time.Time, p wire.Packet, options []wire.Option) {
	nak, reject := c.n.check(options)
	if len(reject) == 0 && c.failures >= c.e.cfg.MaxFailure {
		reject = among(options, nak) // RFC 1661 section 4.6
	}
	switch {
	case len(reject) > 0:
		c.failures++
		c.reply = wire.Packet{Code: wire.ConfigureReject, ID: p.ID}
		for _, o := range reject {
			c.refuse(o.Type)
		}
		nak = reject
	case len(nak) > 0:
		c.failures++
		c.reply = wire.Packet{Code: wire.ConfigureNak, ID: p.ID}
	default:
		c.failures = 0
		c.ackedID, c.acked = p.ID, append(c.acked[:0], p.Body...)
		c.reply = wire.Packet{Code: wire.ConfigureAck, ID: p.ID, Body: p.Body}
		c.do(now, fsm.RCRPlus)
		return
	}
	if c.failures > 2*c.e.cfg.MaxFailure {
		c.do(now, fsm.Close) // the peer would ask for the same for ever
		return
	}
	for _, o := range nak {
		if len(c.reply.Body)+2+len(o.Data)+wire.HeaderLen > int(c.e.peerMRU()) {
			break
		}
		c.reply.Body = wire.AppendOption(c.reply.Body, o)
	}
	c.do(now, fsm.RCRMinus)
}

// refuse records that we rejected an option. At most 256 options exist.
func (c *control) refuse(option uint8) {
	if !slices.Contains(c.refused, option) {
		c.refused = append(c.refused, option)
	}
}

// among returns the options of a request whose types also occur in nak.
func among(request, nak []wire.Option) (list []wire.Option) {
	for _, o := range request {
		if slices.ContainsFunc(nak, func(n wire.Option) bool { return n.Type == o.Type }) {
			list = append(list, o)
		}
	}
	return list
}

// receiveAnswer takes one answer to each request. A doubled frame is not a second answer.
func (c *control) receiveAnswer(now time.Time, p wire.Packet) {
	if !c.waiting || p.ID != c.id {
		return
	}
	options, err := wire.ParseOptions(p.Body)
	if err != nil || p.Code == wire.ConfigureAck && !bytes.Equal(p.Body, c.sent) {
		return
	}
	c.waiting = false
	var wanted bool
	switch p.Code {
	case wire.ConfigureAck:
		c.do(now, fsm.RCA)
		return
	case wire.ConfigureNak:
		wanted = c.n.nakked(options)
	default:
		wanted = c.n.rejected(options)
	}
	if wanted {
		c.do(now, fsm.RCN)
	} else {
		c.do(now, fsm.Close)
	}
}

// begin brings the layer from any state to its first request.
func (c *control) begin(now time.Time) {
	c.do(now, fsm.Open)
	c.do(now, fsm.Up)
}
