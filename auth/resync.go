package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"
	"vpnd/auth/motp"
)

// Errors of Resync.
var (
	ErrNoToken  = errors.New("the user has no token")
	ErrNotInRow = errors.New("these are not two codes in a row of the user's token, within a day of this machine's clock; nothing was changed")
	ErrUsed     = errors.New("a code of this or a later time was used already, and vpnd accepts no earlier one; nothing was changed")
)

// Resync resynchronises a token whose clock is outside the window by up to a day. First and second
// must be two consecutive codes of it. They then count as used, the user's window moves to their
// offset, and the user's failures are deleted. Resync gives how far the token's clock is ahead. The
// error may be ErrNoUser, ErrNoToken, ErrNotInRow or ErrUsed.
func Resync(ctx context.Context, users Users, ledger Ledger, user, first, second string, now time.Time) (time.Duration, error) {
	account, ok, err := users.Account(ctx, user)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, fmt.Errorf("%.64q: %w", user, ErrNoUser)
	case account.Token == nil:
		return 0, fmt.Errorf("%s: %w", account.Name, ErrNoToken)
	}
	current := motp.Step(now)
	state, err := ledger.Token(ctx, account.Name)
	if err == nil && state.LastStep > current+state.Centre+2*farSteps { // no code is accepted that far ahead
		err = rewind(ctx, ledger, account.Name, state)
	}
	if err != nil {
		return 0, err
	}
	stride := account.Token.Stride()
	for step := range motp.Outwards(current, current-farSteps, current+farSteps) {
		if step%stride != 0 || !isCode(account.Token, step, second) || !isCode(account.Token, step-stride, first) {
			continue
		}
		offset := step - current
		stored, err := ledger.Recentre(ctx, account.Name, TokenState{LastStep: step, Offset: offset, Centre: offset})
		if err == nil && !stored {
			err = fmt.Errorf("%s: %w", account.Name, ErrUsed)
		}
		return time.Duration(offset) * motp.StepSeconds * time.Second, err
	}
	return 0, fmt.Errorf("%s: %w", account.Name, ErrNotInRow)
}

func isCode(token Token, step int64, text string) bool {
	return subtle.ConstantTimeCompare([]byte(token.Code(step)), []byte(strings.ToLower(text))) == 1
}

// rewind deletes a LastStep that was stored while the clock was ahead, if the ledger supports that.
func rewind(ctx context.Context, ledger Ledger, user string, state TokenState) error {
	if r, ok := ledger.(Rewinder); ok {
		return r.Rewind(ctx, user, state.LastStep)
	}
	return nil
}
