// Package alarm is the timer of the owner of a protocol engine. An engine reads no clock. It tells
// its owner when to call it.
package alarm

import "time"

// Alarm calls a function when a deadline has passed. The lock of the engine's owner guards it.
type Alarm struct {
	ring  func()
	timer *time.Timer // nil: it has never been set
}

// New makes an Alarm that is not set. ring runs in its own goroutine. It takes the owner's lock,
// and sometimes finds nothing to do.
func New(ring func()) Alarm { return Alarm{ring: ring} }

// Set replaces the deadline. The deadline may be in the past. The zero time means no deadline.
func (a *Alarm) Set(deadline time.Time) {
	switch {
	case deadline.IsZero():
		if a.timer != nil {
			a.timer.Stop()
		}
	case a.timer == nil:
		a.timer = time.AfterFunc(time.Until(deadline), a.ring)
	default:
		a.timer.Reset(time.Until(deadline))
	}
}
