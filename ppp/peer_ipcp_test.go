package ppp_test

import (
	"strings"
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

func TestIPCPOptions(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openPAP()
	zero := []byte{0, 0, 0, 0}
	ask := func(options ...byte) []byte {
		var body []byte
		for _, o := range options {
			body = append(append(body, o, 6), zero...)
		}
		return frame(wire.IPCP, wire.ConfigureRequest, 7, body...)
	}
	// Windows asks for the addresses of a second DNS and of NBNS servers, which do not exist.
	r.want(r.say(ask(3, 129, 130, 131, 132)), "IPCP ConfRej id=0x7 <ms-wins 0.0.0.0> <ms-dns2 0.0.0.0> <ms-wins 0.0.0.0>")
	r.want(r.say(ask(3, 129)), "IPCP ConfNak id=0x7 <addr 10.99.0.10> <ms-dns1 10.99.0.53>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 8, 3, 6, 192, 168, 0, 1)), "IPCP ConfNak id=0x8 <addr 10.99.0.10>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 9, 2, 6, 0, 0x2D, 15, 1)), "IPCP ConfRej id=0x9 <compress VJ")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 10)), "IPCP ConfNak id=0xa <addr 10.99.0.10>")
	r.want(r.say(frame(wire.IPCP, wire.ConfigureRequest, 11, 3, 6, 10, 99, 0, 10, 129, 6, 10, 99, 0, 53)), "IPCP ConfAck id=0xb")
}

// An address that is not the user's fails, and both ends learn the reason. We do not ask again for
// an option that was rejected.
func TestClientInsistsOnAddress(t *testing.T) {
	own, none, unset := []byte{3, 6, 192, 168, 5, 77}, []byte(nil), []byte{3, 6, 0, 0, 0, 0}
	const insists = "client insists on 192.168.5.77; alice's address is 10.99.0.10"
	for name, c := range map[string]struct {
		asks   func(n int) []byte // the n-th request
		reason string
	}{
		"for ever": {func(int) []byte { return own }, insists},
		"as pppd does, which keeps it without telling": {func(n int) []byte {
			if n > 5 {
				return none
			}
			return own
		}, insists},
		"no address":    {func(int) []byte { return none }, "client asks for no address; alice's address is 10.99.0.10"},
		"0.0.0.0":       {func(int) []byte { return unset }, "client asks for no address; alice's address is 10.99.0.10"},
		"after 0.0.0.0": {func(n int) []byte { return [][]byte{unset, own}[min(n, 1)] }, insists},
	} {
		r := newRaw(t, papOnly)
		r.openPAP()
		r.ack(wire.IPCP)
		var all []string
		for n := range 20 {
			all = append(all, r.say(frame(wire.IPCP, wire.ConfigureRequest, uint8(n), c.asks(n)...))...)
		}
		r.pass(20 * time.Second)
		all = append(all, r.out...)
		closed, ok := r.all[len(r.all)-1].(ppp.Closed)
		if !ok || closed.Reason.String() != c.reason || r.up() != nil {
			t.Errorf("%s: %v, want the end %q, and no network", name, r.all, c.reason)
		}
		text := strings.Join(all, "\n")
		if !strings.Contains(text, `LCP TermReq id=`) || !strings.Contains(text, c.reason) {
			t.Errorf("%s: the client is not told:\n%s", name, text)
		}
		if _, after, rejected := strings.Cut(text, "IPCP ConfRej"); rejected && strings.Contains(after, "ConfNak") {
			t.Errorf("%s: Nak'ed after it was rejected:\n%s", name, text)
		}
	}
}

// A client that gives in after a Reject gets its address. One that hangs up gets its own reason.
func TestClientGivesIn(t *testing.T) {
	for _, giveIn := range []bool{true, false} {
		r := newRaw(t, papOnly)
		r.openPAP()
		r.ack(wire.IPCP)
		for n := range uint8(6) {
			r.say(frame(wire.IPCP, wire.ConfigureRequest, n, 3, 6, 192, 168, 5, 77))
		}
		if giveIn {
			r.say(frame(wire.IPCP, wire.ConfigureRequest, 9, append([]byte{3, 6}, given.AsSlice()...)...))
			if r.up() == nil {
				t.Errorf("not up: %q", r.out)
			}
			continue
		}
		r.say(frame(wire.LCP, wire.TerminateRequest, 9, []byte("no")...))
		r.wantClosed(reason.New(reason.ClientInsists, "192.168.5.77", "alice", "10.99.0.10", `"no"`))
	}
}

// If the peer of an open link negotiates again without end, the link ends after the set-up time.
func TestRepeatedNegotiationEnds(t *testing.T) {
	r := newRaw(t, papOnly)
	r.openPAP()
	r.openIPCP()
	ack := func() {
		for _, f := range r.raw {
			if p, _ := wire.ParsePacket(f[4:]); f[2] == 0x80 && p.Code == wire.ConfigureRequest {
				r.say(frame(wire.IPCP, wire.ConfigureAck, p.ID, p.Body...))
				return
			}
		}
	}
	for i := range 100 {
		if i%10 == 0 {
			r.say(frame(wire.IPCP, wire.ConfigureRequest, uint8(50+i), 3, 6, 0, 0, 0, 0))
			ack()
		}
		r.out, r.raw = nil, nil
		r.now = r.now.Add(time.Second)
		r.e.Tick(r.now)
		r.drain()
		ack()
	}
	if closed, ok := r.all[len(r.all)-1].(ppp.Closed); !ok || closed.Reason.String() != "IPCP was not agreed within 1m0s" {
		t.Errorf(`got %v, want the end "IPCP was not agreed within 1m0s"`, r.all)
	}
}
