package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
	"vpnd/internal/link"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/mgmt/metrics"
)

const (
	recorderQueue = 4096
	recorderBatch = 256
)

// history stores the entries of a recorder.
type history interface {
	Record(ctx context.Context, entries ...state.Entry) error
}

// recorder records events of calls in the history. Nobody waits for it: an entry that finds the
// queue full is lost, and counted.
type recorder struct {
	history history
	log     *slog.Logger
	metrics *metrics.Metrics
	tell    func(state.Entry) // called for each entry as it happens; it must not block
	queue   chan state.Entry
	lost    atomic.Uint64
	written atomic.Int64 // entries since the history was pruned
	said    uint64       // value of lost at the last log line
	stop    chan struct{}
	ended   chan struct{}
}

func newRecorder(h history, log *slog.Logger, counts *metrics.Metrics) *recorder {
	r := &recorder{
		history: h, log: log, metrics: counts,
		queue: make(chan state.Entry, recorderQueue), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	go r.run()
	return r
}

// close writes the waiting entries. Later ones are lost.
func (r *recorder) close() {
	close(r.stop)
	<-r.ended
}

func (r *recorder) add(e state.Entry) {
	e.At = time.Now()
	if r.tell != nil {
		r.tell(e)
	}
	select {
	case r.queue <- e:
	default:
		r.lost.Add(1)
	}
}

func (r *recorder) run() {
	defer close(r.ended)
	batch := make([]state.Entry, 0, recorderBatch)
	for {
		select {
		case e := <-r.queue:
			r.write(append(batch, e))
			continue
		default:
		}
		select {
		case e := <-r.queue:
			r.write(append(batch, e))
		case <-r.stop:
			return
		}
	}
}

// write writes the batch together with the other waiting entries.
func (r *recorder) write(batch []state.Entry) {
	for more := true; more && len(batch) < recorderBatch; {
		select {
		case e := <-r.queue:
			batch = append(batch, e)
		default:
			more = false
		}
	}
	if n := r.lost.Load(); n > r.said {
		r.log.Warn("entries of the history were lost: too many arrived at once", "entries", n-r.said)
		r.said = n
	}
	if err := r.history.Record(context.Background(), batch...); err != nil {
		r.lost.Add(uint64(len(batch)))
		r.said += uint64(len(batch))
		r.log.Warn("the history could not be written", "entries", len(batch), "error", err)
		return
	}
	r.written.Add(int64(len(batch)))
}

// Connected implements session.Recorder.
func (r *recorder) Connected(c session.Connection) {
	r.metrics.Accepted(string(c.Type))
	r.add(entry(state.EventConnected, c))
}

// Disconnected implements session.Recorder.
func (r *recorder) Disconnected(c session.Connection, why reason.Reason) {
	e := entry(state.EventDisconnected, c)
	e.Why, e.Duration = why, time.Since(c.Since)
	e.Rx, e.Tx = c.Stats.RxBytes, c.Stats.TxBytes
	r.add(e)
}

// Refused implements session.Recorder.
func (r *recorder) Refused(f session.Refusal) {
	if f.Sum == 0 {
		r.metrics.Refused(string(f.Type), f.Reason.Label())
	}
	if f.LeftOut {
		return
	}
	r.add(state.Entry{
		Event: state.EventRefused, User: f.User, Connection: f.ID, Type: string(f.Type), Peer: f.Remote, Auth: f.Auth, Why: f.Reason,
	})
}

// refusedCall gives the function that a server calls for tunnels and calls that it refuses before
// there is a session. It records only those that keeps allows, which limits their number.
func (r *recorder) refusedCall(kind link.Type, keeps func(peer netip.Addr) bool) func(peer netip.Addr, why reason.Reason) bool {
	return func(peer netip.Addr, why reason.Reason) bool {
		if !keeps(peer) {
			return false
		}
		r.add(state.Entry{Event: state.EventRefused, Type: string(kind), Peer: peer, Why: why})
		return true
	}
}

func entry(event string, c session.Connection) state.Entry {
	return state.Entry{
		Event: event, User: c.User, Connection: c.ID, Type: string(c.Type), Peer: c.Remote, Address: c.Virtual, Auth: c.Auth, Encryption: c.Encryption,
	}
}

// prune limits the history. After a start, a wrong clock has an hour to be corrected before entries
// are deleted because of their age.
func (d *daemon) prune(ctx context.Context) {
	var before time.Time
	if now := time.Now(); now.Sub(d.since) >= pruneEvery {
		oldest, err := d.store.OldestEntry(ctx)
		d.warnIf("reading the history", err)
		if err == nil {
			before = forgetBefore(now, d.clock.Corrected(), oldest, d.cfg.History.Age)
		}
	}
	d.recorder.written.Store(0)
	d.warnIf("pruning the history", d.store.Prune(ctx, before, d.cfg.History.Entries))
}

// forgetBefore is the time before which history is deleted. Entries have the host's time, and the
// traffic of months has the corrected one: the earlier one counts. A clock that is far ahead for
// some hours costs some days of history, not all of it.
func forgetBefore(host, corrected, oldest time.Time, age time.Duration) time.Time {
	before := host.Add(-age)
	if corrected.Before(host) {
		before = corrected.Add(-age)
	}
	if most := oldest.Add(pruneMost); !oldest.IsZero() && most.Before(before) {
		return most
	}
	return before
}

// crowded reports whether the history has grown so much that pruning cannot wait.
func (d *daemon) crowded() bool { return d.recorder.written.Load() > int64(d.cfg.History.Entries/10) }
