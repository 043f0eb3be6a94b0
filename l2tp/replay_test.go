package l2tp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"vpnd/internal/reason"
	"vpnd/l2tp"
	"vpnd/l2tp/wire"
	"vpnd/testenv/recording"
)

// lac is our client. Its server is a recording.
type lac struct {
	t      *testing.T
	tunnel *l2tp.Tunnel
	opened bool
	said   []string
}

func (c *lac) drain() {
	for {
		event, ok := c.tunnel.Next()
		if !ok {
			return
		}
		switch v := event.(type) {
		case l2tp.Transmit:
			_, body, err := wire.ParseHeader(v.Datagram)
			if err != nil {
				c.t.Fatalf("we wrote %x: %v", v.Datagram, err)
			}
			if len(body) > 0 {
				c.said = append(c.said, ">"+kindOf(body).String())
			}
		case l2tp.Opened:
			c.opened = true
			c.said = append(c.said, "opened")
		case l2tp.Answered:
			c.said = append(c.said, "answered")
		case l2tp.Cleared:
			c.said = append(c.said, fmt.Sprintf("cleared (%s)", v.Reason.String()))
		case l2tp.Refused:
			c.said = append(c.said, fmt.Sprintf("refused (%s)", v.Reason.String()))
		case l2tp.Closed:
			c.said = append(c.said, fmt.Sprintf("closed (%s)", v.Reason.String()))
		}
	}
}

func kindOf(body []byte) wire.MessageType {
	return wire.MessageType(binary.BigEndian.Uint16(value(body, wire.AttrMessageType)))
}

// Our client gets the recorded answers of xl2tpd, byte for byte, and does the same as xl2tpd's
// client. It uses the recorded identifiers and challenge, so that all answers fit.
func TestRecordedServers(t *testing.T) {
	const (
		up   = ">SCCRQ >SCCCN opened >ICRQ >ICCN answered"
		down = " cleared (client hangs up) >StopCCN closed (client hangs up)"
		// Our client has a secret only where xl2tpd's challenged its server, too.
		refused = ">SCCRQ refused (server wants a tunnel secret) >StopCCN closed (server wants a tunnel secret)"
	)
	want := map[string]string{
		"l2tp-chap-md5": up + down, "l2tp-pap": up + down, "l2tp-mschapv1-dns": up + down,
		"l2tp-hidden-avps": up + down, "l2tp-loss": up + down, "l2tp-secret": up + down,
		"l2tp-mschapv2-mppe128": up, "l2tp-data-bits": up + " " + up + " " + up + down,
		"l2tp-pap-wrong":           up + " cleared (server disconnected the call (result 1)) >StopCCN closed (client hangs up)",
		"l2tp-secret-wrong":        refused + " " + refused,
		"l2tp-terminate-by-server": up + " cleared (server disconnected the call (result 1)) >ICRQ >ICCN answered" + down,
	}
	names, err := filepath.Glob("../ppp/*/testdata/l2tp-*.pcap")
	if err != nil || len(names) != len(want) {
		t.Errorf("captures: %v, %v", names, err)
	}
	for _, name := range names {
		c := &lac{t: t}
		id := uint16(0)
		for i, packet := range recording.Packets(t, name) {
			h, body, err := wire.ParseHeader(packet.UDP())
			switch {
			case err != nil || !h.Control:
			case !packet.Sent:
				c.tunnel.Receive(start, h, body)
				c.drain()
			case len(body) > 0:
				switch kind := kindOf(body); kind {
				case wire.SCCRQ:
					ours := binary.BigEndian.Uint16(value(body, wire.AttrTunnelID))
					if ours == id {
						continue // repeated
					}
					id = ours
					cfg := l2tp.Config{Random: bytes.NewReader(value(body, wire.AttrChallenge))}
					if value(body, wire.AttrChallenge) != nil {
						cfg.Secret = "tunnel-Secret7"
					}
					c.opened = false
					c.tunnel = l2tp.Dial(cfg, ours, start)
				case wire.ICRQ:
					if c.opened {
						c.tunnel.Call(start, binary.BigEndian.Uint16(value(body, wire.AttrSessionID)))
					}
				case wire.StopCCN:
					c.tunnel.Stop(start, reason.New(reason.Dropped, "client hangs up"))
				case wire.SCCCN, wire.ICCN: // our client has sent them itself
				default:
					t.Fatalf("%s, packet %d: %v", name, i, kind)
				}
				c.drain()
			}
		}
		if got, want := strings.Join(c.said, " "), want[strings.TrimSuffix(filepath.Base(name), ".pcap")]; got != want {
			t.Errorf("%s: %q, want\n%q", name, got, want)
		}
	}
}
