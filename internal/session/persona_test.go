package session_test

import (
	"bytes"
	"context"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"vpnd/internal/ippool"
	"vpnd/internal/link"
	"vpnd/internal/link/linktest"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/testenv/persona"
	"vpnd/usermgmt"
)

// Real clients get in with their exact bytes, over their carriers. By PPTP each two of their
// packets come in the wrong order, as those of some Windows versions do.
func TestPersonas(t *testing.T) {
	for _, p := range persona.All(t) {
		t.Run(p.Name, func(t *testing.T) {
			d := dialPersona(t, p)
			p.Play(t, d)
			if n := len(d.dev.packets()); n != d.in {
				t.Errorf("%d packets of the client have left the server, want %d", n, d.in)
			}
			d.wait("nothing is left", func() bool { return d.m.Count() == 0 && d.pool.InUse() == 0 })
			if d.m.Panics() > 0 {
				t.Errorf("got %s, want no fault of the server", d.log)
			}
		})
	}
}

// atServer is a persona's call to the whole server.
type atServer struct {
	*stack
	carrier link.Type
	link    link.Link // as the persona uses it
	call    link.Link // as the carrier has it
	pool    *ippool.Pool
	frames  chan []byte // of the server; closed when the call is over
	in      int         // the number of known packets of the client
}

// dialPersona makes the server that p dials, and the call. The server repeats nothing because of a
// slow test.
func dialPersona(t *testing.T, p persona.Persona) *atServer {
	t.Helper()
	only := netip.MustParseAddr("10.99.0.10")
	pool, err := ippool.New([]ippool.Range{{First: only, Last: only}})
	if err != nil {
		t.Fatal(err)
	}
	s := newPatientStack(t, func(c *session.Config) {
		c.Pools = map[string]session.Pool{"": {Addresses: pool, DNS: []netip.Addr{netip.MustParseAddr("10.99.0.53")}}}
		c.PPP.Auth, c.PPP.Random = []ppp.Method{ppp.MSCHAPv2}, p.Random()
		c.PPP.RestartTimer, c.PPP.AuthTimeout, c.PPP.SetupTimeout, c.PPP.EchoInterval = time.Hour, time.Hour, time.Hour, time.Hour
		c.PPP.MPPE.Wait = time.Hour
		if p.Required {
			c.PPP.MPPE.Mode = ppp.MPPERequired
		}
	})
	s.change(func(profile *usermgmt.Profile) { profile.Password = p.Password })
	d := &atServer{stack: s, carrier: link.Type(p.Carrier), pool: pool, frames: make(chan []byte, 100)}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	accept := func(link.Link) (link.Sink, error) { return d, nil }
	if d.carrier == link.L2TP {
		tunnels := l2tpclient.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}
		d.call, err = tunnels.Dial(ctx, s.l2tpAt, accept)
	} else {
		d.call, err = s.dialer.Dial(ctx, s.at, accept)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.call.Close(reason.New(reason.HangsUp)) })
	if d.link = d.call; d.carrier == link.PPTP {
		d.link = linktest.Swapped(d.call)
	}
	return d
}

// Frame implements link.Sink.
func (d *atServer) Frame(b *pktbuf.Buf) {
	d.frames <- bytes.Clone(b.Bytes())
	b.Release()
}

// Down implements link.Sink.
func (d *atServer) Down(reason.Reason) { close(d.frames) }

// Say implements persona.Server.
func (d *atServer) Say(frame []byte) {
	var out link.Batch
	b := pktbuf.Get()
	b.Append(frame)
	d.link.Send(b, &out)
	out.Flush()
}

// Hear implements persona.Server.
func (d *atServer) Hear() []byte {
	select {
	case f := <-d.frames:
		return f
	case <-time.After(20 * time.Second):
		return nil
	}
}

// Noted implements persona.Server.
func (d *atServer) Noted(text string) bool {
	d.wait("note", func() bool { return strings.Contains(d.log.String(), "text="+strconv.Quote(text)) })
	return true
}

// Up implements persona.Server.
func (d *atServer) Up(encryption string) bool {
	d.wait("up", func() bool { return len(d.m.Connections()) == 1 })
	got := d.m.Connections()[0]
	return got.User == "alice" && got.Type == d.carrier && got.Auth == "MS-CHAPv2" && got.Encryption == encryption &&
		got.Virtual == netip.MustParseAddr("10.99.0.10")
}

// In implements persona.Server.
func (d *atServer) In() []byte {
	d.wait("a packet of the client leaves the server", func() bool { return len(d.dev.packets()) > d.in })
	d.in++
	return d.dev.packets()[d.in-1]
}

// Out implements persona.Server.
func (d *atServer) Out(packet []byte) { d.dev.in <- packet }

// Gone implements persona.Server.
func (d *atServer) Gone() { d.call.(interface{ Forsake() }).Forsake() }

// Closed implements persona.Server.
func (d *atServer) Closed() (code reason.Code) {
	ended := regexp.MustCompile(`msg=disconnected .* cause=(\w+) `)
	d.wait("the end", func() bool {
		m := ended.FindStringSubmatch(d.log.String())
		if m == nil {
			return false
		}
		code = reason.Code(m[1])
		return true
	})
	return code
}
