package l2tp

import "vpnd/internal/reason"

// Event tells the owner of a Tunnel what to do.
type Event interface{ event() }

// Transmit is a datagram for the peer.
type Transmit struct{ Datagram []byte }

// Opened says that the tunnel that we dialled is open. The owner may use Tunnel.Call.
type Opened struct{}

// Answered says that the peer has taken our call. Our data messages need the peer's session.
type Answered struct{ Session, PeerSession uint16 }

// Dialled says that the peer asks for a call. The owner calls Tunnel.Accept or Tunnel.Refuse.
type Dialled struct{ PeerSession uint16 }

// Connected says that the ICCN of a session has come: the peer has confirmed the session.
type Connected struct{ Session uint16 }

// Sequencing says that the peer wants numbers in the data messages of a session.
type Sequencing struct{ Session uint16 }

// Cleared says that a session is over.
type Cleared struct {
	Session uint16 // our identifier
	Reason  reason.Reason
}

// Refused says that we and the peer do not agree about the tunnel's secret. Closed follows when the
// peer has acknowledged the end of the tunnel, or after a while.
type Refused struct{ Reason reason.Reason }

// Closed is the last event.
type Closed struct {
	Reason reason.Reason
	Silent bool // the dialled server has never answered
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
