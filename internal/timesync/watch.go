package timesync

import (
	"errors"
	"time"
)

const (
	// tolerance is by how much the host's clock may differ from the steady ones before it has jumped. A
	// leap second is more, and does no harm: the clock is measured again.
	tolerance = 500 * time.Millisecond
	// freshFor is for how many intervals a measurement counts.
	freshFor = 3
	// firstRetry is the wait after a failed measurement. It doubles with each, up to the interval.
	firstRetry = 16 * time.Second
	// gap is between the beginnings of two measurements, however often the clock jumps.
	gap = 10 * time.Second
	// denied is how long vpnd does not ask a server that wants no more questions.
	denied = 24 * time.Hour
	// maxKept is how many measurements are kept: those of a week, at one an hour.
	maxKept = 168
	// never is when there is no server to ask.
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

// Status says in a word or two what is known of the host's clock.
type Status string

// The statuses. Off is Right by more than Config.MaxOffset.
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

// Statuses are all of them.
func Statuses() []Status {
	return []Status{NoServers, Pending, Right, Off, Silent, Unusable, Disagree, Jumped}
}

// failures are the statuses that say that there was no time to be had.
var failures = map[Status]error{Silent: errNoAnswer, Unusable: errUnusable, Disagree: errDisagree, Jumped: errJumped}

// State is what is known of the host's clock.
type State struct {
	Status    Status        // of the latest attempt to measure
	Measured  time.Time     // when the offset was measured, by the corrected clock; zero: never
	Offset    time.Duration // the right time less the host's
	RoundTrip time.Duration // to Server
	Server    string        // whose answer it is: the median of those that agree
	Fresh     bool          // the offset counts: times are corrected by it
	Servers   []Answer      // of the latest attempt
}

// Err says that the latest attempt to measure gave no time.
func (s State) Err() error { return failures[s.Status] }

// Measurement is an offset that was measured.
type Measurement struct {
	At        time.Time // by the corrected clock
	Offset    time.Duration
	RoundTrip time.Duration
}

// event is something worth a line in the log.
type event struct {
	kind   kind
	by     time.Duration // jumped, suspended: how far
	server Answer        // what one server says
	state  State
	err    error
	retry  time.Duration

	maxOffset time.Duration // beganOff: more than this
}

type kind int

const (
	measured   kind = iota // as it should be
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

// watch decides when to measure the clock and what a measurement means. It reads no clock and asks no
// server.
type watch struct {
	servers   []string
	interval  time.Duration
	maxOffset time.Duration

	state     State
	told      map[string]kind // the last event of each server
	reference Reading         // what jumps are told by
	at        time.Duration   // of the measurement that state has; Boot
	asked     time.Duration   // when the last measurement began; Boot
	due       time.Duration   // when the next one does; Boot
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

// by is a watch by other servers, or otherwise. It knows what w has measured, unless there are no servers.
func (w *watch) by(servers []string, interval, maxOffset time.Duration, now Reading) *watch {
	next := newWatch(servers, interval, maxOffset, now)
	next.kept, next.rest = w.kept, w.rest
	if len(servers) > 0 && w.state.Fresh {
		next.state, next.reference, next.at = w.state, w.reference, w.at
	}
	return next
}

// jump is how far the host's clock has gone from the steady one since the reference.
func (w *watch) jump(now Reading) time.Duration { return strayed(w.reference, now) }

func strayed(from, to Reading) time.Duration {
	return to.Wall.Sub(from.Wall) - (to.Boot - from.Boot)
}

func beyond(d, limit time.Duration) bool { return d > limit || d < -limit }

// fresh reports whether the offset still holds.
func (w *watch) fresh(now Reading) bool {
	return w.state.Fresh && now.Boot-w.at <= freshFor*w.interval && !beyond(w.jump(now), tolerance)
}

// corrected is the host's clock, corrected while the offset holds.
func (w *watch) corrected(now Reading) time.Time {
	if w.fresh(now) {
		return now.Wall.Add(w.state.Offset)
	}
	return now.Wall
}

// tick looks at the clocks.
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

// hasten has the clock measured as soon as may be.
func (w *watch) hasten(now Reading) {
	if len(w.servers) > 0 {
		w.due = min(w.due, max(now.Boot, w.asked+gap))
	}
}

// begin begins a measurement and tells whom to ask.
func (w *watch) begin(now Reading) (ask []string) {
	w.asked = now.Boot
	for _, s := range w.servers {
		if now.Boot >= w.rest[s] {
			ask = append(ask, s)
		}
	}
	return ask
}

// end takes the answers to a measurement that began at from.
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

// fail notes that the clock could not be measured.
func (w *watch) fail(now Reading, err error) []event {
	status := Jumped
	for s, e := range failures {
		if errors.Is(err, e) {
			status = s
		}
	}
	// Not retry = firstRetry << failures: that overflows after a week without an answer.
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

// tell says what has changed with the servers.
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
