package timesync

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// machine is a host in a bubble of synctest: its clocks go with the bubble's.
type machine struct {
	mu    sync.Mutex
	began time.Time
	off   time.Duration // the host's clock less the right time
	slept time.Duration
	lies  bool // server c
	asked int
	dead  bool
	log   bytes.Buffer
}

func newMachine() *machine { return &machine{began: time.Now()} }

func (m *machine) read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	boot := time.Since(m.began) + time.Hour
	return Reading{Wall: time.Now().Add(m.off).Round(0), Boot: boot, Mono: boot - m.slept}
}

func (m *machine) query(_ context.Context, server string) Answer {
	time.Sleep(time.Second) // of the bubble: all servers take one second together
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	switch {
	case m.dead:
		return Answer{Server: server, Err: errors.New("no answer within 3s")}
	case m.lies && server == "c":
		return Answer{Server: server, Offset: time.Hour}
	}
	return Answer{Server: server, Offset: -m.off, RoundTrip: time.Second}
}

func (m *machine) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Write takes the log.
func (m *machine) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(p)
}

// said gives and clears the log, with the number of questions.
func (m *machine) said() (log string, asked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, asked = m.log.String(), m.asked
	m.log.Reset()
	m.asked = 0
	return log, asked
}

func (m *machine) clock(servers ...string) *Clock {
	return New(Config{
		Servers: servers, Interval: time.Hour, MaxOffset: 10 * time.Second, read: m.read, query: m.query,
		Logger: slog.New(slog.NewTextHandler(m, nil)),
	})
}

// New servers are asked at once. The last measurement counts until they have answered, and late
// answers of the old ones are ignored.
func TestWatchOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.off = -time.Minute
		c := m.clock()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		running.Go(func() { c.Run(ctx) })
		want := func(status Status, fresh bool, asked int) {
			t.Helper()
			synctest.Wait()
			if s := c.State(); s.Status != status || s.Fresh != fresh {
				t.Errorf("%+v, want %v, fresh: %v", s, status, fresh)
			}
			if _, n := m.said(); n != asked {
				t.Errorf("%d questions, want %d", n, asked)
			}
		}
		want(NoServers, false, 0)
		c.Watch([]string{"a", "b"}, time.Hour, 2*time.Minute)
		want(Pending, false, 0)
		time.Sleep(time.Second)
		want(Right, true, 2)
		c.Watch([]string{"d"}, 2*time.Hour, 10*time.Second)
		want(Right, true, 0)
		time.Sleep(time.Second)
		want(Off, true, 1)
		if v := c.View(); v.MaxOffset != 10 || v.Interval != 7200 || len(v.Servers) != 1 || len(v.Measurements) != 2 {
			t.Errorf("%+v", v)
		}
		c.Watch([]string{"a"}, time.Hour, 10*time.Second)
		time.Sleep(time.Second / 2)
		c.Watch(nil, time.Hour, 10*time.Second)
		time.Sleep(time.Hour)
		want(NoServers, false, 1)
		if got := c.Corrected(); !got.Equal(m.read().Wall) {
			t.Errorf("it is %v without servers", got)
		}
	})
}

// TestRun runs a clock for some days.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := m.clock(names...)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			c.Run(ctx)
			close(ended)
		}()
		for _, step := range []struct {
			do    func()
			pass  time.Duration
			asked int
			says  []string // one line each, and no others
			fresh bool
		}{
			{func() {}, 2 * time.Second, 3, []string{`level=INFO msg="clock measured" offset=0s round_trip=1s server=`}, true},
			{func() {}, 10 * time.Hour, 27, nil, true},
			{func() { m.off = -100 * time.Second }, 12 * time.Second, 3, []string{
				`level=WARN msg="the host's clock jumped" by=-1m40s`,
				`level=WARN msg="the host's clock is off: vpnd verifies one-time passwords with the corrected time" offset=1m40s round_trip=1s server=b max_offset=10s fix="set the`,
			}, true},
			{func() { m.lies = true }, time.Hour, 3, []string{`level=WARN msg="time server is outvoted" server=c offset=1h0m0s`}, true},
			{func() { m.lies = false }, time.Hour, 3, []string{`level=INFO msg="time server agrees again" server=c`}, true},
			{func() { m.slept = 20 * time.Minute }, 15 * time.Second, 3, []string{`level=INFO msg="the host was suspended" duration=20m0s`}, true},
			{func() { m.dead = true }, 24 * time.Hour, -1, []string{
				`level=WARN msg="the clock could not be measured" reason="no time server answers" answers="a: no answer within 3s; b: no answer within 3s; c: no answer within 3s" counts="the last measurement" retry=16s`,
				`level=WARN msg="the last measurement is too old: vpnd uses the host's clock" offset=1m40s`,
			}, false},
			{func() { m.dead, m.off = false, 0 }, 2 * time.Hour, -1, []string{`msg="the host's clock jumped" by=1m40s`, `level=INFO msg="clock measured" offset=0s`}, true},
		} {
			m.set(step.do)
			time.Sleep(step.pass)
			synctest.Wait()
			log, asked := m.said()
			if asked != step.asked && step.asked >= 0 {
				t.Errorf("after %v: %d questions, want %d", step.pass, asked, step.asked)
			}
			if n := strings.Count(log, "\n"); n != len(step.says) {
				t.Errorf("%d lines, want %d:\n%s", n, len(step.says), log)
			}
			for _, line := range step.says {
				if !strings.Contains(log, line) {
					t.Errorf("no %s in\n%s", line, log)
				}
			}
			if s := c.State(); s.Fresh != step.fresh {
				t.Errorf("%+v", s)
			}
			want := time.Now()
			if !step.fresh {
				want = m.read().Wall
			}
			if got := c.Corrected(); !got.Equal(want) {
				t.Errorf("it is %v, want %v", got, want)
			}
		}
		cancel()
		<-ended
	})
}

// A jump that is noticed by a request for the time starts a measurement at once.
func TestCorrectedWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := m.clock("a")
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(time.Minute + time.Second)
		m.said()
		m.set(func() { m.off = time.Minute })
		if got := c.Corrected(); !got.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("%v, want the host's clock", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, asked := m.said(); asked != 1 || !c.State().Fresh || !c.Corrected().Equal(time.Now()) {
			t.Errorf("%d questions: %+v", asked, c.State())
		}
		cancel()
		synctest.Wait()
	})
}

func TestInquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := m.clock(names...)
		var wg sync.WaitGroup
		began := time.Now()
		for range 3 {
			wg.Go(func() {
				if s, err := c.Inquire(t.Context()); err != nil || s.Status != Right || len(s.Servers) != 3 {
					t.Errorf("%+v, %v", s, err)
				}
			})
		}
		wg.Wait()
		// The attempts follow one another; the servers of each attempt are asked together.
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("three inquiries take %v", took)
		}
		m.set(func() { m.dead = true })
		if s, err := c.Inquire(t.Context()); !errors.Is(err, errNoAnswer) || s.Status != Silent || !s.Fresh {
			t.Errorf("%+v, %v", s, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Inquire(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if v := c.View(); v.State != Silent || !v.Measured || len(v.Servers) != 3 || v.Servers[0].Error != "no answer within 3s" {
			t.Errorf("%+v", v)
		}
	})
}

// Only the last measurements are kept.
func TestMeasurements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := m.clock("a")
		if v := c.View(); len(v.Measurements) != 0 {
			t.Errorf("%+v", v.Measurements)
		}
		for i := range maxKept + 3 {
			m.set(func() { m.dead = i == 1 })
			_, _ = c.Inquire(t.Context()) // without an answer if i is 1
			m.set(func() { m.off -= time.Millisecond })
		}
		kept := c.View().Measurements
		if len(kept) != maxKept {
			t.Fatalf("%d are kept, want %d", len(kept), maxKept)
		}
		first, last := kept[0], kept[maxKept-1]
		if first.Offset != 0.003 || last.Offset != 0.170 || last.RoundTrip != 1 || !last.At.Equal(time.Now()) || !first.At.Before(last.At) {
			t.Errorf("from %+v to %+v", first, last)
		}
	})
}

func TestRunWithoutServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		c := m.clock()
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(24 * time.Hour)
		m.set(func() { m.off = time.Minute })
		time.Sleep(time.Hour)
		log, asked := m.said()
		if asked != 0 || strings.Count(log, "\n") != 2 || !strings.Contains(log, "no time servers are configured (time.servers): vpnd uses the host's clock") ||
			!strings.Contains(log, `msg="the host's clock jumped" by=1m0s`) {
			t.Errorf("%d questions\n%s", asked, log)
		}
		if s, err := c.Inquire(ctx); err != nil || s.Status != NoServers || !c.Corrected().Equal(time.Now().Add(time.Minute)) {
			t.Errorf("%+v, %v", s, err)
		}
		cancel()
		synctest.Wait()
	})
}

// The kernel's clocks go forward together.
func TestRead(t *testing.T) {
	a := read()
	b := read()
	if a.Mono <= 0 || b.Mono < a.Mono || a.Boot < a.Mono || b.Boot < a.Boot || beyond(strayed(a, b), tolerance) {
		t.Errorf("%+v, then %+v", a, b)
	}
}
