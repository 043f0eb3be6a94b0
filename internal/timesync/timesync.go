// Package timesync watches the host's clock. It measures the clock's offset with several NTP
// servers. Without them, it notices when the clock jumps and when the host was suspended. It never
// sets the clock.
//
// It asks the servers in parallel. The time is the median of those that agree, if they are more
// than half of those that answer. Names with the same address have one vote. A measurement is valid
// for three intervals, or until the clock jumps. Without a valid measurement, the host's clock is
// used.
package timesync

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often the clocks are compared, because timers stop while the host is suspended.
const lookEvery = 10 * time.Second

// Config is the configuration of a Clock.
type Config struct {
	Servers   []string      // names or addresses, with or without a port
	Interval  time.Duration // between two measurements
	MaxOffset time.Duration // a larger offset causes a warning
	Logger    *slog.Logger  // nil: none

	read  func() Reading                                  // nil: the host's clocks
	query func(ctx context.Context, server string) Answer // nil: by NTP
}

// Clock is the host's clock, corrected. It is safe for concurrent use.
type Clock struct {
	cfg  Config
	busy chan struct{} // held by the measurement under way
	wake chan struct{} // signals a jump, or other servers

	mu    sync.Mutex
	watch *watch
}

// New makes a Clock that knows no offset yet.
func New(cfg Config) *Clock {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.read == nil {
		cfg.read = read
	}
	if cfg.query == nil {
		cfg.query = query
	}
	return &Clock{
		cfg: cfg, busy: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		watch: newWatch(cfg.Servers, cfg.Interval, cfg.MaxOffset, cfg.read()),
	}
}

// Watch replaces the servers, the interval and the largest offset, and has the clock measured soon.
// The last measurement counts until then.
func (c *Clock) Watch(servers []string, interval, maxOffset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watch; slices.Equal(w.servers, servers) && w.interval == interval && w.maxOffset == maxOffset {
		return
	}
	c.watch = c.watch.by(servers, interval, maxOffset, c.cfg.read())
	c.hurry()
}

// hurry makes Run look at the clocks now.
func (c *Clock) hurry() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Corrected is the host's time, corrected by the measured offset while that is valid.
func (c *Clock) Corrected() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.read()
	if c.watch.state.Fresh && !c.watch.fresh(now) {
		c.hurry()
	}
	return c.watch.corrected(now)
}

// State is the current knowledge about the host's clock.
func (c *Clock) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.watch.state
	s.Fresh = c.watch.fresh(c.cfg.read())
	s.Servers = slices.Clone(s.Servers)
	return s
}

// Measurements are the last measurements that gave a time, oldest first.
func (c *Clock) Measurements() []Measurement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.watch.kept)
}

// Run measures at the start, then at each interval, until ctx is done.
func (c *Clock) Run(ctx context.Context) {
	if len(c.cfg.Servers) == 0 {
		c.cfg.Logger.Info("no time servers are configured (time.servers): vpnd uses the host's clock")
	}
	for ctx.Err() == nil {
		wait := c.look()
		if wait <= 0 {
			c.measure(ctx, false)
			continue
		}
		timer := time.NewTimer(min(wait, lookEvery))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
		}
		timer.Stop()
	}
}

// look compares the clocks and gives the time until the next measurement.
func (c *Clock) look() time.Duration {
	c.mu.Lock()
	now := c.cfg.read()
	events := c.watch.tick(now)
	due := c.watch.due
	c.mu.Unlock()
	c.log(events)
	return due - now.Boot
}

// Inquire measures now, and gives the resulting State, which describes each server. The error says
// that no time was available. Without servers there is nothing to measure, and no error.
func (c *Clock) Inquire(ctx context.Context) (State, error) {
	if c.State().Status != NoServers {
		c.measure(ctx, true)
	}
	s := c.State()
	return s, cmp.Or(ctx.Err(), s.Err())
}

// measure measures if a measurement is due or wanted.
func (c *Clock) measure(ctx context.Context, wanted bool) {
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	case <-ctx.Done():
		return
	}
	c.mu.Lock()
	from := c.cfg.read()
	if !wanted && c.watch.due > from.Boot { // another measurement has just ended
		c.mu.Unlock()
		return
	}
	watch := c.watch
	servers := watch.begin(from)
	c.mu.Unlock()
	answers := c.ask(ctx, servers)
	if ctx.Err() != nil {
		return // the caller has gone: this says nothing about the servers
	}
	var events []event
	c.mu.Lock()
	if c.watch == watch { // otherwise these were the earlier servers
		events = watch.end(from, c.cfg.read(), answers)
	}
	c.mu.Unlock()
	c.log(events)
}

// ask asks all servers in parallel.
func (c *Clock) ask(ctx context.Context, servers []string) []Answer {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answers := make([]Answer, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { answers[i] = c.cfg.query(ctx, s) })
	}
	wg.Wait()
	return answers
}

func (c *Clock) log(events []event) {
	l := c.cfg.Logger
	for _, e := range events {
		s := e.state
		switch e.kind {
		case measured:
			l.Debug("clock measured", "offset", ms(s.Offset), "round_trip", us(s.RoundTrip), "server", s.Server)
		case beganRight:
			l.Info("clock measured", "offset", ms(s.Offset), "round_trip", us(s.RoundTrip), "server", s.Server)
		case beganOff:
			l.Warn("the host's clock is off: vpnd verifies one-time passwords with the corrected time", "offset", ms(s.Offset),
				"round_trip", us(s.RoundTrip), "server", s.Server, "max_offset", e.maxOffset, "fix", Fix)
		case failed:
			l.Warn("the clock could not be measured", "reason", e.err, "answers", told(s.Servers), "counts", counts(s), "retry", e.retry)
		case stale:
			l.Warn("the last measurement is too old: vpnd uses the host's clock", "offset", ms(s.Offset), "measured", s.Measured)
		case jumped:
			l.Warn("the host's clock jumped", "by", ms(e.by))
		case suspended:
			l.Info("the host was suspended", "duration", ms(e.by))
		case outvoted:
			l.Warn("time server is outvoted", "server", e.server.Server, "offset", ms(e.server.Offset), "round_trip", us(e.server.RoundTrip))
		case mute:
			l.Warn("time server gives no time", "server", e.server.Server, "reason", e.server.Err)
		case returned:
			l.Info("time server agrees again", "server", e.server.Server, "offset", ms(e.server.Offset))
		}
	}
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
func us(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// Fix is the fix for a host's clock that is wrong.
const Fix = "set the host's clock, and let chrony or systemd-timesyncd keep it right"

// told describes the answer of each server.
func told(answers []Answer) string {
	parts := make([]string, len(answers))
	for i, a := range answers {
		parts[i] = fmt.Sprintf("%s: %v", a.Server, ms(a.Offset))
		if a.Err != nil {
			parts[i] = fmt.Sprintf("%s: %v", a.Server, a.Err)
		}
	}
	return strings.Join(parts, "; ")
}

func counts(s State) string {
	if s.Fresh {
		return "the last measurement"
	}
	return "the host's clock"
}
