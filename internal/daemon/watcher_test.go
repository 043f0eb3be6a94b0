package daemon

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"vpnd/auth"
	"vpnd/internal/config"
	"vpnd/ppp"
	"vpnd/pptp/client"
	"vpnd/testenv"
	"vpnd/usermgmt"
)

// Hooks are run before, at and after a connection, the last one also when the server ends; one refuses.
func TestHooks(t *testing.T) {
	inside(t, func(lab *testenv.Lab, cfg config.Config) error {
		store, err := usermgmt.Open(t.Context(), cfg.StateDir, usermgmt.Options{})
		if err != nil {
			return err
		}
		for _, name := range []string{"alice", "bob"} {
			err = errors.Join(err, store.Add(t.Context(), usermgmt.Profile{Name: name, Enabled: true, Password: "geheim", Services: []auth.Service{auth.PPTP}}))
		}
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
		out := filepath.Join(t.TempDir(), "out")
		hook := []string{"/bin/sh", "-c", `echo $HOOK $PEERNAME $IFNAME $IPLOCAL $IPREMOTE $TYPE $REMOTE $REASON >> "$0"; [ $PEERNAME != bob ]`, out}
		cfg.Hooks = config.Hooks{Before: hook, Up: hook, Down: hook, Timeout: 20 * time.Second, AtOnce: 8}
		dialer, err := client.New(netip.MustParseAddr("127.0.2.9"))
		if err != nil {
			return err
		}
		defer dialer.Close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		dial := func() {
			defer stop()
			for _, user := range []string{"alice", "bob"} {
				c := new(testenv.Client)
				err := testenv.InNamespace(lab.Namespace, func() error {
					return c.Dial(ctx, dialer, netip.MustParseAddrPort("127.0.2.1:1723"), ppp.Config{User: user, Password: "geheim", Auth: []ppp.Method{ppp.MSCHAPv2}})
				})
				if (err == nil) != (user == "alice") || user == "bob" && !strings.Contains(err.Error(), "E=649") {
					t.Errorf("%s: %v", user, err)
				}
			}
		}
		var log bytes.Buffer
		if err := Run(ctx, cfg, Options{Log: &log, Ready: func() { go dial() }}); err != nil {
			return err
		}
		text, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		for _, want := range []string{
			"before alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9\n", "\nup alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9\n",
			"\nbefore bob vpn0 10.99.0.1 10.99.0.11 PPTP 127.0.2.9\n", "\ndown alice vpn0 10.99.0.1 10.99.0.10 PPTP 127.0.2.9 server is shutting down\n",
		} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if n := strings.Count(string(text), "\n"); n != 4 || !strings.Contains(log.String(), `user=bob auth=MS-CHAPv2 reason="before hook: exit status 1"`) {
			t.Errorf("%d lines\n%s", n, &log)
		}
		return nil
	})
}
