package mgmt

import (
	"testing"
	"time"
)

// A rate is that of the last ten seconds, and is 0 when there is no traffic.
func TestRates(t *testing.T) {
	r := newRates()
	now := time.Unix(1_790_000_000, 0)
	of := func() (rx, tx float64) {
		list := []Connection{{ID: "a"}}
		r.fill(list)
		return list[0].RxRate, list[0].TxRate
	}
	if rx, tx := of(); rx != 0 || tx != 0 {
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
		rx, tx := of()
		switch {
		case i > 0 && i < 20 && (rx != 8000 || tx != 16000):
			t.Errorf("after %d: %v, %v", i, rx, tx)
		case i > 25 && (rx != 0 || tx != 0):
			t.Errorf("at rest: %v, %v", rx, tx)
		}
	}
	trace := r.trace("a") // the last rise was 10 samples ago
	if len(trace) != 30-1 || trace[18] != (Rate{8000, 16000}) || trace[20] != (Rate{}) {
		t.Errorf("the trace is %v", trace)
	}
	for range 30 {
		r.sample(now, []Connection{c})
	}
	if n := len(r.trace("a")); n != kept-1 {
		t.Errorf("%d rates are remembered", n)
	}
	r.sample(now, nil)
	if len(r.by) != 0 {
		t.Error("a connection that is gone is remembered")
	}
}
