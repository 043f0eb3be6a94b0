package session_test

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/pktbuf"
	"vpnd/internal/session"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/testenv"
)

// lossy loses the next encrypted packets of a client.
type lossy struct {
	link.Link
	lose atomic.Int64
}

func (l *lossy) Send(b *pktbuf.Buf, out *link.Batch) {
	if bytes.HasPrefix(b.Bytes(), []byte{0x00, 0xFD}) && l.lose.Add(-1) >= 0 {
		b.Release()
		return
	}
	l.Link.Send(b, out)
}

// A connection goes on after a loss of any length: at once, or with new streams as soon as the
// server notices that the old ones are lost. If it cannot decrypt with the new streams either, the
// server ends it.
func TestLongLoss(t *testing.T) {
	s := newStack(t, nil)
	var wire *lossy
	c := &testenv.Client{Wrap: func(l link.Link) link.Link { wire = &lossy{Link: l}; return wire }}
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPERequired
	if err := s.dialWith(c, cfg); err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	var out link.Batch
	lose := func(n int64) {
		wire.lose.Store(n)
		for range n {
			c.SendIP(&out, ping(network.Local, inner))
		}
	}
	s.passes(c)
	lose(100)
	s.passes(c)
	lose(4000)
	s.passes(c)
	if again, _ := c.Network(); again.Encrypter != network.Encrypter {
		t.Error("encryption has begun again, and need not")
	}
	before := len(s.dev.packets())
	lose(10_000)
	s.wait("packets pass again", func() bool {
		c.SendIP(&out, ping(network.Local, inner))
		return len(s.dev.packets()) > before
	})
	lose(10_000)
	s.wait("the connection is ended", func() bool {
		c.SendIP(&out, ping(network.Local, inner))
		return strings.Contains(s.log.String(), "cause=undecryptable ")
	})
}

// By L2TP packets may be late. The server drops those, and the others pass with the same streams.
func TestLatePacketsOfL2TP(t *testing.T) {
	s := newStack(t, nil)
	cfg := config()
	cfg.MPPE.Mode = ppp.MPPERequired
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := &testenv.Client{Swap: true}
	if err := c.Dial(ctx, &l2tpclient.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}, s.l2tpAt, cfg); err != nil {
		t.Fatal(err)
	}
	network, _ := c.Network()
	var out link.Batch
	const pairs = 100
	for range pairs {
		c.SendIP(&out, ping(network.Local, inner), ping(network.Local, inner))
	}
	s.wait("one of each pair arrives", func() bool { return len(s.dev.packets()) >= pairs })
	if again, _ := c.Network(); again.Encrypter != network.Encrypter {
		t.Error("encryption has begun again")
	}
}

// By PPTP the server puts swapped packets in order. None is lost, with any kind of streams, and far
// beyond the packets of one key.
func TestSwappedPackets(t *testing.T) {
	for encryption, stateful := range map[string]bool{"MPPE-128 stateless": false, "MPPE-128 stateful": true} {
		t.Run(encryption, func(t *testing.T) {
			s := newPatientStack(t, func(c *session.Config) { c.PPP.MPPE.Stateful = stateful })
			c := &testenv.Client{Swap: true}
			cfg := config()
			cfg.MPPE = ppp.MPPE{Mode: ppp.MPPERequired, Stateful: stateful}
			if err := s.dialWith(c, cfg); err != nil {
				t.Fatal(err)
			}
			if got := s.m.Connections()[0].Encryption; got != encryption {
				t.Errorf("got %s, want %s", got, encryption)
			}
			network, _ := c.Network()
			var out link.Batch
			const n = 600
			for range n / 2 {
				c.SendIP(&out, ping(network.Local, inner), ping(network.Local, inner))
			}
			s.wait("all packets arrive", func() bool { return len(s.dev.packets()) == n })
		})
	}
}
