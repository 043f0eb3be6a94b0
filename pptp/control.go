package pptp

import (
	"errors"
	"slices"
	"time"
	"vpnd/internal/reason"
	"vpnd/pptp/wire"
)

// Results and errors of replies (RFC 2637 sections 2.2, 2.8, 2.10, 2.13).
const (
	resultOK            = 1
	resultGeneral       = 2
	resultExists        = 3
	resultBadVersion    = 5
	resultBusy          = 4
	resultCallRefused   = 7
	resultNotAccepted   = 3 // of Incoming-Call-Reply
	errorNone           = 0
	errorBadCallID      = 5
	disconnectAdmin     = 3
	disconnectRequested = 4
	stopNone            = 1

	capabilities = 3 // asynchronous and synchronous framing, analogue and digital bearer
	channels     = 0xFFFF
	firmware     = 1
	speed        = 100_000_000 // bits per second
	// Window is the window that we announce: how many packets a peer may send without an
	// acknowledgement. We never wait for a peer's window: Windows ignores it, and some peers send
	// zero.
	Window = 64
)

// Config is the configuration of a Control.
type Config struct {
	Host             string        // our name; "vpnd"
	HandshakeTimeout time.Duration // for the Start-Control-Connection-Request; 10 s
	IdleTimeout      time.Duration // of a control connection without a call; 60 s
	EchoInterval     time.Duration // before an Echo-Request and for its reply; 60 s; below 0: never
	MaxCalls         int           // of one control connection; 256
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "vpnd"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.HandshakeTimeout, 10 * time.Second}, {&c.IdleTimeout, time.Minute}, {&c.EchoInterval, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = 256
	}
	return c
}

// Event tells the owner of a Control what to do.
type Event interface{ event() }

// Write is the bytes for the peer.
type Write struct{ Data []byte }

// Dialled says that the peer asks for a call. The owner calls Control.Accept or Control.Refuse.
type Dialled struct {
	PeerCall uint16 // the peer's identifier of the call, which our GRE packets carry
}

// Cleared says that a call is over.
type Cleared struct {
	Call   uint16 // our identifier
	Reason reason.Reason
}

// Closed is the last event. The owner must close the connection.
type Closed struct{ Reason reason.Reason }

func (Write) event()   {}
func (Dialled) event() {}
func (Cleared) event() {}
func (Closed) event()  {}

type state uint8

const (
	stateIdle state = iota // waits for the Start-Control-Connection-Request
	stateOpen
	stateStopping // our Stop-Control-Connection-Request is unanswered
	stateClosed
)

type call struct {
	ours, peers uint16 // ours is 0 until Accept
	cleared     bool   // the peer hung up before our answer
}

// Control is the server's end of one control connection. It is not safe for concurrent use.
type Control struct {
	cfg      Config
	state    state
	buf      []byte // an incomplete message
	calls    []call
	peer     string
	echoID   uint32
	echoSent bool
	deadline time.Time
	heard    time.Time // the last message
	idle     time.Time // since when there is no call; zero: there is one
	echoAt   time.Time
	stopBy   time.Time
	events   []Event
}

// New makes a Control for a connection that was accepted at now.
func New(cfg Config, now time.Time) *Control {
	c := &Control{cfg: cfg.withDefaults(), heard: now}
	c.deadline = now.Add(c.cfg.HandshakeTimeout)
	return c
}

// Peer is the name that the peer has sent: at most 64 bytes of any value.
func (c *Control) Peer() string { return c.peer }

// Next takes the next event off the queue. The caller must drain the events after each call.
func (c *Control) Next() (Event, bool) {
	if len(c.events) == 0 {
		c.events = nil
		return nil, false
	}
	event := c.events[0]
	c.events = c.events[1:]
	return event, true
}

// Receive takes the bytes of the peer, in pieces of any length. After an unreadable message it
// closes the connection.
func (c *Control) Receive(now time.Time, p []byte) {
	for len(p) > 0 && c.state != stateClosed {
		n := min(len(p), wire.MaxLen-len(c.buf))
		c.buf = append(c.buf, p[:n]...)
		p = p[n:]
		c.parse(now)
	}
}

// parse takes whole messages from the front of buf. The rest is shorter than the longest message.
func (c *Control) parse(now time.Time) {
	at := 0
	for c.state != stateClosed {
		m, n, err := wire.Parse(c.buf[at:])
		if errors.Is(err, wire.ErrShort) {
			break
		}
		if err != nil {
			c.close(reason.New(reason.BadMessage, err))
			break
		}
		at += n
		c.heard, c.echoSent = now, false
		c.message(now, m)
		c.arm()
	}
	if c.state == stateClosed || at == len(c.buf) {
		c.buf = nil // an idle connection keeps no memory
		return
	}
	c.buf = append(c.buf[:0], c.buf[at:]...)
}

func (c *Control) message(now time.Time, m wire.Message) {
	if c.state == stateIdle {
		start, ok := m.(*wire.StartRequest)
		if !ok {
			c.close(reason.New(reason.NotStarted, m.Type(), "Start-Control-Connection-Request"))
			return
		}
		c.start(start)
		return
	}
	switch m := m.(type) {
	case *wire.StartRequest:
		c.write(c.startReply(resultExists))
	case *wire.StopRequest:
		c.write(&wire.StopReply{Result: resultOK})
		c.close(reason.New(reason.ControlClosed))
	case *wire.StopReply:
		if c.state == stateStopping {
			c.close(reason.New(reason.ControlStopped))
		}
	case *wire.EchoRequest:
		c.write(&wire.EchoReply{ID: m.ID, Result: resultOK})
	case *wire.OutgoingCallRequest:
		c.dial(m)
	case *wire.IncomingCallRequest:
		c.write(&wire.IncomingCallReply{PeerCallID: m.CallID, Result: resultNotAccepted})
	case *wire.CallClearRequest:
		c.clear(m.CallID, reason.New(reason.CallCleared))
	case *wire.CallDisconnectNotify:
		c.clear(m.CallID, reason.New(reason.CallDisconnected))
	}
	if len(c.calls) > 0 {
		c.idle = time.Time{}
	} else if c.idle.IsZero() {
		c.idle = now
	}
}

func (c *Control) start(m *wire.StartRequest) {
	c.peer = m.Host
	if m.Version>>8 != wire.Version>>8 {
		c.write(c.startReply(resultBadVersion))
		c.close(reason.New(reason.OtherVersion, "PPTP"))
		return
	}
	c.state = stateOpen
	c.idle = c.heard
	c.write(c.startReply(resultOK))
}

func (c *Control) startReply(result uint8) *wire.StartReply {
	return &wire.StartReply{
		Version: wire.Version, Result: result, Framing: capabilities, Bearer: capabilities,
		MaxChannels: channels, Firmware: firmware, Host: c.cfg.Host, Vendor: "vpnd",
	}
}

func (c *Control) dial(m *wire.OutgoingCallRequest) {
	switch {
	case c.state != stateOpen:
		c.callReply(m.CallID, 0, resultCallRefused, errorNone)
	case c.find(m.CallID) >= 0:
		c.callReply(m.CallID, 0, resultGeneral, errorBadCallID)
	case len(c.calls) >= c.cfg.MaxCalls:
		c.callReply(m.CallID, 0, resultBusy, errorNone)
	default:
		c.calls = append(c.calls, call{peers: m.CallID})
		c.events = append(c.events, Dialled{PeerCall: m.CallID})
	}
}

// Accept answers Dialled. The peer's GRE packets will have the identifier ours. Accept returns
// false if the connection is closed. If the peer has hung up in the meantime, Accept still answers,
// and Cleared follows.
func (c *Control) Accept(peers, ours uint16) bool {
	i := c.find(peers)
	if i < 0 || c.calls[i].ours != 0 {
		return false
	}
	c.calls[i].ours = ours
	c.callReply(peers, ours, resultOK, errorNone)
	if c.calls[i].cleared {
		c.clear(peers, reason.New(reason.HungUpAtOnce))
	}
	return true
}

// Refuse answers Dialled: it refuses the call.
func (c *Control) Refuse(peers uint16) {
	if i := c.find(peers); i >= 0 && c.calls[i].ours == 0 {
		c.remove(i)
		c.callReply(peers, 0, resultBusy, errorNone)
	}
}

func (c *Control) callReply(peers, ours uint16, result, code uint8) {
	c.write(&wire.OutgoingCallReply{CallID: ours, PeerCallID: peers, Result: result, Error: code, Speed: speed, Window: Window})
}

// find returns the place of the call with the peer's identifier id, or a negative number.
func (c *Control) find(id uint16) int {
	return slices.IndexFunc(c.calls, func(k call) bool { return k.peers == id })
}

func (c *Control) remove(i int) { c.calls = slices.Delete(c.calls, i, i+1) }

// clear ends a call at the peer's request. The peer's messages name the call by the peer's own
// identifier, but some peers use ours.
func (c *Control) clear(id uint16, why reason.Reason) {
	i := c.find(id)
	if i < 0 {
		i = slices.IndexFunc(c.calls, func(k call) bool { return k.ours == id && id != 0 })
	}
	if i < 0 {
		return
	}
	ours := c.calls[i].ours
	if ours == 0 {
		c.calls[i].cleared = true
		return
	}
	c.remove(i)
	c.write(&wire.CallDisconnectNotify{CallID: ours, Result: disconnectRequested})
	c.events = append(c.events, Cleared{Call: ours, Reason: why})
}

// Disconnect hangs up our call ours. Cleared follows. It does nothing for a call that is over.
func (c *Control) Disconnect(now time.Time, ours uint16, why reason.Reason) {
	i := slices.IndexFunc(c.calls, func(k call) bool { return k.ours == ours })
	if i < 0 || c.state == stateClosed {
		return
	}
	c.remove(i)
	c.write(&wire.CallDisconnectNotify{CallID: ours, Result: disconnectAdmin})
	c.events = append(c.events, Cleared{Call: ours, Reason: why})
	if len(c.calls) == 0 {
		c.idle = now
	}
	c.arm()
}

// Stop ends all calls and asks the peer to close the connection. Closed follows, after
// HandshakeTimeout at the latest.
func (c *Control) Stop(now time.Time, why reason.Reason) {
	switch c.state {
	case stateIdle:
		c.close(why)
		return
	case stateStopping, stateClosed:
		return
	case stateOpen:
	}
	for _, k := range c.calls {
		if k.ours != 0 {
			c.write(&wire.CallDisconnectNotify{CallID: k.ours, Result: disconnectAdmin})
			c.events = append(c.events, Cleared{Call: k.ours, Reason: why})
		}
	}
	c.calls = nil
	c.state = stateStopping
	c.stopBy = now.Add(c.cfg.HandshakeTimeout)
	c.write(&wire.StopRequest{Reason: stopNone})
	c.arm()
}

// Down says that the connection is closed. Cleared follows for every call, then Closed.
func (c *Control) Down(why reason.Reason) { c.close(why) }

func (c *Control) close(why reason.Reason) {
	if c.state == stateClosed {
		return
	}
	c.state = stateClosed
	for _, k := range c.calls {
		if k.ours != 0 {
			c.events = append(c.events, Cleared{Call: k.ours, Reason: why})
		}
	}
	c.calls = nil
	c.deadline = time.Time{}
	c.events = append(c.events, Closed{Reason: why})
}

func (c *Control) write(m wire.Message) {
	c.events = append(c.events, Write{Data: m.Append(nil)})
}

// Deadline is when Tick is due. Zero means never.
func (c *Control) Deadline() time.Time { return c.deadline }

// arm sets the deadline again.
func (c *Control) arm() {
	switch c.state {
	case stateIdle, stateClosed:
		return
	case stateStopping:
		c.deadline = c.stopBy
		return
	case stateOpen:
	}
	c.deadline = time.Time{}
	if c.cfg.EchoInterval > 0 {
		c.deadline = c.heard.Add(c.cfg.EchoInterval)
		if c.echoSent {
			c.deadline = c.echoAt.Add(c.cfg.EchoInterval)
		}
	}
	if idle := c.idle.Add(c.cfg.IdleTimeout); !c.idle.IsZero() && (c.deadline.IsZero() || idle.Before(c.deadline)) {
		c.deadline = idle
	}
}

// Tick runs the timers that are due.
func (c *Control) Tick(now time.Time) {
	if c.deadline.IsZero() || now.Before(c.deadline) {
		return
	}
	switch {
	case c.state == stateIdle:
		c.close(reason.New(reason.NoStartRequest, c.cfg.HandshakeTimeout))
	case c.state == stateStopping:
		c.close(reason.New(reason.StopUnanswered))
	case !c.idle.IsZero() && !now.Before(c.idle.Add(c.cfg.IdleTimeout)):
		c.Stop(now, reason.New(reason.NoCall, c.cfg.IdleTimeout))
	case c.echoSent:
		c.close(reason.New(reason.EchoUnanswered))
	default:
		c.echoID++
		c.echoSent, c.echoAt = true, now
		c.write(&wire.EchoRequest{ID: c.echoID})
		c.arm()
	}
}
