package l2tp

import (
	"slices"
	"time"
	"vpnd/internal/reason"
	"vpnd/l2tp/wire"
)

// held is a message that comes in its turn while too many of our messages wait for the peer. We do
// not acknowledge it, so that the peer goes no further than its window.
type held struct {
	h    wire.Header
	body []byte
}

// hold reports whether a message has to wait, and keeps it if so. It answers a message that is
// repeated or ahead with an acknowledgement of our present number. A StopCCN needs no room.
func (t *Tunnel) hold(h wire.Header, avps []wire.AVP, body []byte) bool {
	if len(body) == 0 || len(t.ch.queue) < maxQueue {
		return false
	}
	next := int(h.Ns-t.ch.nr) == len(t.held)
	switch {
	case next && len(avps) > 0 && kindOf(avps) == wire.StopCCN:
		// The queued messages are useless now.
		t.held, t.ch.nr = nil, h.Ns
		return false
	case next && len(t.held) < ourWindow:
		t.held = append(t.held, held{h, slices.Clone(body)})
	default:
		t.ch.ack()
	}
	return true
}

// catchUp takes the waiting messages, as far as there is room.
func (t *Tunnel) catchUp(now time.Time) {
	for len(t.held) > 0 && len(t.ch.queue) < maxQueue && t.state != stateClosed {
		m := t.held[0]
		t.held = t.held[1:]
		avps, err := wire.ParseAVPs(m.body, t.cfg.Secret)
		t.take(now, m.h, avps, err, len(m.body))
	}
}

// take takes a message whose body had n bytes, if it is the next one.
func (t *Tunnel) take(now time.Time, h wire.Header, avps []wire.AVP, err error, n int) {
	if !t.ch.receive(now, h, n) {
		return
	}
	before := t.sent
	if err != nil {
		t.stop(now, reason.New(reason.HiddenAVP))
	} else {
		t.message(now, h, avps, n)
	}
	if t.sent == before && t.state != stateClosed {
		t.ch.ack() // at once: clients wait for it
	}
}
