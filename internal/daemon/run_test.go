package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/internal/preflight"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/mgmt"
	mgmtclient "vpnd/mgmt/client"
	"vpnd/ppp"
	"vpnd/pptp/client"
	"vpnd/testenv"
	"vpnd/usermgmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// inside runs f in a namespace with a bridge br0.
func inside(t *testing.T, f func(lab *testenv.Lab, cfg config.Config) error) {
	t.Helper()
	lab := testenv.New(t)
	cfg := config.Default()
	cfg.StateDir = filepath.Join(t.TempDir(), "state")
	run, err := os.MkdirTemp("", "vpnd-run-") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	cfg.Management.Socket = filepath.Join(run, "vpnd.sock")
	if err := testenv.InNamespace(lab.Namespace, func() error { return f(lab, cfg) }); err != nil {
		t.Fatal(err)
	}
}

// addUser adds a user who may dial in by PPTP.
func addUser(t *testing.T, cfg config.Config, name string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Add(t.Context(), usermgmt.Profile{Name: name, Enabled: true, Password: "geheim", Services: []auth.Service{auth.PPTP}})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
}

// newDialer dials by PPTP, from 127.0.2.9 in the namespace of the test.
func newDialer(t *testing.T) *client.Dialer {
	t.Helper()
	d, err := client.New(netip.MustParseAddr("127.0.2.9"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// system gives the system's state that a daemon changes.
func system(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for _, command := range [][]string{
		{"nft", "list", "ruleset"}, {"ip", "-o", "link"}, {"ip", "route"}, {"ip", "neighbor", "show", "proxy"}, {"sysctl", "net.ipv4.ip_forward"},
	} {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		all.Write(out)
	}
	return all.String()
}

// A daemon that cannot start leaves the system unchanged, at whatever step it fails.
func TestFailedStart(t *testing.T) {
	inside(t, func(_ *testenv.Lab, cfg config.Config) error {
		cfg.Network.Masquerade, cfg.Network.ProxyARP = "br0", "br0"
		before := system(t)
		other, err := net.ListenPacket("udp4", "0.0.0.0:1701")
		if err != nil {
			return err
		}
		defer func() { _ = other.Close() }()
		err = Run(t.Context(), cfg, Options{Log: new(lockedLog), Ready: func() { t.Error("it is ready") }})
		if err == nil || !strings.Contains(err.Error(), "L2TP: UDP port 1701 of 0.0.0.0 is in use: stop the other L2TP server there") {
			t.Errorf("%v", err)
		}
		if after := system(t); after != before {
			t.Errorf("after:\n%s\nbefore:\n%s", after, before)
		}
		if _, err := os.Stat(filepath.Join(cfg.StateDir, "system-changes.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the list of changes: %v", err)
		}
		l, err := net.Listen("tcp4", "0.0.0.0:1723")
		if err != nil {
			return err
		}
		return l.Close()
	})
}

// 100 reloads do not disturb users who log in and hang up.
func TestReloadsDuringLogIns(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
		if err != nil {
			return err
		}
		err = store.Add(t.Context(), usermgmt.Profile{
			Name: "alice", Enabled: true, Password: "geheim", Services: []auth.Service{auth.PPTP}, IPsec: usermgmt.IPsecNone,
		})
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		reload, dialIns := make(chan struct{}), new(sync.WaitGroup)
		var loads, logIns atomic.Int64
		storm := func() {
			for range 8 {
				dialIns.Go(func() {
					for range 10 {
						if err := testenv.InNamespace(lab.Namespace, func() error { return logIn(ctx, dialer) }); err != nil {
							t.Error(err)
							return
						}
						logIns.Add(1)
					}
				})
			}
			for range 100 {
				reload <- struct{}{}
			}
			dialIns.Wait()
			stop()
		}
		var log lockedLog
		err = Run(ctx, cfg, Options{
			Log: &log, Reload: reload, Ready: func() { go storm() },
			Load: func() (config.Config, error) {
				again := cfg
				n := loads.Add(1)
				again.Log.Level = []string{"debug", "info", "warn"}[n%3]
				again.Network.Pool = []config.Range{parse(t, []string{"10.99.0.10-10.99.0.250", "10.99.1.10-10.99.1.250"}[n%2])}
				again.Network.PoolChange = "keep"
				return again, nil
			},
		})
		if loads.Load() != 100 || logIns.Load() != 80 || strings.Contains(log.String(), "fault") {
			t.Errorf("%d reloads, %d log-ins\n%s", loads.Load(), logIns.Load(), &log)
		}
		return err
	})
}

func logIn(ctx context.Context, dialer *client.Dialer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var c testenv.Client
	err := c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{
		User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2},
	})
	if err != nil {
		return err
	}
	c.Hangup()
	return nil
}

// finding gives the finding of Check whose text begins with what.
func finding(t *testing.T, cfg config.Config, what string) preflight.Finding {
	t.Helper()
	for _, f := range preflight.Check(cfg) {
		if strings.HasPrefix(f.What, what) {
			return f
		}
	}
	return preflight.Finding{}
}

func TestCheck(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		before := system(t)
		cfg.Network.Masquerade = "br0"
		for _, f := range preflight.Check(cfg) {
			if f.Fatal && f.Wrong != "" {
				t.Errorf("%v", f)
			}
		}
		if _, err := os.Stat(cfg.StateDir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a state folder is made: %v", err)
		}
		if after := system(t); after != before {
			t.Errorf("after:\n%s\nbefore:\n%s", after, before)
		}
		lab.IP("route", "add", "10.99.0.32/27", "dev", "br0")
		file := filepath.Join(t.TempDir(), "file")
		lost := t.TempDir()
		for _, path := range []string{file, filepath.Join(lost, "users.db")} {
			if err := os.WriteFile(path, []byte("SQLite format 3"), 0o600); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			what   string
			change func(*config.Config)
			want   preflight.Finding
		}{
			{"IP forwarding", func(*config.Config) {}, preflight.Finding{What: "IP forwarding (off; the daemon turns it on while it runs)"}},
			{"routes", func(*config.Config) {}, preflight.Finding{
				What: "routes to network.pool", Wrong: "interface br0 already routes 10.99.0.32/27", Fix: "set network.pool to addresses that nothing else has", Fatal: true,
			}},
			{"network.masquerade", func(c *config.Config) { c.Network.Masquerade = "eth9" }, preflight.Finding{
				What: "network.masquerade eth9", Wrong: "there is no such interface", Fix: "correct network.masquerade", Fatal: true,
			}},
			{"network.nftables_table", func(c *config.Config) { c.Network.NFTablesTable = "inet filter" }, preflight.Finding{
				What: "network.nftables_table inet filter", Wrong: "there is no nftables table inet filter",
				Fix: "first load the rules that define it, or run nft add table inet filter", Fatal: true,
			}},
			{"services", func(c *config.Config) { c.Services = config.Services{} }, preflight.Finding{
				What: "services", Wrong: "PPTP and L2TP are off: nobody can dial in", Fix: "turn one on with 'vpnd services on pptp', or set services.pptp or services.l2tp to true",
			}},
			{"l2tp.secret", func(c *config.Config) { c.L2TP.Secret = "x" }, preflight.Finding{
				What: "l2tp.secret", Wrong: "Apple's clients do not support tunnel secrets and cannot connect", Fix: "leave it empty if they must dial in",
			}},
			{"hooks", func(c *config.Config) { c.Hooks.Before = []string{"/nowhere/hook"} }, preflight.Finding{
				What: "hooks", Wrong: `exec: "/nowhere/hook": stat /nowhere/hook: no such file or directory`,
				Fix: "put the program there, or correct its path in the configuration", Fatal: true,
			}},
			{"hooks", func(c *config.Config) { c.Hooks.Up = []string{file} }, preflight.Finding{
				What: "hooks", Wrong: fmt.Sprintf("exec: %q: permission denied", file), Fix: "make the file executable (chmod +x " + file + ")",
			}},
			{"ppp.echo", func(c *config.Config) { c.PPP.EchoFailures = 0 }, preflight.Finding{
				What: "ppp.echo_interval, ppp.echo_failures", Wrong: "with 0, vpnd does not detect dead clients by echo", Fix: "set both to detect dead clients",
			}},
			{"PPTP", func(c *config.Config) { c.Listen = []netip.Addr{netip.MustParseAddr("203.0.113.1")} }, preflight.Finding{
				What: "PPTP (TCP 1723, GRE)", Wrong: "203.0.113.1 is not an address of this machine", Fix: "correct `listen`", Fatal: true,
			}},
			{"user table", func(*config.Config) {}, preflight.Finding{
				What: "user table in " + cfg.StateDir, Wrong: "does not exist yet", Fix: "the daemon creates it; `vpnd user add` adds a user",
			}},
			{"user table", func(c *config.Config) { c.StateDir = filepath.Join(file, "state") }, preflight.Finding{
				What: "user table in " + file + "/state", Wrong: file + " is not a folder", Fix: "move it away, or set state_dir to a folder", Fatal: true,
			}},
			{"user table", func(c *config.Config) { c.StateDir = lost }, preflight.Finding{
				What: "user table in " + lost, Wrong: "the user table " + lost + "/users.db is damaged (it is not an SQLite database)",
				Fix: "restore a backup, or move it away with its -wal and -shm files and add the users again", Fatal: true,
			}},
		} {
			changed := cfg
			c.change(&changed)
			if diff := cmp.Diff(c.want, finding(t, changed, c.what)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.what, diff)
			}
		}
		if got := finding(t, cfg, "clock"); !strings.HasPrefix(got.What, "clock (the host's") {
			t.Errorf("got %+v, want the host's clock", got)
		}
		return nil
	})
}

// Beside its own daemon Check finds no fault. Resources of another process are still reported.
func TestCheckWithDaemon(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		addUser(t, cfg, "alice")
		cfg.Network.Masquerade = "br0"
		cfg.Services.L2TP = false
		ctx, stop := context.WithCancel(t.Context())
		look := func() {
			defer stop()
			findings := preflight.Check(cfg)
			if want := fmt.Sprintf("ok    the daemon is running (pid %d)", os.Getpid()); findings[0].String() != want {
				t.Errorf("%v, want %s", findings[0], want)
			}
			for _, f := range findings {
				if f.Wrong != "" && f.Fatal {
					t.Errorf("%v", f)
				}
			}
			other, err := net.ListenPacket("udp4", "127.0.0.1:1701")
			if err != nil {
				t.Error(err)
				return
			}
			file, err := other.(*net.UDPConn).File() //nolint:forcetypeassert // it is one
			if err != nil {
				t.Error(err)
				return
			}
			// This process holds the socket, which the daemon's process no longer has.
			holder := exec.Command("sleep", "600")
			holder.ExtraFiles = []*os.File{file}
			if err := errors.Join(holder.Start(), other.Close(), file.Close()); err != nil {
				t.Error(err)
				return
			}
			defer func() { _, _ = holder.Process.Kill(), holder.Wait() }()
			with := cfg
			with.Services.L2TP = true
			if got := finding(t, with, "L2TP"); !got.Fatal || got.Wrong != fmt.Sprintf("UDP port 1701 of 0.0.0.0 is in use by sleep (pid %d)", holder.Process.Pid) {
				t.Errorf("got %+v, want the port in use by the process %d", got, holder.Process.Pid)
			}
			with.Network.Interface = "br0"
			if got := finding(t, with, "interface"); !got.Fatal || got.Wrong != "it exists already" {
				t.Errorf("got %+v, want the interface to be there already", got)
			}
		}
		done := make(chan struct{})
		err := Run(ctx, cfg, Options{Log: new(lockedLog), Ready: func() {
			go func() { // in the namespace whose sockets are checked
				defer close(done)
				if err := testenv.InNamespace(lab.Namespace, func() error { look(); return nil }); err != nil {
					t.Error(err)
				}
			}()
		}})
		<-done
		return err
	})
}

// An administrator sees the connected users and drops one. Nobody else gets in, and only one daemon
// can use a path.
func TestManage(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		addUser(t, cfg, "alice")
		dialer := newDialer(t)
		// The remains of a killed daemon are not in the way.
		dead, err := net.Listen("unix", cfg.Management.Socket)
		if err != nil {
			return err
		}
		dead.(*net.UnixListener).SetUnlinkOnClose(false) //nolint:forcetypeassert // it is one
		_ = dead.Close()
		cfg.L2TP.Secret = "x"
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		administer := func() {
			defer stop()
			var c testenv.Client
			err := testenv.InNamespace(lab.Namespace, func() error {
				return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
			})
			if err != nil {
				t.Error(err)
				return
			}
			api := mgmtclient.New(cfg.Management.Socket)
			list, err := api.Connections(ctx)
			if err != nil || len(list) != 1 || list[0].User != "alice" || list[0].Type != "PPTP" || list[0].RemoteIP != netip.MustParseAddr("127.0.2.9") {
				t.Errorf("%+v, %v", list, err)
				return
			}
			if info, err := os.Stat(cfg.Management.Socket); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			elsewhere := cfg
			elsewhere.StateDir = t.TempDir()
			if got := finding(t, elsewhere, "management.socket"); got.Wrong != "another program listens on "+cfg.Management.Socket || got.Fix != "stop it, or choose another path" {
				t.Errorf("got %+v, want another program on the socket", got)
			}
			status, err := api.Status(ctx)
			if err != nil || status.Connections != 1 || status.Users != 1 || len(status.Pools) != 1 || status.Pools[0].InUse != 1 || status.Pools[0].Size != 241 ||
				!cmp.Equal(status.Pools[0].Ranges, []mgmt.PoolRange{{Start: netip.MustParseAddr("10.99.0.10"), Count: 241}}, cmpopts.EquateComparable(netip.Addr{})) {
				t.Errorf("%+v, %v", status, err)
			}
			if !slices.ContainsFunc(status.Warnings, func(w mgmt.Warning) bool { return w.What == "l2tp.secret" && w.Wrong != "" && w.Fix != "" }) ||
				slices.ContainsFunc(status.Warnings, func(w mgmt.Warning) bool { return w.Wrong == "" }) {
				t.Errorf("%+v", status.Warnings)
			}
			if err := api.Drop(ctx, list[0].ID, "go home"); err != nil {
				t.Error(err)
			}
			<-c.Closed()
		}
		var log lockedLog
		err = Run(ctx, cfg, Options{Log: &log, Ready: func() { go administer() }})
		if !strings.Contains(log.String(), `reason="go home"`) {
			t.Errorf("%s", &log)
		}
		store, opened := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
		if opened != nil {
			return opened
		}
		history, read := store.History(t.Context(), state.HistoryQuery{Events: []string{state.EventDropped}})
		if read != nil || len(history) != 1 || history[0].User != "alice" || history[0].Reason != "go home" || history[0].By == "" {
			t.Errorf("%+v, %v: the history does not say who dropped it", history, read)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(cfg.Management.Socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
		return err
	})
}
