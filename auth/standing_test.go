package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"vpnd/auth"
)

var away = netip.MustParseAddr("198.51.100.1")

func from(source netip.Addr, at auth.Attempt) auth.Attempt {
	at.Source = source
	return at
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":                 "192.0.2.7/32",
		"::ffff:192.0.2.7":          "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":      "2001:db8:1:2::/64",
		"fe80::1:2:3:4%vpn0":        "fe80::/64",
		"2001:db8:1:2:ffff::1%eth0": "2001:db8:1:2::/64",
	} {
		if got := auth.Network(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := auth.Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %s", got)
	}
}

// A stranger who knows a user's name locks the user out elsewhere, but not at the user's usual
// address. Guesses from that address lock it, too. The address survives a restart.
func TestStrangersLockNobodyOutAtHome(t *testing.T) {
	a, m, c := setUp(t)
	try := func(source netip.Addr, password string) auth.Outcome {
		return a.Authenticate(t.Context(), from(source, pap("dave", password)))
	}
	if got := try(home, "geheim"); !got.OK {
		t.Fatal(got.Reason.String())
	}
	a.Close()
	a = auth.New(auth.Config{Now: c.Now}, m, m)
	defer func() { a.Close() }()
	for i := range 20 {
		try(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "x")
	}
	if got := try(away, "geheim"); got.OK || !strings.Contains(got.Reason.String(), "locked until") {
		t.Errorf("from elsewhere during the attack: %v %q", got.OK, got.Reason.String())
	}
	if got := try(home, "geheim"); !got.OK {
		t.Errorf("at home during the attack: %q", got.Reason.String())
	}
	if got := try(away, "geheim"); got.OK {
		t.Error("a log-in at home ended the lock of strangers")
	}
	for range 4 {
		try(home, "x")
	}
	if got := try(home, "x"); got.Reason.String() != "wrong one-time password, user locked for 1m0s" {
		t.Errorf("a guesser at home: %q", got.Reason.String())
	}
	if got := try(home, "geheim"); got.OK || !strings.Contains(got.Reason.String(), "locked until") {
		t.Errorf("at home, locked there: %v %q", got.OK, got.Reason.String())
	}
	c.add(time.Minute)
	if got := try(home, "geheim"); !got.OK {
		t.Errorf("after the lock: %q", got.Reason.String())
	}
	if got := try(away, "geheim"); !got.OK {
		t.Errorf("from elsewhere after the lock: %q", got.Reason.String())
	}
}

// The addresses of the last log-ins are kept, up to UsualAddresses.
func TestUsualAddresses(t *testing.T) {
	a, m, _ := setUp(t)
	host := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }
	for n := range auth.UsualAddresses + 2 {
		for _, source := range []netip.Addr{home, host(n)} {
			if got := a.Authenticate(t.Context(), from(source, pap("dave", "geheim"))); !got.OK {
				t.Fatal(got.Reason.String())
			}
		}
	}
	a.Close()
	want := [auth.UsualAddresses]netip.Prefix{0: auth.Network(host(auth.UsualAddresses + 1)), 1: auth.Network(home)}
	for i := 2; i < auth.UsualAddresses; i++ {
		want[i] = auth.Network(host(auth.UsualAddresses + 2 - i))
	}
	if got := m.standing["dave"].Addresses; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// Concurrent guesses lock a user after the fifth. The others do not succeed even with the right
// password.
func TestGuessesAtOnce(t *testing.T) {
	a, m, _ := setUp(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	reasons := map[string]int{}
	for i := range 200 {
		wg.Go(func() {
			got := a.Authenticate(context.Background(), from(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), pap("dave", "x")))
			mu.Lock()
			defer mu.Unlock()
			reasons[got.Reason.String()]++
		})
	}
	wg.Wait()
	if got := reasons["wrong one-time password"]; got != 4 || reasons["wrong one-time password, user locked for 1m0s"] != 1 {
		t.Errorf("%v", reasons)
	}
	a.Close()
	if f := m.standing["dave"].Strangers; f.Locks != 1 || f.Count != 0 {
		t.Errorf("stored %+v", f)
	}
}

// A stranger who never pauses has 145 guesses on the first day, and 120 on each further day, as
// docs/security.md says.
func TestGuessesOfADay(t *testing.T) {
	a, _, c := setUp(t)
	guesses, n := [3]int{}, 0
	for {
		day := int(c.now.Sub(noon) / (24 * time.Hour))
		if day == len(guesses) {
			break
		}
		n++
		got := a.Authenticate(t.Context(), from(netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), pap("dave", "x")))
		guesses[day]++
		if _, text, ok := strings.Cut(got.Reason.String(), "user locked for "); ok {
			lock, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			c.add(lock)
		}
	}
	if guesses != [3]int{145, 120, 120} {
		t.Errorf("%v guesses", guesses)
	}
}

// Two daemons add up their failures.
func TestFailuresAddUp(t *testing.T) {
	a, m, c := setUp(t)
	b := auth.New(auth.Config{Now: c.Now}, m, m)
	guess := func(a *auth.Authenticator) { a.Authenticate(t.Context(), from(away, pap("dave", "x"))) }
	for range 2 {
		guess(a)
		guess(b)
	}
	a.Close()
	b.Close()
	if f := m.standing["dave"].Strangers; f.Count != 4 {
		t.Errorf("%+v", f)
	}
}

// An address gains nothing by many failures at once.
func TestSourceFailsAtOnce(t *testing.T) {
	a, _, c := setUp(t)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 200 {
		wg.Go(func() {
			<-start
			a.Authenticate(context.Background(), pap("mallory", "x"))
		})
	}
	close(start)
	wg.Wait()
	allowed := 0
	for range 2000 { // seconds
		c.add(time.Second)
		if got := a.Authenticate(t.Context(), pap("mallory", "x")); got.Reason.String() == "unknown user" {
			allowed++
		}
	}
	if allowed > 200 {
		t.Errorf("%d failures in 2000 s, want one each 10 s", allowed)
	}
}

// A lock that ended long ago does not make the next one longer.
func TestLocksAreForgotten(t *testing.T) {
	a, m, c := setUp(t)
	m.standing["dave"] = auth.Standing{Strangers: auth.Failures{Locks: 9, LockedUntil: c.now.Add(-25 * time.Hour)}}
	m.standing["bob"] = auth.Standing{Strangers: auth.Failures{Locks: 9, LockedUntil: c.now.Add(-23 * time.Hour)}}
	for user, want := range map[string]string{"dave": "1m0s", "bob": "1h0m0s"} {
		var last string
		for range 5 {
			last = a.Authenticate(t.Context(), pap(user, "x")).Reason.String()
		}
		if !strings.HasSuffix(last, "user locked for "+want) {
			t.Errorf("%s: %q, want %s", user, last, want)
		}
	}
}

// Failures count while the disk is full, and are stored when it has room.
func TestFailuresWaitForRoom(t *testing.T) {
	a, m, c := setUp(t)
	m.fsyncErr = errors.New("disk full")
	for range 5 {
		a.Authenticate(t.Context(), pap("dave", "x"))
	}
	if got := a.Authenticate(t.Context(), pap("dave", "geheim")); got.OK || !strings.Contains(got.Reason.String(), "locked until") {
		t.Errorf("%v %q", got.OK, got.Reason.String())
	}
	m.mu.Lock()
	m.fsyncErr = nil
	m.mu.Unlock()
	c.add(time.Minute)
	a.Authenticate(t.Context(), pap("dave", "x"))
	a.Close()
	if f := m.standing["dave"].Strangers; f.Count != 1 || f.Locks != 1 {
		t.Errorf("stored %+v", f)
	}
}

// When the disk has room again, failures are stored without another attempt, so that an
// administrator can unlock the user.
func TestFailuresAreStoredOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m, _ := setUp(t)
		m.fsyncErr = errors.New("disk full")
		for range 5 {
			a.Authenticate(t.Context(), pap("dave", "x"))
		}
		synctest.Wait()
		m.mu.Lock()
		m.fsyncErr = nil
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		f := m.standing["dave"].Strangers
		m.standing["dave"] = auth.Standing{} // the administrator unlocks the user
		m.mu.Unlock()
		if f.Locks != 1 {
			t.Errorf("stored %+v, want one lock", f)
		}
		if out := a.Authenticate(t.Context(), pap("dave", "geheim")); !out.OK {
			t.Errorf("an unlocked user is refused: %v", out.Reason)
		}
		a.Close()
	})
}
