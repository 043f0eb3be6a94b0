// Package persona has clients that send the same bytes as real ones. Tests play them against a PPP
// engine and against the whole server, so that a client of our own cannot hide a mistake. Proofs
// and encrypted packets come from OpenSSL, or from recordings of pppd and Linux.
package persona

import (
	"bytes"
	"embed"
	"encoding/hex"
	"path"
	"strings"
	"testing"
	"vpnd/internal/reason"
	"vpnd/ppp/wire"
)

//go:embed clients/*.txt
var clients embed.FS

// Persona is a client and the server that it dials. Each line of its script is one of:
//
//	server CARRIER MODE   the carrier, and whether MPPE is optional or required
//	password TEXT         of alice, if it is not "geheim"
//	challenge HEX         the challenge that the server draws for CHAP, if it is not all 5a
//	> HEX                 a frame of the client
//	ack PROTOCOL          the client's Ack, made from the server's last request
//	< TEXT                an answer: in readable form, or in HEX for a packet of a user
//	may TEXT              an answer that comes in time or not at all
//	note TEXT             a note of the server
//	up ENCRYPTION         packets may pass
//	in HEX                a packet of the client as it leaves the server
//	out HEX               a packet for the client as it reaches the server
//	gone                  the client's carrier ends without a message
//	closed CODE           the reason for the end of the call
//
// The server repeats its first request if it began before it heard the client. So each script has
// that request as an answer that may come. The client hears the answers above a frame before it
// sends that frame. It sends frames in a row at once.
type Persona struct {
	Name      string
	Carrier   string // "PPTP" or "L2TP"
	Required  bool   // MPPE is required
	Password  string
	challenge []byte
	script    []string
}

// All gives all personas.
func All(t testing.TB) (all []Persona) {
	t.Helper()
	files, err := clients.ReadDir("clients")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := clients.ReadFile("clients/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		p := Persona{Name: strings.TrimSuffix(file.Name(), path.Ext(file.Name())), Password: "geheim"}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch kind, rest, _ := strings.Cut(line, " "); kind {
			case "#":
			case "server":
				carrier, mode, _ := strings.Cut(rest, " ")
				p.Carrier, p.Required = carrier, mode == "required"
			case "password":
				p.Password = rest
			case "challenge":
				p.challenge = unhex(t, rest)
			default:
				p.script = append(p.script, line)
			}
		}
		all = append(all, p)
	}
	return all
}

// Random is the source of random bytes of the server that p dials.
func (p Persona) Random() Draws { return Draws{16: p.challenge} }

// Draws is a source of "random" bytes. A read gets the value for its length, or else only 5a.
type Draws map[int][]byte

// Read implements io.Reader.
func (d Draws) Read(p []byte) (int, error) {
	if v := d[len(p)]; v != nil {
		return copy(p, v), nil
	}
	return copy(p, bytes.Repeat([]byte{0x5A}, len(p))), nil
}

// Server is a server that a persona dials. Its user is alice, who gets 10.99.0.10 from 10.99.0.1,
// with the name server 10.99.0.53.
type Server interface {
	// Say gives the server a frame of the client.
	Say(frame []byte)
	// Hear waits for the server's next frame; nil: there is none.
	Hear() []byte
	// Noted waits for a note of the server.
	Noted(text string) bool
	// Up waits until packets may pass, with that encryption.
	Up(encryption string) bool
	// In waits for the next packet of the client that leaves the server; nil: there is none.
	In() []byte
	// Out gives the server a packet for the client.
	Out(packet []byte)
	// Gone ends the carrier without a message.
	Gone()
	// Closed waits for the end of the call, and gives its reason.
	Closed() reason.Code
}

// play is a persona at a server.
type play struct {
	t        testing.TB
	s        Server
	requests map[wire.Protocol]wire.Packet // the server's last ones
	may      map[string]bool               // answers that may still come
}

// Play plays the script. The server's answers must be exactly those of the script.
func (p Persona) Play(t testing.TB, s Server) {
	t.Helper()
	run := play{t, s, map[wire.Protocol]wire.Packet{}, map[string]bool{}}
	for n, line := range p.script {
		kind, rest, _ := strings.Cut(line, " ")
		if got := run.step(kind, rest); got != rest {
			t.Fatalf("%s: %s %s\nwant %s\nafter\n%s", p.Name, kind, got, line, strings.Join(p.script[:n], "\n"))
		}
	}
	if last := run.hear(""); last != "" {
		t.Errorf("%s: at the end the server says %s", p.Name, last)
	}
}

// step executes a line. It gives the rest of the line as the server did it.
func (p play) step(kind, rest string) (got string) {
	p.t.Helper()
	switch kind {
	case ">":
		p.s.Say(unhex(p.t, rest))
	case "ack":
		protocol := map[string]wire.Protocol{"LCP": wire.LCP, "CCP": wire.CCP, "IPCP": wire.IPCP}[rest]
		request := p.requests[protocol]
		request.Code = wire.ConfigureAck
		p.s.Say(request.Append(wire.AppendFrame(nil, protocol)))
	case "<":
		return p.hear(rest)
	case "may":
		p.may[rest] = true
	case "note":
		if !p.s.Noted(rest) {
			return "is missing"
		}
	case "up":
		if !p.s.Up(rest) {
			return "is not so"
		}
	case "in":
		return hex.EncodeToString(p.s.In())
	case "out":
		p.s.Out(unhex(p.t, rest))
	case "gone":
		p.s.Gone()
	case "closed":
		return string(p.s.Closed())
	default:
		p.t.Fatalf("a line of kind %q", kind)
	}
	return rest
}

// hear returns the server's next frame in readable form; empty: there is none. It skips a frame
// that may come and is not wanted now.
func (p play) hear(want string) string {
	f := p.s.Hear()
	if f == nil {
		return ""
	}
	protocol, info, _ := wire.ParseFrame(f)
	if packet, err := wire.ParsePacket(info); err == nil && packet.Code == wire.ConfigureRequest {
		p.requests[protocol] = wire.Packet{ID: packet.ID, Body: bytes.Clone(packet.Body)}
	}
	text := readable(f)
	if text != want && p.may[text] {
		delete(p.may, text)
		return p.hear(want)
	}
	return text
}

func readable(f []byte) string {
	if protocol, _, err := wire.ParseFrame(f); err != nil || protocol == wire.IPv4 || protocol == wire.Comp {
		return hex.EncodeToString(f)
	}
	return wire.Format(f)
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
