package daemon

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/internal/dial"
	"vpnd/internal/reason"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	l2tpclient "vpnd/l2tp/client"
	"vpnd/mgmt"
	mgmtclient "vpnd/mgmt/client"
	"vpnd/ppp"
	"vpnd/pptp/client"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// field is a daemon in a namespace. The test is its administrator.
type field struct {
	t      *testing.T
	lab    *testenv.Lab
	cfg    config.Config
	pptp   *client.Dialer
	api    *mgmtclient.Client
	reload chan struct{}
	watch  time.Duration // between two checks of the user table; 0: the default
	log    lockedLog
}

// lockedLog can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newField adds the user alice, who may dial in as often as she likes.
func newField(t *testing.T, lab *testenv.Lab, cfg config.Config) *field {
	t.Helper()
	f := &field{t: t, lab: lab, cfg: cfg, api: mgmtclient.New(cfg.Management.Socket), reload: make(chan struct{})}
	store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
	if err == nil {
		alice := usermgmt.New("alice")
		alice.Password, alice.Services, alice.MaxConnections = "geheim", []auth.Service{auth.PPTP, auth.L2TP}, 0
		err = errors.Join(store.Add(t.Context(), alice), store.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	f.pptp = newDialer(t)
	return f
}

// run runs a daemon while administer does its work. If administer returns errEnds, it waits until
// the daemon ends by itself.
func (f *field) run(administer func(ctx context.Context) error) error {
	ctx, stop := context.WithTimeout(f.t.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	err := Run(ctx, f.cfg, Options{
		Log: &f.log, Reload: f.reload, Watch: f.watch, Load: func() (config.Config, error) { return f.cfg, nil },
		Ready: func() {
			go func() {
				done <- testenv.InNamespace(f.lab.Namespace, func() error { return administer(ctx) })
				stop()
			}()
		},
	})
	if err != nil {
		return err
	}
	ended := ctx.Err() == nil
	stop()
	err = <-done
	if errors.Is(err, errEnds) && ended {
		return nil
	}
	return err
}

// errEnds is administer's error when the daemon should end by itself.
var errEnds = errors.New("the daemon does not end by itself")

// dial has alice dial in.
func (f *field) dial(ctx context.Context, kind string, method ppp.Method) (*testenv.Client, error) {
	c, port := new(testenv.Client), uint16(1723)
	var carrier dial.Carrier = f.pptp
	if kind == "L2TP" {
		carrier, port = &l2tpclient.Dialer{}, 1701
	}
	err := c.Dial(ctx, carrier, netip.AddrPortFrom(netip.MustParseAddr("127.0.2.1"), port), ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{method}})
	return c, err
}

// dialBoth has alice dial in by PPTP and by L2TP.
func (f *field) dialBoth(ctx context.Context) (byPPTP, byL2TP *testenv.Client, err error) {
	byPPTP, errPPTP := f.dial(ctx, "PPTP", ppp.PAP)
	byL2TP, errL2TP := f.dial(ctx, "L2TP", ppp.PAP)
	return byPPTP, byL2TP, errors.Join(errPPTP, errL2TP)
}

// pass checks that packets pass in both directions.
func (f *field) pass(clients ...*testenv.Client) {
	f.t.Helper()
	for _, c := range clients {
		if !c.Ping(5 * time.Second) {
			f.t.Error("no packet passes")
		}
	}
}

// closed checks that new calls are refused.
func (f *field) closed(ctx context.Context, kind string) {
	f.t.Helper()
	_, err := f.dial(ctx, kind, ppp.PAP)
	if want := map[string]error{"PPTP": syscall.ECONNREFUSED, "L2TP": reason.New(reason.ServerRefusesTunnel)}[kind]; !errors.Is(err, want) {
		f.t.Errorf("a new call by %s: %v", kind, err)
	}
}

// sockets waits until a table of the kernel has the wanted number of sockets whose lines contain
// text.
func (f *field) sockets(table, text string, want int) {
	f.t.Helper()
	got := -1
	for deadline := time.Now().Add(10 * time.Second); got != want && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile("/proc/thread-self/net/" + table)
		if err != nil {
			f.t.Fatal(err)
		}
		got = strings.Count(string(data), text)
	}
	if got != want {
		f.t.Errorf("%d sockets in /proc/net/%s, want %d", got, table, want)
	}
}

const (
	udp1701 = ":06A5 00000000:0000"
	rawGRE  = ":002F 00000000:0000"
)

func set(pptp, l2tp, drop bool) mgmt.ServiceChange {
	return mgmt.ServiceChange{PPTP: &pptp, L2TP: &l2tp, Drop: drop}
}

// Services are switched off and on. Open calls continue unless they are dropped, ports close and
// open, and all that survives a reload and a restart.
func TestServices(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		err := f.run(func(ctx context.Context) error {
			p, l, err := f.dialBoth(ctx)
			if err != nil {
				return err
			}
			f.sockets("raw", rawGRE, 2) // the server's and the client's
			if _, err := f.api.ChangeServices(ctx, set(false, false, false)); err != nil {
				return err
			}
			f.closed(ctx, "PPTP")
			f.closed(ctx, "L2TP")
			f.reload <- struct{}{}
			f.reload <- struct{}{} // the first reload is done
			f.closed(ctx, "PPTP")
			f.pass(p, l)
			if v, err := f.api.ChangeServices(ctx, set(true, true, false)); err != nil || len(v.Overridden) != 0 {
				t.Errorf("%+v, %v", v, err)
			}
			p2, l2, err := f.dialBoth(ctx)
			if err != nil {
				return err
			}
			f.pass(p, p2, l, l2)
			off := false
			if _, err := f.api.ChangeServices(ctx, mgmt.ServiceChange{PPTP: &off, Drop: true}); err != nil {
				return err
			}
			<-p.Closed()
			<-p2.Closed()
			f.sockets("raw", rawGRE, 1)
			f.pass(l, l2)
			if _, err := f.api.ChangeServices(ctx, set(false, false, false)); err != nil {
				return err
			}
			l.Hangup()
			f.pass(l2)
			f.sockets("udp", udp1701, 1)
			l2.Hangup()
			f.sockets("udp", udp1701, 0)
			return nil
		})
		if err != nil {
			return err
		}
		for _, want := range []string{`change="services.l2tp: false; services.pptp: false" by=root`, `change="services.pptp: false; connections are dropped"`, "cause=service_off "} {
			if !strings.Contains(f.log.String(), want) {
				t.Errorf("%s is missing in:\n%s", want, &f.log)
			}
		}
		if got := finding(t, cfg, "settings"); got.What != "settings that override the configuration file: services.l2tp: false; services.pptp: false" {
			t.Errorf("check: %q", got)
		}
		err = f.run(func(ctx context.Context) error {
			if v, err := f.api.Services(ctx); err != nil || v.PPTP || v.L2TP || !slices.Equal(v.Overridden, []string{"services.l2tp", "services.pptp"}) {
				t.Errorf("after a restart: %+v, %v", v, err)
			}
			f.closed(ctx, "PPTP")
			other, err := net.ListenPacket("udp4", "0.0.0.0:1701")
			if err != nil {
				return err
			}
			_, err = f.api.ChangeServices(ctx, set(true, true, false))
			if p := (*mgmtclient.ProblemError)(nil); !errors.As(err, &p) || p.Status != http.StatusConflict || !strings.Contains(p.Detail, "L2TP: UDP port 1701 of 0.0.0.0 is in use: stop the other") {
				t.Errorf("a port that is taken: %v", err)
			}
			f.closed(ctx, "PPTP") // nothing is half-done
			if v, err := f.api.Services(ctx); err != nil || v.PPTP || v.L2TP {
				t.Errorf("%+v, %v", v, err)
			}
			_ = other.Close()
			if _, err := f.api.ChangeServices(ctx, set(true, true, false)); err != nil {
				return err
			}
			p, l, err := f.dialBoth(ctx)
			if err != nil {
				return err
			}
			f.pass(p, l)
			// The file says so, and no setting overrides it.
			f.cfg.Services.PPTP = false
			f.reload <- struct{}{}
			f.reload <- struct{}{}
			f.closed(ctx, "PPTP")
			f.pass(p, l)
			if v, err := f.api.Services(ctx); err != nil || v.PPTP || !v.L2TP || len(v.Overridden) != 0 {
				t.Errorf("after the file has changed: %+v, %v", v, err)
			}
			return nil
		})
		if !strings.Contains(f.log.String(), `settings override the configuration file" settings="services.l2tp: false; services.pptp: false"`) {
			t.Errorf("%s", &f.log)
		}
		return err
	})
}

// A new password changes the tag of PPP General Setup, and the shown settings do not contain it.
func TestTagOfPPPPassword(t *testing.T) {
	d := &daemon{}
	tags := map[string]bool{}
	for _, password := range []string{"", "hush-hush", "hush"} {
		d.cfg.PPP.MutualPAP.Password = password
		d.show()
		p := settings{d}.PPP()
		tags[mgmt.StateTag(p)] = true
		if mgmt.StateTag(settings{d}.PPP()) != mgmt.StateTag(p) || p.MutualPAP.Password != "" || p.MutualPAP.HasPassword != (password != "") {
			t.Errorf("%q is shown as %+v", password, p)
		}
	}
	if len(tags) != 3 {
		t.Errorf("the tags are %v", tags)
	}
}

// PPP General Setup counts for later connections, persists, and is recorded in the history without
// the password.
func TestPPPSettings(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		err := f.run(func(ctx context.Context) error {
			p, err := f.dial(ctx, "PPTP", ppp.PAP)
			if err != nil {
				return err
			}
			user, password, bad := "vpn", "hush-hush", "often"
			v, err := f.api.ChangePPP(ctx, mgmt.PPPChange{Authentication: []string{"mschapv2"}, MutualPAP: &mgmt.MutualPAPChange{User: &user, Password: &password}})
			if err != nil || !v.MutualPAP.HasPassword || v.MutualPAP.Password != "" || !slices.Equal(v.Overridden, []string{"ppp.authentication", "ppp.mutual_pap"}) {
				t.Errorf("%+v, %v", v, err)
			}
			if _, err := f.dial(ctx, "PPTP", ppp.PAP); err == nil {
				t.Error("PAP is not offered, but taken")
			}
			if _, err := f.dial(ctx, "PPTP", ppp.MSCHAPv2); err != nil {
				t.Error(err)
			}
			f.pass(p)
			none := mgmt.PPPChange{EchoInterval: &bad, Authentication: []string{"pap", "pap"}}
			if _, err := f.api.ChangePPP(ctx, none); err == nil || !strings.Contains(err.Error(), "authentication: pap is listed twice") || !strings.Contains(err.Error(), `echo_interval: "often" is not a duration`) {
				t.Errorf("%v", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if strings.Contains(f.log.String(), "hush-hush") || !strings.Contains(f.log.String(), `change="ppp.authentication: [mschapv2]; ppp.mutual_pap" by=root`) {
			t.Errorf("%s", &f.log)
		}
		err = f.run(func(ctx context.Context) error {
			if v, err := f.api.PPP(ctx); err != nil || !slices.Equal(v.Authentication, []string{"mschapv2"}) || v.MutualPAP.User != "vpn" || !v.MutualPAP.HasPassword {
				t.Errorf("after a restart: %+v, %v", v, err)
			}
			return nil
		})
		f.cfg.PPP.MPPE, f.cfg.PPP.Authentication = "required", []string{"mschapv2", "pap"}
		err = errors.Join(err, f.run(func(ctx context.Context) error {
			_, err := f.api.ChangePPP(ctx, mgmt.PPPChange{Authentication: []string{"pap"}})
			if err == nil || !strings.Contains(err.Error(), "mppe: MPPE gets its keys only from MS-CHAP") {
				t.Errorf("%v", err)
			}
			off := "off"
			_, err = f.api.ChangePPP(ctx, mgmt.PPPChange{Authentication: []string{"pap"}, MPPE: &off})
			return err
		}))
		f.cfg.PPP.MPPE = "off" // the same as the setting; the other settings stay
		return errors.Join(err, f.run(func(context.Context) error { return nil }))
	})
}

// A setting that contradicts the file is reported at the start.
func TestSettingsAgainstFile(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		err := f.run(func(ctx context.Context) error {
			_, err := f.api.ChangePPP(ctx, mgmt.PPPChange{Authentication: []string{"pap"}})
			return err
		})
		f.cfg.PPP.MPPE = "required"
		const want = "runtime settings (ppp.authentication: [pap]) conflict with the configuration file: ppp.authentication: MPPE gets its keys only"
		if err := f.run(func(context.Context) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
		if got := finding(t, f.cfg, "settings"); !got.Fatal || !strings.HasPrefix(got.Wrong, want) || got.Fix != "correct the file" {
			t.Errorf("got %+v, want it wrong by %q", got, want)
		}
		return err
	})
}

// A shutdown waits until the last connection has gone, can be cancelled, and ends the daemon when
// its time is over.
func TestShutdownWhenEmpty(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		f := newField(t, lab, cfg)
		for _, last := range []string{"hangs up", "stays"} {
			var left *testenv.Client
			err := f.run(func(ctx context.Context) error {
				p, l, err := f.dialBoth(ctx)
				if err != nil {
					return err
				}
				if err := f.api.CancelShutdown(ctx); err == nil || err.Error() != "no shutdown is pending" {
					t.Errorf("%v", err)
				}
				s, err := f.api.ShutDown(ctx, mgmt.ShutdownRequest{WhenEmpty: true, Within: "1h"})
				if err != nil || !s.Pending || s.By != "root" || s.Connections != 2 || s.At == nil || s.At.Sub(*s.Since) != time.Hour {
					t.Errorf("%+v, %v", s, err)
				}
				f.closed(ctx, "PPTP")
				f.closed(ctx, "L2TP")
				f.pass(p, l)
				for _, want := range []string{"vpnd_ready 0", `vpnd_connections{encryption="none",type="L2TP"} 1`, "vpnd_l2tp_tunnels{state=\"open\"} 1"} {
					if text, err := scrape(ctx, f.cfg.Management.Socket); !strings.Contains(text, "\n"+want+"\n") {
						t.Errorf("%v: while a shutdown waits there is no %q in\n%s", err, want, text)
					}
				}
				if _, err := f.api.ChangeServices(ctx, set(true, true, false)); err == nil || !strings.Contains(err.Error(), "cancel it first") {
					t.Errorf("%v", err)
				}
				if err := f.api.CancelShutdown(ctx); err != nil {
					return err
				}
				p2, l2, err := f.dialBoth(ctx)
				if err != nil {
					return err
				}
				f.pass(p, l, p2, l2)
				request := mgmt.ShutdownRequest{WhenEmpty: true}
				if last == "stays" {
					request.Within = "1s"
				}
				if s, err := f.api.ShutDown(ctx, request); err != nil || (s.At == nil) != (last != "stays") {
					t.Errorf("%+v, %v", s, err)
				}
				for _, c := range []*testenv.Client{p, l, p2} {
					c.Hangup()
				}
				f.pass(l2)
				left = l2
				if last == "hangs up" {
					l2.Hangup()
				}
				<-ctx.Done()
				return errEnds
			})
			if err != nil {
				return err
			}
			<-left.Closed()
		}
		for _, want := range []string{
			`msg=shutdown when="after the last connection, within 1h0m0s" connections=2 by=root`, `msg="shutdown cancelled" by=root`, "cause=shutting_down ",
		} {
			if !strings.Contains(f.log.String(), want) {
				t.Errorf("%s is missing in:\n%s", want, &f.log)
			}
		}
		store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
		if err != nil {
			return err
		}
		history, err := store.History(t.Context(), state.HistoryQuery{})
		count := map[string]int{}
		for _, e := range history {
			if e.By == "root" {
				count[e.Event]++
			}
		}
		if count[state.EventShutdown] != 4 || count[state.EventResumed] != 2 {
			t.Errorf("the history has %v", count)
		}
		return errors.Join(err, store.Close())
	})
}
