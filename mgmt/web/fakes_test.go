package web

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"
	"vpnd/internal/timesync"
	"vpnd/mgmt"
	"vpnd/mgmt/guide"
)

// settings is the settings of a daemon that keeps them in memory.
type settings struct {
	mgmt.Settings // methods that no test calls

	services mgmt.ServiceSet
	ppp      mgmt.PPPSettings
	time     mgmt.TimeSettings
	pools    mgmt.PoolSettings
	shutdown mgmt.ShutdownState
	within   time.Duration
	drop     bool  // of the last SetServices
	fails    error // of the next change
}

func (s *settings) Services() mgmt.ServiceSet         { return s.services }
func (s *settings) PPP() mgmt.PPPSettings             { return s.ppp }
func (s *settings) Overridden() []string              { return []string{"ppp.mppe", "services.l2tp"} }
func (s *settings) ShutdownState() mgmt.ShutdownState { return s.shutdown }

func (s *settings) SetServices(_ context.Context, to mgmt.ServiceSet, drop bool) error {
	if s.fails != nil {
		return s.fails
	}
	s.services, s.drop = to, drop
	return nil
}

func (s *settings) Time() mgmt.TimeSettings  { return s.time }
func (s *settings) Pools() mgmt.PoolSettings { return s.pools }

func (s *settings) SetTime(_ context.Context, to mgmt.TimeSettings) error {
	if s.fails == nil {
		s.time = to
	}
	return s.fails
}

func (s *settings) SetPools(_ context.Context, to mgmt.PoolSettings) error {
	if s.fails == nil {
		s.pools = to
	}
	return s.fails
}

func (s *settings) SetPPP(_ context.Context, to mgmt.PPPSettings) error {
	if s.fails != nil {
		return s.fails
	}
	s.ppp = to
	return nil
}

func (s *settings) ShutDown(_ context.Context, within time.Duration) error {
	s.shutdown.Pending, s.within = true, within
	return nil
}

func (s *settings) CancelShutdown(context.Context) error {
	s.shutdown.Pending = false
	return nil
}

// system is a machine with hostile names.
type system struct{}

func (system) Pools() []mgmt.Pool {
	return []mgmt.Pool{
		{Ranges: []mgmt.PoolRange{{Start: netip.MustParseAddr("10.99.0.10"), Count: 241}}, Size: 241, InUse: 12, DNS: []string{"10.99.0.1"}},
		{
			Name: "guests", Ranges: []mgmt.PoolRange{{Start: netip.MustParseAddr("10.98.0.10"), Count: 20}, {Start: netip.MustParseAddr("10.98.7.1"), Count: 5}},
			Size: 25, InUse: 24,
		},
	}
}

func (s system) Status(context.Context) mgmt.Status {
	return mgmt.Status{
		Version: "1.2.3", Commit: "0123456789ab", Go: "go1.26.8 linux/amd64", Host: "<i>gate</i>", Kernel: "Linux 6.1", Started: time.Unix(1_789_000_000, 0), Uptime: 93_784,
		Connections: 2, Users: 4, Pools: s.Pools(),
		Interfaces: []mgmt.Interface{
			{Name: "lo", Up: true, MTU: 65536, Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}},
			{Name: "vpn0", Up: true, MTU: 1400, Addresses: []netip.Prefix{netip.MustParsePrefix("10.99.0.1/32")}, Role: "VPN"},
		},
		Warnings: []mgmt.Warning{{What: "clock <b>", Wrong: "the host's clock is off by 2m0s, more than time.max_offset (10s)", Fix: "set the host's clock right"}},
	}
}

// captures accepts the connection c00000 and all users.
type captures struct{}

func (captures) Begin(_ context.Context, of mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	if of.User == "" && of.Connection != "c00000" {
		return nil, mgmt.ErrNotFound
	}
	return func(_ context.Context, w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s%s %v %v", of.User, of.Connection, of.All, of.Time)
		return err
	}, nil
}

// noCaptures has no room for a capture.
type noCaptures struct{}

func (noCaptures) Begin(context.Context, mgmt.CaptureOf) (mgmt.CaptureWriter, error) {
	return nil, mgmt.ErrFull
}

// measured is a clock with the measurements of some hours.
type measured struct{ clock }

func (m measured) View() timesync.View {
	now := m.Corrected().UTC()
	v := timesync.View{
		Clock: now.Add(-37 * time.Millisecond), Corrected: now, Local: now.In(time.FixedZone("CEST", 7200)), Zone: "CEST", State: timesync.Right, Measured: true,
		Offset: 0.0374, RoundTrip: 0.0121, Server: "192.0.2.1", MaxOffset: 10, Interval: 3600,
		Servers: []timesync.ServerView{
			{Server: "192.0.2.1", Offset: 0.0374, RoundTrip: 0.0121, Stratum: 2},
			{Server: "192.0.2.2", Offset: 61.5, RoundTrip: 0.0321, Stratum: 3, Outvoted: true},
			{Server: "<u>ntp</u>", Error: "no answer within 3s"},
		},
	}
	for i := range 48 {
		offset := []float64{0.012, 0.019, 0.031, -0.008, 0.0022, 0.0374}[i%6] * float64(i+10) / 58
		v.Measurements = append(v.Measurements, timesync.MeasurementView{At: now.Add(time.Duration(i-47) * time.Hour), Offset: offset, RoundTrip: 0.012})
	}
	return v
}

// setUpDaemon is setUp with all parts of a daemon.
func setUpDaemon(t testing.TB) (*bench, *settings) {
	t.Helper()
	b := setUp(t)
	s := &settings{
		services: mgmt.ServiceSet{PPTP: true, L2TP: true},
		ppp: mgmt.PPPSettings{
			Authentication: slices.Clone(allMethods), MPPE: "optional", EchoInterval: "30s", EchoFailures: 4, CHAPInterval: "0s",
		},
	}
	s.time = mgmt.TimeSettings{Servers: []string{"192.0.2.1"}, Interval: "1h0m0s", MaxOffset: "10s"}
	for _, pool := range (system{}).Pools() {
		of := mgmt.AddressPool{Ranges: pool.Ranges, DNS: pool.DNS, WINS: pool.WINS}
		if pool.Name == "" {
			s.pools.AddressPool = of
		} else {
			s.pools.Pools = map[string]mgmt.AddressPool{pool.Name: of}
		}
	}
	b.managed.Settings, b.managed.System, b.managed.Clock, b.managed.Window = s, system{}, measured{}, 3*time.Minute
	b.managed.Captures = captures{}
	b.managed.Guide = func() guide.Server {
		return guide.Server{PPTP: true, L2TP: true, Authentication: allMethods, MPPE: "optional"}
	}
	b.serve()
	return b, s
}
