package dial_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"vpnd/internal/dial"
	"vpnd/testenv"
)

// routes are the routes of a host except the one of its wire.
func routes(t *testing.T, h *testenv.Host) []string {
	t.Helper()
	out, err := h.Command("ip", "-4", "route", "show").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); !slices.Contains(f, "kernel") {
			all = append(all, f[0]+" "+f[slices.Index(f, "dev")+1])
		}
	}
	slices.Sort(all)
	return all
}

// The route to the server stays outside the tunnel. The next dial-in removes the route of a killed
// one. A dial-in that runs beside it keeps its own.
func TestRoutes(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, "ppp: {mppe: off}\n")
	alice := server.AddUser(testenv.User{Name: "alice", Password: "geheim", Options: []string{"--max-connections", "0"}})
	host := lab.Host(t)
	everything := []string{"--route", "default", "--route", "default", "--route", "192.0.2.0/25"}
	want := []string{"0.0.0.0/1 vpndial0", "10.99.0.1 vpndial0", "128.0.0.0/1 vpndial0", "192.0.2.0/25 vpndial0", "192.0.2.1 eth0"}
	d := alice.Dial(host, "l2tp", nil, everything...)
	d.Connected()
	if got := routes(t, host); !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
	if out, err := host.Command("ping", "-c", "2", "-i", "0.2", "-w", "20", "10.99.0.1").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
	d.Kill()
	if got := routes(t, host); !slices.Equal(got, []string{"192.0.2.1 eth0"}) {
		t.Errorf("killed: routes %q", got)
	}
	d = alice.Dial(host, "l2tp", nil, everything...)
	d.Connected()
	beside := alice.Dial(host, "pptp", nil, "--route", "default", "--interface", "vpndial1")
	beside.Connected()
	if code := beside.Interrupt(); code != 0 {
		t.Errorf("status %d: %s", code, beside.Said())
	}
	if got := routes(t, host); !slices.Equal(got, want) {
		t.Errorf("after the one beside: routes %q, want %q", got, want)
	}
	if code := d.Interrupt(); code != 0 {
		t.Errorf("status %d: %s", code, d.Said())
	}
	if got := routes(t, host); len(got) != 0 {
		t.Errorf("hung up: routes %q", got)
	}
}

// Secrets come from files. No password is used if this machine cannot dial in.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, "l2tp: {secret: tunnel}\n")
	otto := server.AddUser(testenv.User{Name: "otto"})
	host := lab.Host(t)
	token, secret := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "secret")
	for file, text := range map[string]string{token: otto.Token.Secret + "\n" + otto.Token.PIN + "\n", secret: "tunnel\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{testenv.ServerAddress, "--type", "l2tp", "--user", "otto", "--motp-file", token, "--secret-file", secret}
	d := host.Dial(t, append(args, "--interface", "eth0")...)
	if code := d.Wait(); code != 1 || !strings.Contains(d.Said(), "the interface eth0 exists already") || strings.Contains(server.Log(), "otto") {
		t.Errorf("status %d: %s%s", code, d.Said(), server.Log())
	}
	d = host.Dial(t, args...)
	d.Connected()
	if code := d.Interrupt(); code != 0 {
		t.Errorf("status %d: %s", code, d.Said())
	}
}

// The exit status tells why PPTP fails before PPP begins.
func TestControlConnectionFails(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	host := lab.Host(t)
	for _, c := range []struct {
		name   string
		serve  func(net.Conn)
		status int
		want   string
	}{
		{"closes", func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 156)) }, 4, "server closed the control connection"},
		{"other protocol", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, 7, "server does not speak PPTP"},
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, 3, `no answer from 192.0.2.1:1723"`},
		{"refuses", func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 156))
			reply := make([]byte, 156)
			copy(reply, "\x00\x9c\x00\x01\x1a\x2b\x3c\x4d\x00\x02\x00\x00\x01\x00\x04\x00")
			_, _ = c.Write(reply)
			_, _ = io.Copy(io.Discard, c)
		}, 4, "server refuses the call (this client may not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var listener net.Listener
			err := testenv.InNamespace(lab.Namespace, func() (err error) {
				listener, err = net.Listen("tcp4", testenv.ServerAddress+":1723") //nolint:noctx // a test's
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			go func() {
				if conn, err := listener.Accept(); err == nil {
					c.serve(conn)
					_ = conn.Close()
				}
			}()
			d := host.Dial(t, testenv.ServerAddress, "--user", "alice", "--password", "geheim")
			if status := d.Wait(); status != c.status || !strings.Contains(d.Said(), c.want) {
				t.Errorf("status %d, want %d with %q: %s", status, c.status, c.want, d.Said())
			}
			if e, ok := d.Event(dial.Failed); !ok || e.Status != c.status || !strings.Contains(d.Said(), e.Reason) {
				t.Errorf("got %+v, want the status %d", e, c.status)
			}
		})
	}
}

// The most frequent obstacle for PPTP is a firewall that lets TCP 1723 through, but not GRE.
func TestNoGRE(t *testing.T) {
	t.Parallel()
	lab := testenv.New(t)
	server := lab.Serve(t, "")
	alice := server.AddUser(testenv.User{Name: "alice", Password: "geheim"})
	host := lab.Host(t)
	rules := "add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in ip protocol gre drop"
	if out, err := host.Command("nft", rules).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := alice.Dial(host, "pptp", nil)
	if status := d.Wait(); status != 3 || !strings.Contains(d.Said(), "IP protocol 47") {
		t.Errorf("status %d: %s", status, d.Said())
	}
}
