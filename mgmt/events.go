package mgmt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/internal/state"
	"vpnd/mgmt/access"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

const (
	maxListeners = 100
	maxOfOne     = 20   // listeners of one administrator or token
	listenerRoom = 256  // events that a slow listener may be behind
	maxReplayed  = 1000 // events that are kept for listeners that come back
	aliveEvery   = 20 * time.Second
	comeBack     = 3000 // milliseconds until a listener that was cut off comes back
)

// Reasons to refuse a listener.
var (
	errListeners = fmt.Errorf("too many listeners: at most %d, and %d of one administrator or token; close one, or try again later", maxListeners, maxOfOne)
	errEnding    = errors.New("the daemon is shutting down: try again later")
)

// live are the events that listeners get. Changes of users and administrators are only in the
// history, because other processes make them, too.
var live = []string{
	state.EventStarted, state.EventConnected, state.EventDisconnected, state.EventRefused, state.EventDropped,
	state.EventCaptured, state.EventSettings, state.EventShutdown, state.EventResumed,
}

// numbered is an event with the number that a listener names when it comes back. The numbers also
// grow across a restart.
type numbered struct {
	id int64
	Event
}

// listener is a client that listens.
type listener struct {
	who    access.Identity
	wanted func(*Event) bool // nil: nothing yet
	c      chan numbered
}

// bus gives events to all listeners. A listener that is too slow loses its place, but may come
// back.
type bus struct {
	mu        sync.Mutex
	listeners map[*listener]bool
	last      []numbered // the newest, oldest first
	next      int64
	closed    bool
}

func newBus(now time.Time) *bus { return &bus{listeners: map[*listener]bool{}, next: now.UnixMicro()} }

// enter gives a caller the place of a listener. The listener gets no events before listen.
func (b *bus) enter(who access.Identity) (*listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errEnding
	}
	same := 0
	for other := range b.listeners {
		if other.who == who {
			same++
		}
	}
	if same >= maxOfOne || len(b.listeners) >= maxListeners {
		return nil, errListeners
	}
	l := &listener{who: who, c: make(chan numbered, listenerRoom)}
	b.listeners[l] = true
	return l, nil
}

// listen sends l the wanted events from now on, until its channel is closed. A listener that comes
// back gives its last event as after, and gets the wanted events since then as missed. Gap tells
// that further events were not kept. At is the event before the first one that l gets: l names it
// if it comes back before it has had an event.
func (b *bus) listen(l *listener, wanted func(*Event) bool, after int64) (missed []numbered, gap bool, at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.wanted = wanted
	if after == 0 {
		return nil, false, b.next - 1
	}
	first := b.next - int64(len(b.last))
	gap = after < first-1 || after >= b.next
	for _, e := range b.last {
		if (gap || e.id > after) && wanted(&e.Event) {
			missed = append(missed, e)
		}
	}
	return missed, gap, b.next - 1
}

// leave takes the listener off the bus. Further calls do nothing.
func (b *bus) leave(l *listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(l)
}

func (b *bus) drop(l *listener) {
	if b.listeners[l] {
		delete(b.listeners, l)
		close(l.c)
	}
}

func (b *bus) publish(event Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := numbered{b.next, event}
	b.next++
	if len(b.last) == maxReplayed {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	b.last = append(b.last, e)
	for l := range b.listeners {
		if l.wanted == nil || !l.wanted(&e.Event) {
			continue
		}
		select {
		case l.c <- e:
		default:
			b.drop(l)
		}
	}
}

func (b *bus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for l := range b.listeners {
		b.drop(l)
	}
}

// Publish sends an event to all listeners. It does not wait.
func (a *API) Publish(e state.Entry) { a.events.publish(EventOf(e)) }

// Listeners is the number of listeners.
func (a *API) Listeners() int {
	a.events.mu.Lock()
	defer a.events.mu.Unlock()
	return len(a.events.listeners)
}

// alive is sent while nothing happens, so that a lost connection is noticed.
type alive struct {
	At time.Time `json:"at"`
}

// gap is sent to a listener that comes back too late.
type gap struct {
	After  int64  `json:"after" doc:"Id of the last event that the listener got"`
	Detail string `json:"detail" doc:"How to fix it"`
}

type listenInput struct {
	After  int64    `header:"Last-Event-ID" minimum:"0" doc:"Id of the last event that the listener got: later events come first"`
	User   string   `query:"user" maxLength:"64" doc:"Only of this user"`
	Type   string   `query:"type" enum:"PPTP,L2TP,L2TP/IPsec" doc:"Only of this type of dial-in"`
	Events []string `query:"event" maxItems:"20" doc:"Only these events, separated by commas"`
}

// Resolve implements huma.Resolver.
func (in *listenInput) Resolve(huma.Context) []error { return knownEvents(in.Events, live) }

func (in *listenInput) wants(e *Event) bool {
	return (in.User == "" || strings.EqualFold(in.User, e.User)) && (in.Type == "" || in.Type == e.Type) &&
		(len(in.Events) == 0 || slices.Contains(in.Events, e.Event))
}

func (a *API) registerEvents(api huma.API) {
	op := operation("events", http.MethodGet, "/events", "Server-sent events: connections up, down, refused", tagEvents, http.StatusServiceUnavailable)
	op.Middlewares = huma.Middlewares{a.seated(api)}
	sse.Register(api, op, map[string]any{"event": Event{}, "alive": alive{}, "gap": gap{}}, a.tellEvents)
}

// seat is the key of a request's listener in its context.
type seat struct{}

// seated gives a request the place of a listener, or refuses it. A stream that has begun could not
// be refused.
func (a *API) seated(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		who, _ := access.Of(ctx.Context())
		l, err := a.events.enter(who)
		if err != nil {
			_ = huma.WriteErr(api, ctx, http.StatusServiceUnavailable, err.Error())
			return
		}
		defer a.events.leave(l)
		next(huma.WithValue(ctx, seat{}, l))
	}
}

// tellEvents sends the events that a listener has missed, and then new events as they happen.
func (a *API) tellEvents(ctx context.Context, in *listenInput, send sse.Sender) {
	l := ctx.Value(seat{}).(*listener)
	missed, tooLate, at := a.events.listen(l, in.wants, in.After)
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	first := sse.Message{Data: alive{time.Now().UTC()}, Retry: comeBack}
	if len(missed) == 0 {
		first.ID = int(at)
	}
	if send(first) != nil {
		return
	}
	if tooLate && send.Data(gap{in.After, "some missed events are no longer stored: GET /api/v1/history lists them"}) != nil {
		return
	}
	for _, e := range missed {
		if send(sse.Message{ID: int(e.id), Data: e.Event}) != nil {
			return
		}
	}
	for {
		var message sse.Message
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			message.Data = alive{now.UTC()}
		case e, ok := <-l.c:
			if !ok {
				return
			}
			message.ID, message.Data = int(e.id), e.Event
		}
		if send(message) != nil {
			return
		}
	}
}
