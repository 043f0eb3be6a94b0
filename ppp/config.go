package ppp

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
)

// Role says which end of the link an engine is.
type Role uint8

// A Server makes the peer authenticate and gives it an address; a Client is the peer.
const (
	Server Role = iota
	Client
)

// Method is a way for a peer to show that it knows a password.
type Method uint8

// The methods, weakest first.
const (
	PAP Method = iota + 1
	CHAPMD5
	MSCHAPv1
	MSCHAPv2
)

var methodNames = map[Method]string{PAP: "PAP", CHAPMD5: "CHAP", MSCHAPv1: "MS-CHAP", MSCHAPv2: "MS-CHAPv2"}

// String is the method's name for people.
func (m Method) String() string { return methodNames[m] }

// ParseMethod takes the name that the configuration uses: mschapv2, mschap, chap or pap.
func ParseMethod(name string) (Method, error) {
	switch name {
	case "pap":
		return PAP, nil
	case "chap":
		return CHAPMD5, nil
	case "mschap":
		return MSCHAPv1, nil
	case "mschapv2":
		return MSCHAPv2, nil
	}
	return 0, fmt.Errorf("unknown authentication %q: one of mschapv2, mschap, chap, pap", name)
}

// MPPEMode says whether packets are encrypted.
type MPPEMode uint8

// The modes.
const (
	MPPEOff MPPEMode = iota
	MPPEOptional
	MPPERequired
)

// MPPE sets which encryption a link may agree on.
type MPPE struct {
	Mode      MPPEMode
	Strengths []mppe.Strength // allowed, the preferred one first; empty: 128, 56 and 40
	Stateless bool            // refuse stateful streams
	Stateful  bool            // ask for stateful streams first, in both directions
	Reordered bool            // the carrier may deliver packets late (L2TP)
	Passive   bool            // never begin CCP, only answer it (L2TP: phones break on it)
	Wait      time.Duration   // server: for the client's first request of CCP; 1 s
}

// Mutual is the name and password with which the server authenticates itself by PAP to a client
// that asks for it (RFC 1334). A client with a User always asks for it, and refuses any server that
// does not do so.
type Mutual struct{ User, Password string }

// Config configures an engine. If a field is zero, the engine uses the default in the field's
// comment. The defaults of the counters are RFC 1661's.
type Config struct {
	Role Role
	Name string // our name in CHAP challenges; "vpnd"
	MRU  uint16 // the MRU that we ask for, in bytes; 1500

	Auth           []Method // server: in the order of offering; client: those that it accepts
	User, Password string   // of a client
	OtherSpelling  bool     // client: write a password beyond ASCII as pppd does, or in a code page
	MustProve      bool     // client: refuse a server that asks for no authentication
	Mutual         Mutual
	MPPE           MPPE

	RestartTimer  time.Duration // 3 s
	MaxConfigure  int           // 10
	MaxTerminate  int           // 2
	MaxFailure    int           // 5
	EchoInterval  time.Duration // 30 s
	EchoFailures  int           // 4: intervals of silence until the link is dead; negative: never
	AuthTimeout   time.Duration // 30 s from the opening of LCP until the peer has authenticated
	SetupTimeout  time.Duration // 60 s from the start or a renegotiation until packets may pass
	Rechallenge   time.Duration // server: until CHAP challenges the open link again; 0: never
	Random        io.Reader     // crypto/rand
	WantedAddress netip.Addr    // client: the address to ask for
}

func (c Config) withDefaults() Config {
	set(&c.Name, "vpnd")
	set(&c.MRU, defaultMRU)
	set(&c.RestartTimer, 3*time.Second)
	set(&c.MaxConfigure, 10)
	set(&c.MaxTerminate, 2)
	set(&c.MaxFailure, 5)
	set(&c.EchoInterval, 30*time.Second)
	set(&c.EchoFailures, 4)
	set(&c.AuthTimeout, 30*time.Second)
	set(&c.SetupTimeout, 60*time.Second)
	set(&c.MPPE.Wait, time.Second)
	if c.Role == Server {
		c.Auth = c.serverMethods()
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if len(c.MPPE.Strengths) == 0 {
		c.MPPE.Strengths = []mppe.Strength{mppe.Bits128, mppe.Bits56, mppe.Bits40}
	}
	return c
}

// serverMethods are the methods that a server offers: the configured ones, or all by default. If
// encryption is required, it offers only those that yield keys.
func (c Config) serverMethods() []Method {
	methods := c.Auth
	if len(methods) == 0 {
		methods = []Method{MSCHAPv2, MSCHAPv1, CHAPMD5, PAP}
	}
	if c.MPPE.Mode != MPPERequired {
		return methods
	}
	return withKeys(methods)
}

// withKeys returns those of methods that yield keys for MPPE.
func withKeys(methods []Method) (keyed []Method) {
	for _, m := range methods {
		if m == MSCHAPv1 || m == MSCHAPv2 {
			keyed = append(keyed, m)
		}
	}
	return keyed
}

// written is a client's password as it goes into the answer of method m.
func (c Config) written(m Method) string {
	switch {
	case !c.OtherSpelling:
		return c.Password
	case m == MSCHAPv1 || m == MSCHAPv2:
		return chap.AsBytes(c.Password)
	default:
		return chap.InCodePage(c.Password)
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Proof is the peer's evidence that it knows a password.
type Proof interface {
	// Verify reports whether candidate is the password that the peer knows.
	Verify(candidate string) bool
}

// Grant lets an authenticated peer in.
type Grant struct {
	Password    string // the candidate that the proof verified; MPPE's keys come from it
	OneTime     bool   // the password is spent: the peer gets no later challenge
	Local, Peer netip.Addr
	DNS, NBNS   []netip.Addr // the peer is offered the first two of each
}

// Refusal turns a peer away.
type Refusal struct {
	Reason reason.Reason // its row has the error code and the text for the peer
	Retry  bool          // MS-CHAP and MS-CHAPv2: the peer may try once more on the same link
}

// Event is a message of an engine to its owner.
type Event interface{ event() }

// Transmit is a frame to send, including FF 03.
type Transmit struct{ Frame []byte }

// Authenticate asks for Engine.Grant or Engine.Refuse, now or later.
type Authenticate struct {
	User   string
	Method Method
	Proof  Proof
}

// NetworkUp means that IP packets may pass. It comes again after a new negotiation of encryption.
type NetworkUp struct {
	Local, Peer netip.Addr
	DNS         []netip.Addr    // client: from the server
	PeerMRU     uint16          // longest information field to send, in bytes: the smaller MRU
	Encrypter   *mppe.Encrypter // nil: packets to the peer go in clear
	Decrypter   *mppe.Decrypter // nil: packets from the peer come in clear
	Encryption  string          // "MPPE-128 stateless", or "none"
	Required    bool            // the owner must drop packets of the peer in clear
	PFC, ACFC   bool            // the peer accepts short protocol numbers, and frames without FF 03
}

// NetworkDown means that no packet may pass until the next NetworkUp.
type NetworkDown struct{}

// CryptoReset means that the peer has lost its place in our encrypted stream. The owner calls
// Encrypter.Reset after it has sent all frames from before.
type CryptoReset struct{}

// Closed is the last event: the link is over.
type Closed struct {
	Reason reason.Reason
	Peer   bool // the peer ended the link
}

// Note is information from the peer about itself, cleaned for a debug log.
type Note struct{ Text string }

func (Transmit) event()     {}
func (Authenticate) event() {}
func (NetworkUp) event()    {}
func (NetworkDown) event()  {}
func (CryptoReset) event()  {}
func (Closed) event()       {}
func (Note) event()         {}
