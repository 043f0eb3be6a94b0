package timesync

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// host is a machine whose clocks a test moves.
type host struct {
	Reading
	right time.Time
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newHost is a host whose clock is off by off.
func newHost(off time.Duration) *host {
	return &host{Reading{Wall: noon.Add(off), Mono: time.Hour, Boot: 2 * time.Hour}, noon}
}

func (h *host) pass(d time.Duration) {
	h.Wall, h.Mono, h.Boot, h.right = h.Wall.Add(d), h.Mono+d, h.Boot+d, h.right.Add(d)
}

func (h *host) suspend(d time.Duration) {
	h.pass(d)
	h.Mono -= d
}

func (h *host) step(d time.Duration) { h.Wall = h.Wall.Add(d) }

// good is the answer of a server with the right time.
func (h *host) good(name string) Answer {
	return Answer{Server: name, Offset: h.right.Sub(h.Wall), RoundTrip: 10 * time.Millisecond, Stratum: 2}
}

func dead(name string) Answer { return Answer{Server: name, Err: errors.New("no answer within 3s")} }

func liar(name string) Answer {
	return Answer{Server: name, Offset: 100 * time.Second, RoundTrip: time.Millisecond, Stratum: 1}
}

var names = []string{"a", "b", "c"}

func (h *host) goods() []Answer { return []Answer{h.good("a"), h.good("b"), h.good("c")} }

// measure makes w measure, for a second.
func (h *host) measure(w *watch, answers ...Answer) string {
	from := h.Reading
	w.begin(from)
	h.pass(time.Second)
	return text(w.end(from, h.Reading, answers))
}

// text is a short form of events.
func text(events []event) string {
	words := map[kind]string{
		measured: "measured", beganRight: "right", beganOff: "off", failed: "failed", stale: "stale", jumped: "jumped",
		suspended: "suspended", outvoted: "outvoted", mute: "mute", returned: "returned",
	}
	parts := make([]string, len(events))
	for i, e := range events {
		parts[i] = words[e.kind]
		switch e.kind {
		case jumped, suspended:
			parts[i] += fmt.Sprint(" ", e.by)
		case outvoted, mute, returned:
			parts[i] += " " + e.server.Server
		case failed:
			parts[i] += fmt.Sprint(" ", e.retry)
		default:
		}
	}
	return strings.Join(parts, ", ")
}

// step is one step of a watch, with the expected result.
type step struct {
	do     func(h *host, w *watch) string
	events string
	status Status
	fresh  bool
	due    time.Duration // from now
}

func wait(d time.Duration) func(*host, *watch) string {
	return func(h *host, w *watch) string { h.pass(d); return text(w.tick(h.Reading)) }
}

func set(d time.Duration) func(*host, *watch) string {
	return func(h *host, w *watch) string { h.step(d); return text(w.tick(h.Reading)) }
}

func sleep(d time.Duration) func(*host, *watch) string {
	return func(h *host, w *watch) string { h.suspend(d); return text(w.tick(h.Reading)) }
}

func answers(f func(h *host) []Answer) func(*host, *watch) string {
	return func(h *host, w *watch) string { return h.measure(w, f(h)...) }
}

var (
	allGood   = answers((*host).goods)
	allDead   = answers(func(*host) []Answer { return []Answer{dead("a"), dead("b"), dead("c")} })
	oneDead   = answers(func(h *host) []Answer { return []Answer{h.good("a"), dead("b"), h.good("c")} })
	oneLies   = answers(func(h *host) []Answer { return []Answer{h.good("a"), h.good("b"), liar("c")} })
	noMajor   = answers(func(h *host) []Answer { return []Answer{h.good("a"), dead("b"), liar("c")} })
	jumpWhile = func(h *host, w *watch) string {
		from := h.Reading
		w.begin(from)
		h.pass(time.Second)
		all := h.goods()
		h.step(time.Minute)
		return text(w.end(from, h.Reading, all))
	}
)

// TestWatch follows clocks and servers that work and fail. The interval is an hour.
func TestWatch(t *testing.T) {
	for name, c := range map[string]struct {
		off   time.Duration
		steps []step
	}{
		"right": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{wait(59 * time.Minute), "", Right, true, time.Minute},
			{wait(time.Minute), "", Right, true, 0},
			{allGood, "measured", Right, true, time.Hour},
		}},
		"off, and mended": {-100 * time.Second, []step{
			{allGood, "off", Off, true, time.Hour},
			{wait(time.Hour), "", Off, true, 0},
			{allGood, "measured", Off, true, time.Hour},
			{wait(time.Minute), "", Off, true, 59 * time.Minute},
			{set(100 * time.Second), "jumped 1m40s", Jumped, false, 0},
			{allGood, "right", Right, true, time.Hour},
		}},
		"dead, then back": {0, []step{
			{allDead, "failed 16s", Silent, false, 16 * time.Second},
			{wait(16 * time.Second), "", Silent, false, 0},
			{allDead, "", Silent, false, 32 * time.Second},
			{allDead, "", Silent, false, 64 * time.Second},
			{allGood, "right", Right, true, time.Hour},
			{allDead, "failed 16s", Silent, true, 16 * time.Second},
			{wait(2 * time.Hour), "", Silent, true, -2*time.Hour + 16*time.Second},
			{allDead, "", Silent, true, 32 * time.Second},
			{wait(time.Hour), "stale", Silent, false, -time.Hour + 32*time.Second},
			{wait(time.Hour), "", Silent, false, -2*time.Hour + 32*time.Second},
			{allGood, "right", Right, true, time.Hour},
		}},
		"one dead, then back": {0, []step{
			{oneDead, "right, mute b", Right, true, time.Hour},
			{oneDead, "measured", Right, true, time.Hour},
			{allGood, "measured, returned b", Right, true, time.Hour},
			{oneDead, "measured, mute b", Right, true, time.Hour},
		}},
		"one lies, then not": {0, []step{
			{oneLies, "right, outvoted c", Right, true, time.Hour},
			{oneLies, "measured", Right, true, time.Hour},
			{allGood, "measured, returned c", Right, true, time.Hour},
		}},
		"no majority": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{noMajor, "failed 16s", Disagree, true, 16 * time.Second},
			{allDead, "failed 32s", Silent, true, 32 * time.Second},
			{allGood, "right", Right, true, time.Hour},
		}},
		"a jump, and too small a one": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{wait(time.Minute), "", Right, true, 59 * time.Minute},
			{set(400 * time.Millisecond), "", Right, true, 59 * time.Minute},
			{set(-400 * time.Millisecond), "", Right, true, 59 * time.Minute},
			{set(-10 * time.Minute), "jumped -10m0s", Jumped, false, 0},
			{allGood, "off", Off, true, time.Hour},
		}},
		"small jumps add up": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{wait(time.Minute), "", Right, true, 59 * time.Minute},
			{set(400 * time.Millisecond), "", Right, true, 59 * time.Minute},
			{set(400 * time.Millisecond), "jumped 800ms", Jumped, false, 0},
		}},
		"jump after jump: not asked more than every ten seconds": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{set(time.Minute), "jumped 1m0s", Jumped, false, 9 * time.Second},
			{set(time.Minute), "jumped 1m0s", Jumped, false, 9 * time.Second},
			{wait(9 * time.Second), "", Jumped, false, 0},
			{jumpWhile, "jumped 1m0s", Jumped, false, 16 * time.Second},
			{set(time.Minute), "jumped 1m0s", Jumped, false, 9 * time.Second},
		}},
		"a jump while it is measured": {0, []step{
			{jumpWhile, "jumped 1m0s", Jumped, false, 16 * time.Second},
			{allGood, "off", Off, true, time.Hour},
		}},
		"suspended": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{sleep(30 * time.Minute), "suspended 30m0s", Right, true, 0},
			{allGood, "measured", Right, true, time.Hour},
			{sleep(5 * time.Hour), "suspended 5h0m0s, stale", Right, false, -4 * time.Hour},
			{allGood, "measured", Right, true, time.Hour},
		}},
		"suspended, and the clock stood still": {0, []step{
			{allGood, "right", Right, true, time.Hour},
			{func(h *host, w *watch) string {
				h.suspend(30 * time.Minute)
				h.step(-30 * time.Minute)
				return text(w.tick(h.Reading))
			}, "jumped -30m0s", Jumped, false, 0},
			{allGood, "off", Off, true, time.Hour},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(c.off)
			w := newWatch(names, time.Hour, 10*time.Second, h.Reading)
			if w.due != h.Boot {
				t.Errorf("first due in %v", w.due-h.Boot)
			}
			for i, s := range c.steps {
				events := s.do(h, w)
				if events != s.events || w.state.Status != s.status || w.state.Fresh != s.fresh || w.due-h.Boot != s.due {
					t.Errorf("step %d: %q, %s, fresh %v, due in %v; want %q, %s, %v, %v", i, events,
						w.state.Status, w.state.Fresh, w.due-h.Boot, s.events, s.status, s.fresh, s.due)
				}
				want := h.Wall
				if s.fresh {
					want = h.right
				}
				if off := w.corrected(h.Reading).Sub(want); beyond(off, 400*time.Millisecond) {
					t.Errorf("step %d: the corrected clock is %v off", i, off)
				}
			}
		})
	}
}

// A jump is noticed by a request for the time, before Run has compared the clocks.
func TestCorrectedAfterJump(t *testing.T) {
	h := newHost(-time.Minute)
	w := newWatch(names, time.Hour, 10*time.Second, h.Reading)
	h.measure(w, h.goods()...)
	if got := w.corrected(h.Reading); !got.Equal(h.right) {
		t.Errorf("%v, want %v", got, h.right)
	}
	h.step(time.Minute)
	if got := w.corrected(h.Reading); !got.Equal(h.right) {
		t.Errorf("%v, want the host's clock, %v", got, h.Wall)
	}
}

// The waits after failures grow up to the interval.
func TestBackOffIsBounded(t *testing.T) {
	for _, interval := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
		h := newHost(0)
		w := newWatch(names, interval, 10*time.Second, h.Reading)
		last := time.Duration(0)
		for i := range 100 {
			h.measure(w, dead("a"))
			wait := w.due - h.Boot
			if wait < last || wait < firstRetry || wait > interval || i > 20 && wait != interval {
				t.Fatalf("interval %v: wait %d is %v after %v", interval, i, wait, last)
			}
			last = wait
			h.pass(wait)
		}
	}
}

// A server that declines is not asked for an interval, or for a day if it says DENY.
func TestKissOfDeath(t *testing.T) {
	h := newHost(0)
	w := newWatch(names, time.Hour, 10*time.Second, h.Reading)
	rate, deny := dead("b"), dead("c")
	rate.kiss, deny.kiss = "RATE", "DENY"
	h.measure(w, h.good("a"), rate, deny)
	for _, c := range []struct {
		pass time.Duration
		want string
	}{{0, "[a]"}, {59 * time.Minute, "[a]"}, {time.Minute, "[a b]"}, {22 * time.Hour, "[a b]"}, {time.Hour, "[a b c]"}} {
		h.pass(c.pass)
		if got := fmt.Sprint(w.begin(h.Reading)); got != c.want {
			t.Errorf("after %v: %s, want %s", c.pass, got, c.want)
		}
	}
	w = newWatch(names, time.Hour, 10*time.Second, h.Reading)
	h.measure(w, h.good("a"), rate, deny)
	h.measure(w, h.good("a"))
	if s := w.state.Servers; len(s) != 3 || s[1].Err == nil || s[2].Err == nil || w.state.Status != Right {
		t.Errorf("%+v", w.state)
	}
}

func TestNoServers(t *testing.T) {
	h := newHost(-time.Minute)
	w := newWatch(nil, time.Hour, 10*time.Second, h.Reading)
	for _, s := range []step{
		{do: wait(10 * time.Hour)},
		{do: set(time.Minute), events: "jumped 1m0s"},
		{do: sleep(time.Hour), events: "suspended 1h0m0s"},
	} {
		if got := s.do(h, w); got != s.events || w.state.Status != NoServers || w.due != never || !w.corrected(h.Reading).Equal(h.Wall) {
			t.Errorf("%q, want %q: %+v, due %v", got, s.events, w.state, w.due)
		}
	}
}
