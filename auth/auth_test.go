package auth_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/reason"
	"vpnd/ppp/chap"
)

var (
	noon  = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	home  = netip.MustParseAddr("192.0.2.7")
	token = motp.Token{Secret: "0123456789abcdef0123456789abcdef", PIN: "1234"}
)

// memory is a user table and a ledger in memory.
type memory struct {
	mu       sync.Mutex
	users    map[string]auth.Account
	tokens   map[string]auth.TokenState
	standing map[string]auth.Standing
	lookups  []string
	fsyncErr error
}

func (m *memory) Account(_ context.Context, name string) (auth.Account, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups = append(m.lookups, name)
	a, ok := m.users[strings.ToLower(name)]
	return a, ok, nil
}

func (m *memory) Token(_ context.Context, user string) (auth.TokenState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[user], nil
}

func (m *memory) Advance(_ context.Context, user string, s auth.TokenState) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fsyncErr != nil {
		return false, m.fsyncErr
	}
	if s.LastStep <= m.tokens[user].LastStep {
		return false, nil
	}
	s.Centre = m.tokens[user].Centre
	m.tokens[user] = s
	return true, nil
}

func (m *memory) Rewind(_ context.Context, user string, step int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.tokens[user]; state.LastStep == step {
		state.LastStep = 0
		m.tokens[user] = state
	}
	return nil
}

func (m *memory) Recentre(_ context.Context, user string, s auth.TokenState) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.LastStep <= m.tokens[user].LastStep {
		return false, nil
	}
	m.tokens[user] = s
	m.standing[user] = auth.Standing{Addresses: m.standing[user].Addresses}
	return true, nil
}

func (m *memory) Standing(_ context.Context, user string) (auth.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standing[user], nil
}

func (m *memory) ChangeStanding(_ context.Context, user string, change func(auth.Standing) auth.Standing) (auth.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fsyncErr != nil {
		return auth.Standing{}, m.fsyncErr
	}
	m.standing[user] = change(m.standing[user])
	return m.standing[user], nil
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func setUp(t *testing.T) (*auth.Authenticator, *memory, *clock) {
	t.Helper()
	both := []auth.Service{auth.PPTP, auth.L2TP}
	m := &memory{
		users: map[string]auth.Account{
			"alice":  {Name: "alice", Enabled: true, Token: &token, Services: both},
			"bob":    {Name: "bob", Enabled: true, Password: "geheim", Services: []auth.Service{auth.L2TP}},
			"carol":  {Name: "carol", Password: "geheim", Services: both},
			"dave":   {Name: "dave", Enabled: true, Password: "geheim", Token: &token, Services: both},
			"nobody": {Name: "nobody", Enabled: true, Services: both},
		},
		tokens: map[string]auth.TokenState{}, standing: map[string]auth.Standing{},
	}
	c := &clock{now: noon}
	a := auth.New(auth.Config{Now: c.Now}, m, m)
	t.Cleanup(a.Close)
	return a, m, c
}

func pap(user, password string) auth.Attempt {
	return auth.Attempt{User: user, Proof: chap.PAP{Password: password}, Service: auth.PPTP, Source: home}
}

func code(now time.Time, off time.Duration) string { return token.Code(motp.Step(now.Add(off))) }

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name, user, password string
		ok                   bool
		code                 int
		reason               string
	}{
		{"token", "alice", code(noon, 0), true, 0, ""},
		{"token, name in capitals", "ALICE", code(noon, 0), true, 0, ""},
		{"token, domain in front", `OFFICE\alice`, code(noon, 0), true, 0, ""},
		{"token, code in capitals", "alice", strings.ToUpper(code(noon, 0)), true, 0, ""},
		{"oldest code of the window", "alice", code(noon, -3*time.Minute), true, 0, ""},
		{"newest code of the window", "alice", code(noon, 3*time.Minute), true, 0, ""},
		{"too old", "alice", code(noon, -3*time.Minute-10*time.Second), false, 691, "wrong one-time password"},
		{"too new", "alice", code(noon, 3*time.Minute+10*time.Second), false, 691, "wrong one-time password"},
		{"both, password", "dave", "geheim", true, 0, ""},
		{"both, token", "dave", code(noon, 0), true, 0, ""},
		{"unknown", "mallory", "geheim", false, 691, "unknown user"},
		{"wrong", "bob", "x", false, 691, "wrong password"},
		{"empty", "bob", "", false, 691, "wrong password"},
		{"no credentials, decoy password", "nobody", "\x00no password", false, 691, "wrong password"},
		{"no credentials, decoy token", "nobody", motp.Token{Secret: strings.Repeat("0", 32), PIN: "0000"}.Code(motp.Step(noon)), false, 691, "wrong password"},
		{"unknown, decoy password", "mallory", "\x00no password", false, 691, "unknown user"},
		{"type", "bob", "geheim", false, 649, "dial-in type pptp not allowed"},
		{"disabled", "carol", "geheim", false, 647, "account disabled"},
		{"disabled and wrong", "carol", "x", false, 691, "wrong password"},
	} {
		a, _, _ := setUp(t)
		got := a.Authenticate(t.Context(), pap(c.user, c.password))
		if got.OK != c.ok || got.Reason.Row().MSCHAP != c.code || got.Reason.String() != c.reason {
			t.Errorf("%s: %v %d %q, want %v %d %q", c.name, got.OK, got.Reason.Row().MSCHAP, got.Reason.String(), c.ok, c.code, c.reason)
		}
		if got.OK && got.Candidate != c.password {
			t.Errorf("%s: candidate %q", c.name, got.Candidate)
		}
	}
}

// The window holds 37 codes. All are tried, each once in a round, from the offset outwards.
func TestWindow(t *testing.T) {
	for _, offset := range []int64{0, 3, -18, 18, 500, -500} {
		a, m, _ := setUp(t)
		m.tokens["alice"] = auth.TokenState{Offset: offset}
		var tried []string
		at := pap("alice", "")
		at.Proof = spy{&tried}
		a.Authenticate(t.Context(), at)
		if len(tried) != 2+2*37 {
			t.Fatalf("offset %d: %d candidates, want a password, a decoy and twice 37 codes", offset, len(tried))
		}
		centre := motp.Step(noon) + min(max(offset, -18), 18)
		if tried[2] != token.Code(centre) {
			t.Errorf("offset %d: the first code is not that of the offset", offset)
		}
		codes := slices.Sorted(slices.Values(tried[2:39]))
		if len(slices.Compact(codes)) != 37 {
			t.Errorf("offset %d: codes repeat", offset)
		}
	}
}

type spy struct{ tried *[]string }

func (s spy) Verify(candidate string) bool {
	*s.tried = append(*s.tried, candidate)
	return false
}

// An unknown user, a wrong proof, a disabled and a locked user get the same answer after the same
// work.
func TestNoDifferenceIsVisible(t *testing.T) {
	a, m, c := setUp(t)
	m.standing["dave"] = auth.Standing{Strangers: auth.Failures{LockedUntil: c.now.Add(time.Hour)}}
	for _, user := range []string{"mallory", "bob", "alice", "carol", "dave", "nobody"} {
		var tried []string
		at := pap(user, "")
		at.Proof = spy{&tried}
		got := a.Authenticate(t.Context(), at)
		if got.Reason.Row().MSCHAP != 691 || len(tried) != 76 {
			t.Errorf("%s: code %d after %d candidates", user, got.Reason.Row().MSCHAP, len(tried))
		}
	}
}

// Passwords with and without characters beyond ASCII cost the same work, though a proof takes
// longer for such characters.
func TestPasswordsCostTheSame(t *testing.T) {
	a, m, _ := setUp(t)
	for _, password := range []string{"geheim", "Käse-2026", "пароль"} {
		dave := m.users["dave"]
		dave.Password = password
		m.users["dave"] = dave
		var tried []string
		at := pap("dave", "")
		at.Proof = spy{&tried}
		a.Authenticate(t.Context(), at)
		wide := 0
		for _, candidate := range tried {
			if strings.ContainsFunc(candidate, func(r rune) bool { return r > unicode.MaxASCII }) {
				wide++
			}
		}
		if wide != 1 || len(tried) != 76 {
			t.Errorf("%s: %d of %d candidates are not ASCII", password, wide, len(tried))
		}
	}
}

func TestOnce(t *testing.T) {
	a, m, c := setUp(t)
	want := func(password string, ok bool, why string) {
		t.Helper()
		if got := a.Authenticate(t.Context(), pap("alice", password)); got.OK != ok || got.Reason.String() != why {
			t.Errorf("%s: %v %q, want %v %q", password, got.OK, got.Reason.String(), ok, why)
		}
	}
	first := code(c.now, 30*time.Second) // a token that is half a minute ahead
	want(first, true, "")
	want(first, false, "one-time password already used")
	want(code(c.now, 20*time.Second), false, "one-time password older than the last one used")
	if m.tokens["alice"].Offset != 3 {
		t.Errorf("offset %d", m.tokens["alice"].Offset)
	}
	for range 20 { // the automatic redials of a client lock nobody out
		want(first, false, "one-time password already used")
	}
	c.add(10 * time.Second)
	want(code(c.now, 30*time.Second), true, "")
	m.fsyncErr = context.DeadlineExceeded
	c.add(10 * time.Second)
	want(code(c.now, 30*time.Second), false, "could not store the one-time password as used: context deadline exceeded")
}

// Of 200 concurrent log-ins with one code exactly one succeeds, with each protocol.
func TestRace(t *testing.T) {
	for _, protocol := range []string{"PAP", "CHAP", "MS-CHAP", "MS-CHAPv2"} {
		a, _, c := setUp(t)
		password := code(c.now, 0)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, used := 0, 0
		for i := range 200 {
			at := from(netip.AddrFrom4([4]byte{198, 18, 0, byte(i)}), pap("alice", password))
			switch protocol {
			case "CHAP":
				challenge := []byte{byte(i), 1}
				at.Proof = chap.MD5{ID: byte(i), Challenge: challenge, Response: chap.MD5Response(byte(i), challenge, password)}
			case "MS-CHAP":
				value := chap.V1Response([8]byte{byte(i)}, password)
				at.Proof, _ = chap.NewV1([8]byte{byte(i)}, value[:])
			case "MS-CHAPv2":
				at.Proof = chap.RespondV2("alice", password, [16]byte{byte(i)}, [16]byte{1})
			}
			wg.Go(func() {
				got := a.Authenticate(context.Background(), at)
				mu.Lock()
				defer mu.Unlock()
				if got.OK {
					won++
				}
				if got.Reason.String() == "one-time password already used" {
					used++
				}
			})
		}
		wg.Wait()
		if won != 1 || used != 199 {
			t.Errorf("%s: %d won, %d were used already", protocol, won, used)
		}
	}
}

func TestLockOut(t *testing.T) {
	a, _, c := setUp(t)
	guess := func() auth.Outcome {
		at := pap("dave", "x")
		at.Source = netip.AddrFrom4([4]byte{192, 0, 2, byte(c.Now().Unix() / 7)})
		return a.Authenticate(t.Context(), at)
	}
	right := func() auth.Outcome {
		at := pap("dave", "geheim")
		at.Source = netip.MustParseAddr("192.0.2.250")
		return a.Authenticate(t.Context(), at)
	}
	lock := time.Minute
	for range 8 {
		var last string
		for range 5 {
			last = guess().Reason.String()
			c.add(time.Second)
		}
		if want := "wrong one-time password, user locked for " + lock.String(); last != want {
			t.Fatalf("%q, want %q", last, want)
		}
		if got := right(); got.OK || !strings.Contains(got.Reason.String(), "locked until") || got.Reason.Row().MSCHAP != 691 {
			t.Errorf("a locked user: %v %q", got.OK, got.Reason.String())
		}
		if got := guess(); !strings.HasPrefix(got.Reason.String(), "wrong one-time password, user locked until ") || got.Explain != nil {
			t.Errorf("a guess of a locked user: %q", got.Reason.String())
		}
		c.add(lock)
		lock = min(2*lock, time.Hour)
	}
	if got := right(); !got.OK {
		t.Errorf("after the lock: %q", got.Reason.String())
	}
	if got := guess(); got.Reason.String() != "wrong one-time password" {
		t.Errorf("a success did not end the row: %q", got.Reason.String())
	}
}

func TestSourceLimit(t *testing.T) {
	_, m, c := setUp(t)
	a := auth.New(auth.Config{Now: c.Now, MaxFailures: 1000}, m, m)
	defer a.Close()
	for i := range 40 {
		at := pap("mallory", "x")
		if i%2 == 0 {
			at.User = "bob"
		}
		got := a.Authenticate(t.Context(), at)
		if limited := got.Reason.String() == "too many failures from this address"; limited != (i >= 30) || got.Reason.Row().MSCHAP != 691 {
			t.Fatalf("failure %d: %q", i, got.Reason.String())
		}
	}
	at := pap("alice", code(c.now, 0))
	at.Source = netip.MustParseAddr("192.0.2.8")
	if got := a.Authenticate(t.Context(), at); !got.OK {
		t.Errorf("another address: %q", got.Reason.String())
	}
	c.add(10 * time.Minute)
	if got := a.Authenticate(t.Context(), pap("alice", code(c.now, 0))); !got.OK {
		t.Errorf("later: %q", got.Reason.String())
	}
}

func TestExplain(t *testing.T) {
	for off, want := range map[time.Duration]string{
		7 * time.Minute:   "7 minutes ahead",
		-65 * time.Minute: "65 minutes behind, or the code is that old",
		24 * time.Hour:    "1440 minutes ahead",
		25 * time.Hour:    "",
	} {
		a, _, c := setUp(t)
		got := a.Authenticate(t.Context(), pap("alice", code(c.now, off)))
		if got.OK || got.Explain == nil {
			t.Fatalf("%v: %v", off, got)
		}
		why := reason.New(reason.WrongCode)
		if want != "" {
			why = reason.New(reason.TokenClockOff, "", want)
		}
		if found := got.Explain(); found.String() != why.String() {
			t.Errorf("%v: %q, want %q", off, found, why)
		}
	}
}

func BenchmarkRefuse(b *testing.B) {
	m := &memory{users: map[string]auth.Account{}, tokens: map[string]auth.TokenState{}, standing: map[string]auth.Standing{}}
	a := auth.New(auth.Config{}, m, m)
	defer a.Close()
	n := uint32(0)
	for b.Loop() {
		n++
		at := pap("mallory", "x")
		at.Source = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		at.Proof = chap.RespondV2("mallory", "x", [16]byte{1}, [16]byte{2})
		a.Authenticate(b.Context(), at)
	}
}
