package server_test

import (
	"fmt"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/reason"
	"vpnd/l2tp/server"
	"vpnd/l2tp/wire"
)

// told is a sink that notes its calls.
type told chan string

func (s told) Frame(b *pktbuf.Buf) {
	s <- string(b.Bytes())
	b.Release()
}

func (s told) Confirmed()         { s <- "confirmed" }
func (s told) Down(reason.Reason) { s <- "down" }

func (s told) want(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-s:
		if got != what {
			t.Errorf("%q, want %q", got, what)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %q", what)
	}
}

// The ICCN confirms a call. An earlier frame is taken, if the tunnel's client has shown that it
// hears us.
func TestConfirmed(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprintf("named %v", named), func(t *testing.T) {
			sink := make(told, 10)
			serve(t, server.Config{}, func(l link.Link) (link.Sink, error) {
				if !l.Info().Confirms {
					t.Error("the session does not know that the call will be confirmed")
				}
				return sink, nil
			})
			c := connect(t, "127.0.3.2:0")
			c.request()
			if tunnel := c.hear(wire.SCCRP, wire.AttrTunnelID); named {
				c.tunnel = tunnel
			}
			c.say(wire.SCCCN)
			c.say(wire.ICRQ, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)))
			c.call = c.hear(wire.ICRP, wire.AttrSessionID)
			if named {
				c.data(wire.Header{Tunnel: c.tunnel, Session: c.call}, "early")
				sink.want(t, "early")
			}
			c.say(wire.ICCN)
			sink.want(t, "confirmed")
			c.say(wire.CDN, wire.AppendAVP(nil, true, wire.AttrSessionID, u16(5)), wire.AppendAVP(nil, true, wire.AttrResultCode, []byte{0, 3}))
			sink.want(t, "down")
		})
	}
}
