package mgmt

import (
	"context"
	"net/http"
	"sync"
	"time"
	"vpnd/mgmt/access"
	"vpnd/usermgmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

const (
	maxListeners = 100
	maxOfOne     = 20  // of them, who are one administrator or token
	listenerRoom = 256 // events that a slow listener may be behind
	aliveEvery   = 20 * time.Second
)

// bus gives events to all who listen. A listener that is too slow loses its place.
type bus struct {
	mu        sync.Mutex
	listeners map[chan Event]access.Identity
	closed    bool
}

func newBus() *bus { return &bus{listeners: map[chan Event]access.Identity{}} }

// listen gives who the events from now on, until the channel is closed; nil: there are too many who listen.
func (b *bus) listen(who access.Identity) chan Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.listeners) >= maxListeners {
		return nil
	}
	same := 0
	for _, other := range b.listeners {
		if other == who {
			same++
		}
	}
	if same >= maxOfOne {
		return nil
	}
	c := make(chan Event, listenerRoom)
	b.listeners[c] = who
	return c
}

// leave is the end of listening. Further calls do nothing.
func (b *bus) leave(c chan Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.listeners[c]; ok {
		delete(b.listeners, c)
		close(c)
	}
}

func (b *bus) publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.listeners {
		select {
		case c <- e:
		default:
			delete(b.listeners, c)
			close(c)
		}
	}
}

func (b *bus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for c := range b.listeners {
		delete(b.listeners, c)
		close(c)
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

func (a *API) registerEvents(api huma.API) {
	sse.Register(api, operation("events", http.MethodGet, "/events", "Server-sent events: connections up, down, refused", "Events"),
		map[string]any{"event": Event{}, "alive": alive{}},
		func(ctx context.Context, _ *struct{}, send sse.Sender) {
			who, _ := access.Of(ctx)
			c := a.events.listen(who)
			if c == nil {
				return
			}
			defer a.events.leave(c)
			ticker := time.NewTicker(aliveEvery)
			defer ticker.Stop()
			if send.Data(alive{time.Now().UTC()}) != nil {
				return
			}
			for {
				var message any
				select {
				case <-ctx.Done():
					return
				case now := <-ticker.C:
					message = alive{now.UTC()}
				case e, ok := <-c:
					if !ok {
						return
					}
					message = e
				}
				if send.Data(message) != nil {
					return
				}
			}
		})
}
