// Package fault has errors with two fields: the fault, and its fix.
package fault

import "errors"

// Error is a fault with its fix.
type Error struct {
	Wrong string
	Fix   string // "": Wrong already contains it
	Err   error  // the cause; nil: no other error
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

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault gives what is wrong and the fix.
func (e *Error) Fault() (wrong, fix string) { return e.Wrong, e.Fix }

// Of gives the fault and the fix of an error, if it or an error in it has the method Fault. Other
// errors get the fix in otherwise.
func Of(err error, otherwise string) (wrong, fix string) {
	var f interface{ Fault() (wrong, fix string) }
	if errors.As(err, &f) {
		return f.Fault()
	}
	return err.Error(), otherwise
}
