package auth

import (
	"context"
	"fmt"
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

const (
	// farSteps is how far a code outside of the window is searched for, for the log: a day.
	farSteps  = 24 * 60 * 60 / motp.StepSeconds
	firstLock = time.Minute
	longLock  = time.Hour
)

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
	// Explain, if not nil, searches for more to say for the log. It takes up to a second, and is
	// to be called after the peer has its answer. It may find nothing.
	Explain func() string
}

// Authenticator answers attempts. It is safe for concurrent use.
type Authenticator struct {
	cfg     Config
	users   Users
	ledger  Ledger
	sources sources
	far     sync.Mutex // one search for the log at a time

	mu      sync.Mutex
	pending map[string]Failures // not written yet
	write   chan struct{}       // something is pending
	done    chan struct{}
	closed  chan struct{}
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
	a := &Authenticator{
		cfg: cfg, users: users, ledger: ledger, pending: map[string]Failures{},
		write: make(chan struct{}, 1), done: make(chan struct{}), closed: make(chan struct{}),
	}
	go a.writeFailures()
	return a
}

// Close writes what is still to be remembered and ends the Authenticator.
func (a *Authenticator) Close() {
	close(a.done)
	<-a.closed
}

// match is what a proof was found to be.
type match struct {
	candidate string
	oneTime   bool
	step      int64
}

// Authenticate answers one attempt. A one-time password that it accepts is stored as used, on the
// disk, before it returns. An unknown user costs the same work as a wrong password.
func (a *Authenticator) Authenticate(ctx context.Context, at Attempt) Outcome {
	now := a.cfg.Now()
	if !a.sources.allowed(at.Source, now) {
		return denied("too many failures from this address")
	}
	name := at.User
	if _, user, found := strings.Cut(name, `\`); found {
		name = user
	}
	account, known, err := a.users.Account(ctx, name)
	if err != nil {
		return denied("user table: " + err.Error())
	}
	if known {
		name = account.Name
	}
	state, err := a.ledger.Token(ctx, name)
	if err != nil {
		return denied("user table: " + err.Error())
	}
	failures, err := a.failures(ctx, name)
	if err != nil {
		return denied("user table: " + err.Error())
	}
	m, ok := a.search(account, known, state, at.Proof, now)
	switch {
	case !known:
		a.sources.failed(at.Source, now)
		return denied("unknown user")
	case now.Before(failures.LockedUntil):
		if !ok {
			a.sources.failed(at.Source, now)
		}
		return denied("user locked until " + failures.LockedUntil.UTC().Format(time.RFC3339) + " after too many failures")
	case !ok:
		return a.fail(at, account, failures, now)
	case m.oneTime && m.step <= state.LastStep:
		return denied(alreadyUsed)
	}
	if r := account.Refuses(at.Service, at.Source, now); r != (Refusal{}) {
		return Outcome{Account: account, Code: r.Code, Reason: r.Reason}
	}
	if m.oneTime {
		next := TokenState{LastStep: m.step, Offset: m.step - motp.Step(now)}
		stored, err := a.ledger.Advance(ctx, name, next)
		if err != nil {
			return denied("the one-time password could not be stored as used: " + err.Error())
		}
		if !stored {
			return denied(alreadyUsed)
		}
	}
	if failures != (Failures{}) {
		a.remember(name, Failures{})
	}
	account.Terms = account.TermsAt(now)
	return Outcome{OK: true, Account: account, Candidate: m.candidate, OneTime: m.oneTime}
}

const alreadyUsed = "one-time password already used"

func denied(reason string) Outcome { return Outcome{Code: CodeDenied, Reason: reason} }

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
		for step := range a.steps(motp.Step(now), state.Offset) {
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

// steps yields the steps of the window around current, both ends included, from offset outwards.
func (a *Authenticator) steps(current, offset int64) func(yield func(int64) bool) {
	width := int64(a.cfg.Window / (motp.StepSeconds * time.Second))
	centre := current + min(max(offset, -width), width)
	return func(yield func(int64) bool) {
		for d := int64(0); d <= 2*width; d++ {
			for _, step := range [2]int64{centre + d, centre - d} {
				if step < current-width || step > current+width || d == 0 && step != centre {
					continue
				}
				if !yield(step) {
					return
				}
				if d == 0 {
					break
				}
			}
		}
	}
}

// fail counts a wrong proof of a known user.
func (a *Authenticator) fail(at Attempt, account Account, f Failures, now time.Time) Outcome {
	a.sources.failed(at.Source, now)
	reason := "wrong password"
	if account.Token != nil {
		reason = "wrong one-time password"
	}
	f.Count++
	if f.Count >= a.cfg.MaxFailures {
		lock := longLock
		if f.Locks < 6 {
			lock = min(firstLock<<f.Locks, longLock)
		}
		f = Failures{Locks: f.Locks + 1, LockedUntil: now.Add(lock)}
		reason += fmt.Sprintf(", user locked for %v", lock)
	}
	a.remember(account.Name, f)
	out := denied(reason)
	if account.Token != nil {
		out.Explain = func() string { return a.explain(account.Token, at.Proof, now) }
	}
	return out
}

// explain looks for the code outside of the window, up to a day to either side.
func (a *Authenticator) explain(token Token, proof Proof, now time.Time) string {
	if !a.far.TryLock() {
		return ""
	}
	defer a.far.Unlock()
	current := motp.Step(now)
	for d := int64(a.cfg.Window/(motp.StepSeconds*time.Second)) + 1; d <= farSteps; d++ {
		minutes := (d*motp.StepSeconds + 30) / 60
		if proof.Verify(token.Code(current + d)) {
			return fmt.Sprintf("the token's clock is %d minutes ahead", minutes)
		}
		if proof.Verify(token.Code(current - d)) {
			return fmt.Sprintf("the token's clock is %d minutes behind, or the code is that old", minutes)
		}
	}
	return ""
}

// failures are those of the ledger, or what is still to be written there.
func (a *Authenticator) failures(ctx context.Context, user string) (Failures, error) {
	a.mu.Lock()
	f, ok := a.pending[user]
	a.mu.Unlock()
	if ok {
		return f, nil
	}
	return a.ledger.Failures(ctx, user)
}

// remember has the failures of a user written outside of the answer's way: how long an answer takes
// must not tell whether there is such a user.
func (a *Authenticator) remember(user string, f Failures) {
	a.mu.Lock()
	a.pending[user] = f
	a.mu.Unlock()
	select {
	case a.write <- struct{}{}:
	default:
	}
}

func (a *Authenticator) writeFailures() {
	defer close(a.closed)
	for {
		select {
		case <-a.write:
			a.flush()
		case <-a.done:
			a.flush()
			return
		}
	}
}

func (a *Authenticator) flush() {
	for {
		a.mu.Lock()
		var user string
		var f Failures
		found := false
		for user, f = range a.pending {
			found = true
			break
		}
		a.mu.Unlock()
		if !found {
			return
		}
		// What cannot be written is lost: a lock-out that a restart forgets does less harm than
		// one that keeps a right password out.
		_ = a.ledger.SetFailures(context.Background(), user, f)
		a.mu.Lock()
		if a.pending[user] == f {
			delete(a.pending, user)
		}
		a.mu.Unlock()
	}
}
