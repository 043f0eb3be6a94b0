package mgmt

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

const (
	maxListeners = 100
	maxOfOne     = 20   // of them, of one administrator or token
	listenerRoom = 256  // events that a slow listener may be behind
	maxReplayed  = 1000 // events that are kept for listeners that come back
	aliveEvery   = 20 * time.Second
	comeBack     = 3000 // milliseconds until a listener that was cut off comes back
)

// live are the events that listeners get. Changes of users and administrators are in the history alone: other processes
// make them, too.
var live = []string{
	usermgmt.EventStarted, usermgmt.EventConnected, usermgmt.EventDisconnected, usermgmt.EventRefused, usermgmt.EventDropped,
	usermgmt.EventCaptured, usermgmt.EventSettings, usermgmt.EventShutdown, usermgmt.EventResumed,
}

// numbered is an event with the number that a listener names when it comes back. Numbers grow, beyond a restart, too.
type numbered struct {
	id int64
	Event
}

// listener is somebody who listens.
type listener struct {
	who    access.Identity
	wanted func(*Event) bool
	c      chan numbered
}

// bus gives events to all who listen. A listener that is too slow loses its place, and may come back.
type bus struct {
	mu        sync.Mutex
	listeners map[*listener]bool
	last      []numbered // the newest, oldest first
	next      int64
	closed    bool
}

func newBus(now time.Time) *bus { return &bus{listeners: map[*listener]bool{}, next: now.UnixMicro()} }

// listen has l get the events from now on, until its channel is closed; false: too many listen. If it comes back, after is
// the last event that it has had, and missed are those since then; gap tells that there were others, which are kept no more.
func (b *bus) listen(l *listener, after int64) (missed []numbered, gap, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.listeners) >= maxListeners {
		return nil, false, false
	}
	same := 0
	for other := range b.listeners {
		if other.who == l.who {
			same++
		}
	}
	if same >= maxOfOne {
		return nil, false, false
	}
	l.c = make(chan numbered, listenerRoom)
	b.listeners[l] = true
	if after == 0 {
		return nil, false, true
	}
	first := b.next - int64(len(b.last))
	gap = after < first-1 || after >= b.next
	for _, e := range b.last {
		if (gap || e.id > after) && l.wanted(&e.Event) {
			missed = append(missed, e)
		}
	}
	return missed, gap, true
}

// leave is the end of listening. Further calls do nothing.
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
		if !l.wanted(&e.Event) {
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

// Publish tells all who listen of an event. It does not wait.
func (a *API) Publish(e usermgmt.Entry) { a.events.publish(EventOf(e)) }

// Listeners is how many listen.
func (a *API) Listeners() int {
	a.events.mu.Lock()
	defer a.events.mu.Unlock()
	return len(a.events.listeners)
}

// alive is sent while nothing happens, so that a connection that is gone is noticed.
type alive struct {
	At time.Time `json:"at"`
}

// gap is sent to a listener that comes back too late.
type gap struct {
	After  int64  `json:"after" doc:"The event that the listener has had last"`
	Detail string `json:"detail" doc:"What to do about it"`
}

type listenInput struct {
	After  int64    `header:"Last-Event-ID" minimum:"0" doc:"The id of the event that was had last: what has happened since then comes first"`
	User   string   `query:"user" maxLength:"64" doc:"Of this user alone"`
	Type   string   `query:"type" enum:"PPTP,L2TP,L2TP/IPsec" doc:"Of this type of dial-in alone"`
	Events []string `query:"event" maxItems:"20" doc:"Of these events alone, separated by commas"`
}

// Resolve implements huma.Resolver.
func (in *listenInput) Resolve(huma.Context) []error { return knownEvents(in.Events, live) }

func (in *listenInput) wants(e *Event) bool {
	return (in.User == "" || strings.EqualFold(in.User, e.User)) && (in.Type == "" || in.Type == e.Type) &&
		(len(in.Events) == 0 || slices.Contains(in.Events, e.Event))
}

func (a *API) registerEvents(api huma.API) {
	sse.Register(api, operation("events", http.MethodGet, "/events", "Server-sent events: connections up, down, refused", tagEvents),
		map[string]any{"event": Event{}, "alive": alive{}, "gap": gap{}}, a.tellEvents)
}

// tellEvents sends what a listener has missed, and then what happens.
func (a *API) tellEvents(ctx context.Context, in *listenInput, send sse.Sender) {
	who, _ := access.Of(ctx)
	l := &listener{who: who, wanted: in.wants}
	missed, tooLate, ok := a.events.listen(l, in.After)
	if !ok {
		return
	}
	defer a.events.leave(l)
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	if send(sse.Message{Data: alive{time.Now().UTC()}, Retry: comeBack}) != nil {
		return
	}
	if tooLate && send.Data(gap{in.After, "events are missing that are kept no more: GET /api/v1/history lists what happened"}) != nil {
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
