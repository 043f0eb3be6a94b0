package timesync

import (
	"errors"
	"time"
)

const (
	// tolerance is how far the host's clock may move away from the steady clocks before that counts
	// as a jump. A leap second is more, and does no harm: the clock is measured again.
	tolerance = 500 * time.Millisecond
	// freshFor is the number of intervals for which a measurement is valid.
	freshFor = 3
	// firstRetry is the wait after a failed measurement. It doubles with each, up to the interval.
	firstRetry = 16 * time.Second
	// gap is the shortest time between the beginnings of two measurements, however often the clock
	// jumps.
	gap = 10 * time.Second
	// denied is how long vpnd does not ask a server that wants no more requests.
	denied = 24 * time.Hour
	// maxKept is how many measurements are kept: those of a week, at one an hour.
	maxKept = 168
	// never is the wait when there is no server to ask.
	never = time.Duration(1<<63 - 1)
)

var (
	errJumped  = errors.New("the host's clock jumped during the measurement")
	errResting = errors.New("not asked: it refuses to answer so often")
)

// Reading is what the host's clocks show at one moment.
type Reading struct {
	Wall time.Time     // the host's clock
	Mono time.Duration // runs steadily, but stops while the host is suspended
	Boot time.Duration // runs steadily, also while the host is suspended
}

// Status describes the knowledge about the host's clock in a word or two.
type Status string

// The statuses. Off is Right with an offset of more than Config.MaxOffset.
const (
	NoServers Status = "no servers configured"
	Pending   Status = "not measured yet"
	Right     Status = "right"
	Off       Status = "off"
	Silent    Status = "no answer"
	Unusable  Status = "no usable answer"
	Disagree  Status = "servers disagree"
	Jumped    Status = "clock jumped"
)

// Statuses are all statuses.
func Statuses() []Status {
	return []Status{NoServers, Pending, Right, Off, Silent, Unusable, Disagree, Jumped}
}

// failures are the statuses of attempts that gave no time.
var failures = map[Status]error{Silent: errNoAnswer, Unusable: errUnusable, Disagree: errDisagree, Jumped: errJumped}

// State is the knowledge about the host's clock.
type State struct {
	Status    Status        // of the latest attempt to measure
	Measured  time.Time     // when the offset was measured, by the corrected clock; zero: never
	Offset    time.Duration // the right time less the host's
	RoundTrip time.Duration // to Server
	Server    string        // whose answer was used: the median of those that agree
	Fresh     bool          // the offset is valid: times are corrected by it
	Servers   []Answer      // of the latest attempt
}

// Err says why the latest attempt to measure gave no time.
func (s State) Err() error { return failures[s.Status] }

// Measurement is an offset that was measured.
type Measurement struct {
	At        time.Time // by the corrected clock
	Offset    time.Duration
	RoundTrip time.Duration
}

// event is an event for the log.
type event struct {
	kind   kind
	by     time.Duration // jumped, suspended: how far
	server Answer        // what one server says
	state  State
	err    error
	retry  time.Duration

	maxOffset time.Duration // beganOff: the offset is more than this
}

type kind int

const (
	measured   kind = iota // with the expected result
	beganRight             // measured for the first time, or after a failure, or after beganOff
	beganOff
	failed // and was not before
	stale
	jumped
	suspended
	outvoted // one server, which was not before
	mute
	returned // to those that agree
)

// watch decides when to measure the clock, and evaluates the measurements. It reads no clock and
// asks no server.
type watch struct {
	servers   []string
	interval  time.Duration
	maxOffset time.Duration

	state     State
	told      map[string]kind // the last event of each server
	reference Reading         // for finding jumps
	at        time.Duration   // time of the measurement in state; Boot
	asked     time.Duration   // when the last measurement began; Boot
	due       time.Duration   // when the next measurement begins; Boot
	failed    int             // in a row
	rest      map[string]time.Duration
	kept      []Measurement // the last ones, oldest first
}

func newWatch(servers []string, interval, maxOffset time.Duration, now Reading) *watch {
	w := &watch{
		servers: servers, interval: interval, maxOffset: maxOffset, reference: now,
		state: State{Status: Pending}, told: map[string]kind{}, rest: map[string]time.Duration{},
		due: now.Boot, asked: now.Boot - gap,
	}
	if len(servers) == 0 {
		w.state.Status, w.due = NoServers, never
	}
	return w
}

// by is a watch with other servers, interval and largest offset. It keeps the measurements of w,
// unless there are no servers.
func (w *watch) by(servers []string, interval, maxOffset time.Duration, now Reading) *watch {
	next := newWatch(servers, interval, maxOffset, now)
	next.kept, next.rest = w.kept, w.rest
	if len(servers) > 0 && w.state.Fresh {
		next.state, next.reference, next.at = w.state, w.reference, w.at
	}
	return next
}

// jump is how far the host's clock has moved away from the steady one since the reference.
func (w *watch) jump(now Reading) time.Duration { return strayed(w.reference, now) }

func strayed(from, to Reading) time.Duration {
	return to.Wall.Sub(from.Wall) - (to.Boot - from.Boot)
}

func beyond(d, limit time.Duration) bool { return d > limit || d < -limit }

// fresh reports whether the offset is still valid.
func (w *watch) fresh(now Reading) bool {
	return w.state.Fresh && now.Boot-w.at <= freshFor*w.interval && !beyond(w.jump(now), tolerance)
}

// corrected is the host's clock, corrected while the offset is valid.
func (w *watch) corrected(now Reading) time.Time {
	if w.fresh(now) {
		return now.Wall.Add(w.state.Offset)
	}
	return now.Wall
}

// tick compares the clocks.
func (w *watch) tick(now Reading) (events []event) {
	if by := w.jump(now); beyond(by, tolerance) {
		events = append(events, event{kind: jumped, by: by})
		w.reference = now
		w.state.Fresh = false
		if len(w.servers) > 0 {
			w.state.Status = Jumped
		}
		w.hasten(now)
	}
	if slept := (now.Boot - w.reference.Boot) - (now.Mono - w.reference.Mono); slept > tolerance {
		events = append(events, event{kind: suspended, by: slept})
		w.reference = now
		w.hasten(now)
	}
	if w.state.Fresh && !w.fresh(now) {
		w.state.Fresh = false
		events = append(events, event{kind: stale, state: w.state})
	}
	return events
}

// hasten makes the next measurement due as soon as possible.
func (w *watch) hasten(now Reading) {
	if len(w.servers) > 0 {
		w.due = min(w.due, max(now.Boot, w.asked+gap))
	}
}

// begin begins a measurement and gives the servers to ask.
func (w *watch) begin(now Reading) (ask []string) {
	w.asked = now.Boot
	for _, s := range w.servers {
		if now.Boot >= w.rest[s] {
			ask = append(ask, s)
		}
	}
	return ask
}

// end takes the answers of a measurement that began at from.
func (w *watch) end(from, now Reading, answers []Answer) (events []event) {
	events = w.tick(now)
	for _, s := range w.servers {
		if from.Boot < w.rest[s] {
			answers = append(answers, Answer{Server: s, Err: errResting})
		}
	}
	for _, a := range answers {
		switch a.kiss {
		case "":
		case "DENY", "RSTR":
			w.rest[a.Server] = now.Boot + denied
		default:
			w.rest[a.Server] = now.Boot + w.interval
		}
	}
	median, err := vote(answers)
	if beyond(strayed(from, now), tolerance) {
		err = errJumped
	}
	w.state.Servers = answers
	if err != nil {
		return append(events, w.fail(now, err)...)
	}
	before := w.state.Status
	w.failed, w.due = 0, now.Boot+w.interval
	w.reference, w.at = now, now.Boot
	w.state = State{
		Status: Right, Measured: now.Wall.Add(median.Offset), Offset: median.Offset, RoundTrip: median.RoundTrip,
		Server: median.Server, Fresh: true, Servers: answers,
	}
	if len(w.kept) == maxKept {
		w.kept = append(w.kept[:0], w.kept[1:]...)
	}
	w.kept = append(w.kept, Measurement{w.state.Measured, median.Offset, median.RoundTrip})
	e := event{kind: beganRight}
	if beyond(median.Offset, w.maxOffset) {
		w.state.Status, e.kind, e.maxOffset = Off, beganOff, w.maxOffset
	}
	if w.state.Status == before {
		e.kind = measured
	}
	e.state = w.state
	return append(append(events, e), w.tell(answers)...)
}

// fail records that the clock could not be measured.
func (w *watch) fail(now Reading, err error) []event {
	status := Jumped
	for s, e := range failures {
		if errors.Is(err, e) {
			status = s
		}
	}
	// Do not use firstRetry << failures: it overflows after a week without an answer.
	retry := firstRetry
	for range w.failed {
		if retry >= w.interval {
			break
		}
		retry *= 2
	}
	retry = min(retry, w.interval)
	w.failed++
	w.due = now.Boot + retry
	before := w.state.Status
	w.state.Status = status
	if status == before {
		return nil
	}
	return []event{{kind: failed, err: err, retry: retry, state: w.state}}
}

// tell gives the events of servers whose answers have changed.
func (w *watch) tell(answers []Answer) (events []event) {
	for _, a := range answers {
		k := returned
		switch {
		case a.Err != nil:
			k = mute
		case a.Outvoted:
			k = outvoted
		}
		before, known := w.told[a.Server]
		if k != before && (known || k != returned) {
			events = append(events, event{kind: k, server: a})
		}
		w.told[a.Server] = k
	}
	return events
}
