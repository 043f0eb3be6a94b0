package auth

import (
	"time"
	"vpnd/auth/motp"
)

// EnrolError says why a code does not prove a token.
type EnrolError struct {
	Off string // how far the token's clock is off; "": the token has no such code within a day
}

// Error says what to check.
func (e *EnrolError) Error() string {
	if e.Off != "" {
		return "the code is right, but the token's clock is " + e.Off + ": set the clock of the token, or of this machine"
	}
	return "this is not a code of the token: the secret or the PIN differs, or the code is mistyped"
}

// Enrol checks a code of a new token against the stored token, by up to window to either side of
// now. It returns the token's state, with which the code counts as used. The error is an
// EnrolError.
func Enrol(token Token, code string, now time.Time, window time.Duration) (TokenState, error) {
	current, width := motp.Step(now), int64(window/(motp.StepSeconds*time.Second))
	for step := range motp.Outwards(current, current-farSteps, current+farSteps) {
		if step%token.Stride() != 0 || !isCode(token, step, code) {
			continue
		}
		if offset := step - current; offset < -width || offset > width {
			return TokenState{}, &EnrolError{Off: away(offset)}
		}
		return TokenState{LastStep: step, Offset: step - current}, nil
	}
	return TokenState{}, &EnrolError{}
}
