package mgmt

import (
	"testing"
	"time"
)

// A rate is that of the last ten seconds, and is 0 once nothing passes.
func TestRates(t *testing.T) {
	r := newRates()
	now := time.Unix(1_790_000_000, 0)
	if rx, tx := r.of("a"); rx != 0 || tx != 0 {
		t.Error(rx, tx)
	}
	var c Connection
	c.ID = "a"
	for i := range 30 {
		r.sample(now, []Connection{c})
		now = now.Add(sampleEvery)
		if i < 20 {
			c.RxBytes += 2000
			c.TxBytes += 4000
		}
		rx, tx := r.of("a")
		switch {
		case i > 0 && i < 20 && (rx != 8000 || tx != 16000):
			t.Errorf("after %d: %v, %v", i, rx, tx)
		case i > 25 && (rx != 0 || tx != 0):
			t.Errorf("at rest: %v, %v", rx, tx)
		}
	}
	r.sample(now, nil)
	if len(r.by) != 0 {
		t.Error("a connection that is gone is remembered")
	}
}
