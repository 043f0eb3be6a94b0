package server

import (
	"sync"
	"sync/atomic"
	"time"

	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/pptp/wire"
)

// drops counts what was not taken.
type drops struct {
	malformed, unknown, source, late, limit atomic.Uint64
}

func (d *drops) byReason() map[string]uint64 {
	return map[string]uint64{
		"malformed": d.malformed.Load(), "unknown call": d.unknown.Load(), "wrong source address": d.source.Load(),
		"late or doubled": d.late.Load(), "too many connections": d.limit.Load(),
	}
}

// readGRE reads one socket until it is closed.
func (s *Server) readGRE(c *mmsg.Conn) {
	r := c.NewReader()
	for {
		pkts, err := r.Read()
		if err != nil {
			return
		}
		now := time.Now()
		for i := range pkts {
			if s.packet(now, &pkts[i]) {
				pkts[i].Buf = nil
			}
		}
	}
}

// packet takes one IP packet as the raw socket gives it, and ownership of its Buf if it answers true.
// What is dropped is counted, not answered and not logged: anybody can send it.
func (s *Server) packet(now time.Time, p *mmsg.Packet) bool {
	b := p.Buf
	ip := b.Bytes()
	if len(ip) < 20 {
		s.drops.malformed.Add(1)
		return false
	}
	h, payload, err := wire.ParseGRE(b.TrimFront(int(ip[0]&0x0F) * 4))
	if err != nil {
		s.drops.malformed.Add(1)
		return false
	}
	k := s.calls[h.CallID].Load()
	if k == nil {
		s.drops.unknown.Add(1)
		return false
	}
	if k.c.remote.Addr() != p.From.Addr() {
		s.drops.source.Add(1)
		return false
	}
	if !h.HasSeq {
		return false // an acknowledgement: nothing of ours waits for one
	}
	b.TrimFront(h.Len())
	b.SetLen(len(payload))
	if !k.receive(now, h.Seq, b) {
		s.drops.late.Add(1)
		return false
	}
	s.attention.add(k)
	return true
}

// attentionEvery is how often calls are looked at that wait for something.
const attentionEvery = 50 * time.Millisecond

// attention is the list of the calls for which time alone will bring something to do. One goroutine
// looks after it, and sleeps while it is empty.
type attention struct {
	mu    sync.Mutex
	calls []*call
	wake  chan struct{}
	stop  chan struct{}
}

// add puts k on the list unless it is there. It costs a shared lock once in attentionEvery for a call,
// whatever its packets.
func (a *attention) add(k *call) {
	if k.noticed.Load() || !k.noticed.CompareAndSwap(false, true) {
		return
	}
	a.mu.Lock()
	a.calls = append(a.calls, k)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *attention) run() {
	var out link.Batch
	var mine []*call
	ticker := time.NewTicker(attentionEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-a.wake:
		}
		ticker.Reset(attentionEvery)
		for {
			select {
			case <-a.stop:
				return
			case <-ticker.C:
			}
			a.mu.Lock()
			mine, a.calls = a.calls, mine[:0]
			a.mu.Unlock()
			if len(mine) == 0 {
				break
			}
			a.look(mine, &out)
			clear(mine)
		}
		ticker.Stop()
	}
}

func (a *attention) look(calls []*call, out *link.Batch) {
	now := time.Now()
	for _, k := range calls {
		more := k.attend(now, out)
		k.noticed.Store(false)
		if more || k.owes.Load() != 0 && !k.over.Load() {
			a.add(k)
		}
	}
	out.Flush()
}
