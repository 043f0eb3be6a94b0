package sqlite_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/ppp/chap"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// Log-ins against the store, as the daemon makes them: codes work only once, also under races,
// kills and full disks.

var (
	noon  = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	token = motp.Token{Secret: secret, PIN: "1234"}
	home  = netip.MustParseAddr("192.0.2.7")
)

func otp(name string) usermgmt.Profile {
	p := simple(name)
	p.Password, p.MOTPSecret, p.MOTPPIN = "", token.Secret, token.PIN
	return p
}

// proofs give the proof of a password for each protocol.
var proofs = []func(password string) auth.Proof{
	func(password string) auth.Proof { return chap.PAP{Password: password} },
	func(password string) auth.Proof {
		challenge := draw[[16]byte]()
		return chap.MD5{ID: challenge[0], Challenge: challenge[:], Response: chap.MD5Response(challenge[0], challenge[:], password)}
	},
	func(password string) auth.Proof {
		challenge := draw[[8]byte]()
		value := chap.V1Response(challenge, password)
		proof, err := chap.NewV1(challenge, value[:])
		if err != nil {
			return nil
		}
		return proof
	},
	func(password string) auth.Proof {
		return chap.RespondV2("alice", password, draw[[16]byte](), draw[[16]byte]())
	},
}

func draw[T [8]byte | [16]byte]() (t T) {
	for i := range len(t) {
		var one [1]byte
		_, _ = rand.Read(one[:]) // never fails
		t[i] = one[0]
	}
	return t
}

func logIn(ctx context.Context, a *auth.Authenticator, user string, proof auth.Proof) auth.Outcome {
	return a.Authenticate(ctx, auth.Attempt{User: user, Proof: proof, Service: auth.PPTP, Source: home})
}

// TestRaces uses each of 10,000 codes (with -short 1,000) at once with all four protocols, over two
// daemons on one folder.
func TestRaces(t *testing.T) {
	const users = 100
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	var now atomic.Int64
	now.Store(noon.Unix())
	var daemons [2]*auth.Authenticator
	for i := range daemons {
		s := openStore(t, dir)
		a := auth.New(auth.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }}, s, s)
		t.Cleanup(a.Close)
		daemons[i] = a
		for n := 0; i == 0 && n < users; n++ {
			must(t, s.Add(t.Context(), otp(fmt.Sprintf("user%d", n))))
		}
	}
	for round := range rounds {
		password := token.Code(motp.Step(time.Unix(now.Load(), 0)))
		var won [users]atomic.Int64
		var all sync.WaitGroup
		for n := range users {
			for i, proof := range proofs {
				all.Go(func() {
					got := daemons[(n+i+round)%len(daemons)].Authenticate(context.Background(), auth.Attempt{
						User: fmt.Sprintf("user%d", n), Proof: proof(password), Service: auth.PPTP,
						// Each has its own source, because refusals count against it.
						Source: netip.AddrFrom4([4]byte{198, 18 + byte(i), byte(round), byte(n)}),
					})
					switch {
					case got.OK:
						won[n].Add(1)
					case got.Reason.Code != reason.UsedCode:
						t.Errorf("round %d, user %d: %q", round, n, got.Reason)
					}
				})
			}
		}
		all.Wait()
		for n := range won {
			if got := won[n].Load(); got != 1 {
				t.Errorf("round %d, user %d: %d got in", round, n, got)
			}
		}
		if t.Failed() {
			return
		}
		now.Add(motp.StepSeconds)
	}
}

// childDir is the environment variable with the state folder of a test's child.
const childDir = "VPND_TEST_STATE_DIR"

func child(ctx context.Context, t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	return cmd
}

// killUsers log in at once, so that acceptances share transactions.
var killUsers = []string{"anna", "ben", "carl"}

// TestKilled kills daemons at random moments while they accept one code after another. The next
// daemon accepts no code whose success a peer may have been told.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		acceptForEver(t, dir)
		return
	}
	const workers = 4
	kills := 50
	if testing.Short() {
		kills = 5
	}
	var all sync.WaitGroup
	for range workers {
		dir := t.TempDir()
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		for _, user := range killUsers {
			must(t, s.Add(t.Context(), otp(user)))
		}
		must(t, s.Close())
		all.Go(func() {
			told := 0
			for range kills {
				cmd := child(t.Context(), t, dir)
				told += killOne(t, cmd, dir)
				if t.Failed() {
					return
				}
			}
			if told < kills {
				t.Errorf("%d acceptances in %d lives", told, kills)
			}
		})
	}
	all.Wait()
}

// dayWide is an authenticator whose window holds so many codes that its clock can stand still.
func dayWide(s *sqlite.Store) *auth.Authenticator {
	return auth.New(auth.Config{Window: 24 * time.Hour, Now: func() time.Time { return noon }}, s, s)
}

// acceptForEver logs in with one code after another and prints each success on standard output.
func acceptForEver(t *testing.T, dir string) {
	t.Helper()
	s := openStore(t, dir)
	a := dayWide(s)
	defer a.Close()
	var all sync.WaitGroup
	for i, user := range killUsers {
		all.Go(func() {
			state, err := s.Token(t.Context(), user)
			if err != nil {
				t.Error(err)
				return
			}
			last := motp.Step(noon.Add(24 * time.Hour))
			for step := max(state.LastStep+1, motp.Step(noon.Add(-24*time.Hour))); step < last; step++ {
				if got := logIn(t.Context(), a, user, proofs[i](token.Code(step))); !got.OK {
					t.Errorf("%s, step %d: %q", user, step, got.Reason)
					return
				}
				if _, err := fmt.Fprintf(os.Stdout, "accepted %s %d\n", user, step); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	t.Error("the codes have run out")
}

// killOne gives the number of acceptances that the child printed before it was killed.
func killOne(t *testing.T, cmd *exec.Cmd, dir string) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	last := map[string]int64{}
	told, killAt := 0, 1+mathrand.IntN(20)
	var other strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var user string
		var step int64
		if _, err := fmt.Sscanf(lines.Text(), "accepted %s %d", &user, &step); err != nil {
			_, _ = other.WriteString(lines.Text() + "\n")
			continue
		}
		last[user] = step
		if told++; told == killAt {
			time.AfterFunc(time.Duration(mathrand.IntN(2000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); told < killAt || err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the child ended by itself: %v\n%s", err, other.String())
		return told
	}
	s, err := sqlite.Open(context.Background(), dir, state.Options{})
	if err != nil {
		t.Errorf("after a kill: %v", err)
		return told
	}
	a := dayWide(s)
	for user, step := range last {
		if got := logIn(context.Background(), a, user, proofs[0](token.Code(step))); got.OK || got.Reason.Code != reason.UsedCode && got.Reason.Code != reason.OldCode {
			t.Errorf("%s: step %d was accepted before the kill, and now: %v %q", user, step, got.OK, got.Reason)
		}
	}
	a.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return told
}

// TestDiskFull fills the disk under a daemon: log-ins are refused with the reason, and work again
// when there is room. It needs its own file system, and therefore a child in a mount namespace.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		must(t, syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		must(t, syscall.Mount("vpnd", dir, "tmpfs", 0, "size=1m,mode=0700"))
		fillDisk(t, dir)
		return
	}
	testenv.NeedRoot(t)
	cmd := child(t.Context(), t, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReadOnly has a table on a read-only file system: the error says how to fix it, and a copy can
// be read.
func TestReadOnly(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		must(t, syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		must(t, syscall.Mount("vpnd", dir, "tmpfs", 0, "size=1m,mode=0700"))
		s, err := sqlite.Open(t.Context(), dir, state.Options{})
		must(t, err)
		must(t, s.Add(t.Context(), simple("ben")))
		must(t, s.Close())
		must(t, syscall.Mount("vpnd", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		if _, err := sqlite.Open(t.Context(), dir, state.Options{}); err == nil || !strings.Contains(err.Error(), "read-only file system: vpnd must be able to write to the folder") {
			t.Error(err)
		}
		table, err := sqlite.OpenCopy(t.Context(), dir)
		must(t, err)
		must(t, table.Close())
		return
	}
	testenv.NeedRoot(t)
	cmd := child(t.Context(), t, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReadOnly") {
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, state.Options{})
	must(t, err)
	must(t, s.Add(t.Context(), otp("anna")))
	must(t, s.Add(t.Context(), simple("ben")))
	a := dayWide(s)
	step := motp.Step(noon)
	if got := logIn(t.Context(), a, "anna", proofs[3](token.Code(step))); !got.OK {
		t.Fatal(got.Reason)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	for _, size := range []int{4096, 1} {
		for err == nil {
			_, err = ballast.Write(make([]byte, size))
		}
		err = nil
	}
	must(t, ballast.Close())
	for range 3 {
		step++
		got := logIn(t.Context(), a, "anna", proofs[3](token.Code(step)))
		if got.OK || got.Reason.Code != reason.CodeNotStored || !strings.Contains(got.Reason.String(), "the disk is full") || !strings.Contains(got.Reason.String(), "make room in "+dir) {
			t.Errorf("on a full disk: %v %q", got.OK, got.Reason)
		}
	}
	if got := logIn(t.Context(), a, "ben", proofs[1]("open sesame")); !got.OK {
		t.Errorf("a password on a full disk: %q", got.Reason)
	}
	must(t, os.Remove(ballast.Name()))
	if got := logIn(t.Context(), a, "anna", proofs[3](token.Code(step))); !got.OK {
		t.Errorf("with room again: %q", got.Reason)
	}
	if got := logIn(t.Context(), a, "anna", proofs[0](token.Code(step))); got.OK || got.Reason.Code != reason.UsedCode {
		t.Errorf("the same again: %v %q", got.OK, got.Reason)
	}
	a.Close()
	must(t, s.Close())
	s, err = sqlite.Open(t.Context(), dir, state.Options{})
	must(t, err)
	if state, err := s.Token(t.Context(), "anna"); err != nil || state.LastStep != step {
		t.Errorf("stored %d, %v, want %d", state.LastStep, err, step)
	}
	must(t, s.Close())
	must(t, syscall.Unmount(dir, syscall.MNT_DETACH))
}

// BenchmarkLogIn measures log-ins per second by MS-CHAPv2 and a one-time password, with 50 users at
// once.
func BenchmarkLogIn(b *testing.B) {
	for _, durable := range []bool{true, false} {
		b.Run(map[bool]string{true: "durable", false: "fsync off"}[durable], func(b *testing.B) {
			s, err := sqlite.Open(b.Context(), b.TempDir(), state.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if !durable {
				if err := s.SyncOff(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			const users = 50
			var now atomic.Int64
			now.Store(noon.Unix())
			a := auth.New(auth.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }}, s, s)
			defer a.Close()
			for n := range users {
				if err := s.Add(b.Context(), otp(fmt.Sprintf("user%d", n))); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for done := 0; done < b.N; done += users {
				proof := proofs[3](token.Code(motp.Step(time.Unix(now.Load(), 0))))
				var all sync.WaitGroup
				for n := range users {
					all.Go(func() {
						if got := logIn(b.Context(), a, fmt.Sprintf("user%d", n), proof); !got.OK {
							b.Error(got.Reason)
						}
					})
				}
				all.Wait()
				now.Add(motp.StepSeconds)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "log-ins/s")
		})
	}
}
