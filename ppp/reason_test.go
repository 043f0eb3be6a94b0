package ppp_test

import (
	"testing"
	"time"
	"vpnd/internal/reason"
	"vpnd/ppp"
	"vpnd/ppp/wire"
)

// The reason of a failed link names the client's wish or omission.
func TestReasonsArePrecise(t *testing.T) {
	msOnly := ppp.Config{Auth: []ppp.Method{ppp.MSCHAPv2}}
	ask := func(r *raw, data ...byte) {
		r.say(frame(wire.LCP, wire.ConfigureNak, r.ask[wire.LCP].ID, append([]byte{3, uint8(2 + len(data))}, data...)...))
	}
	pap, eap := []byte{0xC0, 0x23}, []byte{0xC2, 0x27}
	for want, play := range map[string]func(r *raw){
		"peer accepts no allowed authentication: it asks for PAP, EAP": func(r *raw) {
			for range 4 {
				ask(r, pap...)
			}
			ask(r, eap...)
			r.e.Down(reason.New(reason.ControlClosed))
		},
		"client closed the control connection: it asks for PAP": func(r *raw) {
			ask(r, pap...)
			r.e.Down(reason.New(reason.ControlClosed))
		},
		"peer accepts no allowed authentication": func(r *raw) {
			for range 5 {
				ask(r, 0xC2, 0x23, 0x81) // the method that it is offered
			}
			r.e.Down(reason.New(reason.ControlClosed))
		},
		"client closed the control connection; no PPP frame had come from the peer": func(r *raw) {
			r.e.Down(reason.New(reason.ControlClosed))
		},
		"no answer to LCP: nothing has come from the peer": func(r *raw) { r.pass(time.Minute) },
		`peer hung up during the authentication: it says "no CHAP"`: func(r *raw) {
			r.say(frame(wire.LCP, wire.ConfigureRequest, 1))
			r.ack(wire.LCP)
			r.say(frame(wire.LCP, wire.TerminateRequest, 5, []byte("no CHAP")...))
		},
		"peer hung up during the authentication": func(r *raw) { // in Windows' words
			r.say(frame(wire.LCP, wire.ConfigureRequest, 1))
			r.ack(wire.LCP)
			r.say(frame(wire.LCP, wire.TerminateRequest, 5, 0x4F, 0x1C, 0xA5, 0, 0x3C, 0xCD, 0x74, 0, 0, 2, 0xCE))
		},
	} {
		r := newRaw(t, msOnly)
		play(r)
		r.drain()
		closed, ok := r.all[len(r.all)-1].(ppp.Closed)
		if !ok || closed.Reason.String() != want {
			t.Errorf("%+v, want %s", r.all, want)
		}
	}
}

// pass lets d pass in steps of a second.
func (r *raw) pass(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(time.Second)
		r.e.Tick(r.now)
		r.drain()
	}
}
