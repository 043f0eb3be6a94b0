package auth

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"vpnd/auth/motp"
	"vpnd/internal/reason"
)

// farSteps is how far outside the window a code is searched, for the log or an administrator: a
// day.
const farSteps = 24 * 60 * 60 / motp.StepSeconds

// decoy replaces missing data of a user, so that a refusal costs the same work for every user.
var decoy = Account{Password: "\x00no password", Token: motp.Token{Secret: "00000000000000000000000000000000", PIN: "0000"}}

// Config configures an Authenticator.
type Config struct {
	Window      time.Duration    // one-time passwords count this long before and after our time; 0: 3 minutes
	MaxFailures int              // in a row until a user is locked; 0: 5
	Now         func() time.Time // nil: time.Now
}

// Outcome is the answer to an Attempt.
type Outcome struct {
	OK        bool
	Account   Account
	Candidate string        // the password that matched the proof
	OneTime   bool          // it was a one-time password
	Reason    reason.Reason // of a refusal
	// Explain, if not nil, searches for a more precise Reason. It takes up to a second: call it
	// after the answer to the peer.
	Explain func() reason.Reason
	// Confirm gives the outcome again, by the user table as it is now. The user may have been
	// disabled, removed or given another password meanwhile. Only an outcome that is OK has
	// Confirm. The caller must call it as the last step before it lets the user in.
	Confirm func(ctx context.Context) Outcome

	told bool // the refusal itself tells the peer that the password is right, for example of a disabled account
}

// Authenticator answers attempts. It is safe for concurrent use.
type Authenticator struct {
	cfg       Config
	users     Users
	ledger    Ledger
	sources   sources
	standings *standings
	far       sync.Mutex // allows one search for the log at a time
}

// New makes an Authenticator. Close ends it.
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

// Close writes the remaining changes and ends the Authenticator.
func (a *Authenticator) Close() { a.standings.close() }

// match is the candidate that matched a proof.
type match struct {
	ok        bool
	candidate string
	oneTime   bool
	step      int64
}

// Authenticate answers one attempt. It stores an accepted one-time password as used, on the disk,
// before it returns. All refusals cost the same work and count equally against the source.
// Otherwise an attacker could tell a right password of a locked user from a wrong one. A refusal
// that itself says that the password is right does not count: if the client of a disabled account
// redials again and again, others at its address can still log in.
func (a *Authenticator) Authenticate(ctx context.Context, at Attempt) Outcome {
	now, source := a.cfg.Now(), Network(at.Source)
	if !a.sources.allowed(source, now) {
		return denied(reason.New(reason.SourceLimited))
	}
	c, err := a.claimed(ctx, at.User)
	if err == nil {
		err = a.standings.enter(ctx, c.name)
		defer a.standings.leave(c.name)
	}
	if err != nil {
		return denied(reason.New(reason.UserTable, err))
	}
	m, tried := a.search(c, at.Proof, now)
	out := a.judge(ctx, at, c, m, now)
	if !out.OK {
		a.finish(at.Proof, tried)
		if !out.told {
			a.sources.failed(source, now)
		}
		return out
	}
	a.standings.succeed(c.name, source)
	out.Confirm = func(ctx context.Context) Outcome { return a.confirm(ctx, at, c, m) }
	return out
}

// claim is the user that a peer claims to be.
type claim struct {
	name  string
	known bool
	Record
}

func (a *Authenticator) claimed(ctx context.Context, user string) (*claim, error) {
	var err error
	c := &claim{name: user}
	if _, name, found := strings.Cut(user, `\`); found {
		c.name = name
	}
	reader, atOnce := a.users.(Reader)
	if atOnce {
		c.Record, c.known, err = reader.Read(ctx, c.name)
	} else {
		c.Account, c.known, err = a.users.Account(ctx, c.name)
	}
	if c.known {
		c.name = c.Account.Name
	}
	if err == nil && !atOnce {
		c.Token, err = a.ledger.Token(ctx, c.name)
	}
	return c, err
}

// judge gives the verdict on a proof with the match m, and stores a one-time password as used.
func (a *Authenticator) judge(ctx context.Context, at Attempt, c *claim, m match, now time.Time) Outcome {
	if !m.ok {
		if !c.known {
			return denied(reason.New(reason.UnknownUser))
		}
		return a.fail(at, c.Account, c.Token, now)
	}
	if until := a.standings.lockedUntil(c.name, Network(at.Source), now); !until.IsZero() {
		return denied(reason.New(reason.UserLocked, until))
	}
	if m.oneTime && a.fromWrongClock(c.Token, now) {
		if err := rewind(ctx, a.ledger, c.name, c.Token); err != nil {
			return denied(reason.New(reason.UserTable, err))
		}
		c.Token.LastStep = 0
	}
	switch {
	case m.oneTime && m.step == c.Token.LastStep:
		return denied(reason.New(reason.UsedCode))
	case m.oneTime && m.step < c.Token.LastStep:
		return denied(reason.New(reason.OldCode))
	}
	if why := c.Account.Refuses(at.Service, at.Source, now); !why.IsZero() {
		return Outcome{Account: c.Account, Reason: why, told: true}
	}
	if m.oneTime {
		stored, err := a.ledger.Advance(ctx, c.name, TokenState{LastStep: m.step, Offset: m.step - motp.Step(now)})
		if err != nil {
			return denied(reason.New(reason.CodeNotStored, err))
		}
		if !stored {
			return denied(reason.New(reason.UsedCode))
		}
	}
	return admitted(c.Account, m, now)
}

// again gives the account of a claim, by the user table as it is now.
func (a *Authenticator) again(ctx context.Context, c *claim) (Account, bool, error) {
	if c.Unchanged != nil {
		if unchanged, err := c.Unchanged(ctx); unchanged || err != nil {
			return c.Account, true, err
		}
	}
	return a.users.Account(ctx, c.name)
}

// confirm checks an OK outcome of a claim against the user table as it is now.
func (a *Authenticator) confirm(ctx context.Context, at Attempt, c *claim, m match) Outcome {
	account, known, err := a.again(ctx, c)
	switch {
	case err != nil:
		return denied(reason.New(reason.UserTable, err))
	case !known:
		return denied(reason.New(reason.UserRemoved))
	case m.oneTime && !reflect.DeepEqual(account.Token, c.Account.Token):
		return denied(reason.New(reason.TokenChanged))
	case !m.oneTime && account.Password != c.Account.Password:
		return denied(reason.New(reason.PasswordChanged))
	}
	now := a.cfg.Now()
	if why := account.Refuses(at.Service, at.Source, now); !why.IsZero() {
		return Outcome{Account: account, Reason: why}
	}
	return admitted(account, m, now)
}

func admitted(account Account, m match, now time.Time) Outcome {
	account.Terms = account.TermsAt(now)
	return Outcome{OK: true, Account: account, Candidate: m.candidate, OneTime: m.oneTime}
}

func denied(why reason.Reason) Outcome { return Outcome{Reason: why} }

// search tries the user's candidates: the password, the codes of the window from the learned offset
// outwards, then the same codes in upper case. A decoy replaces a missing candidate. Tried is the
// number of candidates that it tried.
func (a *Authenticator) search(c *claim, proof Proof, now time.Time) (m match, tried int) {
	password := c.Account.Password
	if !c.known || password == "" {
		password = decoy.Password
	}
	right := proof.Verify(password)
	proof.Verify(counterpart(password))
	if right && c.known && c.Account.Password != "" {
		return match{ok: true, candidate: password}, 1
	}
	m, tried = a.searchCodes(c, proof, now)
	return m, 1 + tried
}

// searchCodes tries the codes of the user's token.
func (a *Authenticator) searchCodes(c *claim, proof Proof, now time.Time) (m match, tried int) {
	token, owned := c.Account.Token, c.known && c.Account.Token != nil
	if !owned {
		token = decoy.Token
	}
	for _, upper := range []bool{false, true} {
		for step := range a.window(c.Token, now) {
			tried++
			if step%token.Stride() != 0 { // the same work for every token
				proof.Verify(decoy.Token.Code(step))
				continue
			}
			code := token.Code(step)
			if upper {
				code = strings.ToUpper(code)
			}
			if proof.Verify(code) && owned && code != "" {
				return match{ok: true, candidate: code, oneTime: true, step: step}, tried
			}
		}
	}
	return match{}, tried
}

// finish does the work that search saved by a match.
func (a *Authenticator) finish(proof Proof, tried int) {
	all := 1 + 2*(2*a.width()+1)
	for step := range all - int64(tried) {
		proof.Verify(decoy.Token.Code(step))
	}
}

// counterpart is a decoy for a password. A proof takes longer for characters beyond ASCII, because
// clients encode them in different ways. Every password and its counterpart together cost the same
// work.
func counterpart(password string) string {
	if strings.ContainsFunc(password, func(r rune) bool { return r > unicode.MaxASCII }) {
		return decoy.Password
	}
	return "\x00no pässword"
}

// window yields the steps of the window, including both ends, from the learned offset outwards.
func (a *Authenticator) window(state TokenState, now time.Time) iter.Seq[int64] {
	current, width := motp.Step(now), a.width()
	return motp.Outwards(current+state.Offset, current+state.Centre-width, current+state.Centre+width)
}

// fromWrongClock reports whether the LastStep was stored while the clock was ahead by more than the
// longest lock. Such a code would not be accepted now.
func (a *Authenticator) fromWrongClock(state TokenState, now time.Time) bool {
	return state.LastStep > motp.Step(now)+state.Centre+a.width()+int64(longLock/(motp.StepSeconds*time.Second))
}

// width is the width of the window to either side, in steps.
func (a *Authenticator) width() int64 { return int64(a.cfg.Window / (motp.StepSeconds * time.Second)) }

// fail counts a wrong proof of a known user.
func (a *Authenticator) fail(at Attempt, account Account, state TokenState, now time.Time) Outcome {
	code := reason.WrongPassword
	if account.Token != nil {
		code = reason.WrongCode
	}
	before, until := a.standings.fail(account.Name, Network(at.Source), now, a.cfg.MaxFailures)
	var lock time.Duration
	if before.IsZero() && !until.IsZero() {
		lock = until.Sub(now)
	}
	out := denied(reason.New(code, lock, before))
	if account.Token != nil && before.IsZero() {
		out.Explain = func() reason.Reason {
			if clock := a.explain(account.Token, state, at.Proof, now); clock != "" {
				return reason.New(reason.TokenClockOff, lock, clock)
			}
			return out.Reason
		}
	}
	return out
}

// explain looks for the code outside the window, up to a day to either side.
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
			text := away(step - middle)
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
