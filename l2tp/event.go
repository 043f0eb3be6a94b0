package l2tp

import "vpnd/internal/reason"

// Event is what a Tunnel wants of its owner.
type Event interface{ event() }

// Transmit is a datagram for the peer.
type Transmit struct{ Datagram []byte }

// Opened says that the tunnel that we dialled is open: Tunnel.Call may be used.
type Opened struct{}

// Answered says that a call of ours was taken: data messages carry the peer's session.
type Answered struct{ Session, PeerSession uint16 }

// Dialled asks for Tunnel.Accept or Tunnel.Refuse.
type Dialled struct{ PeerSession uint16 }

// Connected says that the peer has confirmed a session: its ICCN has come.
type Connected struct{ Session uint16 }

// Sequencing says that the peer wants numbers in the data messages of a session.
type Sequencing struct{ Session uint16 }

// Cleared says that a session is over.
type Cleared struct {
	Session uint16 // our identifier
	Reason  reason.Reason
}

// Refused says that peer and we do not agree about the tunnel's secret. Closed follows when the tunnel's end has been
// acknowledged, or after a while.
type Refused struct{ Reason reason.Reason }

// Closed is the last event.
type Closed struct {
	Reason reason.Reason
	Silent bool // the server that we dialled has never answered
}

func (Transmit) event()   {}
func (Opened) event()     {}
func (Answered) event()   {}
func (Dialled) event()    {}
func (Connected) event()  {}
func (Sequencing) event() {}
func (Cleared) event()    {}
func (Refused) event()    {}
func (Closed) event()     {}
