// Package fsm is the option negotiation automaton of RFC 1661 section 4, which LCP, CCP and the
// network control protocols share. It is only a table: timers, counters and frames belong to the
// caller. It does not use the options Passive and Restart of section 4.1: it gives up a silent
// peer, and Open in an open state changes nothing.
package fsm

// State is a state of the automaton, numbered as in RFC 1661 section 4.1.
type State uint8

// The states of RFC 1661 section 4.2.
const (
	Initial State = iota
	Starting
	Closed
	Stopped
	Closing
	Stopping
	ReqSent
	AckRcvd
	AckSent
	Opened

	numStates
)

var stateNames = [numStates]string{
	"Initial", "Starting", "Closed", "Stopped", "Closing", "Stopping", "Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened",
}

// String is the state's name in RFC 1661.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "invalid"
}

// Event is an event of the automaton (RFC 1661 section 4.3).
type Event uint8

// The events, in the order of the table's rows.
const (
	Up       Event = iota // the lower layer is ready
	Down                  // the lower layer is gone
	Open                  // the link is wanted
	Close                 // the link is no longer wanted
	TOPlus                // time-out with restart counter above zero
	TOMinus               // time-out with the restart counter expired
	RCRPlus               // Configure-Request, acceptable
	RCRMinus              // Configure-Request, not acceptable
	RCA                   // Configure-Ack
	RCN                   // Configure-Nak or Configure-Reject
	RTR                   // Terminate-Request
	RTA                   // Terminate-Ack
	RUC                   // unknown code
	RXJPlus               // Code-Reject or Protocol-Reject that is harmless
	RXJMinus              // Code-Reject or Protocol-Reject that is fatal
	RXR                   // Echo-Request, Echo-Reply or Discard-Request

	numEvents
)

// Action is a set of actions (RFC 1661 section 4.4). The caller takes the actions of a transition
// in the order of their declaration here. Where the order matters, it is the RFC's.
type Action uint16

// The actions of RFC 1661 section 4.4.
const (
	TLD Action = 1 << iota // this-layer-down
	IRC                    // initialize-restart-count
	ZRC                    // zero-restart-count
	SCR                    // send-configure-request
	STR                    // send-terminate-request
	SCA                    // send-configure-ack
	SCN                    // send-configure-nak or -reject
	STA                    // send-terminate-ack
	SCJ                    // send-code-reject
	SER                    // send-echo-reply
	TLU                    // this-layer-up
	TLS                    // this-layer-started
	TLF                    // this-layer-finished
)

// Has reports whether a is one of the actions.
func (s Action) Has(a Action) bool { return s&a != 0 }

// Transition is one cell of the table.
type Transition struct {
	Actions Action
	Next    State
	valid   bool
}

// Step returns the transition of state s at event e. ok is false if the RFC says that the event
// cannot happen in this state; the caller then stays in the state and does nothing.
func Step(s State, e Event) (tr Transition, ok bool) {
	if s >= numStates || e >= numEvents {
		return Transition{Next: s}, false
	}
	tr = table[e][s]
	if !tr.valid {
		return Transition{Next: s}, false
	}
	return tr, true
}

func to(next State, actions ...Action) Transition {
	t := Transition{Next: next, valid: true}
	for _, a := range actions {
		t.Actions |= a
	}
	return t
}

var table = [numEvents][numStates]Transition{
	Up: {Initial: to(Closed), Starting: to(ReqSent, IRC, SCR)},
	Down: {
		Closed: to(Initial), Stopped: to(Starting, TLS), Closing: to(Initial), Stopping: to(Starting),
		ReqSent: to(Starting), AckRcvd: to(Starting), AckSent: to(Starting), Opened: to(Starting, TLD),
	},
	Open: {
		to(Starting, TLS), to(Starting), to(ReqSent, IRC, SCR), to(Stopped), to(Stopping), to(Stopping),
		to(ReqSent), to(AckRcvd), to(AckSent), to(Opened),
	},
	Close: {
		to(Initial), to(Initial, TLF), to(Closed), to(Closed), to(Closing), to(Closing),
		to(Closing, IRC, STR), to(Closing, IRC, STR), to(Closing, IRC, STR), to(Closing, TLD, IRC, STR),
	},
	TOPlus: {
		Closing: to(Closing, STR), Stopping: to(Stopping, STR),
		ReqSent: to(ReqSent, SCR), AckRcvd: to(ReqSent, SCR), AckSent: to(AckSent, SCR),
	},
	TOMinus: {
		Closing: to(Closed, TLF), Stopping: to(Stopped, TLF),
		ReqSent: to(Stopped, TLF), AckRcvd: to(Stopped, TLF), AckSent: to(Stopped, TLF),
	},
	RCRPlus: {
		Closed: to(Closed, STA), Stopped: to(AckSent, IRC, SCR, SCA), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(AckSent, SCA), AckRcvd: to(Opened, SCA, TLU), AckSent: to(AckSent, SCA), Opened: to(AckSent, TLD, SCR, SCA),
	},
	RCRMinus: {
		Closed: to(Closed, STA), Stopped: to(ReqSent, IRC, SCR, SCN), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(ReqSent, SCN), AckRcvd: to(AckRcvd, SCN), AckSent: to(ReqSent, SCN), Opened: to(ReqSent, TLD, SCR, SCN),
	},
	RCA: {
		Closed: to(Closed, STA), Stopped: to(Stopped, STA), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(AckRcvd, IRC), AckRcvd: to(ReqSent, SCR), AckSent: to(Opened, IRC, TLU), Opened: to(ReqSent, TLD, SCR),
	},
	RCN: {
		Closed: to(Closed, STA), Stopped: to(Stopped, STA), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(ReqSent, IRC, SCR), AckRcvd: to(ReqSent, SCR), AckSent: to(AckSent, IRC, SCR), Opened: to(ReqSent, TLD, SCR),
	},
	RTR: {
		Closed: to(Closed, STA), Stopped: to(Stopped, STA), Closing: to(Closing, STA), Stopping: to(Stopping, STA),
		ReqSent: to(ReqSent, STA), AckRcvd: to(ReqSent, STA), AckSent: to(ReqSent, STA), Opened: to(Stopping, TLD, ZRC, STA),
	},
	RTA: {
		Closed: to(Closed), Stopped: to(Stopped), Closing: to(Closed, TLF), Stopping: to(Stopped, TLF),
		ReqSent: to(ReqSent), AckRcvd: to(ReqSent), AckSent: to(AckSent), Opened: to(ReqSent, TLD, SCR),
	},
	RUC: {
		Closed: to(Closed, SCJ), Stopped: to(Stopped, SCJ), Closing: to(Closing, SCJ), Stopping: to(Stopping, SCJ),
		ReqSent: to(ReqSent, SCJ), AckRcvd: to(AckRcvd, SCJ), AckSent: to(AckSent, SCJ), Opened: to(Opened, SCJ),
	},
	RXJPlus: {
		Closed: to(Closed), Stopped: to(Stopped), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(ReqSent), AckRcvd: to(ReqSent), AckSent: to(AckSent), Opened: to(Opened),
	},
	RXJMinus: {
		Closed: to(Closed, TLF), Stopped: to(Stopped, TLF), Closing: to(Closed, TLF), Stopping: to(Stopped, TLF),
		ReqSent: to(Stopped, TLF), AckRcvd: to(Stopped, TLF), AckSent: to(Stopped, TLF), Opened: to(Stopping, TLD, IRC, STR),
	},
	RXR: {
		Closed: to(Closed), Stopped: to(Stopped), Closing: to(Closing), Stopping: to(Stopping),
		ReqSent: to(ReqSent), AckRcvd: to(AckRcvd), AckSent: to(AckSent), Opened: to(Opened, SER),
	},
}
