package session_test

import (
	"net/netip"
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

// dialBy dials by a carrier's name.
func (s *stack) dialBy(kind string, cfg ppp.Config) (*testenv.Client, error) {
	if kind == "L2TP" {
		return s.dialL2TP(&client.Dialer{Local: netip.AddrPortFrom(clientIP, 0)}, cfg)
	}
	return s.dial(cfg)
}

// BenchmarkLogIn is a whole dial-in and hang-up: PPTP's or L2TP's set-up, LCP, authentication, IPCP; client
// and server share the machine.
func BenchmarkLogIn(b *testing.B) {
	for _, kind := range []string{"PPTP", "L2TP"} {
		b.Run(kind+" PAP", func(b *testing.B) {
			s := newStack(b, func(c *session.Config) { c.Logger = nil })
			b.ResetTimer()
			parallel(b.N, func(int) {
				c, err := s.dialBy(kind, config(ppp.PAP))
				if err != nil {
					b.Error(err)
					return
				}
				c.Hangup()
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
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
		b.ResetTimer()
		parallel(b.N, func(i int) {
			cfg := config(ppp.MSCHAPv2)
			cfg.User, cfg.Password = name(i), token.Code(motp.Step(time.Now()))
			c, err := s.dial(cfg)
			if err != nil {
				b.Error(err)
				return
			}
			c.Hangup()
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
	})
}

func name(i int) string {
	a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return "user-" + a.String()
}

// BenchmarkIdleSessions dials sessions at once and weighs them. The clients' half, by what it takes when the
// server has none any more, is taken off.
func BenchmarkIdleSessions(b *testing.B) {
	b.Run("PPTP", func(b *testing.B) { idle(b, "PPTP", 1000) })
	b.Run("L2TP", func(b *testing.B) { idle(b, "L2TP", 10_000) })
}

func idle(b *testing.B, kind string, n int) {
	b.Helper()
	for b.Loop() {
		s := newStack(b, func(c *session.Config) { c.Logger = nil })
		clients := make([]*testenv.Client, n)
		before := memory()
		begin := time.Now()
		var failed atomic.Int64
		parallel(n, func(i int) {
			c, err := s.dialBy(kind, config(ppp.PAP))
			if err != nil {
				failed.Add(1)
				return
			}
			clients[i] = c
		})
		took := time.Since(begin)
		both := memory() - before
		s.m.DropIf(func(session.Connection) bool { return true }, "measured")
		for _, c := range clients {
			if c != nil {
				<-c.Closed()
			}
		}
		s.empty()
		clientsAlone := memory() - before
		b.ReportMetric(float64(both)/float64(n)/1024, "KiB/session-with-its-client")
		b.ReportMetric(float64(both-clientsAlone)/float64(n)/1024, "KiB/session")
		b.ReportMetric(float64(failed.Load()), "failures")
		b.ReportMetric(float64(n)/took.Seconds(), "dials/s")
		runtime.KeepAlive(clients)
		s.closeNow()
	}
}

// BenchmarkCounters is what a scrape asks of 10,000 connections.
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
			b.Fatalf("%+v", c)
		}
	}
	b.StopTimer()
	s.closeNow()
}

// memory is what the process needs after a collection: heap and stacks.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
