package daemon

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/internal/reason"
	"vpnd/internal/session"
	"vpnd/internal/state"
	"vpnd/internal/state/sqlite"
	"vpnd/internal/sysnet"
	"vpnd/ppp"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// Hooks run before, at and after a connection. The last one also runs when the server ends. One
// refuses.
func TestHooks(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		addUser(t, cfg, "alice")
		addUser(t, cfg, "bob")
		out := filepath.Join(t.TempDir(), "out")
		hook := []string{"/bin/sh", "-c", `echo $HOOK $PEERNAME $IFNAME $IPLOCAL $IPREMOTE $TYPE $REMOTE $CAUSE >> "$0"; [ $PEERNAME != bob ]`, out}
		cfg.Hooks = config.Hooks{Before: hook, Up: hook, Down: hook, Timeout: 20 * time.Second, AtOnce: 8, Refusals: 10}
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		dial := func() {
			defer stop()
			forbidden := reason.New(reason.ServerForbidsLogIn, reason.Denial(reason.MSCHAPNotAllowed))
			for _, user := range []string{"alice", "bob"} {
				c := new(testenv.Client)
				err := testenv.InNamespace(lab.Namespace, func() error {
					return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: user, Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2}})
				})
				if (err == nil) != (user == "alice") || user == "bob" && reason.Of(err).String() != forbidden.String() {
					t.Errorf("%s: %v", user, err)
				}
			}
		}
		var log lockedLog
		if err := Run(ctx, cfg, Options{Log: &log, Ready: func() { go dial() }}); err != nil {
			return err
		}
		text, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		for _, want := range []string{
			"before alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9\n", "\nup alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9\n",
			"\nbefore bob vpn0 10.99.0.1 10.99.0.11 PPTP 127.0.2.9\n", "\ndown alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9 shutting_down\n",
		} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if n := strings.Count(string(text), "\n"); n != 4 || !strings.Contains(log.String(), `user=bob auth=MS-CHAPv2 cause=hook_refused reason="before hook: exit status 1"`) {
			t.Errorf("%d lines\n%s", n, &log)
		}
		return nil
	})
}

// The address of a connected user is in the set of the group, moves when the group changes, and
// leaves with the connection.
func TestGroups(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		store, err := sqlite.Open(t.Context(), cfg.StateDir, state.Options{})
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		err = store.Add(t.Context(), usermgmt.Profile{Name: "alice", Group: "staff", Enabled: true, Password: "geheim", Services: []auth.Service{auth.PPTP}})
		if err != nil {
			return err
		}
		if out, err := exec.Command("nft", "add table inet filter").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cfg.Network.NFTablesTable = "inet filter"
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		has := func(set string) bool {
			var out []byte
			err := testenv.InNamespace(lab.Namespace, func() (err error) {
				out, err = exec.Command("nft", "list", "set", "inet", "filter", set).CombinedOutput()
				return err
			})
			return err == nil && strings.Contains(string(out), "elements = { 10.99.0.10 }")
		}
		wait := func(set string, in bool) {
			for deadline := time.Now().Add(10 * time.Second); has(set) != in; {
				if time.Now().After(deadline) {
					t.Errorf("the address in %s: %v", set, !in)
					return
				}
			}
		}
		dial := func() {
			defer stop()
			var c testenv.Client
			err := testenv.InNamespace(lab.Namespace, func() error {
				return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
			})
			if err != nil {
				t.Error(err)
				return
			}
			wait("vpnd_users", true)
			wait("vpnd_group_staff", true)
			if err := store.Update(ctx, "alice", func(p *usermgmt.Profile) error { p.Group = "guests"; return nil }); err != nil {
				t.Error(err)
			}
			wait("vpnd_group_guests", true)
			wait("vpnd_group_staff", false)
			c.Hangup()
			wait("vpnd_group_guests", false)
			wait("vpnd_users", false)
		}
		return Run(ctx, cfg, Options{Log: new(lockedLog), Ready: func() { go dial() }})
	})
}

// Without the firewall's table nobody is let in, and the log says why. With the table dial-in works
// again.
func TestNoTable(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		addUser(t, cfg, "alice")
		nft := func(command string) {
			t.Helper()
			err := testenv.InNamespace(lab.Namespace, func() error { return exec.Command("nft", command).Run() })
			if err != nil {
				t.Errorf("nft %s: %v", command, err)
			}
		}
		nft("add table inet filter")
		cfg.Network.NFTablesTable = "inet filter"
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		dial := func() error {
			return testenv.InNamespace(lab.Namespace, func() error {
				return new(testenv.Client).Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: "alice", Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
			})
		}
		try := func() {
			defer stop()
			nft("delete table inet filter")
			if err := dial(); err == nil {
				t.Error("the user is let in past the firewall")
			}
			nft("add table inet filter")
			if err := dial(); err != nil {
				t.Error(err)
			}
		}
		var log lockedLog
		if err := Run(ctx, cfg, Options{Log: &log, Ready: func() { go try() }}); err != nil {
			return err
		}
		if !strings.Contains(log.String(), "cause=firewall_sets ") || !strings.Contains(log.String(), "there is no nftables table inet filter") {
			t.Error(log.String())
		}
		return nil
	})
}

// A damaged row of the user table is reported, its user is hung up and refused, and changes of
// other users take effect.
func TestDamagedRow(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		for _, name := range []string{"alice", "bob", "carol"} {
			addUser(t, cfg, name)
		}
		dialer := newDialer(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		dial := func(user string) (*testenv.Client, error) {
			c := new(testenv.Client)
			return c, testenv.InNamespace(lab.Namespace, func() error {
				return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: user, Password: "geheim", Auth: []ppp.Method{ppp.PAP}})
			})
		}
		try := func() {
			defer stop()
			var open []*testenv.Client
			for _, user := range []string{"bob", "carol"} {
				c, err := dial(user)
				if err != nil {
					t.Error(err)
					return
				}
				open = append(open, c)
			}
			db, err := sql.Open("sqlite", "file:"+filepath.Join(cfg.StateDir, "users.db")+"?_pragma=busy_timeout(30000)")
			if err == nil {
				_, err = db.ExecContext(ctx, `UPDATE users SET password = x'00' WHERE fold = 'bob'; UPDATE users SET enabled = 0 WHERE fold = 'carol';
					UPDATE meta SET value = value + 1 WHERE name = 'generation'`)
				err = errors.Join(err, db.Close())
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range open {
				select {
				case <-c.Closed():
				case <-time.After(30 * time.Second):
					t.Error("a connection stays up")
				}
			}
			if _, err := dial("bob"); err == nil {
				t.Error("the user of the damaged row is let in")
			}
			if _, err := dial("alice"); err != nil {
				t.Error(err)
			}
		}
		var log lockedLog
		if err := Run(ctx, cfg, Options{Log: &log, Ready: func() { go try() }}); err != nil {
			return err
		}
		for _, want := range []string{"row of the user table is damaged", "user=carol address=10.99.0.11 cause=account_disabled ", "user=bob auth=PAP cause=user_table "} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %q in\n%s", want, &log)
			}
		}
		return nil
	})
}

// A quota counts both the stored traffic and the traffic that waits for the disk. If nothing can be
// read, it counts the last known traffic.
func TestTrafficThatIsNotStored(t *testing.T) {
	full := errors.New("disk full")
	tr := newTraffic()
	if _, known := tr.used("alice", "2026-11", 0, full); known {
		t.Error("it is known before it was read")
	}
	tr.add(map[string]session.Usage{"alice": {Rx: 1, Tx: 2}})
	tr.add(map[string]session.Usage{"alice": {Rx: 10}})
	for what, c := range map[string]struct {
		stored uint64
		err    error
		want   uint64
	}{"read": {100, nil, 113}, "not read": {0, full, 113}} {
		if what == "not read" {
			tr.used("alice", "2026-11", 100, nil)
		}
		if got, known := tr.used("alice", "2026-11", c.stored, c.err); !known || got != c.want {
			t.Errorf("%s: %d, %v", what, got, known)
		}
	}
	tr.stored()
	if got, known := tr.used("alice", "2026-11", 0, full); !known || got != 100 {
		t.Errorf("%d, %v", got, known)
	}
	if _, known := tr.used("alice", "2026-12", 0, full); known {
		t.Error("the month before counts")
	}
}

// While the system does not answer, for example because of the disk, no caller of the connection
// hooks waits. The address of an ended connection is kept from others.
func TestHooksKeepNobodyWaiting(t *testing.T) {
	h := newConnectionHooks(&daemon{changes: new(sysnet.Changes)})
	c := session.Connection{ID: "a", Virtual: netip.MustParseAddr("10.99.0.10")}
	if err := h.Before(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	h.system.Lock()
	h.Up(c)
	c.Group = "staff"
	h.Regroup(c, "")
	h.Down(c, reason.New(reason.ShuttingDown), func() { close(released) })
	h.Discard(session.Connection{ID: "b"}, func() {})
	select {
	case <-released:
		t.Error("the address is released before the system is done with it")
	default:
	}
	h.system.Unlock()
	<-released
	h.d.wg.Wait()
	if len(h.holders) != 0 {
		t.Errorf("%v", h.holders)
	}
}

// If another connection of the user takes over the address of a connection, the address stays set
// up.
func TestHooksHandOver(t *testing.T) {
	h := newConnectionHooks(&daemon{changes: new(sysnet.Changes)})
	addr := netip.MustParseAddr("10.99.0.10")
	for _, id := range []string{"old", "new"} {
		if err := h.Before(t.Context(), session.Connection{ID: id, Virtual: addr}); err != nil {
			t.Fatal(err)
		}
	}
	h.Down(session.Connection{ID: "old", Virtual: addr}, reason.New(reason.Replaced), func() {})
	h.d.wg.Wait()
	if left := h.holders[addr]; len(left) != 1 || left[0].id != "new" {
		t.Errorf("%v", left)
	}
}
