package auth

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"
	"vpnd/auth/motp"
)

// Codes of a refusal (RFC 2759 section 6).
const (
	CodeDenied     = 691 // wrong name or password
	CodeDisabled   = 647
	CodeNotAllowed = 649
)

// farSteps is how far a code outside of the window is searched for, for the log or an administrator: a day.
const farSteps = 24 * 60 * 60 / motp.StepSeconds

// decoy stands in for what a user lacks, so that a refusal costs the same work whoever it is.
var decoy = Account{Password: "\x00no password", Token: motp.Token{Secret: "00000000000000000000000000000000", PIN: "0000"}}

// Config is what an Authenticator is made with.
type Config struct {
	Window      time.Duration    // to either side of our time in which a one-time password counts; 0: 3 minutes
	MaxFailures int              // in a row until a user is locked; 0: 5
	Now         func() time.Time // nil: time.Now
}

// Outcome is the answer to an Attempt.
type Outcome struct {
	OK        bool
	Account   Account
	Candidate string // the password that the proof verified
	OneTime   bool   // it was a one-time password
	Code      int    // for the peer; the same for all that could tell a user's name from another
	Reason    string // for the log
	Cause     Cause  // of a refusal
	// Explain, if not nil, searches for more to say for the log. It takes up to a second, and is
	// to be called after the peer has its answer. It may find nothing.
	Explain func() string
}

// Authenticator answers attempts. It is safe for concurrent use.
type Authenticator struct {
	cfg       Config
	users     Users
	ledger    Ledger
	sources   sources
	standings *standings
	far       sync.Mutex // one search for the log at a time
}

// New makes an Authenticator; Close ends it.
func New(cfg Config, users Users, ledger Ledger) *Authenticator {
	if cfg.Window == 0 {
		cfg.Window = 3 * time.Minute
	}
	if cfg.MaxFailures == 0 {
		cfg.MaxFailures = 5
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the clock that a test replaces
	}
	return &Authenticator{cfg: cfg, users: users, ledger: ledger, standings: newStandings(ledger)}
}

// Close writes what is still to be remembered and ends the Authenticator.
func (a *Authenticator) Close() { a.standings.close() }

// match is what a proof was found to be.
type match struct {
	candidate string
	oneTime   bool
	step      int64
}

// Authenticate answers one attempt. A one-time password that it accepts is stored as used, on the
// disk, before it returns. An unknown user costs the same work as a wrong password.
func (a *Authenticator) Authenticate(ctx context.Context, at Attempt) Outcome {
	now, source := a.cfg.Now(), Network(at.Source)
	if !a.sources.allowed(source, now) {
		return denied(CauseSource, "too many failures from this address")
	}
	name := at.User
	if _, user, found := strings.Cut(name, `\`); found {
		name = user
	}
	account, known, err := a.users.Account(ctx, name)
	if err != nil {
		return denied(CauseStorage, "user table: "+err.Error())
	}
	if known {
		name = account.Name
	}
	state, err := a.ledger.Token(ctx, name)
	if err != nil {
		return denied(CauseStorage, "user table: "+err.Error())
	}
	err = a.standings.enter(ctx, name)
	defer a.standings.leave(name)
	if err != nil {
		return denied(CauseStorage, "user table: "+err.Error())
	}
	m, ok := a.search(account, known, state, at.Proof, now)
	if !ok {
		a.sources.failed(source, now)
		if !known {
			return denied(CauseUnknownUser, "unknown user")
		}
		return a.fail(at, account, state, now)
	}
	until := a.standings.lockedUntil(name, source, now)
	switch {
	case !until.IsZero():
		return denied(CauseLocked, lockedUntil(until))
	case m.oneTime && m.step == state.LastStep:
		return denied(CauseUsed, alreadyUsed)
	case m.oneTime && m.step < state.LastStep:
		return denied(CauseUsed, "one-time password older than the one used last")
	}
	if r := account.Refuses(at.Service, at.Source, now); r != (Refusal{}) {
		return Outcome{Account: account, Code: r.Code, Reason: r.Reason, Cause: r.Cause}
	}
	if m.oneTime {
		next := TokenState{LastStep: m.step, Offset: m.step - motp.Step(now)}
		stored, err := a.ledger.Advance(ctx, name, next)
		if err != nil {
			return denied(CauseStorage, "the one-time password could not be stored as used: "+err.Error())
		}
		if !stored {
			return denied(CauseUsed, alreadyUsed)
		}
	}
	a.standings.succeed(name, source)
	account.Terms = account.TermsAt(now)
	return Outcome{OK: true, Account: account, Candidate: m.candidate, OneTime: m.oneTime}
}

const alreadyUsed = "one-time password already used"

func lockedUntil(t time.Time) string {
	return "user locked until " + t.UTC().Format(time.RFC3339) + " after too many failures"
}

func denied(cause Cause, reason string) Outcome {
	return Outcome{Code: CodeDenied, Cause: cause, Reason: reason}
}

// search tries the user's candidates: the password, the codes of the window from the learned offset
// outwards, then those in upper case. What the account lacks is tried with a decoy.
func (a *Authenticator) search(account Account, known bool, state TokenState, proof Proof, now time.Time) (match, bool) {
	password, token := account.Password, account.Token
	if !known || password == "" {
		password = decoy.Password
	}
	if proof.Verify(password) && known && account.Password != "" {
		return match{candidate: password}, true
	}
	if !known || token == nil {
		token = decoy.Token
	}
	owned := known && account.Token != nil
	for _, upper := range []bool{false, true} {
		for step := range a.window(state, now) {
			if step%token.Stride() != 0 { // the same work, whatever the token
				proof.Verify(decoy.Token.Code(step))
				continue
			}
			code := token.Code(step)
			if upper {
				code = strings.ToUpper(code)
			}
			if proof.Verify(code) && owned && code != "" {
				return match{candidate: code, oneTime: true, step: step}, true
			}
		}
	}
	return match{}, false
}

// window yields the steps of the window, both ends included, from the learned offset outwards.
func (a *Authenticator) window(state TokenState, now time.Time) iter.Seq[int64] {
	current, width := motp.Step(now), a.width()
	return motp.Outwards(current+state.Offset, current+state.Centre-width, current+state.Centre+width)
}

// width is that of the window to either side, in steps.
func (a *Authenticator) width() int64 { return int64(a.cfg.Window / (motp.StepSeconds * time.Second)) }

// fail counts a wrong proof of a known user.
func (a *Authenticator) fail(at Attempt, account Account, state TokenState, now time.Time) Outcome {
	cause, reason := CausePassword, "wrong password"
	if account.Token != nil {
		cause, reason = CauseCode, "wrong one-time password"
	}
	before, until := a.standings.fail(account.Name, Network(at.Source), now, a.cfg.MaxFailures)
	if !before.IsZero() {
		return denied(cause, reason+", "+lockedUntil(before))
	}
	if !until.IsZero() {
		reason += fmt.Sprintf(", user locked for %v", until.Sub(now))
	}
	out := denied(cause, reason)
	if account.Token != nil {
		out.Explain = func() string { return a.explain(account.Token, state, at.Proof, now) }
	}
	return out
}

// explain looks for the code outside of the window, up to a day to either side.
func (a *Authenticator) explain(token Token, state TokenState, proof Proof, now time.Time) string {
	if !a.far.TryLock() {
		return ""
	}
	defer a.far.Unlock()
	middle := motp.Step(now) + state.Centre
	for _, upper := range []bool{false, true} {
		for step := range motp.Outwards(middle, middle-farSteps, middle+farSteps) {
			if step%token.Stride() != 0 {
				continue
			}
			code := token.Code(step)
			if upper {
				code = strings.ToUpper(code)
			}
			if !proof.Verify(code) {
				continue
			}
			text := "the token's clock is " + away(step-middle)
			if state.Centre != 0 {
				text += ", counted from its resync"
			}
			return text
		}
	}
	return ""
}

// away writes how far a token's clock is ahead of ours.
func away(steps int64) string {
	direction := "ahead"
	if steps < 0 {
		steps, direction = -steps, "behind, or the code is that old"
	}
	seconds := steps * motp.StepSeconds
	if seconds < 120 {
		return fmt.Sprintf("%d seconds %s", seconds, direction)
	}
	return fmt.Sprintf("%d minutes %s", (seconds+30)/60, direction)
}
