// Package fault has errors with two fields: what is wrong, and how to fix it.
package fault

import "errors"

// Error is something that is wrong.
type Error struct {
	Wrong string
	Fix   string // "": Wrong says what is right
	Err   error  // what caused it; nil: no other error
}

// New makes an error without a cause.
func New(wrong, fix string) error { return &Error{Wrong: wrong, Fix: fix} }

// Error implements error.
func (e *Error) Error() string {
	if e.Fix == "" {
		return e.Wrong
	}
	return e.Wrong + ": " + e.Fix
}

// Unwrap gives what caused it.
func (e *Error) Unwrap() error { return e.Err }

// Fault gives what is wrong and the fix.
func (e *Error) Fault() (wrong, fix string) { return e.Wrong, e.Fix }

// Of says what is wrong by an error, and how to fix it, if the error or one in it has the method Fault. Others have
// the fix that the caller knows.
func Of(err error, otherwise string) (wrong, fix string) {
	var f interface{ Fault() (wrong, fix string) }
	if errors.As(err, &f) {
		return f.Fault()
	}
	return err.Error(), otherwise
}
