// Package gre carries the data of PPTP calls: PPP frames in enhanced GRE (RFC 2637 section 4). It
// reads and writes raw sockets in batches. Server and client share it.
package gre

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/mmsg"
	"vpnd/internal/reason"
	"vpnd/pptp"
	"vpnd/pptp/wire"
)

// idsKept is how many of the last returned call identifiers are not used again.
const idsKept = 4096

// Exchange finds the call of a packet from any socket. It has one table for all sockets.
type Exchange struct {
	ReorderTimeout time.Duration // of the Receiver of each call

	calls     [1 << 16]atomic.Pointer[Call] // by our identifier
	attention attention
	overdue   overdue
	drops     drops
	max       int
	random    io.Reader

	mu      sync.Mutex
	n       int
	idsUsed [1 << 16]bool // in use, or among kept
	kept    [idsKept]uint16
	keptAt  int
}

// NewExchange makes an Exchange for at most maxCalls calls (at most 32768). It draws their
// identifiers from random.
func NewExchange(maxCalls int, random io.Reader) *Exchange {
	x := &Exchange{max: min(maxCalls, 32768), random: random}
	x.attention.wake = make(chan struct{}, 1)
	x.attention.stop = make(chan struct{})
	return x
}

// ErrBusy is the error of NewCall at the maximum number of calls.
var ErrBusy = reason.New(reason.CallLimit)

// NewCall makes a call with a random identifier, which is none of the last used ones. No packet
// reaches the call before Begin.
func (x *Exchange) NewCall(r Route) (*Call, error) {
	id, err := x.takeID()
	if err != nil {
		return nil, err
	}
	return &Call{x: x, route: r, ours: id, receiver: pptp.Receiver{Timeout: x.ReorderTimeout}}, nil
}

func (x *Exchange) takeID() (uint16, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.n >= x.max {
		return 0, ErrBusy
	}
	for {
		var b [2]byte
		if _, err := io.ReadFull(x.random, b[:]); err != nil {
			return 0, fmt.Errorf("drawing a call identifier: %w", err)
		}
		id := binary.BigEndian.Uint16(b[:])
		if id == 0 || x.idsUsed[id] {
			continue
		}
		x.idsUsed[id] = true
		x.n++
		return id, nil
	}
}

// giveID gives an identifier back. It stays unused for a while, because packets are still on their
// way.
func (x *Exchange) giveID(id uint16) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.n--
	if old := x.kept[x.keptAt]; old != 0 {
		x.idsUsed[old] = false
	}
	x.kept[x.keptAt] = id
	x.keptAt = (x.keptAt + 1) % idsKept
}

// Calls is the number of calls.
func (x *Exchange) Calls() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.n
}

// Dropped counts the dropped packets by reason.
func (x *Exchange) Dropped() map[string]uint64 { return x.drops.byReason() }

// drops counts the dropped packets.
type drops struct {
	malformed, unknown, source, late atomic.Uint64
}

func (d *drops) byReason() map[string]uint64 {
	return map[string]uint64{
		"malformed": d.malformed.Load(), "unknown call": d.unknown.Load(),
		"wrong source address": d.source.Load(), "late or doubled": d.late.Load(),
	}
}

// Read takes the packets of a socket until it is closed.
func (x *Exchange) Read(c *mmsg.Conn) {
	r := c.NewReader()
	var out link.Batch
	var due []*Call
	for {
		pkts, err := r.Read()
		if err != nil {
			return
		}
		now := time.Now()
		for i := range pkts {
			if x.packet(now, &pkts[i]) {
				pkts[i].Buf = nil
			}
		}
		due = x.overdue.take(due)
		for _, k := range due {
			k.acknowledge(&out)
		}
		out.Flush()
		clear(due)
	}
}

// Run handles the due work of calls until Stop.
func (x *Exchange) Run() { x.attention.run() }

// Stop ends Run.
func (x *Exchange) Stop() { x.attention.once.Do(func() { close(x.attention.stop) }) }

// packet takes one IP packet from the raw socket. It leaves the Buf to its caller if it drops the
// packet. It counts dropped packets, but does not answer or log them, because anybody can send
// them.
func (x *Exchange) packet(now time.Time, p *mmsg.Packet) (taken bool) {
	b := p.Buf
	ip := b.Bytes()
	if len(ip) < 20 {
		x.drops.malformed.Add(1)
		return false
	}
	h, payload, err := wire.ParseGRE(b.TrimFront(int(ip[0]&0x0F) * 4))
	if err != nil {
		x.drops.malformed.Add(1)
		return false
	}
	k := x.calls[h.CallID].Load()
	if k == nil {
		x.drops.unknown.Add(1)
		return false
	}
	if k.route.Remote != p.From.Addr() {
		x.drops.source.Add(1)
		return false
	}
	if !h.HasSeq {
		return false // only an acknowledgement: we wait for none
	}
	b.TrimFront(h.Len())
	b.SetLen(len(payload))
	if !k.receive(now, h.Seq, b) {
		x.drops.late.Add(1)
		return false
	}
	x.attention.add(k)
	return true
}

// overdue is the list of the calls whose peer may be waiting for an acknowledgement. A reader sends
// the acknowledgements after each batch of packets.
type overdue struct {
	mu    sync.Mutex
	calls []*Call
	n     atomic.Int32
}

// add puts k on the list. It takes a shared lock, once per pptp.AckAfter packets of a call.
func (o *overdue) add(k *Call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, k)
	o.n.Add(1)
}

// take returns the calls of the list, in the memory of due, and clears the list.
func (o *overdue) take(due []*Call) []*Call {
	due = due[:0]
	if o.n.Load() == 0 {
		return due
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	due = append(due, o.calls...)
	for _, k := range due {
		k.overdue.Store(false)
	}
	clear(o.calls)
	o.calls = o.calls[:0]
	o.n.Store(0)
	return due
}

// attentionEvery is the interval between two looks at the calls on the attention list.
const attentionEvery = 50 * time.Millisecond

// attention is the list of the calls with work that will be due. One goroutine looks after it, and
// sleeps while it is empty.
type attention struct {
	mu    sync.Mutex
	calls []*Call
	wake  chan struct{}
	stop  chan struct{}
	once  sync.Once
}

// add puts k on the list unless it is there. It takes a shared lock at most once in attentionEvery
// for a call, however many packets come.
func (a *attention) add(k *Call) {
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
	var mine []*Call
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

func (a *attention) look(calls []*Call, out *link.Batch) {
	now := time.Now()
	for _, k := range calls {
		k.noticed.Store(false) // first, so that later packets put it back
		if k.attend(now, out) {
			a.add(k)
		}
	}
	out.Flush()
}
