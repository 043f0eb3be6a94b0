package mgmt

import (
	"sync"
	"time"
)

const (
	sampleEvery = 2 * time.Second
	// rateTime is the time over which a rate is measured.
	rateTime = 10 * time.Second
	samples  = int(rateTime / sampleEvery)
	// traceTime is how long rates are remembered.
	traceTime = time.Minute
	kept      = int(traceTime/sampleEvery) + 1
)

// Rate is the traffic in bits per second, from the user and to the user.
type Rate struct{ Rx, Tx float64 }

// point holds a connection's counters at a time.
type point struct {
	at     time.Duration // since the first sample
	rx, tx uint64        // bytes
}

// rateBetween is zero if no time has passed.
func rateBetween(a, b point) Rate {
	seconds := (b.at - a.at).Seconds()
	if seconds <= 0 {
		return Rate{}
	}
	return Rate{float64(b.rx-a.rx) * 8 / seconds, float64(b.tx-a.tx) * 8 / seconds}
}

// rates keeps the last counters of each connection, so that every caller gets the rates of the last
// seconds.
type rates struct {
	mu    sync.Mutex
	start time.Time          // of the first sample
	by    map[string][]point // by the connection's id, the oldest first
}

func newRates() *rates { return &rates{by: map[string][]point{}} }

// sample keeps the counters of all connections, and forgets those that are gone.
func (r *rates) sample(now time.Time, connections []Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		r.start = now
	}
	next := make(map[string][]point, len(connections))
	for i := range connections {
		c := &connections[i]
		points := r.by[c.ID]
		if len(points) == kept {
			points = points[:copy(points, points[1:])]
		}
		next[c.ID] = append(points, point{now.Sub(r.start), c.RxBytes, c.TxBytes})
	}
	r.by = next
}

// fill sets the rates of connections, in bits per second.
func (r *rates) fill(connections []Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range connections {
		c := &connections[i]
		if points := r.by[c.ID]; len(points) > 1 {
			rate := rateBetween(points[max(0, len(points)-1-samples)], points[len(points)-1])
			c.RxRate, c.TxRate = rate.Rx, rate.Tx
		}
	}
}

// trace gives the rates between the samples of a connection, the oldest first.
func (r *rates) trace(id string) []Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	var trace []Rate
	points := r.by[id]
	for i := 1; i < len(points); i++ {
		trace = append(trace, rateBetween(points[i-1], points[i]))
	}
	return trace
}
