package session_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/auth/motp"
	"vpnd/internal/session"
	"vpnd/l2tp/client"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"

	"golang.org/x/sys/unix"
)

// parallel runs n jobs, 64 at a time.
func parallel(n int, job func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				job(i)
			}
		})
	}
	wg.Wait()
}

// dialBy dials by the carrier of that name.
func (s *stack) dialBy(kind string, cfg ppp.Config) (*testenv.Client, error) {
	if kind == "L2TP" {
		return s.dialL2TP(&client.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}, cfg)
	}
	return s.dial(cfg)
}

// BenchmarkLogIn measures a whole dial-in and hang-up: PPTP's or L2TP's set-up, LCP,
// authentication, IPCP. The client and the server share the machine.
func BenchmarkLogIn(b *testing.B) {
	for _, kind := range []string{"PPTP", "L2TP"} {
		b.Run(kind+" PAP", func(b *testing.B) {
			s := newStack(b, func(c *session.Config) { c.Logger = nil })
			logIns(b, func(int) (*testenv.Client, error) { return s.dialBy(kind, config(ppp.PAP)) })
		})
	}
	b.Run("MS-CHAPv2 with durable mOTP", func(b *testing.B) {
		s := newStack(b, func(c *session.Config) { c.Logger = nil })
		for i := range b.N {
			err := s.store.Add(b.Context(), usermgmt.Profile{
				Name: name(i), Enabled: true, MOTPSecret: token.Secret, MOTPPIN: token.PIN,
				Services: []auth.Service{auth.PPTP}, IPsec: usermgmt.IPsecNone,
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		logIns(b, func(i int) (*testenv.Client, error) {
			cfg := config(ppp.MSCHAPv2)
			cfg.User, cfg.Password = name(i), token.Code(motp.Step(time.Now()))
			return s.dial(cfg)
		})
	})
}

// logIns makes b.N clients dial and hang up, and measures that.
func logIns(b *testing.B, dial func(i int) (*testenv.Client, error)) {
	b.ReportAllocs()
	spent := processorTime(b)
	b.ResetTimer()
	parallel(b.N, func(i int) {
		c, err := dial(i)
		if err != nil {
			b.Error(err)
			return
		}
		c.Hangup()
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
	b.ReportMetric(float64((processorTime(b)-spent).Microseconds())/float64(b.N), "cpu-us/login")
}

func name(i int) string {
	a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return "user-" + a.String()
}

// BenchmarkIdleSessions makes another process dial many sessions at once. It measures the memory of
// the server's process for one session, and the processor time of one log-in.
func BenchmarkIdleSessions(b *testing.B) {
	b.Run("PPTP", func(b *testing.B) { idle(b, "PPTP", 1000) })
	b.Run("L2TP", func(b *testing.B) { idle(b, "L2TP", 10_000) })
}

// crowdOf is the environment variable that makes a process of this test the one that dials.
const crowdOf = "VPND_TEST_CROWD"

func idle(b *testing.B, kind string, n int) {
	if os.Getenv(crowdOf) != "" {
		crowd(b, kind, n)
		return
	}
	for b.Loop() {
		s := newStack(b, func(c *session.Config) { c.Logger = nil })
		cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkIdleSessions$/^"+kind+"$", "-test.benchtime=1x")
		cmd.Env = append(os.Environ(), crowdOf+"="+kind)
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2); err != nil {
			b.Fatal(err)
		}
		before, spent, begin := memory(), processorTime(b), time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != dialled {
			b.Log(lines.Text())
		}
		took := time.Since(begin)
		up := len(s.m.Connections())
		b.ReportMetric(float64((processorTime(b)-spent).Microseconds())/float64(up), "server-us/dial")
		b.ReportMetric(float64(up)/took.Seconds(), "dials/s")
		b.ReportMetric(float64(memory()-before)/float64(up)/1024, "KiB/session")
		b.ReportMetric(float64(n-up), "failures")
		_ = in.Close()
		_ = cmd.Wait()
		s.closeNow()
	}
}

// dialled is the message of a crowd after all its clients have dialled.
const dialled = "dialled"

// crowd dials n sessions of the server in its parent process. It keeps them until the parent ends
// it.
func crowd(b *testing.B, kind string, n int) {
	s := newCrowd(b)
	clients := make([]*testenv.Client, n)
	parallel(n, func(i int) {
		c, err := s.dialBy(kind, config(ppp.PAP))
		if err != nil {
			b.Error(err)
			return
		}
		clients[i] = c
	})
	fmt.Println("\n" + dialled)
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(clients)
}

// processorTime is the processor time that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// memory is the memory of the process after a collection: heap and stacks.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// BenchmarkCounters measures what a scrape costs at 10,000 connections.
func BenchmarkCounters(b *testing.B) {
	s := newStack(b, func(c *session.Config) { c.Logger = nil })
	parallel(10_000, func(int) {
		if _, err := s.dialBy("L2TP", config(ppp.PAP)); err != nil {
			b.Error(err)
		}
	})
	b.ResetTimer()
	for b.Loop() {
		if c := s.m.Counters(); c.Open[session.Kind{Type: "L2TP", Encryption: "none"}] != 10_000 {
			b.Fatalf("got %+v, want 10,000 open by L2TP", c)
		}
	}
	b.StopTimer()
	s.closeNow()
}
