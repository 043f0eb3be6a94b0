package realclient

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"vpnd/testenv"
)

// A daemon that cannot start says why in one message, with the fix, and leaves nothing over.
func TestStartUpErrors(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	for _, c := range []struct{ name, yaml, want string }{
		{"unknown key", "ppp: {mrru: 1400}\n", "ppp.mrru"},
		{"interface inside the pool", "network: {address: 10.99.0.1, pool: 10.99.0.0/24, interface: vpn0, dns: [1.2.3]}\n", "1.2.3"},
		{"no such interface", "network: {masquerade: eth9}\n", "network.masquerade: there is no interface eth9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := lab.Fails(t, c.yaml)
			if !strings.Contains(out, c.want) {
				t.Errorf("%q, want %q", out, c.want)
			}
			if _, err := lab.Command("ip", "link", "show", "vpn0").CombinedOutput(); err == nil {
				t.Error("the interface is left over")
			}
		})
	}
	t.Run("port in use", func(t *testing.T) {
		err := testenv.InNamespace(lab.Namespace, func() error {
			l, err := net.Listen("tcp4", "0.0.0.0:1723")
			if err != nil {
				return err
			}
			defer func() { _ = l.Close() }()
			if out := lab.Fails(t, ""); !strings.Contains(out, "TCP port 1723 of 0.0.0.0 is in use: stop the other PPTP server there") {
				t.Errorf("%q", out)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("interface in use", func(t *testing.T) {
		lab.IP("link", "add", "vpn0", "type", "bridge")
		defer lab.IP("link", "delete", "vpn0")
		if out := lab.Fails(t, ""); !strings.Contains(out, "the interface vpn0 exists already") {
			t.Errorf("%q", out)
		}
	})
	t.Run("no rights", func(t *testing.T) {
		s := lab.NewServer(t, "")
		out := s.RunAs(t, 14, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")
		if !strings.Contains(out, "run as root or with CAP_NET_") {
			t.Errorf("%q", out)
		}
	})
	t.Run("no /dev/net/tun", func(t *testing.T) {
		s := lab.NewServer(t, "")
		out := s.RunAs(t, 1, "unshare", "--mount", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh")
		if !strings.Contains(out, "there is no /dev/net/tun: load the module tun") {
			t.Errorf("%q", out)
		}
	})
}

// With only the capabilities that a container gives, users dial in. When the daemon ends, it
// removes all that it has set up.
func TestContainersRights(t *testing.T) {
	s := newSite(t, "")
	s.server.Stop()
	caps := "+net_admin,+net_raw,+net_bind_service"
	s.server.StartAs("setpriv", "--bounding-set=-all,"+caps, "--inh-caps=-all,"+caps, "--no-new-privs")
	s.dial("alice", "geheim", "require-mppe-128")
	s.must("ping -c 1 -W 20 10.99.0.1")
	s.hangup()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.server.PID()))
	if err != nil || !strings.Contains(string(status), "CapEff:\t0000000000003400") {
		t.Errorf("its rights: %v\n%s", err, status)
	}
	s.server.Stop()
	if out, err := s.lab.Command("ip", "link", "show", "vpn0").CombinedOutput(); err == nil {
		t.Errorf("left over: %s", out)
	}
}

// SIGHUP changes the log level. A broken file changes nothing, and the log says so.
func TestReload(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	s := lab.Serve(t, "")
	s.Configure("log: {level: debug}\n")
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.WaitLog("reloaded", "level=debug")
	s.Configure("log: {level: loud}\n")
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.WaitLog("the configuration is not reloaded", "loud")
}

// Others can read nothing in the state folder, with any umask.
func TestModes(t *testing.T) {
	t.Parallel()
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	lab := testenv.New(t)
	s := lab.Serve(t, "")
	s.VPND("user", "add", "alice", "--password", "geheim")
	err := filepath.WalkDir(s.StateDir(), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// vpnd check finds nothing wrong on a machine where the daemon can run, and nothing beside a daemon
// that runs.
func TestCheck(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	s := lab.NewServer(t, "")
	s.VPND("user", "add", "alice", "--password", "geheim")
	if out := s.VPND("check"); strings.Contains(out, "FAIL") || !strings.Contains(out, "ok    PPTP (TCP 1723, GRE)") {
		t.Errorf("%s", out)
	}
	s.Start()
	if out, err := s.Try("check"); err != nil || strings.Contains(out, "FAIL") || !strings.Contains(out, "ok    the daemon is running (pid ") {
		t.Errorf("%v\n%s", err, out)
	}
}
