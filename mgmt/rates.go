package mgmt

import (
	"sync"
	"time"
)

const (
	sampleEvery = 2 * time.Second
	// rateTime is over how long a rate is taken.
	rateTime = 10 * time.Second
	samples  = int(rateTime / sampleEvery)
)

// point is a connection's counters at a time.
type point struct {
	at     time.Time
	rx, tx uint64 // octets
}

// rates keeps the last counters of each connection: rates are those of the last seconds, whoever asks.
type rates struct {
	mu sync.Mutex
	by map[string][]point // by the connection's id, the oldest first
}

func newRates() *rates { return &rates{by: map[string][]point{}} }

// sample keeps the counters of all connections, and forgets those that are gone.
func (r *rates) sample(now time.Time, connections []Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string][]point, len(connections))
	for _, c := range connections {
		points := r.by[c.ID]
		if len(points) > samples {
			points = points[:copy(points, points[1:])]
		}
		next[c.ID] = append(points, point{now, c.RxBytes, c.TxBytes})
	}
	r.by = next
}

// of gives a connection's rates in bits per second.
func (r *rates) of(id string) (rx, tx float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	points := r.by[id]
	if len(points) < 2 {
		return 0, 0
	}
	first, last := points[0], points[len(points)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return float64(last.rx-first.rx) * 8 / seconds, float64(last.tx-first.tx) * 8 / seconds
}
